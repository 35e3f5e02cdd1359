package chaos

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// hit sends one request through the registry's handler and reports whether
// http.status hit it.
func hit(h http.Handler) bool {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/webhook/orders", nil))
	return w.Code == 500
}

func okHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
}

func newRegistry(t *testing.T, o Options) *Registry {
	o.Enabled = true
	r := New(o)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func TestLease(t *testing.T) {
	bubble(t, "ends to the nanosecond", func(t *testing.T) {
		r := newRegistry(t, Options{})
		h := r.Handler(okHandler())
		l, _ := r.Inject(Spec{Kind: "http.status", For: 6 * time.Second})
		time.Sleep(6*time.Second - 1)
		if !hit(h) {
			t.Error("over before its time")
		}
		time.Sleep(time.Nanosecond)
		if hit(h) {
			t.Error("still there at the end of its lease")
		}
		synctest.Wait()
		if err := l.Renew(time.Second); !errors.Is(err, ErrEnded) {
			t.Errorf("renewed a dead lease: %v", err)
		}
		if hit(h) {
			t.Error("renewing revived it")
		}
	})
	bubble(t, "needs no timer and no goroutine", func(t *testing.T) {
		r := newRegistry(t, Options{})
		h := r.Handler(okHandler())
		l, _ := r.Inject(Spec{Kind: "http.status", For: 6 * time.Second})
		if !l.f.timer.Stop() {
			t.Fatal("no timer")
		}
		time.Sleep(6 * time.Second)
		if hit(h) || len(r.List()) != 0 {
			t.Error("outlived its lease because a timer did not run")
		}
		if err := l.Renew(time.Second); !errors.Is(err, ErrEnded) {
			t.Errorf("renewed: %v", err)
		}
		r.expiries.Done()
		l.End()
	})
	bubble(t, "lives as long as its runner renews, and no longer", func(t *testing.T) {
		r := newRegistry(t, Options{})
		h := r.Handler(okHandler())
		l, _ := r.Inject(Spec{Kind: "http.status", For: 6 * time.Second})
		for range 10 {
			time.Sleep(2 * time.Second)
			if err := l.Renew(6 * time.Second); err != nil {
				t.Fatal(err)
			}
		}
		// The runner hangs here.
		time.Sleep(6*time.Second - 1)
		if !hit(h) {
			t.Error("over before its time")
		}
		time.Sleep(time.Nanosecond)
		if hit(h) {
			t.Error("outlived its runner")
		}
	})
	bubble(t, "a hung observer keeps nothing alive", func(t *testing.T) {
		free := make(chan struct{})
		r := New(Options{Enabled: true, OnChange: func(Change) { <-free }})
		h := r.Handler(okHandler())
		go func() { _, _ = r.Inject(Spec{Kind: "http.status", For: time.Second}) }()
		synctest.Wait()
		if !hit(h) {
			t.Error("not injected")
		}
		time.Sleep(time.Second)
		if hit(h) {
			t.Error("outlived its lease")
		}
		close(free)
		synctest.Wait()
		_ = r.Close()
	})
	bubble(t, "Close waits for an end that is being told", func(t *testing.T) {
		free := make(chan struct{})
		r := New(Options{Enabled: true, OnChange: func(c Change) {
			if c.Event == EventExpired {
				<-free
			}
		}})
		_, _ = r.Inject(Spec{Kind: "http.status", For: time.Second})
		time.Sleep(2 * time.Second)
		closed := make(chan struct{})
		go func() { _ = r.Close(); close(closed) }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close left a goroutine behind")
		default:
		}
		close(free)
		<-closed
	})
	bubble(t, "shorter by renewal", func(t *testing.T) {
		r := newRegistry(t, Options{})
		l, _ := r.Inject(Spec{Kind: "http.status", For: time.Minute})
		if err := l.Renew(time.Second); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		select {
		case <-l.Done():
		default:
			t.Error("still there")
		}
		if err := l.Renew(0); !errors.Is(err, ErrSpec) {
			t.Errorf("renewing for nothing: %v", err)
		}
	})
	bubble(t, "hard cap", func(t *testing.T) {
		r := newRegistry(t, Options{})
		if _, err := r.Inject(Spec{Kind: "http.status", For: MaxLease + 1}); !errors.Is(err, ErrSpec) {
			t.Errorf("beyond the cap: %v", err)
		}
		l, err := r.Inject(Spec{Kind: "http.status", For: MaxLease})
		if err != nil {
			t.Fatal(err)
		}
		h := r.Handler(okHandler())
		time.Sleep(MaxLease - time.Second)
		if err := l.Renew(time.Hour); err != nil {
			t.Fatal(err)
		}
		if left := l.Status().Remaining; left != time.Second {
			t.Errorf("remaining %v, want 1s", left)
		}
		time.Sleep(time.Second)
		if hit(h) {
			t.Error("outlived the cap")
		}
	})
}

// TestMost: a fault that is given a whole life is not renewed beyond it.
func TestMost(t *testing.T) {
	bubble(t, "cap of its own", func(t *testing.T) {
		r := newRegistry(t, Options{})
		for _, most := range []time.Duration{-1, time.Second, MaxLease + 1} {
			if _, err := r.Plan(Spec{Kind: "http.status", For: 6 * time.Second, Most: most}); !errors.Is(err, ErrSpec) {
				t.Errorf("most %v: %v", most, err)
			}
		}
		h := r.Handler(okHandler())
		l, err := r.Inject(Spec{Kind: "http.status", For: 6 * time.Second, Most: 20 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			time.Sleep(4 * time.Second)
			if err := l.Renew(6 * time.Second); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(4*time.Second - 1)
		if !hit(h) {
			t.Error("over before its time")
		}
		time.Sleep(time.Nanosecond)
		if err := l.Renew(6 * time.Second); hit(h) || !errors.Is(err, ErrEnded) {
			t.Errorf("renewed beyond its whole life: %v", err)
		}
	})
}

func TestLocks(t *testing.T) {
	bubble(t, "disabled", func(t *testing.T) {
		var none *Registry
		for _, r := range []*Registry{New(Options{}), none} {
			_, err := r.Inject(Spec{Kind: "http.status"})
			if !errors.Is(err, ErrDisabled) || !strings.Contains(err.Error(), "chaos.enabled") {
				t.Errorf("inject: %v", err)
			}
			h := okHandler()
			if fmt.Sprintf("%p", r.Handler(h)) != fmt.Sprintf("%p", h) || r.RoundTripper(http.DefaultTransport) != http.DefaultTransport ||
				r.Hook(SeamStore) != nil || r.TLSConfig(nil) != nil || r.Listener(nil) != nil || r.Dial(nil) != nil || r.ProbeDial(nil) != nil {
				t.Error("an injector is not what it was given")
			}
			r.Clear()
			if len(r.List()) != 0 || r.Close() != nil {
				t.Error("list or close")
			}
		}
	})
	bubble(t, "leashed", func(t *testing.T) {
		r := newRig(t, rigOptions{reopen: true, chaos: Options{Leashed: true, Destructive: true, Exit: func(string) { panic("exit") }}})
		c := r.client()
		wantOK(t, c, "before")
		for _, k := range Kinds() {
			s := Spec{Kind: k.Kind, Count: 2}
			if k.Whole {
				s.Count = 0
			}
			if k.Kind == "crash.at" {
				s.Params = map[string]string{"point": "commit"}
			}
			r.inject(s)
		}
		for range 5 {
			wantOK(t, c, "leashed, warm")
			c.fresh()
			wantOK(t, c, "leashed, new connection")
		}
		if err := r.reg.Hook(SeamStore)(context.Background(), "commit"); err != nil {
			t.Error(err)
		}
		for _, s := range r.reg.List() {
			if s.Fired != 0 || !s.Leashed {
				t.Errorf("%s: fired %d, leashed %v", s.Spec.Kind, s.Fired, s.Leashed)
			}
			want := uint64(2)
			switch {
			case s.Spec.Kind == "crash.at" || s.Info.Layer == "store":
				want = 1
			case s.Info.Layer == "botapi" || s.Info.Layer == "dial" || s.Info.Layer == "probe" || s.Info.Layer == "delivery" || s.Info.Layer == "clock":
				want = 0
			case s.Spec.Kind == "http.impostor": // nobody probes
				want = 0
			case s.Spec.Kind == "net.stop_accept" || s.Spec.Kind == "net.accept_error": // they take no count
				want = 5
			}
			if s.Would != want {
				t.Errorf("%s: would have fired %d times, want %d", s.Spec.Kind, s.Would, want)
			}
		}
	})
	bubble(t, "leashed refusal keeps the socket and counts once", func(t *testing.T) {
		r := newRig(t, rigOptions{reopen: true, chaos: Options{Leashed: true}})
		l := r.inject(Spec{Kind: "net.refuse"})
		for range 3 {
			wantOK(t, r.client(), "leashed")
		}
		if got := l.Status().Would; got != 3 {
			t.Errorf("would have fired %d times for 3 connections", got)
		}
	})
	bubble(t, "destructive", func(t *testing.T) {
		r := newRegistry(t, Options{Exit: func(string) {}})
		if _, err := r.Inject(Spec{Kind: "crash.at", Params: map[string]string{"point": "x"}}); !errors.Is(err, ErrDestructive) {
			t.Errorf("got %v", err)
		}
	})
	bubble(t, "closed", func(t *testing.T) {
		r := New(Options{Enabled: true})
		h := r.Handler(okHandler())
		l, _ := r.Inject(Spec{Kind: "http.status"})
		_ = r.Close()
		if _, err := r.Inject(Spec{Kind: "http.status"}); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
		if hit(h) || l.Renew(time.Second) == nil {
			t.Error("a fault survived Close")
		}
	})
}

func TestSpecRefused(t *testing.T) {
	r := New(Options{Enabled: true, Destructive: true})
	p := func(kv ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return m
	}
	for _, tt := range []struct {
		spec Spec
		want error
		says string
	}{
		{Spec{Kind: "no.such"}, ErrUnknownKind, "no.such"},
		{Spec{Kind: "http.status", For: -1}, ErrSpec, "for is"},
		{Spec{Kind: "http.status", Share: -0.1}, ErrSpec, "share"},
		{Spec{Kind: "http.status", Share: 1.1}, ErrSpec, "share"},
		{Spec{Kind: "http.status", Share: math.NaN()}, ErrSpec, "share"},
		{Spec{Kind: "http.status", Count: -1}, ErrSpec, "count"},
		{Spec{Kind: "http.status", Delay: -1}, ErrSpec, "delay"},
		{Spec{Kind: "http.hang", Delay: 1}, ErrSpec, "takes no delay"},
		{Spec{Kind: "net.stop_accept", Share: 0.5}, ErrSpec, "all or nothing"},
		{Spec{Kind: "net.stop_accept", Count: 1}, ErrSpec, "all or nothing"},
		{Spec{Kind: "http.status", Params: p("cod", "500")}, ErrSpec, `unknown parameter "cod"; it takes code, path`},
		{Spec{Kind: "net.blackhole", Params: p("x", "1")}, ErrSpec, "takes no parameters"},
		{Spec{Kind: "net.slow", Params: p("rate", "-1")}, ErrSpec, "rate"},
		{Spec{Kind: "net.slow", Params: p("piece", "x")}, ErrSpec, "piece"},
		{Spec{Kind: "dial.dns", Params: p("error", "wrong_address", "to", "x")}, ErrSpec, "IP address"},
		{Spec{Kind: "dial.dns", Params: p("to", "127.0.0.1")}, ErrSpec, "error=wrong_address"},
		{Spec{Kind: "clock.offset", Params: p("by", "0s")}, ErrSpec, "by is"},
		{Spec{Kind: "clock.offset", Params: p("by", "9000h")}, ErrSpec, "by is"},
		{Spec{Kind: "clock.offset", Share: 0.5}, ErrSpec, "all or nothing"},
		{Spec{Kind: "http.status", Params: p("code", "200")}, ErrSpec, "300 to 599"},
		{Spec{Kind: "http.status", Params: p("code", "410")}, ErrSpec, "410"},
		{Spec{Kind: "http.status", Params: p("code", "x")}, ErrSpec, "whole number"},
		{Spec{Kind: "botapi.conflict", Params: p("text", "x")}, ErrSpec, "one of"},
		{Spec{Kind: "net.reset", Params: p("path", "/x")}, ErrSpec, "at=handler"},
		{Spec{Kind: "tls.expired", Params: p("ca", "PRIVATE-TEXT")}, ErrSpec, "no certificate"},
		{Spec{Kind: "tls.wrong_host", Params: p("host", "")}, ErrSpec, "host"},
		{Spec{Kind: "crash.at"}, ErrSpec, "point"},
		{Spec{Kind: "crash.at", Params: p("point", "x")}, ErrSpec, "ended"},
	} {
		_, err := r.Inject(tt.spec)
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "PRIVATE-TEXT") {
			t.Errorf("%+v: %v, want %v saying %q", tt.spec, err, tt.want, tt.says)
		}
	}
	if n := len(r.List()); n != 0 {
		t.Errorf("%d faults came of refused specs", n)
	}
}

func TestShareAndCount(t *testing.T) {
	draw := func(t *testing.T, s Spec, n int) (pattern string) {
		r := newRegistry(t, Options{})
		h := r.Handler(okHandler())
		s.Kind = "http.status"
		l, err := r.Inject(s)
		if err != nil {
			t.Fatal(err)
		}
		hits := 0
		for range n {
			if hit(h) {
				hits++
				pattern += "x"
			} else {
				pattern += "."
			}
		}
		if l.Fired() != uint64(hits) {
			t.Errorf("fired %d times, %d requests were hit", l.Fired(), hits)
		}
		return pattern
	}
	a := draw(t, Spec{Share: 0.3, Seed: 7}, 1000)
	if b := draw(t, Spec{Share: 0.3, Seed: 7}, 1000); a != b {
		t.Error("the same seed gave other draws")
	}
	if b := draw(t, Spec{Share: 0.3, Seed: 8}, 1000); a == b {
		t.Error("another seed gave the same draws")
	}
	if n := strings.Count(a, "x"); n < 250 || n > 350 {
		t.Errorf("a share of 0.3 hit %d of 1000", n)
	}
	if got := draw(t, Spec{Count: 3}, 6); got != "xxx..." {
		t.Errorf("a count of 3 hit %s", got)
	}
	if got := draw(t, Spec{Count: 30, Share: 0.3, Seed: 7}, 1000); strings.Count(got, "x") != 30 || !strings.HasPrefix(a, got[:strings.LastIndex(got, "x")+1]) {
		t.Error("a count with a share does not hit the first 30 of the draws")
	}
	if got := draw(t, Spec{}, 5); got != "xxxxx" {
		t.Errorf("the default hit %s", got)
	}
}
