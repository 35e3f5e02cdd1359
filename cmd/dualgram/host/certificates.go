package host

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/transport/acme"
	"dualgram/transport/webhook"
)

// certificate is that of one listener, with where it comes from.
type certificate struct {
	*webhook.Certificate
	listen            string
	hosts             []string // of the webhooks on the listener
	certFile, keyFile string
	selfSigned        bool
	issuer            *acme.Issuer // nil if no authority is asked

	renewing sync.Mutex // one self-signed renewal at a time
	mu       sync.Mutex
	failed   webhook.Refusal // of a self-signed renewal
}

// openCertificate makes the certificate of a listener ready to be served. One that
// somebody else is to provide must be there; one that an authority is to sign may
// come later.
func (h *Host) openCertificate(w *config.Webhook) (*certificate, error) {
	c := &certificate{listen: w.Listen, hosts: h.hostsOn(w.Listen), certFile: w.TLS.CertFile, keyFile: w.TLS.KeyFile, selfSigned: w.TLS.SelfSigned}
	var err error
	switch {
	case w.TLS.ACME != nil:
		err = h.openACME(c, w)
	case c.selfSigned:
		if err = h.openSelfSigned(c); err != nil {
			break
		}
		fallthrough
	default:
		c.Certificate, err = webhook.LoadCertificate(c.certFile, c.keyFile)
	}
	if err != nil {
		return nil, err
	}
	h.certs[w.Listen] = c
	h.reload = append(h.reload, func() {
		switch {
		case c.issuer != nil:
			c.issuer.Retry()
			return
		case c.selfSigned:
			h.renewSelfSigned(c)
		}
		ch, _ := c.Reload(h.clock(), c.hosts...) // the error is in the change
		h.certificateChanged(c, ch)
	})
	return c, nil
}

// hostsOn lists the hosts of the webhooks that a listener serves, in the order of
// the configuration.
func (h *Host) hostsOn(listen string) []string {
	var hosts []string
	for i := range h.cfg.Bots {
		w := &h.cfg.Bots[i].Webhook
		if w.Off || w.Listen != listen {
			continue
		}
		if name := hostOf(w.PublicURL); !slices.Contains(hosts, name) {
			hosts = append(hosts, name)
		}
	}
	return hosts
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// certificateDir is where a certificate is kept that has no files of its own: a
// directory for each listener, by default beside the store.
func (h *Host) certificateDir(base string, names ...string) (string, error) {
	dir := certificateDir(h.cfg, base, names...)
	return dir, os.MkdirAll(dir, 0o700)
}

func certificateDir(cfg *config.Config, base string, names ...string) string {
	if base == "" {
		base = filepath.Join(filepath.Dir(cfg.Store.Path), "certificates")
	}
	for _, name := range names {
		base = filepath.Join(base, strings.NewReplacer("[", "", "]", "", ":", "-", "/", "-").Replace(name))
	}
	return base
}

// CertificateFiles are those of the pair that the webhook's listener serves, which
// may not be there yet if dualgram makes or obtains it; empty if TLS is off.
func CertificateFiles(cfg *config.Config, w *config.Webhook) (certFile, keyFile string) {
	var dir string
	switch {
	case w.TLS.Off:
		return "", ""
	case w.TLS.ACME != nil:
		dir = certificateDir(cfg, w.TLS.ACME.CacheDir, w.Listen, directoryName(w.TLS.ACME.Directory))
	case w.TLS.CertFile == "":
		dir = certificateDir(cfg, "", w.Listen)
	default:
		return w.TLS.CertFile, w.TLS.KeyFile
	}
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
}

// clock is the time at Telegram, as far as it is known.
func (h *Host) clock() time.Time {
	now := time.Now()
	if h.sup != nil {
		now = now.Add(h.sup.Skew())
	}
	return now
}

// keepCertificate watches the files of a certificate, and renews one that is
// dualgram's own, until the context ends.
func (h *Host) keepCertificate(ctx context.Context, c *certificate) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { c.Watch(ctx, h.clock, func(ch webhook.Change) { h.certificateChanged(c, ch) }, c.hosts...) })
	switch {
	case c.issuer != nil:
		c.issuer.Run(ctx)
	case c.selfSigned:
		h.keepSelfSigned(ctx, c)
	}
}

// certificateChanged tells of a change. Connections made with a certificate that
// Telegram turns down would go on proving a webhook that nobody can connect to any
// more, so they are closed; those made with a good one are left alone.
func (h *Host) certificateChanged(c *certificate, ch webhook.Change) {
	if ch.Replaced {
		closed := 0
		if ch.WasBad && h.sup != nil {
			closed = h.sup.CloseConns(c.listen)
		}
		h.log.Info().Str("file", c.certFile).Time("not_after", c.Leaf().NotAfter).Int("closed", closed).Msg("a new certificate is in service")
	}
	if ch.Refused != nil {
		h.log.Error().Err(ch.Refused).Str("file", c.certFile).Msg("the certificate was not reloaded; the one in service stays")
	}
	if ch.Mended {
		h.log.Info().Str("file", c.certFile).Msg("the files hold the certificate in service again")
	}
}

// tlsConfig serves the certificate, and answers an authority that asks by the
// handshake.
func (c *certificate) tlsConfig() *tls.Config {
	cfg := c.TLSConfig()
	if c.issuer != nil {
		cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) { return c.issuer.TLSConfig(hello), nil }
	}
	return cfg
}

// allowConn lets everybody as far as the handler, which checks again, while an
// authority is about to connect: from where is not known beforehand.
func (c *certificate) allowConn(netip.Addr) bool { return c.issuer.Challenged() }

// good returns the leaf in service if it is good for every host; nil otherwise.
func (c *certificate) good(now time.Time) *x509.Certificate {
	for _, host := range c.hosts {
		if s := c.Check(now, host, 0).Status; s.Fatal() && s != webhook.CertExpired {
			return nil
		}
	}
	return c.Leaf()
}

// renewal says how the certificate is renewed; empty: by its owner.
func (c *certificate) renewal() string {
	if c.issuer != nil || c.selfSigned {
		return "dualgram renews it by itself: certificate_renewal_failed, or the log, says why it has not."
	}
	return ""
}

// renewalFailed returns what keeps dualgram from renewing it.
func (c *certificate) renewalFailed() webhook.Refusal {
	if c.issuer != nil {
		return webhook.Refusal(c.issuer.Failed())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}
