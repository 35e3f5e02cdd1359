package chaos

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestOnChange(t *testing.T) {
	bubble(t, "order", func(t *testing.T) {
		var got []string
		var r *Registry
		r = New(Options{Enabled: true, OnChange: func(c Change) {
			got = append(got, fmt.Sprintf("%s %d", c.Event, c.Fault.ID))
			if c.Event == EventInjected && c.Fault.ID == 2 {
				r.Clear() // from inside: ends 1 and 2
			}
		}})
		first, _ := r.Inject(Spec{Kind: "http.status"})
		_ = first.Renew(time.Second)
		_, _ = r.Inject(Spec{Kind: "http.slow"})
		third, _ := r.Inject(Spec{Kind: "http.hang"})
		third.End()
		third.End()
		_, _ = r.Inject(Spec{Kind: "http.panic", For: time.Second})
		time.Sleep(2 * time.Second)
		_, _ = r.Inject(Spec{Kind: "http.panic"})
		_ = r.Close()
		want := "injected 1, renewed 1, injected 2, cleared 1, cleared 2, injected 3, ended 3, injected 4, expired 4, injected 5, cleared 5"
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("got  %s\nwant %s", s, want)
		}
	})
}

func TestOnChangeOneAtATime(t *testing.T) {
	bubble(t, "overlap", func(t *testing.T) {
		var inside, most, calls int
		r := New(Options{Enabled: true, OnChange: func(Change) {
			inside++
			most, calls = max(most, inside), calls+1
			time.Sleep(time.Second)
			inside--
		}})
		go func() { _, _ = r.Inject(Spec{Kind: "http.slow", For: 100 * time.Millisecond}) }()
		synctest.Wait()
		start := time.Now()
		if _, err := r.Inject(Spec{Kind: "http.hang"}); err != nil || time.Since(start) != 0 {
			t.Errorf("a slow observer held up an injection for %v: %v", time.Since(start), err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if most != 1 || calls != 3 {
			t.Errorf("%d calls, %d at once", calls, most)
		}
		_ = r.Close()
	})
}

// An end that comes after the lease was over is an expiry, whoever wanted it.
func TestLateEndIsAnExpiry(t *testing.T) {
	bubble(t, "late", func(t *testing.T) {
		var last Event
		r := New(Options{Enabled: true, OnChange: func(c Change) { last = c.Event }})
		l, _ := r.Inject(Spec{Kind: "http.slow", For: time.Second})
		l.f.timer.Stop()
		time.Sleep(time.Second)
		r.expiries.Done()
		l.End()
		if last != EventExpired {
			t.Errorf("got %q", last)
		}
		_ = r.Close()
	})
}

func TestList(t *testing.T) {
	bubble(t, "status", func(t *testing.T) {
		r := newRegistry(t, Options{})
		l, _ := r.Inject(Spec{Kind: "http.status", Count: 1})
		if s := r.List()[0]; s.Attached {
			t.Error("attached before there is an injector")
		}
		h := r.Handler(okHandler())
		hit(h)
		time.Sleep(20 * time.Second)
		s := r.List()[0]
		if s.ID != l.ID() || s.Age != 20*time.Second || s.Remaining != 40*time.Second || s.Fired != 1 || !s.Attached ||
			s.Spec.For != DefaultLease || s.Spec.Share != 1 || s.Info.Layer != "http" {
			t.Errorf("got %+v", s)
		}
		l.End()
		if s := l.Status(); s.Remaining != 0 || s.Fired != 1 || len(r.List()) != 0 {
			t.Errorf("after the end: %+v, list %v", s, r.List())
		}
	})
}

// Every kind is described, and has a test of its effect.
func TestCatalogue(t *testing.T) {
	tested := map[Kind]bool{"crash.at": true, "probe.fail": true, "clock.offset": true, // TestStrangers, TestForeignWebhook:
		"http.impostor": true, "http.swallow": true, "botapi.foreign_webhook": true}
	for _, e := range serverEffects() {
		tested[e.spec.Kind] = true
	}
	for _, e := range apiEffects() {
		tested[e.spec.Kind] = true
	}
	for _, e := range dialEffects() {
		tested[e.spec.Kind] = true
	}
	for _, e := range hookEffects() {
		tested[e.spec.Kind] = true
	}
	seen := map[Kind]bool{}
	for _, k := range Kinds() {
		if seen[k.Kind] || k.Doc == "" || k.Unit == "" || k.Layer == "" {
			t.Errorf("%s: twice, or not described", k.Kind)
		}
		seen[k.Kind] = true
		if layer, _, ok := strings.Cut(string(k.Kind), "."); !ok || layer != k.Layer {
			t.Errorf("%s: layer is %s", k.Kind, k.Layer)
		}
		if k.Destructive && k.ProdSafe {
			t.Errorf("%s: destructive and fit for production", k.Kind)
		}
		if !tested[k.Kind] {
			t.Errorf("%s: no test of its effect", k.Kind)
		}
		for _, p := range k.Params {
			if p.Doc == "" {
				t.Errorf("%s: parameter %s is not described", k.Kind, p.Name)
			}
		}
	}
}
