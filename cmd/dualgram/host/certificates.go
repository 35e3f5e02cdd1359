package host

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/transport/webhook"
)

// renewEvery is the pause between two looks whether a certificate that dualgram
// renews itself is due.
const renewEvery = time.Minute

// certificate is that of one listener, with where it comes from.
type certificate struct {
	*webhook.Certificate
	listen            string
	hosts             []string // of the webhooks on the listener
	certFile, keyFile string
	selfSigned        bool
}

// openCertificate makes the certificate of a listener ready to be served. One that
// somebody else is to provide must be there.
func (h *Host) openCertificate(w *config.Webhook) (*certificate, error) {
	c := &certificate{listen: w.Listen, hosts: h.hostsOn(w.Listen), certFile: w.TLS.CertFile, keyFile: w.TLS.KeyFile, selfSigned: w.TLS.SelfSigned}
	if c.selfSigned {
		if c.certFile == "" {
			dir, err := h.certificateDir(w.Listen)
			if err != nil {
				return nil, err
			}
			c.certFile, c.keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		}
		made, err := webhook.KeepSelfSigned(c.certFile, c.keyFile, time.Now(), c.hosts...)
		if err != nil {
			return nil, err
		}
		if made {
			h.log.Info().Str("file", c.certFile).Strs("hosts", c.hosts).Msg("a self-signed certificate was made")
		}
	}
	var err error
	if c.Certificate, err = webhook.LoadCertificate(c.certFile, c.keyFile); err != nil {
		return nil, err
	}
	h.certs[w.Listen] = c
	h.reload = append(h.reload, func() {
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

// certificateDir is where a certificate is kept that has no files of its own:
// beside the store, a directory for each listener.
func (h *Host) certificateDir(listen string) (string, error) {
	name := strings.NewReplacer("[", "", "]", "", ":", "-").Replace(listen)
	dir := filepath.Join(filepath.Dir(h.cfg.Store.Path), "certificates", name)
	return dir, os.MkdirAll(dir, 0o700)
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
	if c.selfSigned {
		wg.Go(func() { h.keepSelfSigned(ctx, c) })
	}
}

func (h *Host) keepSelfSigned(ctx context.Context, c *certificate) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	var told limiter
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		made, err := webhook.KeepSelfSigned(c.certFile, c.keyFile, h.clock(), c.hosts...)
		switch {
		case err != nil && told.allow(time.Now(), 24*time.Hour):
			h.log.Error().Err(err).Msg("the self-signed certificate could not be renewed; the one in service stays")
		case made:
			h.log.Info().Str("file", c.certFile).Msg("the self-signed certificate was renewed")
			ch, _ := c.Reload(h.clock(), c.hosts...) // the error is in the change
			h.certificateChanged(c, ch)
		}
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

// renewal says how the certificate is renewed; empty: by its owner.
func (c *certificate) renewal() string {
	if c.selfSigned {
		return "dualgram renews it by itself: see in the log why it has not."
	}
	return ""
}
