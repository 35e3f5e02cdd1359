package chaos

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/memnet"
	"dualgram/chaos/pki"
)

const (
	host   = "bot.example.com"
	secret = "the-right-secret"
)

// rig is an HTTPS server with every server-side injector in it, on a network
// in memory. It lives in a bubble.
type rig struct {
	t       *testing.T
	net     *memnet.Network
	reg     *Registry
	root    *pki.CA
	pair    *pki.Pair
	handled atomic.Int64
	srv     *http.Server
	base    *tls.Config
}

type rigOptions struct {
	chaos   Options
	reopen  bool
	noChain bool
	setup   func(*rig)
}

func newRig(t *testing.T, o rigOptions) *rig {
	t.Helper()
	o.chaos.Enabled = true
	r := &rig{t: t, net: memnet.New(), reg: New(o.chaos)}
	var err error
	if r.root, err = pki.NewCA(time.Now(), "Test Root"); err != nil {
		t.Fatal(err)
	}
	ca := r.root
	if !o.noChain {
		if ca, err = r.root.Intermediate(time.Now(), "Test Intermediate"); err != nil {
			t.Fatal(err)
		}
	}
	if r.pair, err = ca.Issue(time.Now(), pki.Leaf{Hosts: []string{host}}); err != nil {
		t.Fatal(err)
	}
	good := r.pair.TLS()
	r.base = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &good, nil }}
	ln, err := r.net.Listen(host + ":443")
	if err != nil {
		t.Fatal(err)
	}
	if o.reopen {
		ln = r.reg.ReopenListener(ln, func() (net.Listener, error) { return r.net.Listen(host + ":443") })
	} else {
		ln = r.reg.Listener(ln)
	}
	// As in the webhook's server: what judges a request stands before Handler's faults.
	arrive, inner := r.reg.Request(), r.reg.Handler(http.HandlerFunc(r.serve))
	r.srv = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req = arrive(req); req.Header.Get(secretHeader) != secret {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			inner.ServeHTTP(w, req)
		}),
		TLSConfig: r.reg.TLSConfig(r.base),
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	if o.setup != nil {
		o.setup(r)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = r.srv.ServeTLS(ln, "", "") }()
	t.Cleanup(func() {
		_ = r.srv.Close()
		<-done
		_ = r.reg.Close()
		time.Sleep(time.Minute) // net/http's own linger timers
	})
	return r
}

func (r *rig) serve(w http.ResponseWriter, req *http.Request) {
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return
	}
	r.handled.Add(1)
	_, _ = io.WriteString(w, "ok")
}

// client keeps connections alive and resumes sessions, and gives up after
// 20 s.
func (r *rig) client() *client {
	tr := &http.Transport{
		DialContext:     r.net.Dial,
		TLSClientConfig: &tls.Config{RootCAs: r.root.Pool(), ClientSessionCache: tls.NewLRUClientSessionCache(8)},
	}
	r.t.Cleanup(tr.CloseIdleConnections)
	return &client{tr: tr, http: &http.Client{Transport: tr, Timeout: 20 * time.Second}}
}

type client struct {
	tr   *http.Transport
	http *http.Client
	last *tls.ConnectionState
}

// post sends an update and returns the status, or 0 and the error.
func (c *client) post() (int, error) {
	synctest.Wait() // let the transport notice what has been closed
	return c.post1()
}

// post1 is post for several goroutines at once.
func (c *client) post1() (int, error) {
	req, _ := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://"+host+"/webhook/orders", strings.NewReader(`{"update_id":1}`))
	req.Header.Set("X-Telegram-Bot-Api-Secret-Token", secret)
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	c.last = resp.TLS
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// fresh makes the next post dial anew.
func (c *client) fresh() { c.tr.CloseIdleConnections(); synctest.Wait() }

func (r *rig) inject(s Spec) *Lease {
	r.t.Helper()
	l, err := r.reg.Inject(s)
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

func wantOK(t *testing.T, c *client, when string) {
	t.Helper()
	if status, err := c.post(); status != 200 {
		t.Fatalf("%s: status %d, error %v", when, status, err)
	}
}

// bubble runs f in a bubble under a name.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// isExpired reports whether err is an x509 error that says expired.
func isExpired(err error) bool {
	for ; err != nil; err = unwrap(err) {
		if e, ok := err.(x509.CertificateInvalidError); ok {
			return e.Reason == x509.Expired
		}
	}
	return false
}

func unwrap(err error) error {
	u, ok := err.(interface{ Unwrap() error })
	if !ok {
		return nil
	}
	return u.Unwrap()
}
