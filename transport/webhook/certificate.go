package webhook

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// Certificate is a certificate pair in service, read from two files. What is in
// service is replaced only by something that isn't worse.
type Certificate struct {
	certFile, keyFile string

	pair atomic.Pointer[pair]
}

// pair is a certificate chain with its key. It doesn't change.
type pair struct {
	cert            tls.Certificate
	chain           []*x509.Certificate // as served, the leaf first
	certPEM, keyPEM []byte
}

// LoadCertificate reads a certificate chain, leaf first, and its key, both in PEM.
// It refuses with an *Error (ErrCertificate) only what can't be served at all:
// Check tells whether the rest is any good.
func LoadCertificate(certFile, keyFile string) (*Certificate, error) {
	p, err := readPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	c := &Certificate{certFile: certFile, keyFile: keyFile}
	c.pair.Store(p)
	return c, nil
}

func readPair(certFile, keyFile string) (*pair, error) {
	fail := func(file, hint string, err error) (*pair, error) {
		return nil, &Error{Op: "certificate", Addr: file, Hint: hint, Err: fmt.Errorf("%w: %w", ErrCertificate, err)}
	}
	const readable = "the file must exist and be readable for the user that dualgram runs as"
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return fail(certFile, readable, bare(err))
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return fail(keyFile, readable, bare(err))
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return fail(certFile, "write the chain in PEM, the server's own certificate first, and the key that belongs to it in "+keyFile, err)
	}
	p := &pair{cert: cert, certPEM: certPEM, keyPEM: keyPEM}
	for _, der := range cert.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return fail(certFile, "an intermediate certificate is damaged; fetch the chain again", err)
		}
		p.chain = append(p.chain, c)
	}
	p.cert.Leaf = p.chain[0]
	return p, nil
}

// bare takes the path out of a file error: it is in Error.Addr.
func bare(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Reload reads the files again and puts what they hold into service; changed
// is true if that is something new. A pair that doesn't parse or match is
// refused (ErrCertificate), and so is one that is expired, not valid yet or for
// another host than host while the one in service is none of these (ErrRefused):
// then the old one stays. Connections that are open keep the certificate they
// began with: call Server.CloseConns after a change.
func (c *Certificate) Reload(now time.Time, host string) (changed bool, err error) {
	fresh, err := readPair(c.certFile, c.keyFile)
	if err != nil {
		return false, err
	}
	old := c.pair.Load()
	if bytes.Equal(fresh.certPEM, old.certPEM) && bytes.Equal(fresh.keyPEM, old.keyPEM) {
		return false, nil
	}
	if next := fresh.check(now, host, 0); next.Status.Fatal() && !old.check(now, host, 0).Status.Fatal() {
		return false, &Error{Op: "certificate", Addr: c.certFile, Err: fmt.Errorf("%w: %s", ErrRefused, next.Detail),
			Hint: "the one in service is good and stays; replace the files"}
	}
	// Of two Reloads at once, one wins; the other's caller reloads again anyway.
	return c.pair.CompareAndSwap(old, fresh), nil
}

// GetCertificate is for tls.Config.
func (c *Certificate) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return &c.pair.Load().cert, nil
}

// Leaf returns the server's own certificate in service.
func (c *Certificate) Leaf() *x509.Certificate { return c.pair.Load().chain[0] }

// PEM returns the chain in service as it was in the file, which is what Telegram
// wants of a self-signed certificate.
func (c *Certificate) PEM() []byte { return bytes.Clone(c.pair.Load().certPEM) }

// Check judges the chain in service at the time now, as Telegram would for a
// webhook at host (a name or an IP address, without port). lead is how long before
// its end it counts as expiring.
func (c *Certificate) Check(now time.Time, host string, lead time.Duration) CertState {
	return c.pair.Load().check(now, host, lead)
}
