package host

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"dualgram/chaos"
	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor"
	"dualgram/transport/probe"
)

// prober returns what makes the bot's prober; nil if none is wanted. uploaded
// returns the certificate that Telegram was given, and is nil if it has none.
func (h *Host) prober(c *config.Bot, uploaded func() []byte) (func(now func() time.Time) (supervisor.Prober, error), error) {
	w := &c.Webhook
	if !w.Probe.Enabled {
		return nil, nil
	}
	o, err := ProbeOptions(h.cfg, w)
	if err != nil {
		return nil, err
	}
	o.Responder = &h.probes
	if h.faults.Enabled() {
		o.Dial = h.faults.Scope(c.Name).ProbeDial((&net.Dialer{KeepAlive: -1}).DialContext)
		if o.Resolver == nil {
			o.Resolver = net.DefaultResolver
		}
		o.Resolver = lookups(h.faults.Scope(c.Name).ProbeLookup(o.Resolver.LookupNetIP))
	}
	return func(now func() time.Time) (supervisor.Prober, error) {
		o.Now = now
		if uploaded == nil {
			return probe.New(o)
		}
		p := &uploadedProber{options: o, certificate: uploaded}
		_, err := p.current()
		return p, err
	}, nil
}

// ProbeOptions are those of a probe of the webhook as the configuration wants it. Its
// roots are the system's and those of probe.ca_file.
func ProbeOptions(cfg *config.Config, w *config.Webhook) (probe.Options, error) {
	o := probe.Options{URL: w.PublicURL, Address: w.Probe.Dial, Pinned: w.IPAddress != "", AllowReserved: !cfg.Cloud()}
	if addr := w.Probe.Resolver; addr != "" {
		o.Resolver = probe.NameServer{Addr: addr} // past the hosts file, which Telegram doesn't read
	}
	var extra []byte
	if w.Probe.CAFile != "" {
		var err error
		if extra, err = os.ReadFile(w.Probe.CAFile); err != nil {
			return o, fmt.Errorf("webhook.probe.ca_file: %w", err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(extra) {
			return o, fmt.Errorf("webhook.probe.ca_file: %s holds no certificate in PEM; write the root there that the webhook's certificate ends at", w.Probe.CAFile)
		}
	}
	o.Roots = roots(extra)
	return o, nil
}

// lookups makes a resolver of a function.
type lookups chaos.LookupFunc

// LookupNetIP implements probe.Resolver.
func (f lookups) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return f(ctx, network, host)
}

// roots are the system's, and those in extra; nil means the system's.
func roots(extra []byte) *x509.CertPool {
	if len(extra) == 0 {
		return nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // an image without roots
	}
	pool.AppendCertsFromPEM(extra)
	return pool
}

// uploadedProber trusts the certificate that Telegram was given, which may be
// replaced while the process runs.
type uploadedProber struct {
	options     probe.Options
	certificate func() []byte

	mu     sync.Mutex
	pem    []byte
	prober *probe.Prober
}

// Probe implements supervisor.Prober.
func (p *uploadedProber) Probe(ctx context.Context, telegram netip.Addr) probe.Result {
	c, err := p.current()
	if err != nil { // the certificate in service was readable before
		return probe.Result{At: time.Now(), Stage: probe.StageTLS, Reason: probe.ReasonLocal, Detail: err.Error()}
	}
	return c.Probe(ctx, telegram)
}

func (p *uploadedProber) current() (*probe.Prober, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pem := p.certificate()
	if p.prober != nil && bytes.Equal(pem, p.pem) {
		return p.prober, nil
	}
	o := p.options
	o.Uploaded = true
	o.Roots = x509.NewCertPool()
	o.Roots.AppendCertsFromPEM(pem) // and nothing else: Telegram trusts no other then
	c, err := probe.New(o)
	if err != nil {
		return nil, err
	}
	p.pem, p.prober = pem, c
	return c, nil
}
