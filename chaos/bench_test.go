package chaos

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"
)

// What the injectors cost when nothing is wrong: an atomic load each.

type nopWriter struct{}

func (nopWriter) Header() http.Header         { return nil }
func (nopWriter) Write(p []byte) (int, error) { return len(p), nil }
func (nopWriter) WriteHeader(int)             {}

type nopTripper struct{}

func (nopTripper) RoundTrip(*http.Request) (*http.Response, error) { return nil, nil }

type nopConn struct{ net.Conn }

func (nopConn) Read(p []byte) (int, error)      { return len(p), nil }
func (nopConn) Write(p []byte) (int, error)     { return len(p), nil }
func (nopConn) SetReadDeadline(time.Time) error { return nil }

func BenchmarkIdle(b *testing.B) {
	reg := New(Options{Enabled: true})
	req, _ := http.NewRequest(http.MethodPost, "https://x/bot1:a/getMe", nil)
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	c := newConn(nopConn{}, &listener{reg: reg.Scope()})
	buf := make([]byte, 1024)
	h, rt, hook := reg.Handler(next), reg.RoundTripper(nopTripper{}), reg.Hook(SeamStore)
	for name, f := range map[string]func(){
		"handler/bare":      func() { next.ServeHTTP(nopWriter{}, req) },
		"handler":           func() { h.ServeHTTP(nopWriter{}, req) },
		"roundtripper/bare": func() { _, _ = nopTripper{}.RoundTrip(req) },
		"roundtripper":      func() { _, _ = rt.RoundTrip(req) },
		"hook":              func() { _ = hook(context.Background(), "commit") },
		"conn.Read":         func() { _, _ = c.Read(buf) },
		"conn.Write":        func() { _, _ = c.Write(buf) },
		"conn.SetDeadline":  func() { _ = c.SetReadDeadline(time.Time{}) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}
