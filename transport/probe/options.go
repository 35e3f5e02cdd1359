package probe

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
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

	// Resolver is asked for the host; default: the system's.
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
