package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/transport"
)

// Telegram opens a connection when a webhook is set and sends nothing for 60 s;
// it keeps a used one as long.
func TestQuietConnectionsAreKept(t *testing.T) {
	for name, o := range map[string]Options{"TLS": {TLS: &tls.Config{}}, "plain": {}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, o, nil, func(g *rig) {
				dial := g.dial
				if g.tls != nil {
					dial = g.dialTLS
				}
				p := dial(telegram)
				for range 3 {
					time.Sleep(60 * time.Second)
					p.open()
				}
				for _, o := range g.outcomes() {
					if o.Started != o.HeadersAt && o.HeadersAt.Sub(o.Started) > time.Second {
						t.Errorf("a request began %v before its headers", o.HeadersAt.Sub(o.Started))
					}
				}
			})
		})
	}
}

func TestAbandonedConnectionsAreClosed(t *testing.T) {
	inBubble(t, Options{}, nil, func(g *rig) {
		fresh, used := g.dial(telegram), g.dial(telegram)
		used.open()
		start := time.Now()
		fresh.closed()
		if d := time.Since(start); d != DefaultHeaderTimeout {
			t.Errorf("a fresh connection was closed after %v", d)
		}
		used.closed()
		if d := time.Since(start); d != DefaultIdleTimeout {
			t.Errorf("a used connection was closed after %v", d)
		}
		synctest.Wait()
		if s := g.s.ConnStats(); s != (ConnStats{}) {
			t.Errorf("connections left: %+v", s)
		}
	})
}

func TestStalledHandshakeIsCut(t *testing.T) {
	inBubble(t, Options{TLS: &tls.Config{}}, nil, func(g *rig) {
		start := time.Now()
		p := g.dial(telegram)
		p.send("\x16\x03\x01\x02")
		synctest.Wait()
		if s := g.s.ConnStats(); s.Handshakes != 1 || s.Open != 1 {
			t.Errorf("during the handshake: %+v", s)
		}
		p.closed()
		if d := time.Since(start); d != DefaultHandshakeTimeout {
			t.Errorf("cut after %v", d)
		}
		synctest.Wait()
		ev := g.events()
		if len(ev) != 1 || ev[0].Kind != ConnHandshake || ev[0].Reason != "timeout" || ev[0].Remote != telegram {
			t.Errorf("events %+v", ev)
		}
		if s := g.s.ConnStats(); s != (ConnStats{}) {
			t.Errorf("connections left: %+v", s)
		}
	})
}

// A hook that waits is told by its context when the handshake's time is up.
func TestStalledCertificateHook(t *testing.T) {
	stall := func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		<-h.Context().Done()
		return nil, h.Context().Err()
	}
	inBubble(t, Options{TLS: &tls.Config{GetConfigForClient: stall}}, nil, func(g *rig) {
		start := time.Now()
		tc := tls.Client(g.dial(telegram).Conn, g.tls)
		if err := tc.Handshake(); err == nil {
			t.Error("handshake succeeded")
		}
		if d := time.Since(start); d != DefaultHandshakeTimeout {
			t.Errorf("cut after %v", d)
		}
		// Another one is cut short by the end of the server.
		go tls.Client(g.dial(telegram).Conn, g.tls).Handshake()
		synctest.Wait()
		start = time.Now()
		if err := g.stop(); err != nil || time.Since(start) > 0 {
			t.Errorf("Run returned %v after %v", err, time.Since(start))
		}
	})
}

func TestHandshakeReasons(t *testing.T) {
	for _, c := range []struct {
		name   string
		client func(g *rig, p *peer)
		reason string
	}{
		{"TLS 1.1", func(g *rig, p *peer) {
			cfg := g.tls.Clone()
			cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
			if err := tls.Client(p.Conn, cfg).Handshake(); err == nil {
				g.t.Error("TLS 1.1 was accepted")
			}
		}, "old_version"},
		{"client distrusts the certificate", func(g *rig, p *peer) {
			cfg := g.tls.Clone()
			cfg.RootCAs = x509.NewCertPool()
			if err := tls.Client(p.Conn, cfg).Handshake(); err == nil {
				g.t.Error("certificate was trusted")
			}
		}, "alert"},
		{"plain HTTP", func(_ *rig, p *peer) { p.send(post(body)); p.closed() }, "plain_http"},
		{"garbage", func(_ *rig, p *peer) { p.send(strings.Repeat("garbage!", 10)); io.Copy(io.Discard, p) }, "not_tls"},
		{"hangs up", func(_ *rig, p *peer) { p.Close() }, "closed"},
		{"resets", func(_ *rig, p *peer) {
			p.send("\x16\x03\x01\x02")
			p.Conn.(interface{ SetLinger(int) error }).SetLinger(0)
			p.Close()
		}, "closed"},
		{"no cipher in common", func(g *rig, p *peer) {
			cfg := g.tls.Clone()
			cfg.MaxVersion = tls.VersionTLS12
			cfg.CipherSuites = []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}
			if err := tls.Client(p.Conn, cfg).Handshake(); err == nil {
				g.t.Error("handshake succeeded")
			}
		}, "failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Options{TLS: &tls.Config{}}, nil, func(g *rig) {
				c.client(g, g.dial(telegram))
				synctest.Wait()
				ev := g.events()
				if len(ev) != 1 || ev[0].Kind != ConnHandshake || ev[0].Reason != c.reason || ev[0].Err == nil {
					t.Errorf("events %+v, want reason %s", ev, c.reason)
				}
				if n := len(g.outcomes()); n != 0 {
					t.Errorf("%d outcomes", n)
				}
				g.dialTLS(telegram).open()
			})
		})
	}
}

func TestHandshakePanic(t *testing.T) {
	boom := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic("boom") }
	inBubble(t, Options{TLS: &tls.Config{GetCertificate: boom}}, nil, func(g *rig) {
		if err := tls.Client(g.dial(telegram).Conn, &tls.Config{InsecureSkipVerify: true}).Handshake(); err == nil {
			t.Error("handshake succeeded")
		}
		synctest.Wait()
		if ev := g.events(); len(ev) != 1 || ev[0].Reason != "panic" {
			t.Errorf("events %+v", ev)
		}
	})
}

func TestTLSSettings(t *testing.T) {
	inBubble(t, Options{TLS: &tls.Config{MinVersion: tls.VersionTLS10, NextProtos: []string{"h2"}}}, nil, func(g *rig) {
		g.tls.NextProtos = []string{"h2", "http/1.1"}
		p := g.dialTLS(telegram)
		if s := p.Conn.(*tls.Conn).ConnectionState(); s.NegotiatedProtocol != "http/1.1" {
			t.Errorf("negotiated %q", s.NegotiatedProtocol)
		}
		p.open()
		old := &tls.Config{RootCAs: g.tls.RootCAs, ServerName: g.tls.ServerName, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
		if err := tls.Client(g.dial(telegram).Conn, old).Handshake(); err == nil {
			t.Error("TLS 1.1 was accepted")
		}
	})
}

// net/http's own client, over TLS, twice on one connection.
func TestRealClient(t *testing.T) {
	inBubble(t, Options{TLS: &tls.Config{}}, nil, func(g *rig) {
		tr := &http.Transport{TLSClientConfig: g.tls, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return g.net.From(telegram).Dial(ctx, network, g.addr)
		}}
		defer tr.CloseIdleConnections()
		for range 2 {
			req, _ := http.NewRequestWithContext(g.t.Context(), "POST", "https://bot.example.com:8443"+hookPath, strings.NewReader(body))
			req.Header.Set(SecretHeader, secret)
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Errorf("status %d", resp.StatusCode)
			}
		}
		synctest.Wait() // the server counts a handshake until it has seen its end
		if s := g.s.ConnStats(); s != (ConnStats{Open: 1, Known: 1}) {
			t.Errorf("connections %+v", s)
		}
	})
}

// Where networks are known and nobody stands between, strangers don't get as far
// as TLS.
func TestGate(t *testing.T) {
	prober := "198.51.100.77"
	nets := func(rt *Route) { rt.Networks = telegramNets }
	refused := func(g *rig, from string, want bool) {
		g.t.Helper()
		before := len(g.events())
		p := g.dial(from)
		synctest.Wait()
		ev := g.events()[before:]
		if want {
			p.closed()
			if len(ev) != 1 || ev[0].Kind != ConnRefused || ev[0].Remote != from {
				g.t.Errorf("%s: events %+v", from, ev)
			}
		} else if len(ev) != 0 {
			g.t.Errorf("%s: events %+v", from, ev)
		}
		p.Close()
		synctest.Wait()
	}
	inBubble(t, Options{AllowConn: func(a netip.Addr) bool { return a.String() == prober }}, nets, func(g *rig) {
		refused(g, "6.6.6.6", true)
		refused(g, telegram, false)
		refused(g, prober, false)
		other := Route{Bot: "other", Path: "/other", Secrets: func() []string { return nil }, Sink: g.sink, Networks: []netip.Prefix{netip.MustParsePrefix("6.6.6.0/24")}}
		if err := g.s.Handle(other); err != nil {
			t.Fatal(err)
		}
		refused(g, "6.6.6.6", false) // good for the other bot, so the handler decides
		refused(g, "7.7.7.7", true)
		other.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("7.0.0.0/8")}
		if err := g.s.Handle(other); err != nil {
			t.Fatal(err)
		}
		refused(g, "8.8.8.8", false) // it might be a proxy one day
		other.TrustedProxies, other.Networks = nil, nil
		if err := g.s.Handle(other); err != nil {
			t.Fatal(err)
		}
		refused(g, "8.8.8.8", false)
		g.s.Remove("other")
		refused(g, "8.8.8.8", true)
		g.s.Remove("orders")
		refused(g, "8.8.8.8", false) // nothing to go by: 404
	})
}

func TestProbe(t *testing.T) {
	wrapped := 0
	o := Options{
		AllowConn: func(netip.Addr) bool { return true },
		Exempt:    func(r *http.Request) bool { return r.Header.Get("Proof") == "nonce" },
		Probe: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "PUT" {
				panic("x")
			}
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(204)
		}),
		WrapHandler: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { wrapped++; next.ServeHTTP(w, r) })
		},
	}
	inBubble(t, o, func(rt *Route) { rt.Networks = telegramNets }, func(g *rig) {
		p := g.dial("198.51.100.77")
		p.send(request1("GET", hookPath, "", "Proof: nonce"))
		if resp := p.answer(); resp.StatusCode != 204 {
			t.Errorf("probe got %d", resp.StatusCode)
		}
		p.send(request1("PUT", hookPath, "", "Proof: nonce"))
		if resp := p.answer(); resp.StatusCode != 500 {
			t.Errorf("panicking probe got %d", resp.StatusCode)
		}
		synctest.Wait()
		if outs := g.outcomes(); len(outs) != 0 || wrapped != 2 {
			t.Errorf("outcomes %+v, wrapped %d", outs, wrapped)
		}
		p = g.dial("198.51.100.77")
		p.send(post(body, "Proof: guess"))
		if resp := p.answer(); resp.StatusCode != 403 {
			t.Errorf("wrong proof got %d", resp.StatusCode)
		}
	})
	// Without a handler of its own, a probe is only spared the address check.
	o.Probe, o.WrapHandler = nil, nil
	inBubble(t, o, func(rt *Route) { rt.Networks = telegramNets }, func(g *rig) {
		p := g.dial("198.51.100.77")
		p.send(request1("POST", hookPath, "", "Proof: nonce"))
		p.answer()
		if o := g.only(); o.Cause != CauseBadSecret || o.Authenticated {
			t.Errorf("outcome %+v", o)
		}
	})
}

// Strangers who hold connections can't keep Telegram out.
func TestMaxConns(t *testing.T) {
	inBubble(t, Options{MaxConns: 3}, nil, func(g *rig) {
		known := g.dial(telegram)
		known.open()
		first, second := g.dial("6.6.6.1"), g.dial("6.6.6.2")
		synctest.Wait()
		third := g.dial("6.6.6.3")
		first.closed()
		synctest.Wait()
		if ev := g.events(); len(ev) != 1 || ev[0].Kind != ConnEvicted || ev[0].Remote != "6.6.6.1" {
			t.Errorf("events %+v", ev)
		}
		if s := g.s.ConnStats(); s.Open != 3 || s.Known != 1 {
			t.Errorf("connections %+v", s)
		}
		more := g.dial(telegram)
		second.closed()
		more.open()
		last := g.dial(telegram)
		third.closed()
		last.open()
		// All three are known now: the newcomer has to go.
		late := g.dial(telegram)
		late.closed()
		synctest.Wait()
		ev := g.events()
		if e := ev[len(ev)-1]; len(ev) != 4 || e.Kind != ConnOverLimit {
			t.Errorf("events %+v", ev)
		}
		for _, p := range []*peer{known, more, last} {
			p.open()
		}
		if s := g.s.ConnStats(); s.Open != 3 || s.Known != 3 {
			t.Errorf("connections %+v", s)
		}
	})
}

// TestGuests: whoever is let in for the sake of our own probe takes no place from
// those who may deliver.
func TestGuests(t *testing.T) {
	let := true
	o := Options{MaxConns: 4, AllowConn: func(netip.Addr) bool { return let }}
	inBubble(t, o, func(rt *Route) { rt.Networks = telegramNets }, func(g *rig) {
		first, second, third := g.dial(telegram), g.dial(telegram), g.dial(telegram)
		synctest.Wait()
		var guests []*peer
		for i := range 5 {
			guests = append(guests, g.dial(fmt.Sprint("6.6.6.", i+1)))
			synctest.Wait()
		}
		for _, p := range guests[:4] {
			p.closed()
		}
		fourth := g.dial(telegram)
		guests[4].closed()
		synctest.Wait()
		late := g.dial("6.6.6.9") // full of others
		late.closed()
		let = false
		synctest.Wait()
		shut := g.dial("6.6.6.10")
		shut.closed()
		for _, p := range []*peer{first, second, third, fourth} {
			p.open()
		}
	})
}

func TestConnLimit(t *testing.T) {
	for _, c := range []struct {
		want int
		fds  uint64
		is   int
	}{
		{0, 1024, 960}, {0, 20000, 8192}, {0, 1 << 40, 8192}, {0, 256, 192}, {0, 255, 127}, {0, 1, 1}, {0, 0, 512},
		{100, 1024, 100}, {5000, 1024, 960}, {10000, 20000, 10000}, {30000, 20000, 19936}, {100, 128, 64}, {1 << 20, 0, 512},
	} {
		if got := connLimit(c.want, c.fds); got != c.is {
			t.Errorf("connLimit(%d, %d) = %d, want %d", c.want, c.fds, got, c.is)
		}
	}
}

func TestCloseConns(t *testing.T) {
	inBubble(t, Options{TLS: &tls.Config{}}, nil, func(g *rig) {
		g.sink.accept = func(context.Context, transport.Batch) (transport.Receipt, error) {
			time.Sleep(time.Second)
			return transport.Receipt{}, nil
		}
		idle, busy, shaking := g.dialTLS(telegram), g.dialTLS(telegram), g.dial(telegram)
		busy.send(post(body))
		synctest.Wait()
		if n := g.s.CloseConns(); n != 3 {
			t.Errorf("closed %d connections", n)
		}
		for _, p := range []*peer{idle, busy, shaking} {
			p.closed()
		}
		time.Sleep(2 * time.Second)
		if o := g.only(); o.Cause != CauseClientGone || len(g.sink.got()) != 1 {
			t.Errorf("outcome %+v", o)
		}
		if s := g.s.ConnStats(); s != (ConnStats{}) {
			t.Errorf("connections left: %+v", s)
		}
		g.dialTLS(telegram).open()
	})
}
