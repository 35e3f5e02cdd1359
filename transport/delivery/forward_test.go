package delivery

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/memnet"
	"dualgram/transport"
)

// bot is an HTTP server on an in-memory network.
type bot struct {
	net   *memnet.Network
	conns int
	mu    sync.Mutex
}

// withBot runs a test in a bubble with a bot listening on bot.test:80.
func withBot(t *testing.T, h http.HandlerFunc, test func(t *testing.T, b *bot)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bot{net: memnet.New()}
		ln, err := b.net.Listen("bot.test:80")
		if err != nil {
			t.Fatal(err)
		}
		defer b.serve(t, ln, h)()
		test(t, b)
	})
}

func (b *bot) serve(t *testing.T, ln net.Listener, h http.Handler) (stop func()) {
	// A server notices that the client has gone only once the body is read.
	read := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, r)
	})
	srv := &http.Server{Handler: read, ErrorLog: log.New(io.Discard, "", 0), ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			b.mu.Lock()
			b.conns++
			b.mu.Unlock()
		}
	}}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	return func() { _ = srv.Close(); <-done; time.Sleep(time.Minute) }
}

func (b *bot) forward(t *testing.T, o ForwardOptions) *Forward {
	t.Helper()
	if o.URL == "" {
		o.URL = "http://bot.test/updates?key=hidden"
	}
	o.Dial = b.net.Dial
	f, err := NewForward(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.CloseIdle)
	return f
}

// wire is an update as Telegram writes it: with a line break after the id.
const wire = "{\"update_id\":7,\n\"message\":{\"text\":\"" + secretText + " \\ud83d\"}}"

func TestForwardRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	secret := "s1"
	withBot(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusNoContent)
	}, func(t *testing.T, b *bot) {
		f := b.forward(t, ForwardOptions{URL: "http://me:pw@bot.test/updates?key=hidden", Secret: func() string { return secret }})
		u := Update{ID: 7, Source: transport.SourceWebhook, Attempt: 3, Raw: []byte(wire)}
		if err := f.Deliver(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		if string(body) != wire {
			t.Errorf("body %q", body)
		}
		want := map[string]string{
			"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": "s1",
			"Dualgram-Update-Id": "7", "Dualgram-Source": "webhook", "Dualgram-Attempt": "3",
			"Content-Length": fmt.Sprint(len(wire)), "User-Agent": "dualgram", "Authorization": "Basic bWU6cHc=",
		}
		for k, v := range want {
			if h := got.Header.Get(k); h != v {
				t.Errorf("%s: %q, want %q", k, h, v)
			}
		}
		if got.Method != "POST" || got.RequestURI != "/updates?key=hidden" || got.Host != "bot.test" || len(got.Header) != len(want) {
			t.Errorf("%s %s on %s, headers %v", got.Method, got.RequestURI, got.Host, got.Header)
		}
		// The secret may change, and may be none.
		for _, secret = range []string{"s2", ""} {
			if err := f.Deliver(t.Context(), u); err != nil {
				t.Fatal(err)
			}
			if h := got.Header.Values("X-Telegram-Bot-Api-Secret-Token"); strings.Join(h, ",") != secret {
				t.Errorf("secret %q, want %q", h, secret)
			}
		}
	})
}

func TestForwardStatus(t *testing.T) {
	status, hits := 0, 0
	withBot(t, func(w http.ResponseWriter, r *http.Request) {
		hits++
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		if status >= 200 && status != 204 && status != 304 {
			_, _ = io.WriteString(w, secretText)
		}
	}, func(t *testing.T, b *bot) {
		f := b.forward(t, ForwardOptions{})
		for _, status = range []int{200, 201, 202, 204, 226, 299, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 410, 429, 500, 503} {
			hits = 0
			err := f.Deliver(t.Context(), Update{ID: 7, Raw: []byte(wire)})
			if hits != 1 {
				t.Errorf("%d: %d requests", status, hits)
			}
			if status < 300 {
				if err != nil {
					t.Errorf("%d: %v", status, err)
				}
				continue
			}
			var e *Error
			if !errors.As(err, &e) || e.Kind != KindStatus || e.Status != status || !strings.Contains(e.Error(), fmt.Sprint(status)) {
				t.Errorf("%d: %v", status, err)
				continue
			}
			if strings.Contains(err.Error(), secretText) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("%d: the error tells too much: %v", status, err)
			}
		}
	})
}

// Each way of failing has its kind, ends within the time-out, and tells nothing
// that it must not.
func TestForwardFailures(t *testing.T) {
	for name, c := range map[string]struct {
		h     http.HandlerFunc
		fault func(b *bot)
		url   string
		kind  Kind
		is    error
		after time.Duration
	}{
		"refused":      {fault: func(b *bot) { b.net.Refuse("bot.test:80", true) }, kind: KindRefused, is: syscall.ECONNREFUSED},
		"nobody":       {url: "http://bot.test:81/", kind: KindRefused, is: syscall.ECONNREFUSED},
		"dns":          {url: "http://gone.test/", kind: KindDNS},
		"black hole":   {fault: func(b *bot) { b.net.Blackhole("bot.test", true) }, kind: KindTimeout, is: context.DeadlineExceeded, after: 30 * time.Second},
		"plain as tls": {url: "https://bot.test:80/", kind: KindTLS},
		"hangs":        {h: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, kind: KindTimeout, is: context.DeadlineExceeded, after: 30 * time.Second},
		"hangs up":     {h: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, kind: KindReset},
		"not http": {h: func(w http.ResponseWriter, _ *http.Request) {
			c, _, _ := http.NewResponseController(w).Hijack()
			_, _ = io.WriteString(c, secretText+"\r\n\r\n")
			_ = c.Close()
		}, kind: KindIO},
	} {
		t.Run(name, func(t *testing.T) {
			withBot(t, c.h, func(t *testing.T, b *bot) {
				if c.fault != nil {
					c.fault(b)
				}
				start := time.Now()
				err := b.forward(t, ForwardOptions{URL: c.url}).Deliver(t.Context(), Update{ID: 7, Raw: []byte(wire)})
				if KindOf(err) != c.kind || c.is != nil && !errors.Is(err, c.is) {
					t.Fatalf("kind %q (%v), want %q", KindOf(err), err, c.kind)
				}
				if d := time.Since(start); d != c.after {
					t.Errorf("took %s, want %s", d, c.after)
				}
				for e := err; e != nil; e = errors.Unwrap(e) {
					if strings.Contains(e.Error(), secretText) || strings.Contains(e.Error(), "hidden") {
						t.Errorf("an error tells too much: %v", e)
					}
				}
				b.net.Heal()
			})
		})
	}
}

func TestForwardReset(t *testing.T) {
	withBot(t, func(_ http.ResponseWriter, r *http.Request) { time.Sleep(time.Second) }, func(t *testing.T, b *bot) {
		time.AfterFunc(500*time.Millisecond, func() { b.net.Cut("bot.test:80") })
		err := b.forward(t, ForwardOptions{}).Deliver(t.Context(), Update{ID: 7, Raw: []byte(wire)})
		if KindOf(err) != KindReset || !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("%v", err)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, nil)
		time.AfterFunc(500*time.Millisecond, cancel)
		if err := b.forward(t, ForwardOptions{}).Deliver(ctx, Update{ID: 7}); KindOf(err) != KindCanceled {
			t.Fatalf("%v", err)
		}
		time.Sleep(time.Second)
	})
}

func TestForwardTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cert, pool := certificate(t, "bot.test")
		b := &bot{net: memnet.New()}
		ln, err := b.net.Listen("bot.test:443")
		if err != nil {
			t.Fatal(err)
		}
		defer b.serve(t, tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}}), http.NotFoundHandler())()
		for _, c := range []struct {
			tls  *tls.Config
			kind Kind
		}{
			{&tls.Config{RootCAs: pool}, KindStatus},
			{nil, KindTLS},
			{&tls.Config{RootCAs: pool, ServerName: "other.test"}, KindTLS},
			{&tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11}, KindTLS},
		} {
			f := b.forward(t, ForwardOptions{URL: "https://bot.test/x", TLS: c.tls})
			if err := f.Deliver(t.Context(), Update{}); KindOf(err) != c.kind {
				t.Errorf("%v, want %q", err, c.kind)
			}
			f.CloseIdle()
		}
	})
}

// The status decides: what becomes of the body afterwards does not matter, and
// it can't hold the lane longer than the time-out.
func TestForwardBodies(t *testing.T) {
	var body http.HandlerFunc
	withBot(t, func(w http.ResponseWriter, r *http.Request) { body(w, r) }, func(t *testing.T, b *bot) {
		replies := 0
		f := b.forward(t, ForwardOptions{OnReply: func(Reply) { replies++ }})
		for name, c := range map[string]struct {
			h     http.HandlerFunc
			after time.Duration
		}{
			"without end": {func(w http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					if _, err := w.Write(make([]byte, 64<<10)); err != nil {
						return
					}
				}
			}, 0},
			"never finished": {func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"method":`)
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}, 30 * time.Second},
			"cut off": {func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "100")
				_, _ = io.WriteString(w, "{")
			}, 0},
		} {
			body = c.h
			start := time.Now()
			if err := f.Deliver(t.Context(), Update{ID: 7, Raw: []byte(wire)}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if d := time.Since(start); d != c.after {
				t.Errorf("%s: took %s, want %s", name, d, c.after)
			}
		}
		if replies != 0 {
			t.Errorf("%d replies", replies)
		}
	})
}

func TestForwardReplies(t *testing.T) {
	const multi = "--b\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name=\"method\"\r\n\r\nsendMessage\r\n--b--\r\n"
	var ct, body string
	status := 200
	withBot(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", ct)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}, func(t *testing.T, b *bot) {
		var got []Reply
		f := b.forward(t, ForwardOptions{OnReply: func(r Reply) { got = append(got, r) }})
		for _, c := range []struct{ ct, body, format string }{
			{"application/json", `{"method":"sendMessage","chat_id":1,"text":"x"}`, "json"},
			{"Application/JSON; charset=utf-8", ` {"chat_id":1,"method":"x"}`, "json"},
			{"application/json", `{"Method":"sendMessage"}`, ""},
			{"application/json", `{"ok":true,"result":{"method":"x"}}`, ""},
			{"application/json", `{"method":""}`, ""},
			{"application/json", `{"method":{}}`, ""},
			{"application/json", `["method"]`, ""},
			{"application/json", `{"method":"x"`, ""},
			{"application/json", ``, ""},
			{"application/json", `{"a":"` + strings.Repeat("x", maxResponse) + `","method":"x"}`, ""},
			{"text/plain", `{"method":"sendMessage"}`, ""},
			{"application/x-www-form-urlencoded", "chat_id=1&method=sendMessage", "form"},
			{"application/x-www-form-urlencoded", "chat_id=1&method=", ""},
			{"application/x-www-form-urlencoded", "%zz&method=x", ""},
			{"multipart/form-data; boundary=b", multi, "multipart"},
			{"multipart/form-data; boundary=c", multi, ""},
			{"multipart/form-data", multi, ""},
		} {
			ct, body, got = c.ct, c.body, nil
			if err := f.Deliver(t.Context(), Update{ID: 7}); err != nil {
				t.Fatal(err)
			}
			if c.format == "" && got != nil || c.format != "" && (len(got) != 1 || got[0] != Reply{7, c.format}) {
				t.Errorf("%s %.60s: %v, want %q", c.ct, c.body, got, c.format)
			}
		}
		// Telegram makes a call only for an answer that takes the update.
		ct, body, status, got = "application/json", `{"method":"x"}`, 500, nil
		if err := f.Deliver(t.Context(), Update{ID: 7}); err == nil || got != nil {
			t.Errorf("%v, %v", err, got)
		}
	})
}

// As many connections are kept as there are lanes, and an idle one is closed
// before the bot closes it.
func TestForwardConnections(t *testing.T) {
	withBot(t, func(http.ResponseWriter, *http.Request) { time.Sleep(100 * time.Millisecond) }, func(t *testing.T, b *bot) {
		f := b.forward(t, ForwardOptions{Lanes: 20})
		burst := func() {
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					if err := f.Deliver(t.Context(), Update{}); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		for range 5 {
			burst()
		}
		if b.conns != 20 {
			t.Errorf("%d connections, want 20", b.conns)
		}
		time.Sleep(4900 * time.Millisecond)
		burst()
		if b.conns != 40 {
			t.Errorf("%d connections, want 40", b.conns)
		}
	})
}

func TestForwardOptions(t *testing.T) {
	token := "123456789:" + strings.Repeat("A", 35)
	for url, want := range map[string]string{
		"":                         "scheme must be",
		"bot:9000/x":               "scheme must be",
		"ftp://bot/x":              "scheme must be",
		"http:///x":                "host is missing",
		"http://:9000/":            "host is missing",
		"http://bot/#x":            "fragment",
		"http://me:hidden@bot/%zz": "does not parse",
		"http://me:hidden@bot/x#y": "http://bot/x",
		"ftp://bot/?k=hidden":      "ftp://bot/",
		"ftp://bot/" + token:       "ftp://bot/<token>",
		"ftp://bot/" + token[:9] + "%3A" + token[10:]: "ftp://bot/<token>",
	} {
		_, err := NewForward(ForwardOptions{URL: url})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
	if _, err := NewForward(ForwardOptions{URL: "http://bot/", Timeout: -1}); err == nil {
		t.Error("negative time-out accepted")
	}
	if _, err := NewForward(ForwardOptions{URL: "http://bot/", Lanes: -1}); err == nil {
		t.Error("negative lanes accepted")
	}
}

func certificate(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func BenchmarkForward(b *testing.B) {
	n := memnet.New()
	ln, err := n.Listen("bot.test:80")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })}
	go func() { _ = srv.Serve(ln) }()
	defer srv.Close()
	f, err := NewForward(ForwardOptions{URL: "http://bot.test/", Dial: n.Dial})
	if err != nil {
		b.Fatal(err)
	}
	defer f.CloseIdle()
	u := Update{ID: 7, Source: transport.SourceWebhook, Attempt: 1, Raw: []byte(strings.Repeat(" ", 700))}
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := f.Deliver(context.Background(), u); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
