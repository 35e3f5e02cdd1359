package probe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// maxNames bounds the names of a certificate in a detail: there may be a hundred.
const maxNames = 4

// errTurnedDown ends a handshake; the reason is in the attempt.
var errTurnedDown = errors.New("certificate turned down")

// handshake speaks TLS on conn, as Telegram does. It is always a full handshake: there
// is no session to resume.
func (a *attempt) handshake(conn net.Conn) (net.Conn, *failure) {
	p := a.p
	now := p.o.Now()
	var verdict *failure
	config := &tls.Config{
		ServerName:         p.host, // an address isn't sent
		InsecureSkipVerify: true,   // verified below, by Telegram's rules
		// Lower than what is taken, so that an old server shows itself.
		MinVersion: tls.VersionTLS10,
		VerifyConnection: func(cs tls.ConnectionState) error {
			if verdict = a.verify(cs, now); verdict != nil {
				return errTurnedDown
			}
			return nil
		},
	}
	tc := tls.Client(conn, config)
	if err := tc.HandshakeContext(a.ctx); err != nil {
		if verdict == nil {
			verdict = handshakeFailure(err)
		}
		return nil, verdict
	}
	return tc, nil
}

// verify judges what the server showed.
func (a *attempt) verify(cs tls.ConnectionState, now time.Time) *failure {
	leaf := cs.PeerCertificates[0] // there is one: no suite without is offered
	a.result.NotBefore, a.result.NotAfter = leaf.NotBefore, leaf.NotAfter
	if cs.Version < tls.VersionTLS12 {
		return &failure{StageTLS, ReasonTLSOldVersion, fmt.Sprintf("the server speaks %s, and Telegram wants TLS 1.2 or newer: allow TLSv1.2 and TLSv1.3 there", tls.VersionName(cs.Version))}
	}
	o := a.p.o
	if f := judgeChain(cs.PeerCertificates, a.p.host, a.p.ip, o.Roots, o.Uploaded, now); f != nil {
		return f
	}
	if soon := min(leaf.NotAfter.Sub(leaf.NotBefore)/6, 14*24*time.Hour); now.Add(soon).After(leaf.NotAfter) {
		a.result.Advice = append(a.result.Advice, Finding{AdviceCertificateExpires,
			"the certificate expires on " + day(leaf.NotAfter) + ": see why it isn't renewed, and that the server takes the new one up"})
	}
	return nil
}

// CheckChain judges a chain, the leaf first, as Telegram would for a webhook at host (a
// name or an address, without port) and as a probe does: by roots (nil: the system's)
// and, if uploaded is true, as the certificate that was given to Telegram, which roots
// then holds. The zero Reason means that Telegram would take it; detail says else what
// to do.
func CheckChain(chain []*x509.Certificate, host string, roots *x509.CertPool, uploaded bool, now time.Time) (reason Reason, detail string) {
	host = strings.TrimSuffix(host, ".")
	ip, _ := netip.ParseAddr(host)
	if f := judgeChain(chain, host, ip.Unmap(), roots, uploaded, now); f != nil {
		return f.reason, f.detail
	}
	return "", ""
}

func judgeChain(chain []*x509.Certificate, host string, ip netip.Addr, roots *x509.CertPool, uploaded bool, now time.Time) *failure {
	if f := verifyChain(chain, roots, uploaded, now); f != nil {
		return f
	}
	if !matches(chain[0], host, ip, uploaded) {
		return &failure{StageTLS, ReasonTLSWrongHost, wrongHost(chain[0], host, ip.IsValid() && uploaded)}
	}
	return nil
}

// verifyChain looks for a way from the served chain to a root.
func verifyChain(chain []*x509.Certificate, roots *x509.CertPool, uploaded bool, now time.Time) *failure {
	leaf, between := chain[0], x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	ways, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now})
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var none x509.SystemRootsError
	turnDown := func(r Reason, detail string) *failure { return &failure{StageTLS, r, detail} }
	switch {
	case err == nil:
		if uploaded && !rooted(ways) { // Go is content with any certificate in the pool
			return turnDown(ReasonTLSUnknownAuthority, "the uploaded certificate isn't self-signed, and Telegram wants one that is: upload its root")
		}
		return nil
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		which := "the certificate"
		if !invalid.Cert.Equal(leaf) {
			which = fmt.Sprintf("the certificate of the issuer %q", invalid.Cert.Subject.String())
		}
		if now.Before(invalid.Cert.NotBefore) {
			return turnDown(ReasonTLSNotYetValid, fmt.Sprintf("%s is not valid before %s: look at the clock of who made it", which, day(invalid.Cert.NotBefore)))
		}
		return turnDown(ReasonTLSExpired, fmt.Sprintf("%s expired on %s: renew it, and have the server reload it", which, day(invalid.Cert.NotAfter)))
	case errors.As(err, &unknown), errors.As(err, &none):
		return turnDown(ReasonTLSUnknownAuthority, unknownAuthority(chain, uploaded))
	}
	return turnDown(ReasonTLSBadCertificate, "the certificate isn't fit for this server (its use, its constraints or its signature): get another")
}

// rooted reports whether one of the ways ends at a self-signed certificate.
func rooted(ways [][]*x509.Certificate) bool {
	for _, way := range ways {
		if top := way[len(way)-1]; string(top.RawSubject) == string(top.RawIssuer) {
			return true
		}
	}
	return false
}

func unknownAuthority(chain []*x509.Certificate, uploaded bool) string {
	leaf := chain[0]
	switch {
	case uploaded:
		return "the certificate isn't the one that was uploaded to Telegram: set the webhook again with the one in service"
	case string(leaf.RawSubject) == string(leaf.RawIssuer):
		return "the certificate is self-signed: get one from a public authority, or set upload_certificate: true"
	case len(chain) == 1:
		return fmt.Sprintf("the server doesn't send the certificate of its issuer %q, which Telegram doesn't fetch: serve the full chain; "+
			"if it is an authority of your own, name its certificate in probe.ca_file", leaf.Issuer.String())
	}
	return fmt.Sprintf("no root that is trusted here stands above the issuer %q: install the system's roots (ca-certificates); "+
		"if it is an authority of your own, name its certificate in probe.ca_file", chain[len(chain)-1].Issuer.String())
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }

// matches reports whether Telegram takes the certificate for host, ip being host if
// that is an address. A name is compared as X509_check_host does: with the DNS names, or
// with the common name if there are none. An address is compared with the IP
// addresses, or as a name if the certificate was uploaded (SslStream.cpp:154-180).
func matches(leaf *x509.Certificate, host string, ip netip.Addr, uploaded bool) bool {
	if ip.IsValid() && !uploaded {
		for _, have := range leaf.IPAddresses {
			if a, ok := netip.AddrFromSlice(have); ok && a.Unmap() == ip {
				return true
			}
		}
		return false
	}
	for _, name := range hostNames(leaf) {
		if strings.EqualFold(name, host) {
			return true
		}
		// A wildcard stands for exactly one label, and not for a whole zone.
		if base, ok := strings.CutPrefix(name, "*."); ok && strings.Contains(base, ".") && !ip.IsValid() {
			if _, rest, ok := strings.Cut(host, "."); ok && strings.EqualFold(rest, base) {
				return true
			}
		}
	}
	return false
}

func hostNames(leaf *x509.Certificate) []string {
	if len(leaf.DNSNames) > 0 || leaf.Subject.CommonName == "" {
		return leaf.DNSNames
	}
	return []string{leaf.Subject.CommonName}
}

func wrongHost(leaf *x509.Certificate, host string, asName bool) string {
	have := hostNames(leaf)
	for _, ip := range leaf.IPAddresses {
		if asName && ip.String() == host {
			return fmt.Sprintf("the certificate has %s as IP address, where Telegram doesn't look in an uploaded one: repeat it as common name", host)
		}
		have = append(have, ip.String())
	}
	names, more := "no name", len(have)-maxNames
	if more > 0 {
		have = have[:maxNames]
	}
	if len(have) > 0 {
		names = fmt.Sprintf("%q", have)
	}
	if more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("the certificate is for %s, not for %s: get one for that name; if there is one, the server took the wrong one for the name (SNI)", names, host)
}

// handshakeFailure says why a handshake ended before the certificate was judged.
func handshakeFailure(err error) *failure {
	f := func(r Reason, detail string) *failure { return &failure{StageTLS, r, detail} }
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		return f(ReasonPlainHTTP, "the server speaks HTTP without TLS at this port: turn TLS on there, or publish the port that has it")
	case alert(err):
		return f(ReasonTLSHandshake, "the server refuses the handshake: see in its log why; often it has no certificate for this name")
	case timedOut(err):
		return f(ReasonTLSTimeout, "the server takes the connection and doesn't answer in TLS: it hangs, or something on the way swallows the packets")
	case reset(err):
		return f(ReasonReset, "the connection is reset in the TLS handshake: look at the server, and at what stands in front of it")
	case closed(err):
		return f(ReasonTLSClosed, "the connection is closed in the TLS handshake: look at the server's log, and at rules that let in Telegram's addresses only")
	}
	return f(ReasonTLSHandshake, "the server doesn't speak TLS as it should: see which program listens at this port")
}

// alert reports whether err is a TLS alert of the peer's.
func alert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}
