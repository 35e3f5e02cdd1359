package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func good(context.Context) error { return nil }
func bad(context.Context) error  { return errors.New("disk\nfull") }

func TestHealth(t *testing.T) {
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("m 1\n")) })
	h := Observe(metrics, []Check{{Name: "loop", Run: good}},
		[]Check{{Name: "store", Run: bad}, {Name: "listener", Run: good}, {Name: "blind", Run: bad, Info: true}})
	for _, c := range []struct {
		target string
		code   int
		want   string
	}{
		{"/metrics", 200, "m 1\n"},
		{"/livez", 200, "ok\n"},
		{"/livez?verbose", 200, "[+]loop ok\nlivez check passed\n"},
		{"/readyz", 503, "[-]store failed: disk full\n[+]listener ok\n[!]blind failed, not counted: disk full\nreadyz check failed\n"},
		{"/readyz?exclude=store", 200, "ok\n"},
		{"/readyz?exclude=store&verbose", 200, "[+]listener ok\n[!]blind failed, not counted: disk full\nreadyz check passed\n"},
		{"/readyz?exclude=store&exclude=blind&verbose=1", 200, "[+]listener ok\nreadyz check passed\n"},
	} {
		if w := ask(h, "GET", c.target); w.Code != c.code || w.Body.String() != c.want {
			t.Errorf("%s: %d %q, want %d %q", c.target, w.Code, w.Body, c.code, c.want)
		}
	}
	w := ask(h, "GET", "/readyz", "Accept", "application/json")
	var j Health
	if err := json.Unmarshal(w.Body.Bytes(), &j); err != nil || w.Code != 503 || j.Schema != SchemaHealth || j.OK || len(j.Checks) != 3 || j.Checks[0].Error != "disk full" || !j.Checks[2].Info {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, target := range []string{"/readyz", "/livez", "/metrics"} {
		if w := ask(h, "POST", target); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", target, w.Code)
		}
	}
	if w := ask(Observe(nil, nil, nil), "GET", "/metrics"); w.Code != 404 {
		t.Errorf("no metrics: %d", w.Code)
	}
	if w := ask(Observe(nil, nil, nil), "GET", "/"); w.Code != 200 || !strings.Contains(w.Body.String(), "/livez") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A check that hangs is named in time, and only one of it runs.
func TestHangingCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		release := make(chan struct{})
		hang := func(context.Context) error { runs.Add(1); <-release; return nil }
		obeys := func(ctx context.Context) error { <-ctx.Done(); return errors.New("waiting for fsync") }
		h := Observe(nil, []Check{{Name: "hang", Run: hang}, {Name: "slow", Run: obeys}, {Name: "panics", Run: func(context.Context) error { panic("oh") }}, {Name: "fine", Run: good}}, nil)
		for range 3 {
			start := time.Now()
			w := ask(h, "GET", "/livez")
			const want = "[-]hang failed: no answer within 800ms\n[-]slow failed: waiting for fsync\n[-]panics failed: panicked: oh\n[+]fine ok\nlivez check failed\n"
			if took := time.Since(start); w.Body.String() != want || took >= time.Second {
				t.Errorf("after %v: %s", took, w.Body)
			}
		}
		if n := runs.Load(); n != 1 {
			t.Errorf("the hanging check runs %d times", n)
		}
		close(release)
		synctest.Wait()
		if w := ask(h, "GET", "/livez?exclude=slow&exclude=panics"); w.Code != 200 || runs.Load() != 2 {
			t.Errorf("recovered: %d %s", w.Code, w.Body)
		}
	})
}

// Whoever asked first may go away without failing the others.
func TestFirstAskerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asker{check: Check{Name: "x", Run: func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(100 * time.Millisecond):
				return nil
			}
		}}}
		ctx, cancel := context.WithCancel(t.Context())
		a.ask(ctx)
		cancel()
		if out := runChecks(t.Context(), []*asker{a}); !out[0].OK {
			t.Errorf("%+v", out)
		}
	})
}
