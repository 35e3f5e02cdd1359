package host

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/pki"
	"dualgram/cmd/dualgram/config"
	"dualgram/transport"
	"dualgram/transport/acme/acmetest"
	"dualgram/transport/webhook"

	"github.com/rs/zerolog"
)

// newHost is a Host with bots and a place for its certificates, and no more.
func newHost(t *testing.T, webhooks ...config.Webhook) (*Host, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	cfg := config.Defaults()
	cfg.Store.Path = filepath.Join(t.TempDir(), "dualgram.db")
	for _, w := range webhooks {
		b := config.DefaultBot()
		b.Webhook = w
		cfg.Bots = append(cfg.Bots, b)
	}
	return &Host{cfg: cfg, log: zerolog.New(&log), certs: map[string]*certificate{}, faults: chaos.New(chaos.Options{})}, &log
}

// TestSelfSignedOfHost: one pair for all hosts of a listener, made beside the store,
// kept by the next start, and renewed before its end.
func TestSelfSignedOfHost(t *testing.T) {
	own := config.TLS{SelfSigned: true}
	h, _ := newHost(t,
		config.Webhook{PublicURL: "https://A.example.com/1", Listen: "[::]:8443", TLS: own},
		config.Webhook{PublicURL: "https://other.example.com/1", Listen: "0.0.0.0:443", TLS: own},
		config.Webhook{PublicURL: "https://b.example.com:8443/2", Listen: "[::]:8443", TLS: own},
		config.Webhook{PublicURL: "https://a.example.com:8443/3", Listen: "[::]:8443", TLS: own})
	ls, err := h.listeners()
	if err != nil {
		t.Fatal(err)
	}
	c := h.certs["[::]:8443"]
	if len(ls) != 2 || ls[0].AllowConn != nil || ls[0].Refused == nil || ls[0].RenewalFailed == nil || ls[0].Renewal == "" || !ls[0].TLS.SessionTicketsDisabled {
		t.Errorf("%+v", ls)
	}
	for _, name := range []string{"a.example.com", "b.example.com"} {
		if s := c.Check(time.Now(), name, 0); s.Status != webhook.CertOK {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if s := c.Check(time.Now(), "other.example.com", 0); s.Status != webhook.CertWrongHost {
		t.Errorf("another listener's host: %+v", s)
	}
	if want := filepath.Join(filepath.Dir(h.cfg.Store.Path), "certificates", "---8443", "key.pem"); c.keyFile != want {
		t.Errorf("the key is in %s, want %s", c.keyFile, want)
	}
	before := c.PEM()
	if c, err = h.openCertificate(&h.cfg.Bots[0].Webhook); err != nil || !bytes.Equal(c.PEM(), before) {
		t.Errorf("the next start made another: %v", err)
	}
	h.renewSelfSigned(c)
	if !bytes.Equal(c.PEM(), before) {
		t.Error("renewed without need")
	}

	// One that was made long ago.
	if err := errors.Join(os.Remove(c.certFile), os.Remove(c.keyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := webhook.KeepSelfSigned(c.certFile, c.keyFile, time.Now().AddDate(-2, 0, 40), c.hosts...); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Reload(time.Now(), c.hosts...); err != nil {
		t.Fatal(err)
	}
	old := c.PEM()
	h.renewSelfSigned(c)
	if bytes.Equal(c.PEM(), old) || time.Until(c.Leaf().NotAfter) < 700*24*time.Hour || c.renewalFailed().Err != nil {
		t.Errorf("not renewed: until %v, %v", c.Leaf().NotAfter, c.renewalFailed())
	}
}

// TestSelfSignedCantBeRenewed: what somebody else put into the files is not
// overwritten; that is told once, and shown.
func TestSelfSignedCantBeRenewed(t *testing.T) {
	dir := t.TempDir()
	w := config.Webhook{PublicURL: "https://a.example.com/1", Listen: ":8443",
		TLS: config.TLS{SelfSigned: true, CertFile: filepath.Join(dir, "c"), KeyFile: filepath.Join(dir, "k")}}
	h, log := newHost(t, w)
	c, err := h.openCertificate(&h.cfg.Bots[0].Webhook)
	if err != nil {
		t.Fatal(err)
	}
	before := c.PEM()
	foreign, err := pki.SelfSigned(time.Now(), pki.Leaf{Hosts: []string{"b.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := foreign.WriteFiles(c.certFile, c.keyFile); err != nil {
		t.Fatal(err)
	}
	log.Reset()
	h.renewSelfSigned(c)
	since := c.renewalFailed().Since
	h.renewSelfSigned(c)
	if r := c.renewalFailed(); !errors.Is(r.Err, webhook.ErrCertificate) || !r.Since.Equal(since) || since.IsZero() {
		t.Errorf("%+v", r)
	}
	if n := bytes.Count(log.Bytes(), []byte("could not be renewed")); n != 1 {
		t.Errorf("told %d times:\n%s", n, log)
	}
	if !bytes.Equal(c.PEM(), before) {
		t.Error("the one in service went")
	}
	if _, err := h.openCertificate(&h.cfg.Bots[0].Webhook); !errors.Is(err, webhook.ErrCertificate) {
		t.Errorf("a start with it: %v", err)
	}
}

// TestACMEOnListener: a certificate is obtained through the listener itself, although
// that lets in nobody but Telegram, and without one it listens all the same.
func TestACMEOnListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	authority := acmetest.Start(t, 1, ln.Addr().(*net.TCPAddr).Port)
	authority.Away(true)
	h, _ := newHost(t, config.Webhook{PublicURL: "https://bot.example.com/1", Listen: "0.0.0.0:443",
		TLS: config.TLS{ACME: &config.ACME{Directory: authority.Directory, CAFile: authority.CAFile, Email: "ops@example.com"}}})
	ls, err := h.listeners()
	if err != nil {
		t.Fatal(err)
	}
	c, l := h.certs["0.0.0.0:443"], ls[0]
	if c.Leaf() != nil || c.Refused().Err != nil {
		t.Errorf("before there is any: %v, %+v", c.Leaf(), c.Refused())
	}
	s, err := webhook.New(webhook.Options{Listener: ln, TLS: l.TLS, AllowConn: l.AllowConn})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Handle(webhook.Route{Bot: "b", Path: "/1", Secrets: func() []string { return []string{"s"} }, Sink: nobody{},
		Networks: []netip.Prefix{netip.MustParsePrefix("149.154.160.0/20")}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = s.Run(ctx) })
	wg.Go(func() { h.keepCertificate(ctx, c) })
	wait := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: never", what)
			}
		}
	}
	wait("the authority is away", func() bool { return l.RenewalFailed().Err != nil })
	authority.Away(false)
	h.Reload() // SIGHUP asks at once
	wait("obtained", func() bool { return c.Leaf() != nil })
	wait("told", func() bool { return c.renewalFailed().Err == nil })
	if s := c.Check(time.Now(), "bot.example.com", 0); s.Status.Fatal() {
		t.Errorf("%+v", s)
	}
	// Nobody is expected any more.
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err == nil {
		defer nc.Close()
		if err := tls.Client(nc, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx); err == nil {
			t.Error("a stranger gets a handshake")
		}
	}
	for _, f := range []string{c.keyFile, filepath.Join(filepath.Dir(c.keyFile), "account.pem")} {
		if st, err := os.Stat(f); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, st, err)
		}
	}
	// The next start serves it, and asks nobody.
	n := authority.Orders()
	next, err := h.openCertificate(&h.cfg.Bots[0].Webhook)
	if err != nil || !next.Leaf().Equal(c.Leaf()) {
		t.Errorf("the next start: %v", err)
	}
	if leaf := next.good(time.Now()); leaf == nil || authority.Orders() != n {
		t.Error("the next start needs another")
	}
	var none *x509.Certificate
	next.hosts = append(next.hosts, "more.example.com")
	if got := next.good(time.Now()); got != none {
		t.Error("a certificate that lacks a host is taken for good")
	}
}

// nobody is a sink that no request reaches.
type nobody struct{}

// Accept implements transport.Sink.
func (nobody) Accept(context.Context, transport.Batch) (transport.Receipt, error) {
	return transport.Receipt{}, errors.New("not expected")
}
