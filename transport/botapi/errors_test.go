package botapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/memnet"
	"dualgram/chaos/pki"
)

// TestErrorClasses has every way in which a call fails, by what the operator and
// the supervisor get to see of it.
func TestErrorClasses(t *testing.T) {
	date := []string{"Date", "Mon, 01 Jan 2001 00:00:07 GMT"}
	get := func(c *Client, ctx context.Context) error {
		_, err := c.GetUpdates(ctx, GetUpdates{})
		return err
	}
	set := func(c *Client, ctx context.Context) error {
		_, err := c.SetWebhook(ctx, SetWebhook{URL: "https://bot.example.com/secret-path", SecretToken: "hunter2"})
		return err
	}
	html := "<html><body>502 Bad Gateway " + testToken + "</body></html>"
	type want struct {
		kind       Kind
		code       int
		retryAfter time.Duration
		conflict   Conflict
		detail     Detail
		maybe      bool
		phase      Phase
	}
	cases := []struct {
		name string
		h    http.Handler
		raw  func(net.Conn, *bufio.Reader)
		net  func(*memnet.Network)
		wrap func(http.RoundTripper) http.RoundTripper
		call func(*Client, context.Context) error
		want want
	}{
		{name: "webhook active", h: apiError(409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first", ""), call: get,
			want: want{kind: KindConflict, code: 409, conflict: ConflictWebhookActive, phase: PhaseBody}},
		{name: "other getUpdates", h: apiError(409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running", ""), call: get,
			want: want{kind: KindConflict, code: 409, conflict: ConflictOtherGetUpdates, phase: PhaseBody}},
		{name: "setWebhook request", h: apiError(409, "Conflict: terminated by setWebhook request", ""), call: get,
			want: want{kind: KindConflict, code: 409, conflict: ConflictSetWebhook, phase: PhaseBody}},
		{name: "other setWebhook", h: apiError(409, "Conflict: terminated by other setWebhook", ""), call: set,
			want: want{kind: KindConflict, code: 409, conflict: ConflictOtherSetWebhook, phase: PhaseBody}},
		{name: "new conflict", h: apiError(409, "Conflict: something new", ""), call: get,
			want: want{kind: KindConflict, code: 409, conflict: ConflictUnknown, phase: PhaseBody}},
		{name: "unauthorized", h: apiError(401, "Unauthorized: invalid token specified", ""), call: set,
			want: want{kind: KindUnauthorized, code: 401, phase: PhaseBody}},
		{name: "not found", h: apiError(404, "Not Found", ""), call: get, want: want{kind: KindNotFound, code: 404, phase: PhaseBody}},
		{name: "misdirected", h: apiError(421, "Misdirected Request: unallowed token specified", ""), call: get,
			want: want{kind: KindMisdirected, code: 421, phase: PhaseBody}},
		{name: "forbidden", h: apiError(403, "Forbidden: no", ""), call: set, want: want{kind: KindBadRequest, code: 403, phase: PhaseBody}},
		{name: "description echoes token and URL", h: apiError(400, "Bad Request: https://x.example.com/bot"+testToken+"/m?x="+url.QueryEscape(testToken)+" hunter2 "+testToken, ""), call: set,
			want: want{kind: KindBadRequest, code: 400, phase: PhaseBody}},
		{name: "429 in body", h: apiError(429, "Too Many Requests: retry after 7", `,"parameters":{"retry_after":7}`), call: set,
			want: want{kind: KindRateLimited, code: 429, retryAfter: 7 * time.Second, phase: PhaseBody}},
		{name: "429 in header", h: answerWith(429, "text/html", html, "Retry-After", "9"), call: get,
			want: want{kind: KindRateLimited, code: 429, retryAfter: 9 * time.Second, phase: PhaseBody}},
		{name: "429 in both", h: answerWith(429, "application/json", `{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":3}}`, "Retry-After", "5"), call: get,
			want: want{kind: KindRateLimited, code: 429, retryAfter: 5 * time.Second, phase: PhaseBody}},
		{name: "429 as date", h: answerWith(429, "text/html", html, "Retry-After", "Mon, 01 Jan 2001 00:00:11 GMT"), call: get,
			want: want{kind: KindRateLimited, code: 429, retryAfter: 4 * time.Second, phase: PhaseBody}},
		{name: "429 absurd", h: apiError(429, "x", `,"parameters":{"retry_after":9223372036854775807}`), call: get,
			want: want{kind: KindRateLimited, code: 429, retryAfter: 24 * time.Hour, phase: PhaseBody}},
		{name: "500 restart", h: apiError(500, "Internal Server Error: restart", ""), call: set,
			want: want{kind: KindServer, code: 500, maybe: true, phase: PhaseBody}},
		{name: "502 HTML", h: answerWith(502, "text/html", html), call: set, want: want{kind: KindServer, code: 502, maybe: true, phase: PhaseBody}},
		{name: "502 HTML to a reader", h: answerWith(502, "text/html", html), call: get, want: want{kind: KindServer, code: 502, phase: PhaseBody}},
		{name: "200 HTML", h: answerWith(200, "text/html", html), call: set, want: want{kind: KindProtocol, code: 200, maybe: true, phase: PhaseBody}},
		{name: "200 HTML to a reader", h: answerWith(200, "text/html", html), call: get, want: want{kind: KindProtocol, code: 200, phase: PhaseBody}},
		{name: "401 of a captive portal", h: answerWith(401, "text/html", html), call: get, want: want{kind: KindProtocol, code: 401, phase: PhaseBody}},
		{name: "content type echoes token", h: answerWith(200, "text/x-"+strings.ToLower(testToken[10:]), ""), call: get, want: want{kind: KindProtocol, code: 200, phase: PhaseBody}},
		{name: "wrong result", h: answerWith(200, "application/json", `{"ok":true,"result":{}}`), call: set,
			want: want{kind: KindProtocol, code: 200, maybe: true, phase: PhaseBody}},
		{name: "result is no list", h: answerWith(200, "application/json", `{"ok":true,"result":true}`), call: get,
			want: want{kind: KindProtocol, code: 200, phase: PhaseBody}},
		{name: "info without url", h: answerWith(200, "application/json", `{"ok":true,"result":{"pending_update_count":1}}`), call: func(c *Client, ctx context.Context) error {
			_, err := c.GetWebhookInfo(ctx)
			return err
		}, want: want{kind: KindProtocol, code: 200, phase: PhaseBody}},
		{name: "redirect", h: answerWith(302, "text/html", "", "Location", "https://evil.example.com/bot"+testToken), call: set,
			want: want{kind: KindProtocol, code: 302, maybe: true, phase: PhaseBody}},
		{name: "redirect to a broken URL", h: answerWith(301, "text/html", "", "Location", "://"+testToken+"%zz"), call: get,
			want: want{kind: KindProtocol, code: 301, phase: PhaseBody}},
		{name: "too large", h: answerWith(200, "application/json", `{"ok":true,"result":"`+strings.Repeat("x", 1<<20)+`"}`), call: set,
			want: want{kind: KindTooLarge, code: 200, maybe: true, phase: PhaseBody}},
		{name: "refused", net: func(n *memnet.Network) { n.Host("api.example.com", "45.67.0.9") }, call: set, want: want{kind: KindRefused, phase: PhaseStart}},
		{name: "unknown host", net: func(n *memnet.Network) {
			n.HostError("api.example.com", &net.DNSError{Err: "no such host bot" + testToken, Name: "api.example.com", IsNotFound: true})
		}, call: set, want: want{kind: KindDNS, phase: PhaseStart}},
		{name: "black hole", h: answerWith(200, "application/json", "{}"), net: func(n *memnet.Network) { n.Blackhole(testHost, true) }, call: set,
			want: want{kind: KindTimeout, phase: PhaseStart}},
		{name: "hang after the request", raw: func(_ net.Conn, r *bufio.Reader) { _ = readRequest(r); _, _ = r.ReadByte() }, call: set,
			want: want{kind: KindTimeout, maybe: true, phase: PhaseWait}},
		{name: "closed after the request", raw: func(_ net.Conn, r *bufio.Reader) { _ = readRequest(r) }, call: set,
			want: want{kind: KindReset, maybe: true, phase: PhaseWait}},
		{name: "reset after the request", raw: func(c net.Conn, r *bufio.Reader) { _ = readRequest(r); _ = c.(*memnet.Conn).Reset() }, call: set,
			want: want{kind: KindReset, maybe: true, phase: PhaseWait}},
		{name: "truncated body", raw: func(c net.Conn, r *bufio.Reader) {
			_ = readRequest(r)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"ok\":true,\"result\":[")
		}, call: get, want: want{kind: KindProtocol, code: 200, phase: PhaseBody}},
		{name: "page without an end", raw: func(c net.Conn, r *bufio.Reader) {
			_ = readRequest(r)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"+`{"ok":true,"result":[{"update_id":1,"message":{"entities":[{}]}`)
		}, call: get, want: want{kind: KindProtocol, code: 200, phase: PhaseBody}},
		{name: "hang in the body", raw: func(c net.Conn, r *bufio.Reader) {
			_ = readRequest(r)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
			_, _ = r.ReadByte()
		}, call: set, want: want{kind: KindTimeout, code: 200, maybe: true, phase: PhaseBody}},
		{name: "not HTTP", raw: func(c net.Conn, r *bufio.Reader) {
			_ = readRequest(r)
			_, _ = io.WriteString(c, "SSH-2.0-x "+testToken+"\r\n")
		}, call: set, want: want{kind: KindNetwork, maybe: true, phase: PhaseWait}},
		{name: "wrapped transport fails with the URL", wrap: func(http.RoundTripper) http.RoundTripper {
			return roundTripFunc(func(r *http.Request) (*http.Response, error) {
				return nil, &url.Error{Op: "Post", URL: r.URL.String(), Err: fmt.Errorf("%s: %w", url.QueryEscape(r.URL.String()), io.EOF)}
			})
		}, call: set, want: want{kind: KindReset, maybe: true, phase: PhaseStart}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			h := tc.h
			if f, ok := h.(http.HandlerFunc); ok {
				h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set(date[0], date[1]); f(w, r) })
			}
			bubble(t, h, func(o *Options) { o.Wrap = tc.wrap }, func(r *rig) {
				if tc.raw != nil {
					defer raw(t, r.net, testHost, tc.raw)()
				}
				if tc.net != nil {
					tc.net(r.net)
				}
				err := tc.call(r.c, within(5*time.Second))
				var e *Error
				if !errors.As(err, &e) {
					t.Fatalf("not an *Error: %v", err)
				}
				got := want{e.Kind, e.Code, e.RetryAfter, e.Conflict, e.Detail, e.MayHaveHappened, e.Phase}
				if tc.want.phase == PhaseStart { // memnet doesn't trace its look-ups and dials
					got.phase = PhaseStart
				}
				if got != tc.want {
					t.Errorf("got  %+v\nwant %+v\n%v", got, tc.want, err)
				}
				if e.Attempts != 1 || len(r.calls) != 1 {
					t.Errorf("attempts %d, observed %d", e.Attempts, len(r.calls))
				}
				if tc.h != nil && tc.net == nil && e.Date.Year() != 2001 {
					t.Errorf("date %v", e.Date)
				}
				noToken(t, err)
				for _, c := range r.calls {
					if s := fmt.Sprintf("%+v", c); strings.Contains(s, testToken[10:]) {
						t.Error("Observe leaks the token")
					}
				}
				if c := r.calls[0]; c.Kind != e.Kind && c.Kind != "" {
					t.Errorf("observed kind %q", c.Kind)
				}
			})
		})
	}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBadWebhookDetail(t *testing.T) {
	for text, want := range map[string]Detail{
		"Bad Request: bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443":              DetailWebhookPort,
		"Bad Request: bad webhook: An HTTPS URL must be provided for webhook":                            DetailWebhookHTTPS,
		"Bad Request: bad webhook: Failed to resolve host: Name or service not known":                    DetailWebhookDNS,
		"Bad Request: bad webhook: IP address 10.0.0.1 is reserved":                                      DetailWebhookIP,
		"Bad Request: bad webhook: IPv6-only addresses are not allowed":                                  DetailWebhookIP,
		"Bad Request: bad webhook: Invalid IP address specified":                                         DetailWebhookIP,
		"Bad Request: bad webhook: Host is empty":                                                        DetailWebhookHost,
		"Bad Request: bad webhook: Failed to connect to 45.67.0.1:443":                                   DetailWebhookConnect,
		"Bad Request: bad webhook: Can't create an SSL context: Failed to set custom certificate file{}": DetailWebhookCertificate,
		"Bad Request: bad webhook: Unknown":                                                              DetailWebhookOther,
		"Bad Request: invalid webhook URL specified":                                                     DetailWebhookURL,
		"Bad Request: secret token is too long":                                                          DetailWebhookSecret,
		"Bad Request: secret token contains unallowed characters":                                        DetailWebhookSecret,
		"Bad Request: certificate size is too big (4000000 bytes)":                                       DetailWebhookCertificate,
		"Bad Request: chat not found":                                                                    DetailNone,
	} {
		if got := detailOf(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestCanceled(t *testing.T) {
	bubble(t, nil, nil, func(r *rig) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := r.c.DeleteWebhook(ctx, false)
		var e *Error
		if !errors.As(err, &e) || e.Kind != KindCanceled || e.MayHaveHappened || !errors.Is(err, context.Canceled) {
			t.Errorf("before the call: %+v", err)
		}
		noToken(t, err)
	})
	bubble(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}), nil, func(r *rig) {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(3*time.Second, cancel)
		start := time.Now()
		_, err := r.c.GetUpdates(ctx, GetUpdates{Timeout: 25 * time.Second})
		if KindOf(err) != KindCanceled || !errors.Is(err, context.Canceled) || time.Since(start) != 3*time.Second {
			t.Errorf("parked: %v after %v", err, time.Since(start))
		}
		noToken(t, err)
		start = time.Now()
		if _, err = r.c.GetUpdates(context.Background(), GetUpdates{Timeout: 25 * time.Second}); KindOf(err) != KindTimeout || time.Since(start) != 35*time.Second {
			t.Errorf("no deadline given: %v after %v", err, time.Since(start))
		}
	})
}

// TestTLS has what TLS can fail of; the server is right with the good chain.
func TestTLS(t *testing.T) {
	for _, tc := range []struct {
		name  string
		leaf  pki.Leaf
		trust bool
		kind  Kind
	}{
		{"good", pki.Leaf{Hosts: []string{"api.example.com"}}, true, ""},
		{"unknown authority", pki.Leaf{Hosts: []string{"api.example.com"}}, false, KindTLS},
		{"wrong host", pki.Leaf{Hosts: []string{"other.example.com"}}, true, KindTLS},
		{"expired", pki.Leaf{Hosts: []string{"api.example.com"}, NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(1999, 2, 1, 0, 0, 0, 0, time.UTC)}, true, KindTLS},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca, err := pki.NewCA(time.Now(), "test")
				if err != nil {
					t.Fatal(err)
				}
				pair, err := ca.Issue(time.Now(), tc.leaf)
				if err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(t.TempDir(), "ca.pem")
				if !tc.trust {
					other, _ := pki.NewCA(time.Now(), "other")
					ca = other
				}
				if err := os.WriteFile(file, ca.RootPEM(), 0o600); err != nil {
					t.Fatal(err)
				}
				n := memnet.New()
				ln, err := n.Listen("api.example.com:443")
				if err != nil {
					t.Fatal(err)
				}
				defer serveHTTP(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{pair.TLS()}}), answerWith(200, "application/json", `{"ok":true,"result":true}`))()
				c, err := New(Options{Token: testToken, BaseURL: "https://api.example.com", CAFile: file, Dial: n.Dial})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				_, err = c.DeleteWebhook(within(5*time.Second), false)
				if KindOf(err) != tc.kind {
					t.Errorf("got %v", err)
				}
				var e *Error
				if errors.As(err, &e) && (e.MayHaveHappened || e.Phase != PhaseTLS) {
					t.Errorf("%+v", e)
				}
				noToken(t, err)
			})
		})
	}
	t.Run("plain HTTP on the port", func(t *testing.T) {
		bubble(t, answerWith(200, "text/plain", "x"), func(o *Options) { o.BaseURL = "https://" + testHost }, func(r *rig) {
			_, err := r.c.DeleteWebhook(within(5*time.Second), false)
			if KindOf(err) != KindTLS {
				t.Errorf("%v", err)
			}
			noToken(t, err)
		})
	})
}

// TestProxy goes through an HTTP and a SOCKS5 proxy, and has both fail.
func TestProxy(t *testing.T) {
	ok := answerWith(200, "application/json", `{"ok":true,"result":true}`)
	run := func(name, proxy string, f func(net.Conn, *bufio.Reader), want Kind, maybe bool) {
		t.Run(name, func(t *testing.T) {
			bubble(t, ok, func(o *Options) { o.Proxy = proxy }, func(r *rig) {
				if f != nil {
					defer raw(t, r.net, "proxy.example.com:3128", f)()
				}
				_, err := r.c.DeleteWebhook(within(5*time.Second), false)
				if KindOf(err) != want {
					t.Fatalf("got %v, want kind %q", err, want)
				}
				var e *Error
				if errors.As(err, &e) && e.MayHaveHappened != maybe {
					t.Errorf("%+v", e)
				}
				noToken(t, err)
			})
		})
	}
	httpProxy := "http://user:hunter2@proxy.example.com:3128"
	socks := "socks5://user:hunter2@proxy.example.com:3128"
	run("http ok", httpProxy, func(c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil || req.Header.Get("Proxy-Authorization") == "" {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n"+`{"ok":true,"result":true}`)
	}, "", false)
	run("http refuses", httpProxy, func(c net.Conn, r *bufio.Reader) {
		if readRequest(r) == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Type: text/html\r\nContent-Length: "+strconv.Itoa(len(testToken))+"\r\n\r\n"+testToken)
		}
	}, KindProtocol, true)
	run("http not there", httpProxy, nil, KindDNS, false)
	run("socks not there", socks, nil, KindDNS, false)
	run("socks ok", socks, func(c net.Conn, r *bufio.Reader) {
		socks5(c, r, 0)
		if readRequest(r) == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n"+`{"ok":true,"result":true}`)
		}
	}, "", false)
	run("socks unreachable", socks, func(c net.Conn, r *bufio.Reader) { socks5(c, r, 4) }, KindNetwork, false)
}

// socks5 is the server's half of RFC 1928 and 1929.
func socks5(c net.Conn, r *bufio.Reader, reply byte) {
	head := make([]byte, 2)
	_, _ = io.ReadFull(r, head)
	_, _ = r.Discard(int(head[1]))
	_, _ = c.Write([]byte{5, 2})
	_, _ = io.ReadFull(r, head)
	_, _ = r.Discard(int(head[1]))
	n, _ := r.ReadByte()
	_, _ = r.Discard(int(n))
	_, _ = c.Write([]byte{1, 0})
	req := make([]byte, 5)
	_, _ = io.ReadFull(r, req)
	_, _ = r.Discard(int(req[4]) + 2)
	_, _ = c.Write([]byte{5, reply, 0, 1, 0, 0, 0, 0, 0, 0})
}

func TestNewRefuses(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bad, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"no token":       {},
		"short token":    {Token: "123456789:abc"},
		"token in url":   {Token: testToken, BaseURL: "https://api.example.com/?t=" + testToken},
		"user in url":    {Token: testToken, BaseURL: "https://u:hunter2@api.example.com"},
		"no scheme":      {Token: testToken, BaseURL: "api.example.com/secret-path"},
		"broken url":     {Token: testToken, BaseURL: "http://a b/secret-path"},
		"proxy scheme":   {Token: testToken, Proxy: "ftp://u:hunter2@p:1"},
		"broken proxy":   {Token: testToken, Proxy: "http://u:hunter2@ p:1"},
		"CA not there":   {Token: testToken, CAFile: bad + "x"},
		"CA not PEM":     {Token: testToken, CAFile: bad},
		"token with end": {Token: testToken + "\n"},
	} {
		c, err := New(o)
		if err == nil || c != nil {
			t.Errorf("%s: accepted", name)
		}
		noToken(t, err)
	}
	c, err := New(Options{Token: testToken})
	if err != nil || c.BotID() != 123456789 {
		t.Fatalf("%v, %v", c, err)
	}
	for _, s := range []string{fmt.Sprintf("%v", c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c)} {
		if strings.Contains(s, testToken[10:]) {
			t.Error("printing a Client prints the token")
		}
	}
}
