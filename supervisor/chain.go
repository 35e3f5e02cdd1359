package supervisor

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"time"
)

// served returns the leaf certificate that a new connection for the host would
// be shown, asking the configuration just as a handshake does. The hello carries
// no connection, which tells a hook that nobody is there.
func served(cfg *tls.Config, host string) (*x509.Certificate, error) {
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
			return nil, fmt.Errorf("no certificate is configured")
		}
		pair = &cfg.Certificates[0]
	}
	if pair.Leaf != nil {
		return pair.Leaf, nil
	}
	return x509.ParseCertificate(pair.Certificate[0])
}

// chainReading judges the certificate in service by the clock of Telegram's
// side. An unknown authority is not judged here: a host without root
// certificates sees every chain so.
func chainReading(leaf *x509.Certificate, err error, host string, now time.Time, lead time.Duration) Reading {
	r := Reading{Signal: SignalTLS, Moves: true}
	trip := func(format string, args ...any) Reading {
		r.Level, r.Evidence = Tripped, fmt.Sprintf(format, args...)
		return r
	}
	switch {
	case err != nil:
		return trip("the certificate in service can't be read: %v", err)
	case now.After(leaf.NotAfter):
		return trip("the certificate expired at %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return trip("the certificate is not valid before %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	case leaf.NotAfter.Sub(now) <= lead:
		return trip("the certificate expires at %s, within %v", leaf.NotAfter.UTC().Format(time.RFC3339), lead)
	case !namesHost(leaf, host):
		return trip("the certificate is not for %s", host)
	}
	return r
}

// namesHost applies Telegram's rule: the names of a certificate are compared
// with the host as text, an address included, and the common name counts where
// there is no DNS name (td SslStream.cpp:154-180).
func namesHost(leaf *x509.Certificate, host string) bool {
	if leaf.VerifyHostname(host) == nil {
		return true
	}
	for _, name := range leaf.DNSNames {
		if name == host {
			return true
		}
	}
	return len(leaf.DNSNames) == 0 && leaf.Subject.CommonName == host
}
