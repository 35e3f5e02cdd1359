// Package pki makes certificates for tests, the demo, the simulator and the
// TLS faults: a root, intermediates, leaf pairs, and self-signed pairs that
// both Telegram and Go accept.
//
// Nothing here is for production keys. Keys are ECDSA P-256, made fresh each
// time, and the caller passes the time at which a certificate begins to be
// valid: test bubbles begin in the year 2000.
package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// The default lives of what this package makes, counted from the now that the
// caller passes. Certificates begin an hour earlier, so that a peer whose clock
// lags a little takes them too.
const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 90 * 24 * time.Hour
	backdate = time.Hour
)

// CA signs certificates: a root made by [NewCA], or an intermediate of one.
type CA struct {
	// Cert is the authority's own certificate.
	Cert *x509.Certificate
	// Key is its private key.
	Key *ecdsa.PrivateKey

	root  *x509.Certificate
	chain [][]byte // DER of this and the intermediates above it; empty for a root
}

// Leaf says what a certificate is to hold.
type Leaf struct {
	// Hosts are the names it is for: DNS names, wildcards, IP addresses as text.
	// At least one.
	Hosts []string
	// NotBefore defaults to an hour before now, NotAfter to 90 days after it.
	NotBefore, NotAfter time.Time
	// OmitChain leaves the intermediates out of the pair, as a server that is
	// set up with the leaf alone does. It changes nothing below a root.
	OmitChain bool
}

// Pair is a certificate chain with its key.
type Pair struct {
	// Cert is the leaf.
	Cert *x509.Certificate
	Key  *ecdsa.PrivateKey
	// CertPEM is the leaf and then the chain, without the root; KeyPEM the key
	// in PKCS #8.
	CertPEM, KeyPEM []byte

	chain [][]byte
}

// NewCA makes a root authority with the given common name.
func NewCA(now time.Time, name string) (*CA, error) {
	t, err := template(name, now.Add(-backdate), now.Add(caLife))
	if err != nil {
		return nil, err
	}
	asCA(t)
	cert, key, err := sign(t, nil, nil)
	if err != nil {
		return nil, err
	}
	return &CA{Cert: cert, Key: key, root: cert}, nil
}

// Intermediate makes an authority that ca signs.
func (ca *CA) Intermediate(now time.Time, name string) (*CA, error) {
	t, err := template(name, now.Add(-backdate), now.Add(caLife))
	if err != nil {
		return nil, err
	}
	asCA(t)
	cert, key, err := sign(t, ca.Cert, ca.Key)
	if err != nil {
		return nil, err
	}
	return &CA{Cert: cert, Key: key, root: ca.root, chain: append([][]byte{cert.Raw}, ca.chain...)}, nil
}

// Issue makes a pair signed by ca.
func (ca *CA) Issue(now time.Time, l Leaf) (*Pair, error) {
	t, err := leafTemplate(now, l)
	if err != nil {
		return nil, err
	}
	for _, h := range l.Hosts {
		addHost(t, h)
	}
	cert, key, err := sign(t, ca.Cert, ca.Key)
	if err != nil {
		return nil, err
	}
	chain := [][]byte{cert.Raw}
	if !l.OmitChain {
		chain = append(chain, ca.chain...)
	}
	return newPair(cert, key, chain)
}

// Pool returns a pool that trusts the root above ca, and only it.
func (ca *CA) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(ca.root)
	return p
}

// RootPEM returns the certificate of the root above ca.
func (ca *CA) RootPEM() []byte { return certPEM(ca.root.Raw) }

// PEM returns ca's certificate, its chain and root, and its private key: what
// [ParseCA] reads. It is a secret.
func (ca *CA) PEM() ([]byte, error) {
	var b bytes.Buffer
	b.Write(certPEM(ca.Cert.Raw))
	for i, der := range ca.chain {
		if i > 0 {
			b.Write(certPEM(der))
		}
	}
	if ca.root != ca.Cert {
		b.Write(certPEM(ca.root.Raw))
	}
	k, err := keyPEM(ca.Key)
	if err != nil {
		return nil, err
	}
	b.Write(k)
	return b.Bytes(), nil
}

// ParseCA reads an authority: its certificate first, then the ones above it,
// and its ECDSA key anywhere. Errors don't repeat what was read.
func ParseCA(data []byte) (*CA, error) {
	ca := &CA{}
	var above []*x509.Certificate
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		switch b.Type {
		case "CERTIFICATE":
			c, err := x509.ParseCertificate(b.Bytes)
			if err != nil {
				return nil, fmt.Errorf("pki: parse CA certificate: %w", err)
			}
			above = append(above, c)
		case "PRIVATE KEY":
			k, err := x509.ParsePKCS8PrivateKey(b.Bytes)
			if err != nil {
				return nil, errors.New("pki: parse CA key: not a PKCS #8 key")
			}
			ec, ok := k.(*ecdsa.PrivateKey)
			if !ok {
				return nil, errors.New("pki: parse CA key: not an ECDSA key")
			}
			ca.Key = ec
		case "EC PRIVATE KEY":
			k, err := x509.ParseECPrivateKey(b.Bytes)
			if err != nil {
				return nil, errors.New("pki: parse CA key: not an EC key")
			}
			ca.Key = k
		}
	}
	switch {
	case len(above) == 0:
		return nil, errors.New("pki: parse CA: no certificate in the PEM text")
	case ca.Key == nil:
		return nil, errors.New("pki: parse CA: no private key in the PEM text")
	case !above[0].IsCA:
		return nil, errors.New("pki: parse CA: the first certificate is not an authority's")
	case !ca.Key.PublicKey.Equal(above[0].PublicKey):
		return nil, errors.New("pki: parse CA: the key does not belong to the first certificate")
	}
	ca.Cert, ca.root = above[0], above[len(above)-1]
	for _, c := range above {
		if !bytes.Equal(c.RawIssuer, c.RawSubject) {
			ca.chain = append(ca.chain, c.Raw)
		}
	}
	return ca, nil
}

// SelfSigned makes a pair that is its own root, fit to be uploaded with
// setWebhook and to be verified by Go. For an address that is: the common name
// is the address, because OpenSSL matches the host that Telegram was given as
// a name (tdlib/td SslStream.cpp:154-180); there is no DNS name, because one
// that differs would keep OpenSSL from looking at the common name; and the
// address is an IP SAN as well, because Go looks at nothing else. So an
// address stands alone in Hosts.
func SelfSigned(now time.Time, l Leaf) (*Pair, error) {
	t, err := leafTemplate(now, l)
	if err != nil {
		return nil, err
	}
	for _, h := range l.Hosts {
		if net.ParseIP(h) != nil && len(l.Hosts) > 1 {
			return nil, fmt.Errorf("pki: self-signed for %s: an address must be the only host, else Telegram refuses the certificate", h)
		}
		addHost(t, h)
	}
	asCA(t)
	t.KeyUsage |= x509.KeyUsageDigitalSignature
	cert, key, err := sign(t, nil, nil)
	if err != nil {
		return nil, err
	}
	return newPair(cert, key, [][]byte{cert.Raw})
}

// Like returns a Leaf for the same names as c: what a fault certificate needs
// to be wrong in one thing only.
func Like(c *x509.Certificate) Leaf {
	var l Leaf
	l.Hosts = append(l.Hosts, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		l.Hosts = append(l.Hosts, ip.String())
	}
	if len(l.Hosts) == 0 && c.Subject.CommonName != "" {
		l.Hosts = []string{c.Subject.CommonName}
	}
	return l
}

// TLS returns the pair as crypto/tls wants it.
func (p *Pair) TLS() tls.Certificate {
	return tls.Certificate{Certificate: p.chain, PrivateKey: p.Key, Leaf: p.Cert}
}

// Pool returns a pool that trusts the leaf itself: what a verifier has when a
// self-signed certificate was uploaded.
func (p *Pair) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.Cert)
	return pool
}

// WriteFiles writes the chain and the key as PEM files that only the owner can
// read. An existing file is replaced.
func (p *Pair) WriteFiles(certFile, keyFile string) error {
	if err := WriteFile(certFile, p.CertPEM); err != nil {
		return err
	}
	return WriteFile(keyFile, p.KeyPEM)
}

// WriteFile writes data to a file that only the owner can read, also if the
// file was there before with other rights.
func WriteFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("pki: %w", err)
	}
	err = f.Chmod(0o600)
	if err == nil {
		_, err = f.Write(data)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("pki: %w", err)
	}
	return nil
}

func leafTemplate(now time.Time, l Leaf) (*x509.Certificate, error) {
	if len(l.Hosts) == 0 {
		return nil, errors.New("pki: a certificate needs at least one host")
	}
	from, to := l.NotBefore, l.NotAfter
	if to.IsZero() {
		to = now.Add(leafLife)
	}
	if from.IsZero() {
		from = now.Add(-backdate)
	}
	if to.Before(from) {
		return nil, fmt.Errorf("pki: a certificate can't end (%s) before it begins (%s)",
			to.UTC().Format(time.RFC3339), from.UTC().Format(time.RFC3339))
	}
	t, err := template(l.Hosts[0], from, to)
	if err != nil {
		return nil, err
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return t, nil
}

func template(name string, from, to time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             from,
		NotAfter:              to,
		BasicConstraintsValid: true,
	}, nil
}

func asCA(t *x509.Certificate) {
	t.IsCA = true
	t.KeyUsage |= x509.KeyUsageCertSign | x509.KeyUsageCRLSign
}

func addHost(t *x509.Certificate, h string) {
	if ip := net.ParseIP(h); ip != nil {
		t.IPAddresses = append(t.IPAddresses, ip)
		return
	}
	t.DNSNames = append(t.DNSNames, h)
}

// sign makes a key for t and signs t with the parent's key, or with its own if
// there is no parent.
func sign(t, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("pki: make key: %w", err)
	}
	if parent == nil {
		parent, by = t, key
	}
	if t.IsCA {
		// A key id of its own lets a verifier tell two authorities of the same
		// name apart.
		pub, err := key.PublicKey.Bytes()
		if err != nil {
			return nil, nil, fmt.Errorf("pki: make key: %w", err)
		}
		sum := sha256.Sum256(pub)
		t.SubjectKeyId = sum[:20]
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, by)
	if err != nil {
		return nil, nil, fmt.Errorf("pki: sign: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("pki: sign: %w", err)
	}
	return cert, key, nil
}

func newPair(cert *x509.Certificate, key *ecdsa.PrivateKey, chain [][]byte) (*Pair, error) {
	p := &Pair{Cert: cert, Key: key, chain: chain}
	for _, der := range chain {
		p.CertPEM = append(p.CertPEM, certPEM(der)...)
	}
	var err error
	p.KeyPEM, err = keyPEM(key)
	return p, err
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(k *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("pki: encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
