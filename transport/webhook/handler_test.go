package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/transport"
)

func TestAnswers(t *testing.T) {
	inNets := func(rt *Route) { rt.Networks = telegramNets }
	proxied := func(rt *Route) {
		rt.Networks = telegramNets
		rt.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	}
	big := strings.Repeat("x", 4096)
	for _, c := range []struct {
		name, from string
		edit       func(*Route)
		request    string
		status     int
		cause      Cause
		auth       bool
		close      bool
		accepted   int
		remote     string
	}{
		{name: "good", request: post(body), status: 200, cause: CauseOK, auth: true, accepted: 1},
		{name: "with a query", request: strings.Replace(post(body), hookPath, hookPath+"?a=b", 1), status: 200, cause: CauseOK, auth: true, accepted: 1},
		{name: "chunked", request: "POST " + hookPath + " HTTP/1.1\r\nHost: x\r\n" + SecretHeader + ": " + secret + "\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", status: 200, cause: CauseOK, auth: true, accepted: 1},
		{name: "no JSON", request: post("<html>"), status: 200, cause: CauseOK, auth: true, accepted: 1},
		{name: "other path", request: request1("POST", "/", body, SecretHeader+": "+secret), status: 404, cause: CauseBadPath},
		{name: "longer path", request: request1("POST", hookPath+"/", body, SecretHeader+": "+secret), status: 404, cause: CauseBadPath},
		{name: "path in other case", request: request1("POST", "/Webhook/orders", body, SecretHeader+": "+secret), status: 404, cause: CauseBadPath},
		{name: "path before method", request: request1("GET", "/x", ""), status: 404, cause: CauseBadPath},
		{name: "asterisk", request: request1("OPTIONS", "*", ""), status: 404, cause: CauseBadPath},
		{name: "escaped path", request: request1("POST", "/%77ebhook/orders", body, SecretHeader+": "+secret), status: 200, cause: CauseOK, auth: true, accepted: 1},
		{name: "escaped slash", request: request1("POST", "/webhook%2Forders", body, SecretHeader+": "+secret), status: 404, cause: CauseBadPath},
		{name: "stranger", edit: inNets, from: "198.51.100.9", request: post(body), status: 403, cause: CauseBadAddress},
		{name: "address before method", edit: inNets, from: "198.51.100.9", request: request1("GET", hookPath, ""), status: 403, cause: CauseBadAddress},
		{name: "no proxy to trust", edit: inNets, request: post(body, "X-Forwarded-For: 1.2.3.4"), status: 200, cause: CauseOK, auth: true, accepted: 1},
		{name: "through a proxy", edit: proxied, from: "10.1.2.3", request: post(body, "X-Forwarded-For: 6.6.6.6, "+telegram), status: 200, cause: CauseOK, auth: true, accepted: 1, remote: telegram},
		{name: "stranger through a proxy", edit: proxied, from: "10.1.2.3", request: post(body, "X-Forwarded-For: "+telegram+", 6.6.6.6"), status: 403, cause: CauseBadAddress, remote: "6.6.6.6"},
		{name: "claims to be a proxy", edit: proxied, from: "6.6.6.6", request: post(body, "X-Forwarded-For: "+telegram), status: 403, cause: CauseBadAddress},
		{name: "proxy says nothing", edit: proxied, from: "10.1.2.3", request: post(body), status: 403, cause: CauseProxyHeader, auth: true},
		{name: "proxy says nothing, wrong secret", edit: proxied, from: "10.1.2.3", request: request1("POST", hookPath, body, SecretHeader+": x"), status: 403, cause: CauseProxyHeader},
		{name: "proxy says nonsense", edit: proxied, from: "10.1.2.3", request: post(body, "X-Forwarded-For: unknown"), status: 403, cause: CauseProxyHeader, auth: true},
		{name: "GET", request: request1("GET", hookPath, "", SecretHeader+": "+secret), status: 405, cause: CauseBadMethod},
		{name: "PUT", request: request1("PUT", hookPath, body, SecretHeader+": "+secret), status: 405, cause: CauseBadMethod},
		{name: "wrong secret", request: request1("POST", hookPath, body, SecretHeader+": x"), status: 403, cause: CauseBadSecret},
		{name: "wrong secret, middling body", request: request1("POST", hookPath, strings.Repeat(big, 15), SecretHeader+": x"), status: 403, cause: CauseBadSecret},
		{name: "wrong secret, large body", request: request1("POST", hookPath, strings.Repeat(big, 17), SecretHeader+": x"), status: 403, cause: CauseBadSecret, close: true},
		{name: "largest", request: post(strings.Repeat(big, 256)), status: 200, cause: CauseOK, auth: true, accepted: 1},
		{name: "too large", request: post(strings.Repeat(big, 256) + "x"), status: 413, cause: CauseTooLarge, auth: true, close: true},
		{name: "too large, chunked", request: "POST " + hookPath + " HTTP/1.1\r\nHost: x\r\n" + SecretHeader + ": " + secret + "\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n" + strings.Repeat("x", 0x100001) + "\r\n0\r\n\r\n", status: 413, cause: CauseTooLarge, auth: true, close: true},
		{name: "secret before size", request: request1("POST", hookPath, strings.Repeat(big, 257)), status: 403, cause: CauseBadSecret, close: true},
		{name: "empty body", request: post(""), status: 503, cause: CauseBodyMissing, auth: true, close: true},
		{name: "broken chunks", request: "POST " + hookPath + " HTTP/1.1\r\nHost: x\r\n" + SecretHeader + ": " + secret + "\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", status: 503, cause: CauseBodyMissing, auth: true, close: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Options{AllowConn: func(netip.Addr) bool { return true }}, c.edit, func(g *rig) {
				from := c.from
				if from == "" {
					from = telegram
				}
				if c.remote == "" {
					c.remote = from
				}
				p := g.dial(from)
				start := time.Now()
				go p.Write([]byte(c.request))
				resp := p.answer()
				if resp.StatusCode != c.status {
					t.Errorf("status %d, want %d", resp.StatusCode, c.status)
				}
				if d := time.Since(start); d > time.Millisecond {
					t.Errorf("answered after %v", d)
				}
				if v := resp.Header.Values("Retry-After"); v != nil {
					t.Errorf("Retry-After: %v", v)
				}
				if resp.ContentLength != 0 {
					t.Errorf("Content-Length %d", resp.ContentLength)
				}
				if resp.Close != c.close {
					t.Errorf("Connection: close is %v, want %v", resp.Close, c.close)
				}
				o := g.only()
				if o.Cause != c.cause || o.Status != c.status || o.Authenticated != c.auth || o.Remote != c.remote {
					t.Errorf("outcome %+v", o)
				}
				if wantBot := map[bool]string{true: "", false: "orders"}[c.cause == CauseBadPath]; o.Bot != wantBot {
					t.Errorf("bot %q", o.Bot)
				}
				if text := fmt.Sprintf("%+v %v", o, o.Err); strings.Contains(text, secret) || strings.Contains(text, "private words") || strings.Contains(text, hookPath) {
					t.Errorf("outcome tells too much: %s", text)
				}
				if n := len(g.sink.got()); n != c.accepted {
					t.Errorf("%d updates accepted, want %d", n, c.accepted)
				}
				if c.close {
					p.closed()
				} else if c.edit == nil {
					p.open()
				}
			})
		})
	}
}

func TestSecrets(t *testing.T) {
	h := SecretHeader + ": "
	long := strings.Repeat("a", 256)
	for _, c := range []struct {
		name    string
		secrets []string
		lines   []string
		ok      bool
	}{
		{"exact", []string{secret}, []string{h + secret}, true},
		{"lower-case header name, as some proxies make it", []string{secret}, []string{strings.ToLower(h) + secret}, true},
		{"white space around", []string{secret}, []string{h + "  " + secret + " "}, true},
		{"current of two", []string{secret, "next"}, []string{h + secret}, true},
		{"next of two", []string{secret, "next"}, []string{h + "next"}, true},
		{"longest", []string{long}, []string{h + long}, true},
		{"other case", []string{secret}, []string{h + strings.ToUpper(secret)}, false},
		{"prefix", []string{secret}, []string{h + secret[:5]}, false},
		{"longer", []string{secret}, []string{h + secret + "x"}, false},
		{"empty", []string{secret}, []string{h}, false},
		{"missing", []string{secret}, nil, false},
		{"doubled", []string{secret}, []string{h + secret, h + secret}, false},
		{"doubled, one wrong", []string{secret}, []string{h + "x", h + secret}, false},
		{"joined", []string{secret}, []string{h + secret + ", " + secret}, false},
		{"other header", []string{secret}, []string{"X-Telegram-Bot-Api-Secret: " + secret}, false},
		{"both joined", []string{"a", "b"}, []string{h + "ab"}, false},
		{"too long", []string{long + "a"}, []string{h + long + "a"}, false},
		{"beyond the longest", []string{long}, []string{h + long + "a"}, false},
		{"no secrets: empty", nil, []string{h}, false},
		{"no secrets: missing", nil, nil, false},
		{"empty secret: empty", []string{""}, []string{h}, false},
		{"empty secret: missing", []string{""}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Options{}, func(rt *Route) { rt.Secrets = func() []string { return c.secrets } }, func(g *rig) {
				p := g.dial(telegram)
				p.send(request1("POST", hookPath, body, c.lines...))
				if got := p.answer().StatusCode == 200; got != c.ok {
					t.Errorf("accepted: %v", got)
				}
				if o := g.only(); o.Authenticated != c.ok {
					t.Errorf("outcome %+v", o)
				}
			})
		})
	}
}

func TestReceipts(t *testing.T) {
	first := time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		item transport.Item
		body string
		want Outcome
	}{
		{transport.Item{}, body, Outcome{Cause: CauseOK, UpdateID: 811, HasID: true}},
		{transport.Item{Status: transport.StatusDuplicate, FirstSeen: first}, body, Outcome{Cause: CauseDuplicate, UpdateID: 811, HasID: true, Duplicate: true, FirstSeen: first}},
		{transport.Item{Status: transport.StatusQuarantined}, "nonsense", Outcome{Cause: CauseOK, Quarantined: true}},
	} {
		inBubble(t, Options{}, nil, func(g *rig) {
			var got transport.Batch
			g.sink.accept = func(_ context.Context, b transport.Batch) (transport.Receipt, error) {
				b.Updates = append([]transport.Update(nil), b.Updates...)
				got = b
				return transport.Receipt{Items: []transport.Item{c.item}}, nil
			}
			p := g.dial(telegram)
			p.send(post(c.body))
			p.answer()
			o := g.only()
			if o.Cause != c.want.Cause || o.UpdateID != c.want.UpdateID || o.HasID != c.want.HasID || o.Duplicate != c.want.Duplicate || !o.FirstSeen.Equal(c.want.FirstSeen) || o.Quarantined != c.want.Quarantined {
				t.Errorf("outcome %+v, want %+v", o, c.want)
			}
			if !o.Cause.OK() || o.Cause.OnPath() {
				t.Errorf("cause %s: OK %v, OnPath %v", o.Cause, o.Cause.OK(), o.Cause.OnPath())
			}
			if got.Source != transport.SourceWebhook || got.Page != nil || len(got.Updates) != 1 || got.Updates[0].HasID != c.want.HasID || !got.ReceivedAt.Equal(time.Now()) {
				t.Errorf("batch %+v", got)
			}
			if bodies := g.sink.got(); len(bodies) != 1 || bodies[0] != c.body {
				t.Errorf("sink got %q", bodies)
			}
		})
	}
}

func TestStoreFailed(t *testing.T) {
	inBubble(t, Options{}, nil, func(g *rig) {
		broken := errors.New("disk full")
		g.sink.accept = func(context.Context, transport.Batch) (transport.Receipt, error) { return transport.Receipt{}, broken }
		p := g.dial(telegram)
		p.send(post(body))
		resp := p.answer()
		if resp.StatusCode != 503 || resp.Header["Retry-After"] != nil || resp.Close {
			t.Errorf("answer %+v", resp)
		}
		o := g.only()
		if o.Cause != CauseStoreFailed || !errors.Is(o.Err, broken) || o.Cause.OnPath() || !o.HasID {
			t.Errorf("outcome %+v", o)
		}
		g.sink.accept = nil
		p.open()
	})
}

// A sink that gave up may still have the bytes in a queue: they are not reused.
func TestBytesAreLeftAloneAfterAFailure(t *testing.T) {
	inBubble(t, Options{}, nil, func(g *rig) {
		var kept []byte
		g.sink.accept = func(_ context.Context, b transport.Batch) (transport.Receipt, error) {
			kept = b.Updates[0].Raw
			return transport.Receipt{}, errors.New("gave up")
		}
		p := g.dial(telegram)
		p.send(post(body))
		p.answer()
		g.sink.accept = nil
		for range 20 {
			p.send(post(strings.Repeat("x", len(body))))
			p.answer()
		}
		if string(kept) != body {
			t.Errorf("the bytes became %q", kept)
		}
	})
}

// A commit that hangs is given up in time to answer before Telegram's 60 s.
func TestStoreHangs(t *testing.T) {
	inBubble(t, Options{}, nil, func(g *rig) {
		g.sink.accept = func(ctx context.Context, _ transport.Batch) (transport.Receipt, error) {
			<-ctx.Done()
			return transport.Receipt{}, ctx.Err()
		}
		p := g.dial(telegram)
		start := time.Now()
		p.send(post(body))
		if resp := p.answer(); resp.StatusCode != 503 {
			t.Errorf("status %d", resp.StatusCode)
		}
		if d := time.Since(start); d != DefaultAcceptTimeout {
			t.Errorf("answered after %v", d)
		}
		o := g.only()
		if o.Cause != CauseStoreFailed || o.Duration != DefaultAcceptTimeout {
			t.Errorf("outcome %+v", o)
		}
		g.sink.accept = nil
		p.open() // a body's deadline has not hit the connection meanwhile
	})
}

func TestPanic(t *testing.T) {
	for name, c := range map[string]struct {
		o     Options
		edit  func(*Route)
		value string
	}{
		"sink":    {edit: func(rt *Route) { rt.Sink = panicking{} }, value: "string"},
		"secrets": {edit: func(rt *Route) { rt.Secrets = func() []string { panic(errors.New("private words")) } }, value: "*errors.errorString"},
		"WrapHandler": {o: Options{WrapHandler: func(http.Handler) http.Handler {
			return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { _ = ([]int)(nil)[0] })
		}}, value: "runtime error: index out of range [0] with length 0"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, c.o, c.edit, func(g *rig) {
				p := g.dial(telegram)
				p.send(post(body))
				if resp := p.answer(); resp.StatusCode != 500 {
					t.Errorf("status %d", resp.StatusCode)
				}
				o := g.only()
				var pe *PanicError
				if o.Cause != CausePanicked || o.Status != 500 || !o.Cause.OnPath() || !errors.As(o.Err, &pe) {
					t.Fatalf("outcome %+v", o)
				}
				if pe.Value != c.value || len(pe.Stack) == 0 || strings.Contains(string(pe.Stack), "private words") {
					t.Errorf("panic %q at %s", pe.Value, pe.Stack)
				}
				if n := len(g.s.InFlight("orders")); n != 0 {
					t.Errorf("%d requests left in flight", n)
				}
			})
		})
	}
}

type panicking struct{}

func (panicking) Accept(context.Context, transport.Batch) (transport.Receipt, error) {
	panic("private words")
}

// TestWrapRequest: what it returns is what is judged, the secret included.
func TestWrapRequest(t *testing.T) {
	spoil := func(r *http.Request) *http.Request {
		r = r.Clone(r.Context())
		r.Header.Set("X-Telegram-Bot-Api-Secret-Token", "another")
		return r
	}
	inBubble(t, Options{WrapRequest: spoil}, nil, func(g *rig) {
		p := g.dial(telegram)
		p.send(post(body))
		if resp := p.answer(); resp.StatusCode != 403 {
			t.Errorf("status %d", resp.StatusCode)
		}
		synctest.Wait()
		if outs := g.outcomes(); len(outs) != 1 || outs[0].Cause != CauseBadSecret || outs[0].Authenticated {
			t.Errorf("outcomes %+v", outs)
		}
		if n := len(g.sink.got()); n != 0 {
			t.Errorf("accepted %d", n)
		}
	})
}

func TestWrapHandler(t *testing.T) {
	status := func(code int) func(http.Handler) http.Handler {
		return func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		}
	}
	after := func(f func(w http.ResponseWriter)) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(swallow{w}, r)
				f(w)
			})
		}
	}
	for _, c := range []struct {
		name     string
		wrap     func(http.Handler) http.Handler
		status   int // 0: the connection closes without an answer
		cause    Cause
		accepted int
	}{
		{"passes on", func(next http.Handler) http.Handler { return next }, 200, CauseOK, 1},
		{"answers 500", status(500), 500, CauseHandler, 0},
		{"answers 200 without the intake", status(200), 200, CauseHandler, 0},
		{"answers nothing", func(http.Handler) http.Handler {
			return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		}, 500, CauseHandler, 0},
		{"answers 502 after the commit", after(func(w http.ResponseWriter) { w.WriteHeader(502) }), 502, CauseHandler, 1},
		{"forgets the answer", after(func(http.ResponseWriter) {}), 500, CauseHandler, 1},
		{"flushes by itself", after(func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
		}), 200, CauseOK, 1},
		{"aborts", func(http.Handler) http.Handler {
			return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		}, 0, CausePanicked, 0},
		{"hijacks", func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				nc, _, err := http.NewResponseController(w).Hijack()
				if err == nil {
					nc.Close()
				}
			})
		}, 0, CauseHandler, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Options{WrapHandler: c.wrap}, nil, func(g *rig) {
				stranger := g.dial("6.6.6.6")
				stranger.send(request1("POST", hookPath, body))
				if resp := stranger.answer(); resp.StatusCode != 403 {
					t.Errorf("stranger got %d", resp.StatusCode)
				}
				synctest.Wait()
				p := g.dial(telegram)
				p.send(post(body))
				if c.status == 0 {
					p.closed()
				} else if resp := p.answer(); resp.StatusCode != c.status {
					t.Errorf("status %d", resp.StatusCode)
				}
				synctest.Wait()
				outs := g.outcomes()
				if len(outs) != 2 || outs[1].Cause != c.cause || outs[1].Status != c.status || !outs[1].Authenticated {
					t.Errorf("outcomes %+v", outs)
				}
				if n := len(g.sink.got()); n != c.accepted {
					t.Errorf("accepted %d", n)
				}
				if n := g.s.Arrivals("orders").InProgress; n != 0 {
					t.Errorf("%d in progress", n)
				}
			})
		})
	}
}

// swallow takes an answer and keeps it.
type swallow struct{ http.ResponseWriter }

func (swallow) Header() http.Header         { return http.Header{} }
func (swallow) WriteHeader(int)             {}
func (swallow) Write(b []byte) (int, error) { return len(b), nil }
