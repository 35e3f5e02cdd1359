package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dualgram/transport/acme/acmetest"

	"go.uber.org/goleak"
)

// desk is an issuer's surroundings.
type desk struct {
	t       *testing.T
	o       Options
	reports chan error

	mu    sync.Mutex
	pair  tls.Certificate
	fail  error // of Save
	saved int
}

func newDesk(t *testing.T, a *acmetest.Authority, hosts ...string) *desk {
	t.Helper()
	d := &desk{t: t, reports: make(chan error, 16)}
	d.o = Options{
		Directory: a.Directory, CAFile: a.CAFile, Email: "ops@example.com", Hosts: hosts,
		AccountFile: filepath.Join(t.TempDir(), "account.pem"), Challenge: HTTP01,
		Leaf: d.leaf, Save: d.save, Report: func(err error) { d.reports <- err },
	}
	return d
}

func (d *desk) leaf() *x509.Certificate {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pair.Leaf
}

func (d *desk) save(certPEM, keyPEM []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return d.fail
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		d.t.Errorf("the pair doesn't match: %v", err)
		return err
	}
	d.pair = pair
	d.saved++
	return nil
}

// run runs the issuer until the returned function is called, which waits for it.
func (d *desk) run() (*Issuer, func()) {
	d.t.Helper()
	i, err := New(d.o)
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(d.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); i.Run(ctx) }()
	stop := sync.OnceFunc(func() { cancel(); <-done })
	d.t.Cleanup(stop)
	return i, stop
}

// next is the next report.
func (d *desk) next() error {
	d.t.Helper()
	select {
	case err := <-d.reports:
		return err
	case <-time.After(30 * time.Second):
		d.t.Fatal("no report")
		return nil
	}
}

func freePort(t *testing.T) (addr string, port int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String(), ln.Addr().(*net.TCPAddr).Port
}

// verified asserts that the pair is signed for the host by the authority.
func (d *desk) verified(a *acmetest.Authority, host string) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(a.Root)
	for _, der := range d.pair.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			d.t.Fatal(err)
		}
		between.AddCert(c)
	}
	if _, err := d.pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: between}); err != nil {
		d.t.Error(err)
	}
}

// TestHTTP01 obtains a certificate for two names and for an address, by a listener
// that is there only while it is needed.
func TestHTTP01(t *testing.T) {
	for _, hosts := range [][]string{{"bot.example.com", "b.example.com"}, {"127.0.0.1"}} {
		t.Run(hosts[0], func(t *testing.T) {
			listen, port := freePort(t)
			a := acmetest.Start(t, port, 1)
			d := newDesk(t, a, hosts...)
			d.o.Listen = listen
			i, stop := d.run()
			if err := d.next(); err != nil {
				t.Fatal(err)
			}
			for _, h := range hosts {
				d.verified(a, h)
			}
			if f := i.Failed(); f.Err != nil || i.Challenged() {
				t.Errorf("%+v, challenged %v", f, i.Challenged())
			}
			if c, err := net.Dial("tcp", listen); err == nil {
				c.Close()
				t.Error("the challenge's listener is still open")
			}
			if st, err := os.Stat(d.o.AccountFile); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("the account's key: %v %v", st, err)
			}
			// A second look finds nothing to do.
			i.Retry()
			stop()
			if n := a.Orders(); n != 1 {
				t.Errorf("%d orders", n)
			}
		})
	}
}

// TestHTTP01Strangers: the challenge's listener tells nothing but the answer.
func TestHTTP01Strangers(t *testing.T) {
	listen, _ := freePort(t)
	s := &httpSolver{listen: listen}
	c := challenge("bot.example.com", "token", "token.print")
	if err := s.Present(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	get := func(path string) (int, string) {
		resp, err := http.Get("http://" + listen + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	if code, text := get("/.well-known/acme-challenge/token"); code != 200 || text != "token.print" {
		t.Errorf("%d %q", code, text)
	}
	for _, path := range []string{"/", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/other"} {
		if code, _ := get(path); code != 404 {
			t.Errorf("%s: %d", path, code)
		}
	}
	// The port is taken: that is said, and what is there stays.
	other := &httpSolver{listen: listen}
	var e *Error
	if err := other.Present(t.Context(), c); !errors.As(err, &e) || e.Hint == "" {
		t.Errorf("a port in use: %v", err)
	}
	if err := errors.Join(other.CleanUp(t.Context(), c), s.CleanUp(t.Context(), c), s.CleanUp(t.Context(), c)); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
	if _, err := net.Dial("tcp", listen); err == nil {
		t.Error("still open")
	}
}

// TestTLSALPN01 obtains a certificate by the handshake of a listener that serves
// something else to everybody else.
func TestTLSALPN01(t *testing.T) {
	for _, host := range []string{"bot.example.com", "127.0.0.1"} {
		t.Run(host, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			a := acmetest.Start(t, 1, ln.Addr().(*net.TCPAddr).Port)
			d := newDesk(t, a, host)
			d.o.Challenge = TLSALPN01
			i, err := New(d.o)
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			defer wg.Wait()
			defer ln.Close()
			wg.Go(func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					wg.Go(func() {
						defer c.Close()
						_ = c.SetDeadline(time.Now().Add(5 * time.Second))
						_ = tls.Server(c, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
							if !i.Challenged() {
								return nil, errors.New("nobody is expected")
							}
							return i.TLSConfig(h), nil
						}}).Handshake()
					})
				}
			})
			ctx, cancel := context.WithCancel(t.Context())
			wg.Go(func() { i.Run(ctx) })
			defer cancel()
			if err := d.next(); err != nil {
				t.Fatal(err)
			}
			d.verified(a, host)
			if i.Challenged() {
				t.Error("still challenged")
			}
			if c := i.TLSConfig(&tls.ClientHelloInfo{ServerName: host, SupportedProtos: []string{"acme-tls/1"}}); c != nil {
				t.Error("still answers")
			}
		})
	}
}

// TestRenewal: a certificate is renewed by the same account when its time has
// come, and what fails leaves it alone.
func TestRenewal(t *testing.T) {
	listen, port := freePort(t)
	a := acmetest.Start(t, port, 1, acmetest.ShortLived)
	d := newDesk(t, a, "bot.example.com")
	d.o.Listen, d.o.Profile = listen, acmetest.ShortLived
	var mu sync.Mutex
	var ahead time.Duration
	d.o.Clock = func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(ahead) }
	i, _ := d.run()
	if err := d.next(); err != nil {
		t.Fatal(err)
	}
	first := d.leaf()
	key, err := os.ReadFile(d.o.AccountFile)
	if err != nil {
		t.Fatal(err)
	}
	if life := first.NotAfter.Sub(first.NotBefore); life > time.Hour {
		t.Fatalf("the profile was not asked for: %v", life)
	}

	mu.Lock()
	ahead = 41 * time.Minute
	mu.Unlock()
	a.Away(true)
	i.Retry()
	var e *Error
	if err := d.next(); !errors.As(err, &e) || e.Hint == "" || strings.Contains(err.Error(), "PRIVATE") {
		t.Errorf("the authority is away: %v", err)
	}
	if f := i.Failed(); f.Err == nil || f.Since.IsZero() || d.leaf() != first {
		t.Errorf("%+v", f)
	}
	a.Away(false)
	d.mu.Lock()
	d.fail = errors.New("disk full")
	d.mu.Unlock()
	i.Retry()
	if err := d.next(); !errors.As(err, &e) || e.Op != "keep" || d.leaf() != first {
		t.Errorf("it can't be kept: %v", err)
	}
	d.mu.Lock()
	d.fail = nil
	d.mu.Unlock()
	i.Retry()
	if err := d.next(); err != nil {
		t.Fatal(err)
	}
	if f := i.Failed(); f.Err != nil || d.leaf() == first {
		t.Errorf("not renewed: %+v", f)
	}
	d.verified(a, "bot.example.com")
	again, err := os.ReadFile(d.o.AccountFile)
	if err != nil || string(again) != string(key) {
		t.Error("another account")
	}
}

// TestChallengeFails: the authority can't reach the host; it says so, and the hint
// says what must be reachable.
func TestChallengeFails(t *testing.T) {
	listen, _ := freePort(t)
	_, elsewhere := freePort(t)
	a := acmetest.Start(t, elsewhere, 1)
	d := newDesk(t, a, "bot.example.com")
	d.o.Listen = listen
	d.run()
	var e *Error
	if err := d.next(); !errors.As(err, &e) || !strings.Contains(e.Hint, listen) || !refused(err) {
		t.Errorf("%v", err)
	}
	if d.leaf() != nil {
		t.Error("something was kept")
	}
}

// TestStopsAtOnce: an authority that doesn't answer can't hold Run up.
func TestStopsAtOnce(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	held := make(chan struct{})
	asked := make(chan struct{}, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-held:
		case <-r.Context().Done():
		}
	})}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(ln) })
	d := newDesk(t, &acmetest.Authority{Directory: "http://" + ln.Addr().String() + "/dir"}, "bot.example.com")
	d.o.Listen = "127.0.0.1:0"
	_, stop := d.run()
	<-asked
	began := time.Now()
	stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if len(d.reports) > 0 {
		t.Errorf("a stop was reported: %v", <-d.reports)
	}
	close(held)
	srv.Close()
	wg.Wait()
	goleak.VerifyNone(t, leaks)
}

func TestOptions(t *testing.T) {
	good := newDesk(t, &acmetest.Authority{}, "bot.example.com").o
	good.Listen = "127.0.0.1:0"
	if i, err := New(good); err != nil || i.o.Directory != LetsEncrypt {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*Options){
		"no host":         func(o *Options) { o.Hosts = nil },
		"no listener":     func(o *Options) { o.Listen = "" },
		"no challenge":    func(o *Options) { o.Challenge = "dns-01" },
		"no file":         func(o *Options) { o.AccountFile = "" },
		"no roots":        func(o *Options) { o.CAFile = empty },
		"no file of them": func(o *Options) { o.CAFile = empty + "x" },
	} {
		o := good
		edit(&o)
		var e *Error
		if _, err := New(o); !errors.As(err, &e) || e.Op != "options" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
