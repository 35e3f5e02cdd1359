package chaos

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"dualgram/chaos/memnet"
)

// TestScope: a fault with a scope acts through the injectors of that name only, at
// every seam, and one without acts through all.
func TestScope(t *testing.T) { bubble(t, "every seam", testScope) }

func testScope(t *testing.T) {
	for _, c := range []struct {
		scope              string
		orders, other, all bool
	}{
		{"orders", true, false, false},
		{"", true, true, true},
		{"nobody", false, false, false},
	} {
		r := newRegistry(t, Options{})
		for name, s := range map[string]struct {
			in   *Scope
			acts bool
		}{"orders": {r.Scope("orders", "billing"), c.orders}, "other": {r.Scope("other"), c.other}, "": {r.Scope(), c.all}} {
			http5 := s.in.Handler(okHandler())
			api := s.in.RoundTripper(tripFunc(func(req *http.Request) (*http.Response, error) { return response(req, 200, "", ""), nil }))
			hook := s.in.Hook(SeamStore)
			n := memnet.New()
			dial := s.in.Dial(n.Dial)
			conf := s.in.TLSConfig(&tls.Config{MinVersion: tls.VersionTLS12})
			ln, err := n.Listen("127.0.0.1:80")
			if err != nil {
				t.Fatal(err)
			}
			ln = s.in.Listener(ln)
			probe := func(kind Kind, hits func() bool) {
				l, err := r.Inject(Spec{Kind: kind, Scope: c.scope})
				if err != nil {
					t.Fatal(err)
				}
				if got := hits(); got != s.acts {
					t.Errorf("%s with scope %q at %q: acted %v", kind, c.scope, name, got)
				}
				l.End()
			}
			probe("http.status", func() bool { return hit(http5) })
			arrive := s.in.Request()
			probe("http.wrong_secret", func() bool {
				req := httptest.NewRequest(http.MethodPost, "/", nil)
				if arrive(req); req.Header.Get(secretHeader) != "" {
					t.Error("a request without a secret got one")
				}
				req.Header.Set(secretHeader, "right")
				return arrive(req).Header.Get(secretHeader) != "right"
			})
			probe("botapi.5xx", func() bool {
				resp, err := api.RoundTrip(httptest.NewRequest(http.MethodGet, "/bot1:x/getMe", nil))
				return err != nil || resp.StatusCode != 200
			})
			probe("store.fail", func() bool { return hook(context.Background(), "commit") != nil })
			probe("dial.refused", func() bool {
				conn, err := dial(context.Background(), "tcp", "127.0.0.1:80")
				if err == nil {
					conn.Close()
				}
				return err != nil
			})
			look := s.in.ProbeDial(n.Dial)
			for _, how := range []struct {
				word string
				err  error
			}{{"refused", syscall.ECONNREFUSED}, {"hang", context.DeadlineExceeded}} {
				l, err := r.Inject(Spec{Kind: "probe.fail", Scope: c.scope, Params: map[string]string{"how": how.word}})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				conn, err := look(ctx, "tcp", "127.0.0.1:80")
				if err == nil {
					conn.Close()
				}
				if errors.Is(err, how.err) != s.acts {
					t.Errorf("probe.fail %s with scope %q at %q: %v", how.word, c.scope, name, err)
				}
				cancel()
				l.End()
			}
			probe("tls.old_version", func() bool {
				got, err := conf.GetConfigForClient(&tls.ClientHelloInfo{})
				return err != nil || got != nil
			})
			probe("net.accept_error", func() bool {
				conn, err := n.Dial(context.Background(), "tcp", "127.0.0.1:80")
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				in, err := ln.Accept()
				if err == nil {
					in.Close()
				}
				return err != nil
			})
			ln.Close()
		}
	}
}

// TestAttached: a fault is attached where an injector is in use that would carry it
// out, at the very seam and for the very part of the process.
func TestAttached(t *testing.T) {
	r := newRegistry(t, Options{})
	attached := func(kind Kind, scope string) bool {
		t.Helper()
		s, err := r.Plan(Spec{Kind: kind, Scope: scope, For: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return s.Attached
	}
	want := func(what string, kind Kind, scope string, want bool) {
		t.Helper()
		if got := attached(kind, scope); got != want {
			t.Errorf("%s: %s with scope %q is attached %v", what, kind, scope, got)
		}
	}
	for _, k := range []Kind{"store.fail", "delivery.fail", "probe.fail", "tls.expired", "http.wrong_secret"} {
		want("nothing in use", k, "", false)
	}
	r.Hook(SeamStore)
	want("store", "store.fail", "", true)
	want("store", "delivery.fail", "", false)
	want("store", "store.fail", "orders", false)
	orders := r.Scope("orders", "billing")
	orders.Hook(SeamDelivery)
	want("delivery of two", "delivery.fail", "", true)
	want("delivery of two", "delivery.fail", "billing", true)
	want("delivery of two", "delivery.fail", "other", false)
	orders.ProbeDial(nil)
	want("probe", "probe.fail", "orders", true)
	want("probe", "dial.dns", "orders", false)
	orders.Handler(okHandler())
	want("handler only", "http.status", "orders", true)
	want("handler only", "http.wrong_secret", "orders", false)
	orders.Request()
	want("request", "http.wrong_secret", "orders", true)
	n := memnet.New()
	ln, err := n.Listen("127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	ln = orders.Listener(ln)
	want("listener", "net.blackhole", "orders", true)
	want("listener", "net.blackhole", "other", false)
	ln.Close()
	want("listener closed", "net.blackhole", "", false)
}
