package botapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/memnet"
)

const (
	testToken = "123456789:AAF_fake-token_fake-token_fake-tok3"
	testHost  = "api.example.com:80"
)

// rig is a client and a server in a bubble.
type rig struct {
	t     *testing.T
	net   *memnet.Network
	c     *Client
	mu    sync.Mutex
	calls []Call
}

// bubble runs f with a client for a server with the given handler; a nil handler
// leaves nobody listening. change may alter the options.
func bubble(t *testing.T, h http.Handler, change func(*Options), f func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, net: memnet.New()}
		if h != nil {
			ln, err := r.net.Listen(testHost)
			if err != nil {
				t.Fatal(err)
			}
			defer serveHTTP(ln, h)()
		}
		o := Options{Token: testToken, BaseURL: "http://" + testHost, Dial: r.net.Dial, Observe: func(c Call) {
			r.mu.Lock()
			r.calls = append(r.calls, c)
			r.mu.Unlock()
		}}
		if change != nil {
			change(&o)
		}
		c, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		r.c = c
		defer c.Close()
		f(r)
	})
}

func serveHTTP(ln net.Listener, h http.Handler) func() {
	srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	return func() { _ = srv.Close(); <-done; time.Sleep(5 * time.Minute) }
}

// raw serves each connection by a function that reads one request and may do to
// the connection what no http.Server does.
func raw(t *testing.T, n *memnet.Network, addr string, f func(c net.Conn, r *bufio.Reader)) func() {
	ln, err := n.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); f(c, bufio.NewReader(c)) })
		}
	})
	return func() { _ = ln.Close(); wg.Wait() }
}

// readRequest consumes one request from a raw connection.
func readRequest(r *bufio.Reader) error {
	req, err := http.ReadRequest(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err
}

// answerWith is a handler with one answer.
func answerWith(code int, contentType, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", contentType)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func apiError(code int, description, more string) http.HandlerFunc {
	return answerWith(code, "application/json", fmt.Sprintf(`{"ok":false,"error_code":%d,"description":%q%s}`, code, description, more))
}

func within(d time.Duration) context.Context {
	// The deadline is the only end of it in these tests.
	ctx, cancel := context.WithTimeout(context.Background(), d)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// leaks are the forms of the token that must be nowhere.
var leaks = []string{testToken, strings.Replace(testToken, ":", "%3A", 1), strings.Replace(testToken, ":", "%3a", 1), testToken[10:]}

// noToken walks an error and everything it wraps.
func noToken(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, s := range []string{err.Error(), fmt.Sprintf("%v", err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err), fmt.Sprintf("%q", err)} {
		for _, l := range append(leaks, "hunter2", "/secret-path") {
			if strings.Contains(s, l) {
				t.Errorf("%T leaks %q: %s", err, l, s)
			}
		}
	}
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		noToken(t, u.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range u.Unwrap() {
			noToken(t, e)
		}
	}
}
