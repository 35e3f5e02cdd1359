package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// discard is for servers that would log what the test breaks on purpose.
var discard = log.New(io.Discard, "", 0)

// proxyMood is what a front does with requests.
type proxyMood int32

const (
	proxyPasses   proxyMood = iota
	proxyBadGate            // 502, and nothing reaches dualgram
	proxyHalf               // the headers go on, the body never follows
	proxyNameless           // X-Forwarded-For is left out
	proxyImpostor           // 200, and nothing reaches dualgram
	proxyLossy              // dualgram answers, and two of three answers don't get back
)

// front is a reverse proxy that ends TLS before dualgram, as nginx would.
type front struct {
	addr   string
	target string
	mood   atomic.Int32
	lossy  atomic.Int64 // answers that proxyLossy has had to do with
	// stuck, if not nil, tells which bodies are answered with 502 whatever the
	// mood: one chat can be stuck while the others go on.
	stuck atomic.Pointer[func(body []byte) bool]
}

// newFront puts a proxy between Telegram and the listener, which speaks plain
// HTTP from then on.
func (w *world) newFront() *front {
	f := &front{addr: freeAddr(w.t), target: w.conf.Listen}
	pair, err := tls.LoadX509KeyPair(w.file("cert.pem"), w.file("key.pem"))
	if err != nil {
		w.t.Fatal(err)
	}
	ln, err := listenAt(f.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	serve(w.t, tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{pair}}), f)
	w.path.target = f.addr
	w.conf.TLS = "off"
	w.conf.Webhook = "trusted_proxies: [127.0.0.0/8]"
	return f
}

// serve runs an HTTP server until the test's end.
func serve(t testing.TB, ln net.Listener, h http.Handler) {
	srv := &http.Server{Handler: h, ErrorLog: discard}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(ln) })
	t.Cleanup(func() { srv.Close(); wg.Wait() })
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mood := proxyMood(f.mood.Load())
	if stuck := f.stuck.Load(); stuck != nil && *stuck != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil || (*stuck)(body) {
			http.Error(w, "bad gateway", http.StatusBadGateway)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	switch mood {
	case proxyBadGate:
		http.Error(w, "bad gateway", http.StatusBadGateway)
		return
	case proxyImpostor:
		_, _ = io.WriteString(w, "welcome")
		return
	case proxyLossy:
		if f.lossy.Add(1)%3 != 0 {
			f.proxy(mood).ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
	case proxyHalf:
		f.half(r)
		http.Error(w, "gateway timeout", http.StatusGatewayTimeout)
		return
	}
	f.proxy(mood).ServeHTTP(w, r)
}

func (f *front) proxy(mood proxyMood) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{ErrorLog: discard, Rewrite: func(pr *httputil.ProxyRequest) {
		pr.SetURL(&url.URL{Scheme: "http", Host: f.target})
		pr.Out.Host = pr.In.Host
		if mood != proxyNameless {
			pr.SetXForwarded()
		}
	}}
}

// half sends the headers of the request on and keeps the body.
func (f *front) half(r *http.Request) {
	c, err := net.DialTimeout("tcp", f.target, time.Second)
	if err != nil {
		return
	}
	defer c.Close()
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nX-Forwarded-For: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n",
		r.URL.RequestURI(), r.Host, max(r.ContentLength, 1))
	fmt.Fprintf(c, "X-Telegram-Bot-Api-Secret-Token: %s\r\n\r\n", r.Header.Get("X-Telegram-Bot-Api-Secret-Token"))
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
	defer cancel()
	for ctx.Err() == nil && proxyMood(f.mood.Load()) == proxyHalf {
		time.Sleep(50 * time.Millisecond)
	}
}
