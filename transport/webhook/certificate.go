package webhook

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Certificate is a certificate pair in service, read from two files. What is in
// service is replaced only by something that isn't worse. All methods may be
// called at any time from any goroutine.
type Certificate struct {
	certFile, keyFile string

	pair atomic.Pointer[pair] // nil: none has been there yet

	mu    sync.Mutex // one reader of the files at a time; guards files
	files settling
}

// pair is a certificate chain with its key. It doesn't change.
type pair struct {
	cert    tls.Certificate
	chain   []*x509.Certificate // as served, the leaf first
	certPEM []byte
	id      contentID
}

// LoadCertificate reads a certificate chain, leaf first, and its key, both in PEM.
// It refuses with an *Error (ErrCertificate) only what can't be served at all:
// Check tells whether the rest is any good.
func LoadCertificate(certFile, keyFile string) (*Certificate, error) {
	c := AwaitCertificate(certFile, keyFile)
	f := c.read()
	if f.err != nil {
		return nil, f.err
	}
	c.pair.Store(f.pair)
	return c, nil
}

// AwaitCertificate is LoadCertificate for files that somebody is about to write:
// until Reload or Look finds a pair in them, every handshake fails.
func AwaitCertificate(certFile, keyFile string) *Certificate {
	return &Certificate{certFile: certFile, keyFile: keyFile}
}

// contentID tells one content of the two files from another.
type contentID [sha256.Size]byte

// found is what one reading of the files yields: a pair, or why there is none.
type found struct {
	pair *pair
	id   contentID
	err  error
}

func (c *Certificate) read() found {
	certPEM, key, err := c.readFiles()
	f := found{id: identify(certPEM, key, err), err: err}
	if p := c.pair.Load(); err == nil && p != nil && p.id == f.id {
		f.pair = p // parsing it again at every look is most of what a look costs
		return f
	}
	if err == nil {
		f.pair, f.err = parsePair(c.certFile, c.keyFile, certPEM, key)
	}
	if f.pair != nil {
		f.pair.id = f.id
	}
	return f
}

func (c *Certificate) readFiles() (certPEM, key []byte, err error) {
	const readable = "the file must exist and be readable for the user that dualgram runs as"
	if certPEM, err = os.ReadFile(c.certFile); err != nil {
		return nil, nil, unusable(c.certFile, readable, bare(err))
	}
	if key, err = os.ReadFile(c.keyFile); err != nil {
		return certPEM, nil, unusable(c.keyFile, readable, bare(err))
	}
	return certPEM, key, nil
}

func identify(certPEM, key []byte, err error) contentID {
	h := sha256.New()
	var n [8]byte
	for _, part := range [][]byte{certPEM, key} {
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	if err != nil {
		h.Write([]byte(err.Error()))
	}
	return contentID(h.Sum(nil))
}

func unusable(file, hint string, err error) error {
	return &Error{Op: "certificate", Addr: file, Hint: hint, Err: fmt.Errorf("%w: %w", ErrCertificate, err)}
}

func parsePair(certFile, keyFile string, certPEM, key []byte) (*pair, error) {
	cert, err := tls.X509KeyPair(certPEM, key)
	if err != nil {
		return nil, unusable(certFile, "write the chain in PEM, the server's own certificate first, and the key that belongs to it in "+keyFile, err)
	}
	p := &pair{cert: cert, certPEM: certPEM}
	for _, der := range cert.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, unusable(certFile, "an intermediate certificate is damaged; fetch the chain again", err)
		}
		p.chain = append(p.chain, c)
	}
	p.cert.Leaf = p.chain[0]
	return p, nil
}

// bare takes the path out of a file error: it is in Error.Addr.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// TLSConfig returns a configuration that serves the certificate. It issues no
// session tickets: a client that resumes a session is not shown a certificate, so
// it would neither get to know a new one nor notice that the old one has expired.
// Telegram keeps its connections open, so that whole handshakes are rare.
func (c *Certificate) TLSConfig() *tls.Config {
	return &tls.Config{GetCertificate: c.GetCertificate, MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true}
}

// GetCertificate is for tls.Config. It returns an *Error with ErrCertificate while
// there is no pair.
func (c *Certificate) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p := c.pair.Load()
	if p == nil {
		return nil, unusable(c.certFile, "it is put into service as soon as it is there", errors.New("there is no certificate yet"))
	}
	return &p.cert, nil
}

// Leaf returns the server's own certificate in service; nil if there is none.
func (c *Certificate) Leaf() *x509.Certificate {
	if p := c.pair.Load(); p != nil {
		return p.chain[0]
	}
	return nil
}

// PEM returns the chain in service as it was in the file, which is what Telegram
// wants of a self-signed certificate; nil if there is none.
func (c *Certificate) PEM() []byte {
	if p := c.pair.Load(); p != nil {
		return bytes.Clone(p.certPEM)
	}
	return nil
}

// Check judges the chain in service at the time now, as Telegram would for a
// webhook at host (a name or an IP address, without port). lead is how long before
// its end it counts as expiring.
func (c *Certificate) Check(now time.Time, host string, lead time.Duration) CertState {
	return c.pair.Load().check(now, host, lead)
}
