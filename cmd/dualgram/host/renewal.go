package host

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"path/filepath"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/transport/acme"
	"dualgram/transport/webhook"
)

// renewEvery is the pause between two looks whether a self-signed certificate is
// due.
const renewEvery = time.Minute

// openSelfSigned sees to it that the pair is there.
func (h *Host) openSelfSigned(c *certificate) error {
	if c.certFile == "" {
		dir, err := h.certificateDir("", c.listen)
		if err != nil {
			return err
		}
		c.certFile, c.keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	}
	made, err := webhook.KeepSelfSigned(c.certFile, c.keyFile, time.Now(), c.hosts...)
	if made && err == nil {
		h.log.Info().Str("file", c.certFile).Strs("hosts", c.hosts).Msg("a self-signed certificate was made")
	}
	return err
}

// keepSelfSigned renews the pair in good time, until the context ends.
func (h *Host) keepSelfSigned(ctx context.Context, c *certificate) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		h.renewSelfSigned(c)
	}
}

func (h *Host) renewSelfSigned(c *certificate) {
	c.renewing.Lock()
	defer c.renewing.Unlock()
	made, err := webhook.KeepSelfSigned(c.certFile, c.keyFile, h.clock(), c.hosts...)
	c.mu.Lock()
	first := err != nil && c.failed.Err == nil
	if first {
		c.failed.Since = time.Now()
	}
	if c.failed.Err = err; err == nil {
		c.failed.Since = time.Time{}
	}
	c.mu.Unlock()
	switch {
	case first:
		h.log.Error().Err(err).Msg("the self-signed certificate could not be renewed; the one in service stays")
	case made && err == nil:
		h.log.Info().Str("file", c.certFile).Msg("the self-signed certificate was renewed")
		ch, _ := c.Reload(h.clock(), c.hosts...) // the error is in the change
		h.certificateChanged(c, ch)
	}
}

// openACME sets up who obtains the pair, and serves what an earlier process has
// obtained.
func (h *Host) openACME(c *certificate, w *config.Webhook) error {
	a := w.TLS.ACME
	dir, err := h.certificateDir(a.CacheDir, c.listen, directoryName(a.Directory))
	if err != nil {
		return err
	}
	c.certFile, c.keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	c.Certificate = webhook.AwaitCertificate(c.certFile, c.keyFile)
	_, _ = c.Reload(time.Now(), c.hosts...) // if it isn't there, or no good, another is obtained
	c.issuer, err = acme.New(acme.Options{
		Directory: a.Directory, CAFile: a.CAFile, Email: a.Email, Profile: a.Profile, UserAgent: "dualgram/" + h.opt.Version,
		Hosts: c.hosts, AccountFile: filepath.Join(dir, "account.pem"),
		Challenge: acme.Challenge(w.ACMEChallenge()), Listen: a.HTTPListen, Turn: &h.acmeTurn,
		Clock: h.clock,
		Leaf:  func() *x509.Certificate { return c.good(h.clock()) },
		Save: func(certPEM, keyPEM []byte) error {
			ch, err := c.Offer(h.clock(), certPEM, keyPEM, c.hosts...)
			if err == nil {
				h.certificateChanged(c, ch)
			}
			return err
		},
		Report: func(err error) {
			if err != nil {
				h.log.Error().Err(err).Strs("hosts", c.hosts).Msg("no certificate could be obtained; what is in service stays, and it is tried again")
				return
			}
			h.log.Info().Strs("hosts", c.hosts).Str("directory", a.Directory).Msg("a certificate was obtained")
		},
	})
	return err
}

// directoryName tells the authorities apart, so that a certificate from a staging one
// is not taken for one from the real one.
func directoryName(directory string) string {
	sum := sha256.Sum256([]byte(directory))
	return "acme-" + hex.EncodeToString(sum[:4])
}
