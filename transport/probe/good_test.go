package probe_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/pki"
	"dualgram/transport/probe"
)

// TestGood holds the set-ups in which a probe has to find our own listener.
func TestGood(t *testing.T) {
	literal := "https://" + public + ":8443" + path
	tests := []struct {
		name     string
		world    func(*world)
		telegram string
		dialled  string // where not the webhook's address
	}{
		{name: "where the DNS leads", world: func(w *world) { w.hook(public+":8443", w.good()) }},
		{name: "where Telegram goes", telegram: public, world: func(w *world) {
			w.net.Host(host, "5.45.72.200") // moved, and Telegram hasn't looked yet
			w.hook(public+":8443", w.good())
		}},
		{name: "Telegram's address as IPv4 in IPv6", telegram: "::ffff:" + public, world: func(w *world) { w.hook(public+":8443", w.good()) }},
		{name: "without TLS", telegram: public, world: func(w *world) {
			w.o.URL = plainURL
			w.hook(public+":8443", nil)
		}},
		{name: "the port of https", dialled: public + ":443", world: func(w *world) {
			w.o.URL = "https://" + host + path
			w.hook(public+":443", w.good())
		}},
		{name: "no path", world: func(w *world) {
			w.o.URL = "https://" + host + ":8443"
			w.hook(public+":8443", w.good(), "/")
		}},
		{name: "a path with escapes and a query", world: func(w *world) {
			w.o.URL = "https://" + host + ":8443/a%2Fb%20c?x=1"
			w.hook(public+":8443", w.good(), "/a%2Fb%20c")
		}},
		{name: "a name with a final dot", world: func(w *world) {
			w.o.URL = "https://" + host + ".:8443" + path
			w.hook(public+":8443", w.good())
		}},
		{name: "probe.dial", dialled: "10.0.0.5:9443", telegram: public, world: func(w *world) {
			w.o.Address = "10.0.0.5:9443"
			w.hook("10.0.0.5:9443", w.good())
		}},
		{name: "probe.dial by name", dialled: "10.0.0.5:9443", world: func(w *world) {
			w.net.Host("proxy.internal", "10.0.0.5")
			w.net.Host(host, "10.0.0.5") // so does the DNS of this network: advice
			w.o.Address = "proxy.internal:9443"
			w.hook("10.0.0.5:9443", w.good())
		}},
		{name: "the name is gone, Telegram goes on", telegram: public, world: func(w *world) {
			w.net.Host(host)
			w.hook(public+":8443", w.good())
		}},
		{name: "pinned, and the DNS isn't asked", telegram: public, world: func(w *world) {
			w.o.Pinned, w.o.Resolver = true, nobody{w.t}
			w.hook(public+":8443", w.good())
		}},
		{name: "an address with a certificate for it", world: func(w *world) {
			w.o.URL, w.o.Resolver = literal, nobody{w.t}
			w.hook(public+":8443", &tls.Config{Certificates: []tls.Certificate{w.pair(pki.Leaf{Hosts: []string{public}})}})
		}},
		{name: "an address with an uploaded certificate", telegram: public, world: func(w *world) {
			p, err := pki.SelfSigned(time.Now(), pki.Leaf{Hosts: []string{public}})
			if err != nil {
				w.t.Fatal(err)
			}
			w.o.URL, w.o.Roots, w.o.Uploaded = literal, p.Pool(), true
			w.hook(public+":8443", &tls.Config{Certificates: []tls.Certificate{p.TLS()}})
		}},
		{name: "a wildcard", world: func(w *world) {
			w.hook(public+":8443", &tls.Config{Certificates: []tls.Certificate{w.pair(pki.Leaf{Hosts: []string{"*.EXAMPLE.com"}})}})
		}},
		{name: "a common name alone", world: served(func(w *world) tls.Certificate {
			return w.mint(func(c *x509.Certificate) { c.DNSNames = nil })
		})},
		{name: "with its intermediate", world: func(w *world) {
			between, err := w.ca.Intermediate(time.Now(), "Test Intermediate")
			if err != nil {
				w.t.Fatal(err)
			}
			p, err := between.Issue(time.Now(), pki.Leaf{Hosts: []string{host}})
			if err != nil {
				w.t.Fatal(err)
			}
			w.hook(public+":8443", &tls.Config{Certificates: []tls.Certificate{p.TLS()}})
		}},
		{name: "TLS 1.2", world: func(w *world) {
			c := w.good()
			c.MaxVersion = tls.VersionTLS12
			w.hook(public+":8443", c)
		}},
		{name: "a local server takes reserved addresses", dialled: "10.0.0.7:8443", world: func(w *world) {
			w.net.Host(host, "10.0.0.7")
			w.o.AllowReserved = true
			w.hook("10.0.0.7:8443", w.good())
		}},
		{name: "a local server takes IPv6", dialled: "[fd00::7]:8443", world: func(w *world) {
			w.net.Host(host, "fd00::7")
			w.o.AllowReserved = true
			w.hook("[fd00::7]:8443", w.good())
		}},
		{name: "interim answers first", world: func(w *world) {
			w.site(w.good(), func(rw http.ResponseWriter, r *http.Request) {
				rw.WriteHeader(http.StatusEarlyHints)
				w.responder.ServeHTTP(rw, r)
			})
		}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				tc.world(w)
				r := w.probe(tc.telegram)
				w.check(r)
				dialled := public + ":8443"
				if tc.dialled != "" {
					dialled = tc.dialled
				}
				if !r.OK || r.Status != 200 || r.Address != netip.MustParseAddrPort(dialled) || r.Impostor {
					t.Errorf("want good at %s, got %+v", dialled, r)
				}
				if tls := !strings.HasPrefix(w.o.URL, "http:"); r.NotAfter.IsZero() == tls {
					t.Errorf("NotAfter is %v", r.NotAfter)
				}
			})
		})
	}
}

// TestRequest holds what goes over the wire: what Telegram sends, without the
// secret, over a new connection and a full handshake each time.
func TestRequest(t *testing.T) {
	inWorld(t, func(w *world) {
		w.o.URL = "https://user:p4ss@" + host + ":8443" + path + "?q=1"
		w.hook(public+":8443", w.good())
		p := w.prober()
		for range 2 {
			r := p.Probe(w.t.Context(), addr(public))
			w.check(r)
			if !r.OK {
				t.Fatalf("%+v", r)
			}
		}
		synctest.Wait()
		seen := w.seen()
		if len(seen) != 2 || len(w.conns) != 2 || len(w.hellos) != 2 {
			t.Fatalf("%d requests, %d connections, %d handshakes; want 2 of each", len(seen), len(w.conns), len(w.hellos))
		}
		for i, r := range seen {
			if r.Method != "POST" || r.RequestURI != path+"?q=1" || r.Host != host+":8443" || r.ContentLength != 2 {
				t.Errorf("%s %s of %s with %d bytes", r.Method, r.RequestURI, r.Host, r.ContentLength)
			}
			var names []string
			for n := range r.Header {
				names = append(names, n)
			}
			slices.Sort(names)
			want := []string{"Accept-Encoding", "Authorization", "Connection", "Content-Length", "Content-Type", probe.ChallengeHeader}
			if !slices.Equal(names, want) {
				t.Errorf("headers %v, want %v", names, want)
			}
			if user, pass, _ := r.BasicAuth(); user != "user" || pass != "p4ss" {
				t.Errorf("authorized as %q, %q", user, pass)
			}
			if r.TLS.DidResume {
				t.Error("a session was resumed")
			}
			h := w.hellos[i]
			if h.ServerName != host || len(h.SupportedProtos) > 0 {
				t.Errorf("SNI %q, ALPN %v", h.ServerName, h.SupportedProtos)
			}
		}
		if seen[0].Header.Get(probe.ChallengeHeader) == seen[1].Header.Get(probe.ChallengeHeader) {
			t.Error("the same challenge twice")
		}
	})
}

// TestHost holds the Host header (WebhookActor.cpp:552-577), and that no SNI is sent
// for an address.
func TestHost(t *testing.T) {
	for url, want := range map[string]string{
		"https://" + host + "/a":        host,
		"https://" + host + ":443/a":    host,
		"http://" + host + "/a":         host,
		"https://" + host + ":88/a":     host + ":88",
		"https://" + public + ":8443/a": public + ":8443",
		"http://[fd00::7]:8080/a":       "[fd00::7]:8080",
	} {
		inWorld(t, func(w *world) {
			w.o.URL, w.o.Address, w.o.AllowReserved = url, "10.0.0.5:9443", true
			config := &tls.Config{Certificates: []tls.Certificate{w.pair(pki.Leaf{Hosts: []string{host, public}})}}
			if strings.HasPrefix(url, "http:") {
				config = nil
			}
			w.hook("10.0.0.5:9443", config, "/a")
			r := w.probe("")
			w.check(r)
			if seen := w.seen(); !r.OK || len(seen) != 1 || seen[0].Host != want {
				t.Errorf("%s: host %v, want %s (%+v)", url, seen, want, r)
			}
			for _, h := range w.hellos {
				if (h.ServerName == "") != strings.Contains(url, public) {
					t.Errorf("%s: SNI %q", url, h.ServerName)
				}
			}
		})
	}
}

// TestNothingBeforeTLS holds that a server that can't show the certificate gets no byte
// of the request, and a program that doesn't speak TLS nothing but a hello.
func TestNothingBeforeTLS(t *testing.T) {
	bad := map[string]func(*world) *tls.Config{
		"expired": func(w *world) *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{w.pair(pki.Leaf{NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-time.Minute)})}}
		},
		"wrong host": func(w *world) *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{w.pair(pki.Leaf{Hosts: []string{"other.example.com"}})}}
		},
		"expired, TLS 1.2": func(w *world) *tls.Config {
			return &tls.Config{MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{w.pair(pki.Leaf{NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-time.Minute)})}}
		},
		"TLS 1.1": func(w *world) *tls.Config {
			c := w.good()
			c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
			return c
		},
	}
	for name, config := range bad {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				c := config(w)
				w.raw(func(raw net.Conn) {
					tc := tls.Server(raw, c)
					b, _ := io.ReadAll(tc)
					if len(b) > 0 {
						t.Errorf("the server got %q", b)
					}
				})
				r := w.probe(public)
				w.check(r)
				if r.Stage != probe.StageTLS {
					t.Errorf("%+v", r)
				}
			})
		})
	}
	inWorld(t, func(w *world) {
		w.raw(hang)
		r := w.probe(public)
		w.check(r)
		if r.Reason != probe.ReasonTLSTimeout || len(w.conns) != 1 {
			t.Fatalf("%+v over %d connections", r, len(w.conns))
		}
		got := w.conns[0].received()
		const handshake = 22
		if len(got) < 5 || got[0] != handshake || len(got) != 5+int(got[3])<<8+int(got[4]) {
			t.Errorf("sent something besides one record of a handshake: %q", got)
		}
	})
}

// TestCancelled holds that a probe that is broken off ends at once, says nothing about
// the webhook, and leaves nothing behind (the bubble would see it).
func TestCancelled(t *testing.T) {
	for name, prepare := range map[string]func(*world){
		"in the DNS":       func(w *world) { w.o.Resolver = deaf{} },
		"while connecting": func(w *world) { w.net.Blackhole(public, true) },
		"in the handshake": func(w *world) { w.raw(hang) },
		"before the answer": func(w *world) {
			w.secure(w.good(), func(c *tls.Conn) { hang(c) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				prepare(w)
				p := w.prober()
				ctx, cancel := context.WithCancel(w.t.Context())
				time.AfterFunc(300*time.Millisecond, func() {
					if !p.Busy() || !w.responder.Busy() {
						t.Error("not busy during the probe")
					}
					cancel()
				})
				r := p.Probe(ctx, netip.Addr{})
				w.check(r)
				if r.OK || r.Reason != probe.ReasonCancelled || r.Took != 300*time.Millisecond || r.Reason.Judged() || len(r.Advice) > 0 {
					t.Errorf("%+v", r)
				}
				if p.Busy() {
					t.Error("busy after the probe")
				}
			})
		})
	}
}

// TestTimings holds that each stage has its own time.
func TestTimings(t *testing.T) {
	inWorld(t, func(w *world) {
		w.net.SetLatency(public, 10*time.Millisecond)
		w.o.Resolver = slow{w.net, 70 * time.Millisecond}
		w.hook(public+":8443", w.good())
		r := w.probe("")
		w.check(r)
		about := func(name string, d, want time.Duration) {
			if d < want || d > want+time.Millisecond {
				t.Errorf("%s took %v, want %v", name, d, want)
			}
		}
		about("dns", r.Timings.DNS, 70*time.Millisecond)
		about("connect", r.Timings.Connect, 20*time.Millisecond)
		about("tls", r.Timings.TLS, 20*time.Millisecond)
		about("http", r.Timings.HTTP, 20*time.Millisecond)
		about("all", r.Took, 130*time.Millisecond)
		if !r.At.Equal(time.Now()) {
			t.Errorf("At is %v, want %v", r.At, time.Now())
		}
		// With the address known, the DNS doesn't hold up the rest.
		r = w.probe(public)
		about("dns", r.Timings.DNS, 70*time.Millisecond)
		about("all", r.Took, 70*time.Millisecond)
	})
}

// TestStranger holds that a probe of somebody else's listener brings a secret token,
// a wrong one, never the same twice: a listener that takes requests without any would
// take it for a delivery.
func TestStranger(t *testing.T) {
	inWorld(t, func(w *world) {
		w.o.Stranger = true
		w.site(w.good(), func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusForbidden) })
		p := w.prober()
		for range 2 {
			if r := p.Probe(w.t.Context(), addr(public)); r.OK || r.Reason != probe.ReasonHTTPStatus || r.Status != http.StatusForbidden {
				t.Errorf("%+v", r)
			}
		}
		synctest.Wait()
		seen := w.seen()
		if len(seen) != 2 {
			t.Fatalf("%d requests", len(seen))
		}
		const header = "X-Telegram-Bot-Api-Secret-Token"
		a, b := seen[0].Header.Get(header), seen[1].Header.Get(header)
		if a == "" || a == b || a == secret {
			t.Errorf("secrets %q and %q", a, b)
		}
	})
}
