package probe_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"dualgram/chaos/memnet"
	"dualgram/transport/probe"
)

// TestOwnListenerElsewhere holds that neither a bot's own listener under another
// path nor one of another process gives a proof.
func TestOwnListenerElsewhere(t *testing.T) {
	t.Run("a proxy leads to another bot's path", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.hook("10.0.0.5:80", nil, path, "/webhook/other")
			w.site(w.good(), func(rw http.ResponseWriter, r *http.Request) {
				forward(w.net, "10.0.0.5:80", "/webhook/other", rw, r)
			})
			r := w.probe(public)
			w.check(r)
			if r.OK || r.Status != http.StatusForbidden || r.Reason != probe.ReasonHTTPStatus || r.Impostor {
				t.Errorf("%+v", r)
			}
		})
	})
	t.Run("a proxy leads to the right path", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.hook("10.0.0.5:80", nil, path, "/webhook/other")
			w.site(w.good(), func(rw http.ResponseWriter, r *http.Request) {
				forward(w.net, "10.0.0.5:80", path, rw, r)
			})
			r := w.probe(public)
			w.check(r)
			if !r.OK {
				t.Errorf("%+v", r)
			}
		})
	})
	t.Run("a process that takes over", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.hook(public+":8443", w.good())
			w.o.Dial = w.net.From("149.154.167.220").Dial // let in by the allow-list
			w.o.Responder = nil                           // the old process's
			r := w.probe(public)
			if r.OK || r.Status != http.StatusForbidden || r.Reason != probe.ReasonHTTPStatus || r.Impostor {
				t.Errorf("%+v", r)
			}
		})
	})
	t.Run("the allow-list turns away who doesn't probe", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.hook(public+":8443", w.good())
			w.o.Responder = nil
			if r := w.probe(public); r.OK || r.Stage != probe.StageTLS {
				t.Errorf("%+v", r)
			}
		})
	})
}

// forward is a proxy that leads to a path.
func forward(n *memnet.Network, to, path string, rw http.ResponseWriter, r *http.Request) {
	tr := &http.Transport{DialContext: n.Dial, DisableKeepAlives: true}
	out := r.Clone(context.Background())
	out.URL.Scheme, out.URL.Host, out.URL.Path, out.URL.RawPath = "http", to, path, ""
	resp, err := tr.RoundTrip(out)
	if err != nil {
		rw.WriteHeader(http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	for name, v := range resp.Header {
		rw.Header()[name] = v
	}
	rw.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(rw, resp.Body)
}
