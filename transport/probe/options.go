package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

const (
	// DefaultTimeout is what a whole probe may take. A webhook that takes longer
	// than that to say nothing is none that meets a deadline of seconds.
	DefaultTimeout = 2 * time.Second
	// minKey is the least length of a key, in bytes: HMAC-SHA256 gains nothing
	// from a longer one.
	minKey = 32
)

// ErrOptions is found by errors.Is in the errors of New.
var ErrOptions = errors.New("invalid options")

// Resolver looks up a host's addresses; network is "ip4" or "ip6". It is how
// *net.Resolver does it, whose errors it is expected to return. It must return
// when ctx ends.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Options configures a Prober. A zero value means the default.
type Options struct {
	// URL is the webhook's public URL, with https, or with http for a local Bot
	// API server. Required.
	URL string
	// Key makes the proofs; at least 32 bytes, and no secret of anything else.
	// Default: a new one. It need not outlive the process.
	Key []byte
	// Responder is the listener's side. Default: one of this prober's own. Give the
	// probers of one process the same, and it can serve every listener.
	Responder *Responder

	// Roots are trusted in place of the system's.
	Roots *x509.CertPool
	// Uploaded says that Roots is the certificate that was uploaded with the
	// webhook: Telegram then trusts nothing else, wants it to be a root, and
	// compares an IP address in the URL with the certificate's names.
	Uploaded bool
	// Pinned says that the webhook is set with an ip_address: Telegram never looks
	// the host up, so neither does the probe. Give the address to Probe.
	Pinned bool
	// AllowReserved lets addresses pass that only a local Bot API server delivers
	// to: reserved and IPv6 ones.
	AllowReserved bool
	// Address, a host:port, is dialled in place of the public address. What the
	// DNS says is advice then.
	Address string

	// Stranger says that the listener isn't this process's: no proof can come, and a
	// refusal is the best answer. The challenge carries a secret token made up for it,
	// so that a listener which takes requests without one refuses this all the same.
	Stranger bool

	// Resolver is asked for the host; default: the system's. See also NameServer.
	Resolver Resolver
	// Dial opens the connection; default: a net.Dialer. network is "tcp4", or
	// "tcp" where IPv6 is possible.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Now is the clock by which certificates are judged; default: time.Now.
	// Where the local clock isn't to be trusted, correct it by the Date of the Bot
	// API's answers. All else is measured by the monotonic clock.
	Now func() time.Time
	// Timeout bounds a whole probe, and half of it the DNS; default 2 s.
	Timeout time.Duration
}

// New returns a prober. Its errors match ErrOptions, and don't repeat the URL.
func New(o Options) (*Prober, error) {
	p := &Prober{}
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("probe: %w: the URL doesn't parse", ErrOptions) // err repeats it
	}
	p.url, p.port = u, u.Port()
	p.host = strings.TrimSuffix(u.Hostname(), ".")
	p.ip, _ = netip.ParseAddr(p.host)
	p.ip = p.ip.Unmap()
	if p.port == "" {
		p.port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	o.Key = bytes.Clone(o.Key)
	if o.Key == nil {
		o.Key = make([]byte, minKey)
		_, _ = rand.Read(o.Key) // it never fails
	}
	if o.Responder == nil {
		o.Responder = new(Responder)
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	p.o = o
	if err := p.validate(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Prober) validate() error {
	wrong := func(what string) error { return fmt.Errorf("probe: %w: %s", ErrOptions, what) }
	switch {
	case p.url.Scheme != "https" && p.url.Scheme != "http":
		return wrong("the URL is neither https nor http")
	case p.host == "":
		return wrong("the URL has no host")
	case strings.ContainsFunc(p.host, func(r rune) bool { return r <= ' ' || r > '~' }):
		return wrong("the host of the URL isn't ASCII; write it as xn--…")
	case len(p.o.Key) < minKey:
		return wrong(fmt.Sprintf("the key is shorter than %d bytes", minKey))
	case p.o.Uploaded && p.o.Roots == nil:
		return wrong("a certificate was uploaded, but isn't given as Roots")
	case p.o.Timeout < 0:
		return wrong("the time-out is negative")
	}
	if p.o.Address != "" {
		if _, _, err := net.SplitHostPort(p.o.Address); err != nil {
			return wrong("the address to dial isn't host:port")
		}
	}
	return nil
}
