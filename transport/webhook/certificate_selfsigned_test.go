package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var selfSignedHosts = [][]string{
	{"203.0.113.7"},
	{"bot.example.com"},
	{"a.example.com", "b.example.com"},
	{strings.Repeat("long.", 20) + "example.com"},
}

// TestSelfSignedByBothRules: what is made satisfies Telegram's comparison, Go's,
// and OpenSSL's verification as Telegram calls it.
func TestSelfSignedByBothRules(t *testing.T) {
	openssl, missing := exec.LookPath("openssl")
	now := time.Now()
	for _, hosts := range selfSignedHosts {
		dir := t.TempDir()
		certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		if made, err := KeepSelfSigned(certFile, keyFile, now, hosts...); !made || err != nil {
			t.Fatal(hosts, made, err)
		}
		cert, err := LoadCertificate(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		leaf := cert.Leaf()
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(cert.PEM()) {
			t.Fatal("the uploaded file holds no certificate")
		}
		for _, host := range hosts {
			if s := cert.Check(now, host, 0); s.Status != CertOK || !s.SelfSigned {
				t.Errorf("Telegram, %s: %+v", host, s)
			}
			if _, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: now}); err != nil {
				t.Errorf("Go, %s: %v", host, err)
			}
			handshake(t, cert.TLSConfig(), &tls.Config{RootCAs: roots, ServerName: host})
			if missing != nil {
				t.Log("no openssl")
				continue
			}
			// -verify_hostname is X509_VERIFY_PARAM_set1_host, with an address, too.
			out, err := exec.Command(openssl, "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", certFile, "-verify_hostname", host, certFile).CombinedOutput()
			if err != nil {
				t.Errorf("OpenSSL, %s: %v\n%s", host, err, out)
			}
		}
		if s := cert.Check(now, "other.example.com", 0); s.Status != CertWrongHost {
			t.Errorf("another host: %+v", s)
		}
		if left := leaf.NotAfter.Sub(now); left < selfSignedLife-time.Hour {
			t.Errorf("valid for %v", left)
		}
		if st, err := os.Stat(keyFile); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("the key's mode: %v %v", st.Mode(), err)
		}
	}
	for _, hosts := range [][]string{nil, {"203.0.113.7", "bot.example.com"}, {"a.example.com", "203.0.113.7"}} {
		if _, _, err := SelfSigned(now, hosts...); err == nil {
			t.Errorf("made for %v", hosts)
		}
	}
}

func handshake(t *testing.T, server, client *tls.Config) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- tls.Server(a, server).HandshakeContext(ctx) }()
	if err := tls.Client(b, client).HandshakeContext(ctx); err != nil {
		t.Errorf("handshake: %v", err)
		cancel()
	}
	<-served // the client has told
}

// TestKeepSelfSigned: a pair is made when there is none or ours is no good any
// more, kept otherwise, and nobody else's is overwritten.
func TestKeepSelfSigned(t *testing.T) {
	now := time.Now()
	host := hookName
	year := 365 * 24 * time.Hour
	ours := func(at time.Time, hosts ...string) func(string) {
		return func(dir string) {
			if _, err := KeepSelfSigned(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), at, hosts...); err != nil {
				t.Fatal(err)
			}
		}
	}
	root := mint(t, certSpec{cn: "root", ca: true})
	for _, c := range []struct {
		name string
		lay  func(dir string)
		made bool
		fail bool
	}{
		{"nothing", func(string) {}, true, false},
		{"ours", ours(now, host), false, false},
		{"ours, a year old", ours(now.Add(-year), host), false, false},
		{"ours, near its end", ours(now.Add(-2*year+selfSignedRenew-time.Minute), host), true, false},
		{"ours, expired", ours(now.Add(-3*year), host), true, false},
		{"ours, by a clock that was ahead", ours(now.Add(year), host), true, false},
		{"ours, for another host", ours(now, "other.example.com"), true, false},
		{"ours, without its key", func(dir string) { ours(now, host)(dir); os.Remove(filepath.Join(dir, "key.pem")) }, true, false},
		{"ours, with the key before it", func(dir string) {
			ours(now, host)(dir)
			write(t, dir, "key.pem", keyPEM(t, root))
		}, true, false},
		{"the operator's own", func(dir string) {
			writePair(t, dir, mint(t, certSpec{names: []string{host}, expire: now.Add(time.Hour)}))
		}, false, false},
		{"the operator's own, expired", func(dir string) {
			writePair(t, dir, mint(t, certSpec{names: []string{host}, expire: now.Add(-time.Hour)}))
		}, false, true},
		{"an authority's, for another host", func(dir string) { writePair(t, dir, mint(t, certSpec{names: []string{"x.y"}, parent: &root})) }, false, true},
		{"a key alone", func(dir string) { write(t, dir, "key.pem", keyPEM(t, root)) }, false, true},
		{"the operator's certificate without its key", func(dir string) { write(t, dir, "cert.pem", certPEM(root)) }, false, true},
		{"something else", func(dir string) { write(t, dir, "cert.pem", []byte("notes")) }, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.lay(dir)
			read := func() []byte {
				a, _ := os.ReadFile(filepath.Join(dir, "cert.pem"))
				b, _ := os.ReadFile(filepath.Join(dir, "key.pem"))
				return append(a, b...)
			}
			before := read()
			made, err := KeepSelfSigned(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), now, host)
			if made != c.made || (err != nil) != c.fail {
				t.Fatalf("made %v, %v", made, err)
			}
			var e *Error
			if c.fail && (!errors.As(err, &e) || !errors.Is(err, ErrCertificate) || e.Hint == "") {
				t.Errorf("error %#v", err)
			}
			if same := bytes.Equal(before, read()); same == c.made {
				t.Errorf("unchanged %v", same)
			}
			if c.made {
				if s := load(t, dir).Check(now, host, selfSignedRenew); s.Status != CertOK {
					t.Errorf("%+v", s)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".dualgram-*")); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
	if _, err := KeepSelfSigned("/nonexistent/cert.pem", "/nonexistent/key.pem", now, host); !errors.Is(err, ErrCertificate) {
		t.Errorf("a directory that isn't there: %v", err)
	}
}
