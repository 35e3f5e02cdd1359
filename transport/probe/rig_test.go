package probe_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/memnet"
	"dualgram/chaos/pki"
	"dualgram/transport"
	"dualgram/transport/probe"
	"dualgram/transport/webhook"
)

const (
	host     = "bot.example.com"
	path     = "/webhook/pr1vate-p4th"
	hookURL  = "https://bot.example.com:8443" + path
	plainURL = "http://bot.example.com:8443" + path
	public   = "5.45.72.9" // of the webhook
	outside  = "5.45.99.1" // the prober's own, as a listener sees it
	secret   = "s3cret-TOKEN_of-the-bot"
)

var (
	key          = []byte("key-of-the-prober-0123456789abcdef")
	telegramNets = []netip.Prefix{netip.MustParsePrefix("149.154.160.0/20")}
)

// world is a network with a webhook's URL in it, in a bubble.
type world struct {
	t   *testing.T
	net *memnet.Network
	ca  *pki.CA
	// o is what the prober is made of.
	o probe.Options
	// responder is the one of the prober, for listeners.
	responder *probe.Responder

	mu       sync.Mutex
	requests []*http.Request
	hellos   []*tls.ClientHelloInfo
	conns    []*tap
	closers  []func()
}

// inWorld runs test in a new world.
func inWorld(t *testing.T, test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ca, err := pki.NewCA(time.Now(), "Test Root")
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, net: memnet.New(), ca: ca, responder: new(probe.Responder)}
		w.net.Host(host, public)
		w.o = probe.Options{
			URL: hookURL, Key: key, Responder: w.responder, Roots: ca.Pool(),
			Resolver: w.net, Dial: w.net.From(outside).Dial,
		}
		test(w)
		for _, c := range slices.Backward(w.closers) {
			c()
		}
		time.Sleep(time.Second) // net/http lingers after Close
	})
}

// probe probes once. telegram is what is known as Telegram's address; may be empty.
func (w *world) probe(telegram string) probe.Result {
	w.t.Helper()
	return w.prober().Probe(w.t.Context(), addr(telegram))
}

func (w *world) prober() *probe.Prober {
	w.t.Helper()
	p, err := probe.New(w.o)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func addr(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(s)
}

// pair issues a certificate by the world's authority.
func (w *world) pair(l pki.Leaf) tls.Certificate {
	w.t.Helper()
	if len(l.Hosts) == 0 {
		l.Hosts = []string{host}
	}
	p, err := w.ca.Issue(time.Now(), l)
	if err != nil {
		w.t.Fatal(err)
	}
	return p.TLS()
}

func (w *world) listen(at string) net.Listener {
	w.t.Helper()
	ln, err := w.net.Listen(at)
	if err != nil {
		w.t.Fatal(err)
	}
	w.closers = append(w.closers, func() { ln.Close() })
	return tapped{ln, w}
}

// raw has every connection to the webhook's address handled by handle, below TLS.
func (w *world) raw(handle func(net.Conn)) {
	w.rawAt(public+":8443", handle)
}

func (w *world) rawAt(at string, handle func(net.Conn)) {
	ln := w.listen(at)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); handle(c) }()
		}
	}()
}

// secure is raw above TLS.
func (w *world) secure(config *tls.Config, handle func(*tls.Conn)) {
	config = w.watched(config)
	w.raw(func(c net.Conn) {
		tc := tls.Server(c, config)
		if tc.Handshake() == nil {
			handle(tc)
		}
	})
}

// answers is secure, where the request is read and text is the answer.
func (w *world) answers(text string) {
	w.secure(w.good(), func(c *tls.Conn) {
		readRequest(c)
		_, _ = io.WriteString(c, text)
	})
}

func readRequest(c net.Conn) {
	buf := make([]byte, 4096)
	_, _ = c.Read(buf)
}

func (w *world) good() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{w.pair(pki.Leaf{})}}
}

// watched makes the configuration note each hello.
func (w *world) watched(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.hellos = append(w.hellos, h)
		return nil, nil
	}
	return config
}

// site has a plain web server at the webhook's address; TLS if config isn't nil.
func (w *world) site(config *tls.Config, h http.HandlerFunc) {
	ln := w.listen(public + ":8443")
	if config != nil {
		ln = tls.NewListener(ln, w.watched(config))
	}
	srv := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.note(r)
		h(rw, r)
	})}
	go srv.Serve(ln)
	w.closers = append(w.closers, func() { srv.Close() })
}

func (w *world) note(r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests = append(w.requests, r)
}

// hook has a real webhook listener at an address, with a route per path.
func (w *world) hook(at string, config *tls.Config, paths ...string) {
	w.t.Helper()
	if config != nil {
		config = w.watched(config)
	}
	s, err := webhook.New(webhook.Options{
		Listener: w.listen(at), TLS: config,
		AllowConn: func(netip.Addr) bool { return w.responder.Busy() },
		Exempt:    w.responder.Exempt, Probe: w.responder,
		WrapHandler: func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.note(r); h.ServeHTTP(rw, r) })
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(paths) == 0 {
		paths = []string{path}
	}
	for _, p := range paths {
		err := s.Handle(webhook.Route{Bot: p, Path: p, Secrets: func() []string { return []string{secret} }, Networks: telegramNets, Sink: refuser{w.t}})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	w.closers = append(w.closers, func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
}

// refuser is a sink that nothing must reach.
type refuser struct{ t *testing.T }

func (r refuser) Accept(context.Context, transport.Batch) (transport.Receipt, error) {
	r.t.Error("a probe reached the intake")
	return transport.Receipt{}, errors.New("refused")
}

// tapped is a listener that keeps what its connections receive.
type tapped struct {
	net.Listener
	w *world
}

func (l tapped) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	t := &tap{Conn: c}
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.w.conns = append(l.w.conns, t)
	return t, nil
}

type tap struct {
	net.Conn
	mu  sync.Mutex
	got []byte
}

func (t *tap) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.got = append(t.got, b[:n]...)
	return n, err
}

func (t *tap) received() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.got)
}

// reset ends a connection with a RST.
func reset(c net.Conn) {
	switch c := c.(type) {
	case *tls.Conn:
		reset(c.NetConn())
	case *tap:
		reset(c.Conn)
	case *memnet.Conn:
		_ = c.Reset()
	}
}

// seen returns the requests that a server got.
func (w *world) seen() []*http.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*http.Request(nil), w.requests...)
}

// check holds what is true of every probe.
func (w *world) check(r probe.Result) {
	w.t.Helper()
	if r.OK != (r.Stage == "" && r.Reason == "" && r.Detail == "") {
		w.t.Errorf("OK and the reason contradict each other: %+v", r)
	}
	if r.Impostor && r.Stage != probe.StageProof {
		w.t.Errorf("an impostor in stage %q", r.Stage)
	}
	for _, f := range r.Advice {
		if f.Code == string(r.Reason) {
			w.t.Errorf("%s is both failure and advice", f.Code)
		}
	}
	if limit := max(w.o.Timeout, probe.DefaultTimeout); r.Took > limit {
		w.t.Errorf("took %v, more than %v", r.Took, limit)
	}
	if w.responder.Busy() {
		w.t.Error("busy after the probe")
	}
	private := []string{string(key), hex.EncodeToString(key), path, strings.TrimPrefix(path, "/webhook/"), secret}
	for _, q := range w.seen() {
		if len(q.Header[webhook.SecretHeader]) > 0 {
			w.t.Error("the secret header was sent")
		}
		private = append(private, q.Header.Get(probe.ChallengeHeader))
	}
	text := fmt.Sprintf("%+v %#v", r, r)
	for _, p := range private {
		if p != "" && strings.Contains(text, p) {
			w.t.Errorf("%q stands in the result: %s", p, text)
		}
	}
}
