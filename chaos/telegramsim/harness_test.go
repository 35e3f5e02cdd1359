package telegramsim

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/memnet"
)

const (
	token  = "7:AAtoken"
	botID  = int64(7)
	botIP  = "45.1.1.1"
	hookAt = "http://bot.example.com/hook"
)

// world is a simulator on a network of its own, in a bubble.
type world struct {
	*testing.T
	n    *memnet.Network
	s    *Sim
	tr   *http.Transport
	zero time.Time
}

// bubble runs f in a bubble with a world in it; local mode allows plain http.
func bubble(t *testing.T, o Options, f func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.Host("bot.example.com", botIP)
		n.Host("api.telegram.org", "45.2.2.2")
		if o.Dial == nil {
			o.Dial = n.From("149.154.167.220").Dial
		}
		s := New(o)
		s.SetHost("bot.example.com", botIP)
		if _, err := s.AddBot(token); err != nil {
			t.Fatal(err)
		}
		ln, err := n.Listen("api.telegram.org:80")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() { defer close(served); s.Serve(ln) }()
		w := &world{T: t, n: n, s: s, tr: &http.Transport{DialContext: n.Dial}, zero: time.Now()}
		defer func() {
			s.Close()
			<-served
			w.tr.CloseIdleConnections()
			time.Sleep(time.Minute) // net/http's last timers
		}()
		f(w)
	})
}

func local(t *testing.T, f func(*world)) { t.Helper(); bubble(t, Options{Local: true, Seed: 1}, f) }
func cloud(t *testing.T, f func(*world)) { t.Helper(); bubble(t, Options{Seed: 1}, f) }

// at is the virtual time since the world began, in whole milliseconds.
func (w *world) at() time.Duration { return time.Since(w.zero).Truncate(time.Millisecond) }

// result is what came back from a call.
type result struct {
	Code        int
	OK          bool            `json:"ok"`
	Result      json.RawMessage `json:"result"`
	ErrorCode   int             `json:"error_code"`
	Description string          `json:"description"`
	Parameters  struct {
		RetryAfter int `json:"retry_after"`
	} `json:"parameters"`
	Header http.Header
	Raw    []byte
	Err    error
}

// args are parameters in pairs.
func (w *world) call(method string, args ...string) result {
	w.Helper()
	return w.do(context.Background(), method, args...)
}

func (w *world) do(ctx context.Context, method string, args ...string) result {
	v := url.Values{}
	for i := 0; i+1 < len(args); i += 2 {
		v.Set(args[i], args[i+1])
	}
	return w.post(ctx, method, "application/x-www-form-urlencoded", strings.NewReader(v.Encode()))
}

func (w *world) post(ctx context.Context, method, contentType string, body io.Reader) result {
	req, _ := http.NewRequestWithContext(ctx, "POST", "http://api.telegram.org/bot"+token+"/"+method, body)
	req.Header.Set("Content-Type", contentType)
	return w.send(req)
}

func (w *world) send(req *http.Request) result {
	resp, err := w.tr.RoundTrip(req)
	if err != nil {
		return result{Err: err}
	}
	defer resp.Body.Close()
	r := result{Code: resp.StatusCode, Header: resp.Header}
	r.Raw, r.Err = io.ReadAll(resp.Body)
	_ = json.Unmarshal(r.Raw, &r)
	return r
}

// goCall makes a call in the background.
func (w *world) goCall(method string, args ...string) <-chan result {
	ch := make(chan result, 1)
	go func() { ch <- w.do(context.Background(), method, args...) }()
	synctest.Wait()
	return ch
}

// must fails the test unless the call has the given code and description.
func (w *world) want(r result, code int, description string) {
	w.Helper()
	if r.Err != nil || r.Code != code || r.Description != description {
		w.Errorf("got %d %q (%v), want %d %q", r.Code, r.Description, r.Err, code, description)
	}
}

// set registers a webhook and waits a second, so that the next set is allowed.
func (w *world) set(args ...string) {
	w.Helper()
	if !slices.Contains(args, "url") {
		args = append(args, "url", hookAt)
	}
	w.want(w.call("setWebhook", args...), 200, "Webhook was set")
	time.Sleep(time.Second)
}

func (w *world) push(u Update) int64 {
	w.Helper()
	id, err := w.s.Push(botID, u)
	if err != nil {
		w.Fatalf("push %s: %v", u.Kind, err)
	}
	return id
}

// ids polls and returns the ids of the page.
func (w *world) ids(args ...string) []int64 {
	w.Helper()
	r := w.call("getUpdates", args...)
	if r.Code != 200 {
		w.Fatalf("getUpdates: %d %s %v", r.Code, r.Description, r.Err)
	}
	return pageIDs(w.T, r)
}

func pageIDs(t *testing.T, r result) []int64 {
	t.Helper()
	var page []struct {
		ID int64 `json:"update_id"`
	}
	if err := json.Unmarshal(r.Result, &page); err != nil {
		t.Fatalf("page %.200s: %v", r.Raw, err)
	}
	out := []int64{}
	for _, u := range page {
		out = append(out, u.ID)
	}
	return out
}

func (w *world) info() WebhookInfo {
	w.Helper()
	i, err := w.s.Info(botID)
	if err != nil {
		w.Fatal(err)
	}
	return i
}

func (w *world) record(id int64) Record {
	w.Helper()
	r, err := w.s.Record(botID, id)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func equal[T comparable](w *world, what string, got, want []T) {
	w.Helper()
	if !slices.Equal(got, want) {
		w.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// arrival is one request at the webhook.
type arrival struct {
	ID     int64 `json:"update_id"`
	At     time.Duration
	Header http.Header
	Body   []byte
	Remote string
}

// server is a webhook on the network.
type server struct {
	w   *world
	mu  sync.Mutex
	got []arrival
	fn  http.HandlerFunc
}

// listen starts a webhook. The handler may be nil (200).
func (w *world) listen(addr string, cfg *tls.Config, fn http.HandlerFunc) *server {
	w.Helper()
	ln, err := w.n.Listen(addr)
	if err != nil {
		w.Fatal(err)
	}
	if cfg != nil {
		ln = tls.NewListener(ln, cfg)
	}
	s := &server{w: w, fn: fn}
	srv := &http.Server{Handler: s, ErrorLog: quiet()}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(ln) }()
	w.Cleanup(func() { srv.Close(); <-done; time.Sleep(time.Minute) })
	return s
}

func (s *server) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	a := arrival{At: s.w.at(), Header: r.Header, Remote: r.RemoteAddr}
	a.Body, _ = io.ReadAll(r.Body)
	_ = json.Unmarshal(a.Body, &a)
	s.mu.Lock()
	s.got = append(s.got, a)
	fn := s.fn
	s.mu.Unlock()
	if fn != nil {
		fn(rw, r)
	}
}

func (s *server) handle(fn http.HandlerFunc) { s.mu.Lock(); s.fn = fn; s.mu.Unlock() }

func (s *server) arrivals() []arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *server) ids() (out []int64) {
	for _, a := range s.arrivals() {
		out = append(out, a.ID)
	}
	return out
}

// times are the arrivals in whole seconds.
func (s *server) times() (out []int) {
	for _, a := range s.arrivals() {
		out = append(out, int(a.At/time.Second))
	}
	return out
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// raw serves each connection with f, which gets what is read from it.
func (w *world) raw(addr string, f func(net.Conn)) {
	w.Helper()
	ln, err := w.n.Listen(addr)
	if err != nil {
		w.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); f(c) })
		}
	})
	w.Cleanup(func() { w.s.Close(); ln.Close(); wg.Wait() })
}

// request reads one request off a raw connection.
func request(c net.Conn) []byte {
	var all []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		all = append(all, buf[:n]...)
		if i := bytes.Index(all, []byte("\r\n\r\n")); i >= 0 {
			var length int
			for _, line := range strings.Split(string(all[:i]), "\r\n") {
				fmt.Sscanf(line, "Content-Length: %d", &length)
			}
			if len(all) >= i+4+length {
				return all
			}
		}
		if err != nil {
			return all
		}
	}
}

// certSpec says what certificate to mint.
type certSpec struct {
	cn   string
	dns  []string
	ips  []string
	from time.Duration // NotBefore, relative to now
	life time.Duration
	by   *minted // nil: self-signed
	ca   bool
}

type minted struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	tls  tls.Certificate
	pem  []byte
}

func mint(t testing.TB, c certSpec) *minted {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if c.life == 0 {
		c.life = 24 * time.Hour
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: c.cn}, DNSNames: c.dns,
		NotBefore: time.Now().Add(c.from - time.Hour), NotAfter: time.Now().Add(c.life),
		IsCA: c.ca, BasicConstraintsValid: true,
	}
	for _, ip := range c.ips {
		tmpl.IPAddresses = append(tmpl.IPAddresses, net.ParseIP(ip))
	}
	parent, signer := tmpl, key
	if c.by != nil {
		parent, signer = c.by.cert, c.by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	m := &minted{key: key, tls: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}
	m.cert, _ = x509.ParseCertificate(der)
	m.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return m
}

func (m *minted) config() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{m.tls}} }

func pool(ms ...*minted) *x509.CertPool {
	p := x509.NewCertPool()
	for _, m := range ms {
		p.AddCert(m.cert)
	}
	return p
}
