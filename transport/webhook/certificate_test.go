package webhook

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCertificateCheck(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	const day = 24 * time.Hour
	root := mint(t, certSpec{cn: "root", ca: true})
	inter := mint(t, certSpec{cn: "intermediate", ca: true, parent: &root})
	brief := mint(t, certSpec{cn: "brief", ca: true, parent: &root, expire: in(time.Hour)})
	leaf := func(parent *tls.Certificate, c certSpec) tls.Certificate {
		c.parent = parent
		if c.names == nil && c.cn == "" {
			c.names = []string{"bot.example.com"}
		}
		return mint(t, c)
	}
	ip := []net.IP{net.ParseIP("203.0.113.7")}
	for _, c := range []struct {
		name     string
		leaf     tls.Certificate
		chain    []tls.Certificate
		at       time.Time
		host     string
		status   CertStatus
		notAfter time.Time // zero: not looked at
		detail   string
	}{
		{name: "good", leaf: leaf(&inter, certSpec{expire: in(30 * day)}), chain: []tls.Certificate{inter}, status: CertOK, notAfter: in(30 * day)},
		{name: "good, root served too", leaf: leaf(&inter, certSpec{}), chain: []tls.Certificate{inter, root}, status: CertOK},
		{name: "self-signed", leaf: leaf(nil, certSpec{}), status: CertOK},
		{name: "expiring", leaf: leaf(&inter, certSpec{expire: in(time.Minute)}), chain: []tls.Certificate{inter}, status: CertExpiring, notAfter: in(time.Minute)},
		{name: "lead not yet reached", leaf: leaf(&inter, certSpec{expire: in(2 * time.Minute)}), chain: []tls.Certificate{inter}, status: CertOK},
		{name: "expired", leaf: leaf(&inter, certSpec{expire: in(-time.Second)}), chain: []tls.Certificate{inter}, status: CertExpired},
		{name: "at its last second", leaf: leaf(&inter, certSpec{expire: now}), chain: []tls.Certificate{inter}, status: CertExpiring},
		{name: "by a clock that is ahead", leaf: leaf(&inter, certSpec{}), chain: []tls.Certificate{inter}, at: in(365 * day), status: CertExpired},
		{name: "not yet valid", leaf: leaf(&inter, certSpec{notBefore: in(time.Second)}), chain: []tls.Certificate{inter}, status: CertNotYetValid},
		{name: "its issuer expires first", leaf: leaf(&brief, certSpec{}), chain: []tls.Certificate{brief}, status: CertOK, notAfter: in(time.Hour)},
		{name: "its issuer is expired", leaf: leaf(&brief, certSpec{}), chain: []tls.Certificate{brief}, at: in(2 * time.Hour), status: CertExpired},
		{name: "expired certificate of nobody here", leaf: leaf(&inter, certSpec{}), chain: []tls.Certificate{inter, brief}, at: in(2 * time.Hour), status: CertOK},
		{name: "no intermediate", leaf: leaf(&inter, certSpec{}), status: CertChainIncomplete, detail: "CN=intermediate"},
		{name: "wrong intermediate", leaf: leaf(&inter, certSpec{}), chain: []tls.Certificate{brief}, status: CertChainIncomplete},
		{name: "other host", leaf: leaf(nil, certSpec{names: []string{"a.example.com", "b.example.com"}}), status: CertWrongHost, detail: "it is for a.example.com, b.example.com, not for bot.example.com"},
		{name: "no name at all", leaf: mint(t, certSpec{}), status: CertWrongHost, detail: "it is for no name"},
		{name: "expired and for another host", leaf: leaf(nil, certSpec{names: []string{"x.y"}, expire: in(-time.Second)}), status: CertExpired},
		{name: "other case", leaf: leaf(nil, certSpec{names: []string{"BOT.example.com"}}), host: "Bot.Example.COM.", status: CertOK},
		{name: "wildcard", leaf: leaf(nil, certSpec{names: []string{"*.example.com"}}), status: CertOK},
		{name: "wildcard, two labels", leaf: leaf(nil, certSpec{names: []string{"*.example.com"}}), host: "a.bot.example.com", status: CertWrongHost},
		{name: "wildcard, its base", leaf: leaf(nil, certSpec{names: []string{"*.example.com"}}), host: "example.com", status: CertWrongHost},
		{name: "wildcard over a zone", leaf: leaf(nil, certSpec{names: []string{"*.com"}}), host: "example.com", status: CertWrongHost},
		{name: "common name only", leaf: leaf(nil, certSpec{cn: "bot.example.com"}), status: CertOK},
		{name: "common name doesn't count beside names", leaf: leaf(nil, certSpec{cn: "bot.example.com", names: []string{"x.y"}}), status: CertWrongHost},
		{name: "address as common name", leaf: leaf(nil, certSpec{cn: "203.0.113.7", ips: ip}), host: "203.0.113.7", status: CertOK},
		{name: "address as DNS name", leaf: leaf(nil, certSpec{names: []string{"203.0.113.7"}}), host: "203.0.113.7", status: CertOK},
		{name: "address as address only", leaf: mint(t, certSpec{ips: ip}), host: "203.0.113.7", status: CertWrongHost, detail: "repeat the address as common name"},
		{name: "address as address only, signed by an authority", leaf: leaf(&inter, certSpec{cn: "x", ips: ip}), chain: []tls.Certificate{inter}, host: "203.0.113.7", status: CertOK},
		{name: "another address, signed by an authority", leaf: leaf(&inter, certSpec{cn: "x", ips: ip}), chain: []tls.Certificate{inter}, host: "203.0.113.8", status: CertWrongHost},
		{name: "wildcard for an address", leaf: leaf(nil, certSpec{names: []string{"*.0.113.7"}}), host: "203.0.113.7", status: CertWrongHost},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			writePair(t, dir, c.leaf, c.chain...)
			cert := load(t, dir)
			if c.at.IsZero() {
				c.at = now
			}
			if c.host == "" {
				c.host = "bot.example.com"
			}
			s := cert.Check(c.at, c.host, time.Minute+time.Second)
			if s.Status != c.status || !strings.Contains(s.Detail, c.detail) || s.Detail == "" {
				t.Errorf("%+v, want %s, %q", s, c.status, c.detail)
			}
			if !c.notAfter.IsZero() && !s.NotAfter.Equal(c.notAfter) {
				t.Errorf("NotAfter %v, want %v", s.NotAfter, c.notAfter)
			}
			if !s.UnknownAuthority && s.Status == CertOK {
				t.Error("a root of our own is known here")
			}
		})
	}
}

func writePair(t *testing.T, dir string, leaf tls.Certificate, chain ...tls.Certificate) {
	t.Helper()
	write(t, dir, "cert.pem", certPEM(append([]tls.Certificate{leaf}, chain...)...))
	write(t, dir, "key.pem", keyPEM(t, leaf))
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, dir string) *Certificate {
	t.Helper()
	c, err := LoadCertificate(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCertificateReload(t *testing.T) {
	now := time.Now()
	host := "bot.example.com"
	good := func() tls.Certificate { return mint(t, certSpec{names: []string{host}}) }
	expired := func() tls.Certificate {
		return mint(t, certSpec{names: []string{host}, expire: now.Add(-time.Minute)})
	}
	early := func() tls.Certificate {
		return mint(t, certSpec{names: []string{host}, notBefore: now.Add(time.Hour)})
	}
	other := func() tls.Certificate { return mint(t, certSpec{names: []string{"x.y"}}) }
	soon := func() tls.Certificate {
		return mint(t, certSpec{names: []string{host}, expire: now.Add(time.Second)})
	}
	pair := func(c func() tls.Certificate) func(string) { return func(dir string) { writePair(t, dir, c()) } }
	for _, c := range []struct {
		name    string
		first   func() tls.Certificate
		then    func(dir string)
		changed bool
		err     error
	}{
		{"nothing new", good, func(string) {}, false, nil},
		{"renewed", good, pair(good), true, nil},
		{"renewed, shorter", good, pair(soon), true, nil},
		{"no certificate", good, func(dir string) { os.Remove(filepath.Join(dir, "cert.pem")) }, false, ErrCertificate},
		{"no key", good, func(dir string) { os.Remove(filepath.Join(dir, "key.pem")) }, false, ErrCertificate},
		{"half written", good, func(dir string) { write(t, dir, "cert.pem", certPEM(good())[:200]) }, false, ErrCertificate},
		{"key of another", good, func(dir string) { write(t, dir, "key.pem", keyPEM(t, good())) }, false, ErrCertificate},
		{"expired for good", good, pair(expired), false, ErrRefused},
		{"not yet valid for good", good, pair(early), false, ErrRefused},
		{"other host for good", good, pair(other), false, ErrRefused},
		{"good for expired", expired, pair(good), true, nil},
		{"other host for expired", expired, pair(other), true, nil},
		{"expired for other host", other, pair(expired), true, nil},
		{"garbage for expired", expired, func(dir string) { write(t, dir, "key.pem", []byte("x")) }, false, ErrCertificate},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			first := c.first()
			writePair(t, dir, first)
			cert := load(t, dir)
			c.then(dir)
			ch, err := cert.Reload(now, host)
			changed := ch.Replaced
			if changed != c.changed || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
				t.Errorf("changed %v, %v", changed, err)
			}
			var e *Error
			if err != nil && (!errors.As(err, &e) || e.Op != "certificate" || e.Addr == "" || e.Hint == "") {
				t.Errorf("error %#v", err)
			}
			got, _ := cert.GetCertificate(nil)
			if same := got.Leaf.Equal(first.Leaf); same == c.changed {
				t.Errorf("in service: the same %v, changed %v", same, c.changed)
			}
			if !cert.Leaf().Equal(got.Leaf) || !strings.Contains(string(cert.PEM()), "BEGIN CERTIFICATE") || strings.Contains(string(cert.PEM()), "PRIVATE") {
				t.Error("Leaf or PEM is something else")
			}
		})
	}
}

func TestLoadCertificateErrors(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "none.pem")
	_, err := LoadCertificate(missing, missing)
	if !errors.Is(err, ErrCertificate) || !errors.Is(err, os.ErrNotExist) || strings.Count(err.Error(), missing) != 1 {
		t.Errorf("missing: %v", err)
	}
	// A bad one is served all the same, when it is all there is.
	writePair(t, dir, mint(t, certSpec{expire: time.Now().Add(-time.Minute)}))
	load(t, dir)
}
