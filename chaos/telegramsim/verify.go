package telegramsim

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"strings"
	"time"
)

// errCertificate is any failure of verification: OpenSSL's text does not tell
// an expired certificate from one for another host.
var errCertificate = errors.New("certificate verify failed")

// errLegacy is what OpenSSL 3 says of servers that know nothing newer than TLS 1.1.
var errLegacy = errors.New("legacy sigalg disallowed or unsupported")

// parseCertificate reads an uploaded PEM file.
func parseCertificate(data []byte) (*x509.CertPool, bool) {
	pool, found := x509.NewCertPool(), false
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return pool, found
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, false
		}
		pool.AddCert(c)
		found = true
	}
}

// tlsConfig is the client's side: HTTP/1.1 only without ALPN, SNI for names,
// verification by OpenSSL's rules.
func (a *actor) tlsConfig() *tls.Config {
	host, custom := a.hook.url.host, a.hook.cert != nil
	roots := a.roots
	if roots == nil {
		roots = a.s.o.Roots
	}
	c := &tls.Config{
		InsecureSkipVerify: true, // verified below
		MinVersion:         tls.VersionTLS10,
		VerifyConnection: func(cs tls.ConnectionState) error {
			if cs.Version < tls.VersionTLS12 {
				return errLegacy
			}
			return verify(cs.PeerCertificates, roots, host, custom, time.Now())
		},
	}
	if _, ok := a.hook.url.literal(); !ok {
		c.ServerName = host
	}
	return c
}

// verify checks a chain as the server's OpenSSL does. With an uploaded
// certificate (custom) an address is matched as if it were a host name.
func verify(chain []*x509.Certificate, roots *x509.CertPool, host string, custom bool, now time.Time) error {
	if len(chain) == 0 {
		return errCertificate
	}
	inter := x509.NewCertPool()
	for _, c := range chain[1:] {
		inter.AddCert(c)
	}
	chains, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: inter, CurrentTime: now})
	if err != nil {
		return errCertificate
	}
	rooted := false
	for _, ch := range chains {
		top := ch[len(ch)-1]
		rooted = rooted || string(top.RawSubject) == string(top.RawIssuer) // OpenSSL wants a chain up to a self-signed one
	}
	if !rooted || !matchHost(chain[0], host, custom) {
		return errCertificate
	}
	return nil
}

// matchHost follows X509_check_host and X509_check_ip: an address is compared
// with IP SANs, unless the certificate was uploaded: then, as any name, with
// the DNS SANs as text, or with the common name if there are none.
func matchHost(c *x509.Certificate, host string, custom bool) bool {
	if ip := net.ParseIP(host); ip != nil && !custom {
		for _, have := range c.IPAddresses {
			if have.Equal(ip) {
				return true
			}
		}
		return false
	}
	if len(c.DNSNames) > 0 {
		for _, n := range c.DNSNames {
			if matchName(n, host) {
				return true
			}
		}
		return false
	}
	return matchName(c.Subject.CommonName, host)
}

func matchName(pattern, host string) bool {
	if pattern == "" {
		return false
	}
	if rest, ok := strings.CutPrefix(pattern, "*."); ok {
		_, tail, found := strings.Cut(host, ".")
		return found && strings.EqualFold(rest, tail) && strings.Contains(rest, ".")
	}
	return strings.EqualFold(pattern, host)
}
