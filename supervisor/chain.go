package supervisor

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"dualgram/transport/webhook"
)

// chainEvery is how often the certificate in service is looked at.
const chainEvery = time.Second

// chainWatch returns a function that judges the certificate in service at the
// given time, at most once a second. It is nil where somebody else terminates
// TLS.
func chainWatch(l ListenerOptions, o BotOptions, m *metrics) func(time.Time) Reading {
	if l.TLS == nil {
		return nil
	}
	u, _ := url.Parse(o.Webhook.Params.URL) // validated
	host := u.Hostname()
	var last Reading
	var looked time.Time
	return func(now time.Time) Reading {
		if looked.IsZero() || now.Sub(looked) >= chainEvery || now.Before(looked) {
			chain, err := served(l.TLS, host)
			last, looked = chainReading(chain, err, host, now, o.Thresholds.TLSLead), now
			if err == nil {
				m.certificateEnd.WithLabelValues(o.Name).Set(seconds(webhook.CheckChain(chain, now, host, 0).NotAfter))
			}
		}
		return last
	}
}

// served returns the certificate chain that a new connection for the host would
// be shown, the leaf first, asking the configuration just as a handshake does. The
// hello carries no connection, which tells a hook that nobody is there.
func served(cfg *tls.Config, host string) ([]*x509.Certificate, error) {
	hello := &tls.ClientHelloInfo{
		ServerName:        host,
		SupportedVersions: []uint16{tls.VersionTLS13, tls.VersionTLS12},
		CipherSuites:      []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
		SupportedCurves:   []tls.CurveID{tls.X25519, tls.CurveP256},
		SupportedPoints:   []uint8{0},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.PSSWithSHA256, tls.PKCS1WithSHA256,
			tls.ECDSAWithP384AndSHA384, tls.Ed25519},
	}
	if net.ParseIP(host) != nil {
		hello.ServerName = "" // no server name is sent for an address
	}
	if cfg.GetConfigForClient != nil {
		c, err := cfg.GetConfigForClient(hello)
		if err != nil {
			return nil, err
		}
		if c != nil {
			cfg = c
		}
	}
	var pair *tls.Certificate
	if cfg.GetCertificate != nil {
		p, err := cfg.GetCertificate(hello)
		if err != nil {
			return nil, err
		}
		pair = p
	}
	if pair == nil {
		if len(cfg.Certificates) == 0 {
			return nil, errors.New("no certificate is configured")
		}
		pair = &cfg.Certificates[0]
	}
	chain := make([]*x509.Certificate, 0, len(pair.Certificate))
	for i, der := range pair.Certificate {
		if i == 0 && pair.Leaf != nil {
			chain = append(chain, pair.Leaf)
			continue
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("the certificate is empty")
	}
	return chain, nil
}

// chainReading judges the certificate in service by the clock of Telegram's
// side. An unknown authority is not judged here: a host without root
// certificates sees every chain so.
func chainReading(chain []*x509.Certificate, err error, host string, now time.Time, lead time.Duration) Reading {
	r := Reading{Signal: SignalTLS, Moves: true}
	if err != nil {
		r.Level, r.Evidence = Tripped, fmt.Sprintf("the certificate in service can't be read: %v", err)
		return r
	}
	switch s := webhook.CheckChain(chain, now, host, lead); {
	case s.Status.Fatal():
		r.Level, r.Evidence = Tripped, "the certificate in service: "+s.Detail
	case s.Status == webhook.CertExpiring:
		r.Level, r.Evidence = Tripped, fmt.Sprintf("the certificate in service: %s, within %v", s.Detail, lead)
	}
	return r
}
