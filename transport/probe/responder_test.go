package probe_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"dualgram/transport/probe"
)

// ask returns a request with challenge headers.
func ask(path string, challenges ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, nil)
	for _, c := range challenges {
		r.Header.Add(probe.ChallengeHeader, c)
	}
	return r
}

// TestResponder holds which requests are a probe: those with the challenge of one that
// is under way, at the path where it belongs.
func TestResponder(t *testing.T) {
	inWorld(t, func(w *world) {
		var during bool
		var challenge string
		w.site(w.good(), func(rw http.ResponseWriter, r *http.Request) {
			during = true
			challenge = r.Header.Get(probe.ChallengeHeader)
			forged := strings.Repeat("0", len(challenge))
			for name, c := range map[string]struct {
				req  *http.Request
				want bool
			}{
				"the probe":        {r, true},
				"a copy of it":     {ask(path, challenge), true},
				"another path":     {ask("/webhook/other", challenge), false},
				"none":             {ask(path), false},
				"empty":            {ask(path, ""), false},
				"forged":           {ask(path, forged), false},
				"shorter":          {ask(path, challenge[:10]), false},
				"longer":           {ask(path, challenge+"0"), false},
				"twice":            {ask(path, challenge, challenge), false},
				"in another case":  {ask(path, strings.ToUpper(challenge)), false},
				"forged and right": {ask(path, forged, challenge), false},
			} {
				if got := w.responder.Exempt(c.req); got != c.want {
					t.Errorf("%s: exempt is %v, want %v", name, got, c.want)
				}
				rec := httptest.NewRecorder()
				w.responder.ServeHTTP(rec, c.req)
				if ok := rec.Code == 200 && rec.Header().Get(probe.ProofHeader) != ""; ok != c.want || !ok && (rec.Code != 403 || rec.Header().Get(probe.ProofHeader) != "") {
					t.Errorf("%s: answered %d %v, want %v", name, rec.Code, rec.Header(), c.want)
				}
			}
			var stranger probe.Responder
			if stranger.Exempt(r) || stranger.Busy() {
				t.Error("another process's responder knows the challenge")
			}
			w.responder.ServeHTTP(rw, r)
		})
		r := w.probe(public)
		w.check(r)
		if !r.OK || !during {
			t.Fatalf("%+v", r)
		}
		if w.responder.Exempt(ask(path, challenge)) {
			t.Error("the challenge is good after its probe")
		}
	})
}

// TestSharedResponder holds that one responder serves the probes of several bots at
// once, each on its own path.
func TestSharedResponder(t *testing.T) {
	inWorld(t, func(w *world) {
		paths := []string{"/webhook/a", "/webhook/b", "/webhook/c", "/webhook/d"}
		w.hook(public+":8443", w.good(), paths...)
		var wg sync.WaitGroup
		for _, p := range paths {
			o := w.o
			o.URL, o.Key = "https://"+host+":8443"+p, nil
			prober, err := probe.New(o)
			if err != nil {
				t.Fatal(err)
			}
			if prober.Responder() != w.responder {
				t.Error("not the responder that was given")
			}
			for range 5 {
				wg.Go(func() {
					if r := prober.Probe(w.t.Context(), netip.Addr{}); !r.OK {
						t.Errorf("%s: %+v", p, r)
					}
				})
			}
		}
		wg.Wait()
		synctest.Wait()
		if w.responder.Busy() || len(w.seen()) != 20 {
			t.Errorf("busy %v after %d probes", w.responder.Busy(), len(w.seen()))
		}
	})
}
