package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// verify checks a pair as a TLS client would: with what the server sends and
// nothing else.
func verify(p *Pair, roots *x509.CertPool, host string, at time.Time) error {
	mids := x509.NewCertPool()
	for _, der := range p.TLS().Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		mids.AddCert(c)
	}
	_, err := p.Cert.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: mids, CurrentTime: at})
	return err
}

func TestChains(t *testing.T) {
	root := must(NewCA(now, "Root"))(t)
	mid := must(root.Intermediate(now, "Middle"))(t)
	low := must(mid.Intermediate(now, "Low"))(t)
	other := must(NewCA(now, "Root"))(t)

	tests := []struct {
		name  string
		ca    *CA
		leaf  Leaf
		roots *CA
		host  string
		at    time.Duration
		want  any // nil, or a pointer for errors.As
		certs int
	}{
		{name: "under the root", ca: root, roots: root, certs: 1},
		{name: "under an intermediate", ca: mid, roots: root, certs: 2},
		{name: "under two", ca: low, roots: root, certs: 3},
		{name: "pool of an intermediate is its root", ca: low, roots: low, certs: 3},
		{name: "incomplete", ca: mid, leaf: Leaf{OmitChain: true}, roots: root, want: new(x509.UnknownAuthorityError), certs: 1},
		{name: "another root of the same name", ca: mid, roots: other, want: new(x509.UnknownAuthorityError), certs: 2},
		{name: "wrong host", ca: mid, roots: root, host: "other.example.com", want: new(x509.HostnameError), certs: 2},
		{name: "address", ca: mid, leaf: Leaf{Hosts: []string{"a.example.com", "203.0.113.7"}}, roots: root, host: "203.0.113.7", certs: 2},
		{name: "IPv6", ca: mid, leaf: Leaf{Hosts: []string{"2001:db8::1"}}, roots: root, host: "[2001:db8::1]", certs: 2},
		{name: "wildcard", ca: mid, leaf: Leaf{Hosts: []string{"*.example.com"}}, roots: root, host: "x.example.com", certs: 2},
		{name: "a lagging clock", ca: mid, roots: root, at: -59 * time.Minute, certs: 2},
		{name: "before it begins", ca: mid, leaf: Leaf{NotBefore: now.Add(time.Hour)}, roots: root, want: new(x509.CertificateInvalidError), certs: 2},
		{name: "last day", ca: mid, roots: root, at: 90 * 24 * time.Hour, certs: 2},
		{name: "the day after", ca: mid, roots: root, at: 90*24*time.Hour + time.Second, want: new(x509.CertificateInvalidError), certs: 2},
		{name: "expired", ca: mid, leaf: Leaf{NotAfter: now.Add(-time.Second), NotBefore: now.Add(-time.Hour)}, roots: root, want: new(x509.CertificateInvalidError), certs: 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.leaf.Hosts == nil {
				tt.leaf.Hosts = []string{"bot.example.com"}
			}
			if tt.host == "" {
				tt.host = "bot.example.com"
			}
			p := must(tt.ca.Issue(now, tt.leaf))(t)
			if n := len(p.TLS().Certificate); n != tt.certs {
				t.Errorf("the pair holds %d certificates, want %d", n, tt.certs)
			}
			err := verify(p, tt.roots.Pool(), tt.host, now.Add(tt.at))
			if tt.want == nil && err != nil || tt.want != nil && !errors.As(err, tt.want) {
				t.Errorf("verify: %v, want %T", err, tt.want)
			}
			if _, err := tls.X509KeyPair(p.CertPEM, p.KeyPEM); err != nil {
				t.Errorf("PEM: %v", err)
			}
		})
	}
}

func TestParseCA(t *testing.T) {
	root := must(NewCA(now, "Root"))(t)
	mid := must(root.Intermediate(now, "Middle"))(t)
	for _, ca := range []*CA{root, mid} {
		text := must(ca.PEM())(t)
		got := must(ParseCA(text))(t)
		if again := must(got.PEM())(t); !bytes.Equal(text, again) {
			t.Errorf("%s: PEM differs after a round trip", ca.Cert.Subject.CommonName)
		}
		p := must(got.Issue(now, Leaf{Hosts: []string{"x.test"}}))(t)
		if err := verify(p, root.Pool(), "x.test", now); err != nil {
			t.Errorf("%s: %v", ca.Cert.Subject.CommonName, err)
		}
		if key := text[bytes.Index(text, []byte("-----BEGIN PRIVATE")):]; !strings.Contains(string(key), "PRIVATE") {
			t.Error("no key")
		}
	}
	leaf := must(root.Issue(now, Leaf{Hosts: []string{"x.test"}}))(t)
	rootPEM := must(root.PEM())(t)
	for name, text := range map[string][]byte{
		"empty":       nil,
		"no key":      root.RootPEM(),
		"no cert":     leaf.KeyPEM,
		"a leaf":      append(append([]byte{}, leaf.CertPEM...), leaf.KeyPEM...),
		"another key": append(append([]byte{}, root.RootPEM()...), leaf.KeyPEM...),
		"garbage DER": bytes.Replace(rootPEM, []byte("MII"), []byte("AAA"), 1),
	} {
		if _, err := ParseCA(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A self-signed certificate has to satisfy Go, which wants a SAN, and OpenSSL
// as Telegram calls it, which matches the host as a name.
func TestSelfSigned(t *testing.T) {
	openssl, _ := exec.LookPath("openssl")
	for _, host := range []string{"203.0.113.7", "bot.example.com"} {
		p := must(SelfSigned(time.Now(), Leaf{Hosts: []string{host}}))(t)
		if err := verify(p, p.Pool(), host, time.Now()); err != nil {
			t.Errorf("%s: Go: %v", host, err)
		}
		if p.Cert.Subject.CommonName != host {
			t.Errorf("%s: common name is %q", host, p.Cert.Subject.CommonName)
		}
		if host == "203.0.113.7" && len(p.Cert.DNSNames) > 0 {
			t.Errorf("%s: DNS names %q hide the common name", host, p.Cert.DNSNames)
		}
		if openssl == "" {
			continue
		}
		f := filepath.Join(t.TempDir(), "cert.pem")
		if err := WriteFile(f, p.CertPEM); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(openssl, "verify", "-verify_hostname", host, "-purpose", "sslserver", "-CAfile", f, f).CombinedOutput()
		if err != nil {
			t.Errorf("%s: openssl: %v\n%s", host, err, out)
		}
		if out, err := exec.Command(openssl, "verify", "-verify_hostname", "198.51.100.1", "-CAfile", f, f).CombinedOutput(); err == nil {
			t.Errorf("%s: openssl takes it for another host\n%s", host, out)
		}
	}
	for _, hosts := range [][]string{nil, {"203.0.113.7", "bot.example.com"}, {"bot.example.com", "203.0.113.7"}} {
		if _, err := SelfSigned(now, Leaf{Hosts: hosts}); err == nil {
			t.Errorf("%q: accepted", hosts)
		}
	}
}

func TestLike(t *testing.T) {
	root := must(NewCA(now, "Root"))(t)
	hosts := []string{"a.test", "*.b.test", "203.0.113.7", "2001:db8::1"}
	p := must(root.Issue(now, Leaf{Hosts: hosts}))(t)
	if got := Like(p.Cert).Hosts; strings.Join(got, " ") != strings.Join(hosts, " ") {
		t.Errorf("got %q, want %q", got, hosts)
	}
}

func TestIssueRefuses(t *testing.T) {
	root := must(NewCA(now, "Root"))(t)
	for name, l := range map[string]Leaf{
		"no host":                   {},
		"an end before its begin":   {Hosts: []string{"x"}, NotBefore: now, NotAfter: now.Add(-time.Second)},
		"an end before the default": {Hosts: []string{"x"}, NotAfter: now.Add(-2 * time.Hour)},
	} {
		if _, err := root.Issue(now, l); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestWriteFiles(t *testing.T) {
	root := must(NewCA(now, "Root"))(t)
	p := must(root.Issue(now, Leaf{Hosts: []string{"x.test"}}))(t)
	dir := t.TempDir()
	c, k := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	if err := os.WriteFile(k, bytes.Repeat([]byte("old"), 9999), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.WriteFiles(c, k); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{c, k} {
		if fi := must(os.Stat(f))(t); fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %o", f, fi.Mode().Perm())
		}
	}
	if _, err := tls.LoadX509KeyPair(c, k); err != nil {
		t.Error(err)
	}
	if err := p.WriteFiles(filepath.Join(dir, "none", "c"), k); err == nil {
		t.Error("a missing directory is no error")
	}
}

func BenchmarkIssue(b *testing.B) {
	root := must(NewCA(now, "Root"))(b)
	for b.Loop() {
		if _, err := root.Issue(now, Leaf{Hosts: []string{"x.test"}}); err != nil {
			b.Fatal(err)
		}
	}
}
