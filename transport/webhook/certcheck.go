package webhook

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// CertStatus is a verdict on a certificate chain.
type CertStatus string

// The verdicts, the worst first.
const (
	// CertMissing: there is no certificate yet.
	CertMissing     CertStatus = "missing"
	CertExpired     CertStatus = "expired"
	CertNotYetValid CertStatus = "not_yet_valid"
	CertWrongHost   CertStatus = "wrong_host"
	CertExpiring    CertStatus = "expiring"
	// CertChainIncomplete: the certificate that signed the leaf is neither in the
	// file nor among the roots of this host. Telegram doesn't fetch it.
	CertChainIncomplete CertStatus = "chain_incomplete"
	CertOK              CertStatus = "ok"
)

// Fatal reports whether Telegram would turn such a chain down for certain.
func (s CertStatus) Fatal() bool {
	return s == CertMissing || s == CertExpired || s == CertNotYetValid || s == CertWrongHost
}

// CertState is what Check found.
type CertState struct {
	Status CertStatus
	// NotBefore and NotAfter bound when the chain is valid: the leaf, and the
	// certificate that signed it if it is served.
	NotBefore, NotAfter time.Time
	// UnknownAuthority is true if the chain doesn't end at a root of this host.
	// It is no fault: an image without roots finds so of every chain, and a
	// certificate that was uploaded to Telegram needs none.
	UnknownAuthority bool
	SelfSigned       bool
	// Detail is the verdict as a sentence.
	Detail string
}

// check is CheckChain with what only this host's roots can tell.
func (p *pair) check(now time.Time, host string, lead time.Duration) CertState {
	if p == nil {
		return CertState{Status: CertMissing, Detail: "there is no certificate yet"}
	}
	leaf := p.chain[0]
	s := CheckChain(p.chain, now, host, lead)
	_, err := leaf.Verify(x509.VerifyOptions{CurrentTime: now, Intermediates: p.intermediates(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	var unknown x509.UnknownAuthorityError
	var noRoots x509.SystemRootsError
	s.UnknownAuthority = errors.As(err, &unknown) || errors.As(err, &noRoots)
	if s.Status == CertOK && err != nil && !s.SelfSigned && issuerOf(leaf, p.chain[1:]) == nil {
		s.Status = CertChainIncomplete
		s.Detail = fmt.Sprintf("the certificate of its issuer %q is missing from the file", leaf.Issuer.String())
	}
	return s
}

// CheckChain judges a chain, the leaf first, as [Certificate.Check] does, but by
// the chain alone: it doesn't ask this host's roots, so it never finds
// CertChainIncomplete and leaves UnknownAuthority false.
func CheckChain(chain []*x509.Certificate, now time.Time, host string, lead time.Duration) CertState {
	leaf := chain[0]
	s := CertState{Status: CertOK, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, SelfSigned: selfSigned(leaf)}
	// Only the leaf's own issuer is counted: further up, Telegram may know
	// another way, and an expired cross-signature there is common and harmless.
	if issuer := issuerOf(leaf, chain[1:]); !s.SelfSigned && issuer != nil && !selfSigned(issuer) {
		if issuer.NotAfter.Before(s.NotAfter) {
			s.NotAfter = issuer.NotAfter
		}
		if issuer.NotBefore.After(s.NotBefore) {
			s.NotBefore = issuer.NotBefore
		}
	}
	const day = "2006-01-02 15:04:05 MST"
	switch {
	case now.After(s.NotAfter):
		s.Status, s.Detail = CertExpired, "it expired on "+s.NotAfter.UTC().Format(day)
	case now.Before(s.NotBefore):
		s.Status, s.Detail = CertNotYetValid, "it is not valid before "+s.NotBefore.UTC().Format(day)
	case !matches(leaf, host, s.SelfSigned):
		s.Status, s.Detail = CertWrongHost, wrongHost(leaf, host)
	case !now.Add(lead).Before(s.NotAfter):
		s.Status, s.Detail = CertExpiring, "it expires on "+s.NotAfter.UTC().Format(day)
	default:
		s.Detail = "it is valid until " + s.NotAfter.UTC().Format(day)
	}
	return s
}

func (p *pair) intermediates() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range p.chain[1:] {
		pool.AddCert(c)
	}
	return pool
}

func selfSigned(c *x509.Certificate) bool {
	return string(c.RawSubject) == string(c.RawIssuer) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// issuerOf returns the certificate among cs that signed leaf; nil if there is none.
func issuerOf(leaf *x509.Certificate, cs []*x509.Certificate) *x509.Certificate {
	for _, c := range cs {
		if string(c.RawSubject) == string(leaf.RawIssuer) && leaf.CheckSignatureFrom(c) == nil {
			return c
		}
	}
	return nil
}

// matches reports whether Telegram takes the certificate for host. It compares as
// OpenSSL's X509_check_host does, with the DNS names of the certificate, or with
// its common name if there are none. So it does for an IP address if the
// certificate was uploaded, as a self-signed one has to be; otherwise an address
// is compared with those in the certificate (SslStream.cpp:154-180).
func matches(leaf *x509.Certificate, host string, uploaded bool) bool {
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "" {
		return false
	}
	if a, err := netip.ParseAddr(host); err == nil && !uploaded {
		for _, ip := range leaf.IPAddresses {
			if have, ok := netip.AddrFromSlice(ip); ok && have.Unmap() == a.Unmap() {
				return true
			}
		}
		// An authority of one's own may have been uploaded: by name, then.
	}
	for _, name := range hostNames(leaf) {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		if name == host {
			return true
		}
		// A wildcard stands for exactly one label, and not for a whole zone.
		if base, ok := strings.CutPrefix(name, "*."); ok && strings.Contains(base, ".") {
			if _, rest, ok := strings.Cut(host, "."); ok && rest == base && !isIP(host) {
				return true
			}
		}
	}
	return false
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func hostNames(leaf *x509.Certificate) []string {
	if len(leaf.DNSNames) > 0 || leaf.Subject.CommonName == "" {
		return leaf.DNSNames
	}
	return []string{leaf.Subject.CommonName}
}

func wrongHost(leaf *x509.Certificate, host string) string {
	names := strings.Join(hostNames(leaf), ", ")
	if names == "" {
		names = "no name"
	}
	detail := fmt.Sprintf("it is for %s, not for %s", names, host)
	for _, ip := range leaf.IPAddresses {
		if ip.String() == host {
			detail += "; Telegram doesn't look at the IP addresses of an uploaded certificate, so repeat the address as common name, or as DNS name"
		}
	}
	return detail
}
