package webhook

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// selfSignedLife is long, because each renewal costs a new registration, and not
	// endless, because a key that was copied must lose its worth some day.
	selfSignedLife = 2 * 365 * 24 * time.Hour
	// selfSignedRenew is how long before its end the pair is made anew: well before
	// anybody is warned of the end.
	selfSignedRenew = 60 * 24 * time.Hour
	// selfSignedBackdate is how far Telegram's clock may be behind ours.
	selfSignedBackdate = 24 * time.Hour

	// maker marks a certificate as made here. Only such a one is ever overwritten.
	maker = "dualgram, self-signed"
)

// SelfSigned makes a pair in PEM for the hosts that can be uploaded to Telegram
// and that Go's own client trusts as a root, valid for two years from a day before
// now. Hosts are DNS names, or one IP address alone: Telegram compares the address
// with the common name, and only if there is no DNS name (SslStream.cpp:154-180);
// Go compares it with the certificate's IP addresses. So it is both.
func SelfSigned(now time.Time, hosts ...string) (certPEM, keyPEM []byte, err error) {
	fail := func(err error) ([]byte, []byte, error) {
		return nil, nil, &Error{Op: "certificate", Err: fmt.Errorf("make a self-signed one: %w", err)}
	}
	if len(hosts) == 0 {
		return fail(errors.New("no host"))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fail(err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return fail(err)
	}
	t := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: commonName(hosts[0]), Organization: []string{maker}},
		NotBefore:             now.Add(-selfSignedBackdate),
		NotAfter:              now.Add(selfSignedLife),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true, // as openssl req -x509 makes it, which Telegram's manual shows
		MaxPathLenZero:        true,
	}
	for _, h := range hosts {
		ip := net.ParseIP(h)
		switch {
		case ip == nil:
			t.DNSNames = append(t.DNSNames, h)
		case len(hosts) > 1:
			return fail(fmt.Errorf("%s and other hosts can't be in one certificate that Telegram takes; let the bots listen on different ports", h))
		default:
			t.IPAddresses = []net.IP{ip}
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return fail(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fail(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}

// commonName is empty for a host that is too long to be one (RFC 5280,
// ub-common-name); DNS names have no such bound.
func commonName(host string) string {
	if len(host) > 64 {
		return ""
	}
	return host
}

// KeepSelfSigned sees to it that the files hold a self-signed pair for the hosts
// that is good for another 60 days from now, and reports whether it wrote one. A
// pair that it did not make itself is left alone as long as it is good, and after
// that it is an *Error (ErrCertificate), not overwritten.
func KeepSelfSigned(certFile, keyFile string, now time.Time, hosts ...string) (made bool, err error) {
	c := AwaitCertificate(certFile, keyFile)
	f := c.read()
	switch {
	case f.err == nil && f.pair.lasts(now, hosts):
		return false, nil
	case f.err == nil && !madeHere(f.pair.chain[0]):
		if f.pair.serves(now, hosts) {
			return false, nil
		}
		return false, unusable(certFile, "remove the two files to have a pair made, or set self_signed: false", errors.New("dualgram did not make this pair, and it is no good: "+f.pair.objection(now, hosts)))
	case f.err != nil:
		if err := replaceable(certFile, keyFile, f.err); err != nil {
			return false, err
		}
	}
	cert, key, err := SelfSigned(now, hosts...)
	if err != nil {
		return false, err
	}
	return true, WritePair(certFile, keyFile, cert, key)
}

// serves reports whether Telegram and Go take the self-signed pair for all hosts.
func (p *pair) serves(now time.Time, hosts []string) bool { return p.objection(now, hosts) == "" }

// lasts reports whether the pair needn't be renewed yet.
func (p *pair) lasts(now time.Time, hosts []string) bool {
	return p.serves(now, hosts) && p.chain[0].NotAfter.Sub(now) > selfSignedRenew
}

func (p *pair) objection(now time.Time, hosts []string) string {
	for _, h := range hosts {
		if s := p.check(now, h, 0); s.Status.Fatal() {
			return s.Detail
		}
		if err := p.chain[0].VerifyHostname(h); err != nil {
			return err.Error()
		}
	}
	return ""
}

func madeHere(c *x509.Certificate) bool {
	return selfSigned(c) && slices.Equal(c.Subject.Organization, []string{maker})
}

// replaceable returns why files that hold no usable pair must not be overwritten.
// The certificate is written before its key, so that a process that dies in
// between leaves a certificate of its own without its key, never a key alone.
func replaceable(certFile, keyFile string, why error) error {
	raw, err := os.ReadFile(certFile)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(keyFile); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return unusable(keyFile, "remove it to have a pair made, or put the certificate that belongs to it into "+certFile, errors.New("there is a key without a certificate"))
	}
	if err != nil {
		return why
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return why
	}
	if c, err := x509.ParseCertificate(block.Bytes); err != nil || !madeHere(c) {
		return why
	}
	return nil
}

// WritePair replaces the two files, each in one step; the key can be read by its
// owner only.
func WritePair(certFile, keyFile string, certPEM, keyPEM []byte) error {
	if err := replaceFile(certFile, certPEM, 0o644); err != nil {
		return unusable(certFile, "dualgram's user must be able to write the file and its directory", bare(err))
	}
	if err := replaceFile(keyFile, keyPEM, 0o600); err != nil {
		return unusable(keyFile, "dualgram's user must be able to write the file and its directory", bare(err))
	}
	return nil
}

func replaceFile(path string, data []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".dualgram-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync())
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
