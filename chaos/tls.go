package chaos

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"dualgram/chaos/pki"
)

// TLSConfig returns a copy of base with the tls.* faults in it (all but
// tls.handshake_stall, which the listener carries). While one hits a handshake,
// that handshake gets a configuration of its own without session tickets: a
// client that resumes a session would never see the fault's certificate. For
// the same reason all accepted connections are closed when a TLS fault is
// injected, so the listener beneath should be this registry's.
func (s *Scope) TLSConfig(base *tls.Config) *tls.Config {
	if !s.Enabled() || base == nil {
		return base
	}
	s.attach(seamTLS)
	cfg := base.Clone()
	inner := base.GetConfigForClient
	cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		var good *tls.Config
		if inner != nil {
			var err error
			if good, err = inner(h); err != nil {
				return nil, err
			}
		}
		t := s.load()
		if t == nil {
			return good, nil
		}
		for _, f := range t.tls {
			if !f.fire() {
				continue
			}
			// A client that doesn't verify would keep the connection beyond the
			// fault.
			if c := accepted(h.Conn); c != nil && !f.adopt(c) {
				continue
			}
			if good == nil {
				good = base
			}
			return f.b.tls(f, h, good)
		}
		return good, nil
	}
	return cfg
}

// faulty returns good for one handshake: no tickets, no hooks.
func faulty(good *tls.Config) *tls.Config {
	c := good.Clone()
	c.SessionTicketsDisabled = true
	c.GetConfigForClient = nil
	return c
}

// serving returns the certificate that good would answer h with.
func serving(good *tls.Config, h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if good.GetCertificate != nil && (len(good.Certificates) == 0 || h.ServerName != "") {
		if c, err := good.GetCertificate(h); c != nil || err != nil {
			return c, err
		}
	}
	for i := range good.Certificates {
		if h.SupportsCertificate(&good.Certificates[i]) == nil {
			return &good.Certificates[i], nil
		}
	}
	if len(good.Certificates) > 0 {
		return &good.Certificates[0], nil
	}
	return nil, errors.New("chaos: the server has no certificate to spoil")
}

var (
	caParam = Param{
		Name: "ca", Secret: true,
		Doc: "PEM text of an authority's certificate and key that sign the fault's certificate, so that nothing else is wrong with it; " +
			"without it a throwaway authority signs. Verifiers look at the dates and the name before the signer (crypto/x509), or report " +
			"one text for all three (Telegram: \"certificate verify failed\"), so the difference rarely shows.",
	}
	errNoLeaf = errors.New("chaos: the certificate in service does not parse")
)

// swap makes a behaviour that answers handshakes with a certificate made from
// the one in service. spoil is told the names of the good leaf and the
// authority to sign with. Certificates are made when first asked for, because
// only then it is known which one a shared listener would serve, and kept.
func swap(p *params, spoil func(ca *pki.CA, good *tls.Certificate, like pki.Leaf) (tls.Certificate, error)) (behaviour, error) {
	var ca *pki.CA
	if text := p.str("ca"); text != "" {
		var err error
		if ca, err = pki.ParseCA([]byte(text)); err != nil {
			return behaviour{}, specErr(p.kind, "ca: %v", err)
		}
	} else {
		var err error
		if ca, err = pki.NewCA(time.Now(), "Root CA"); err != nil {
			return behaviour{}, fmt.Errorf("chaos: %s: %w", p.kind, err)
		}
	}
	var mu sync.Mutex
	made := make(map[[32]byte]tls.Certificate)
	return behaviour{kick: true, tls: func(_ *fault, h *tls.ClientHelloInfo, good *tls.Config) (*tls.Config, error) {
		now, err := serving(good, h)
		if err != nil {
			return nil, err
		}
		if len(now.Certificate) == 0 {
			return nil, errNoLeaf
		}
		leaf := now.Leaf
		if leaf == nil {
			if leaf, err = x509.ParseCertificate(now.Certificate[0]); err != nil {
				return nil, errNoLeaf
			}
		}
		key := sha256.Sum256(now.Certificate[0])
		mu.Lock()
		bad, ok := made[key]
		if !ok {
			if bad, err = spoil(ca, now, pki.Like(leaf)); err == nil {
				made[key] = bad
			}
		}
		mu.Unlock()
		if err != nil {
			return nil, err
		}
		c := faulty(good)
		c.Certificates, c.GetCertificate = []tls.Certificate{bad}, nil
		return c, nil
	}}, nil
}
