package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const testToken = "0123456789abcdef0123456789abcdef"

func tcpServer(t *testing.T, o TCPOptions) (http.Handler, *Order) {
	t.Helper()
	o.Token = testToken
	var got Order
	s := &Server{o: Options{Status: fakeStatus{st: Status{Version: "v1"}}, Operator: fakeOperator{got: &got}}}
	return tcpHandler(o, s.Handler()), &got
}

// askTCP is a request as it comes over TCP; each header is "Name: value".
func askTCP(h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:9465"
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const bearer = "Authorization: Bearer " + testToken

func TestTCPGuard(t *testing.T) {
	g := newGuard(testToken, nil)
	now := time.Now()
	cookie := "Cookie: " + CookieName + "=" + g.session(now.Add(time.Hour))
	over := "Cookie: " + CookieName + "=" + g.session(now.Add(-time.Second))
	foreign := "Cookie: " + CookieName + "=" + newGuard(strings.Repeat("x", 32), nil).session(now.Add(time.Hour))
	forever := "Cookie: " + CookieName + "=" + g.session(now.Add(1000*time.Hour))
	forged := strings.Replace(cookie, "=", "=9", 1)
	const status, sw, order = "/v1/status", "/v1/bots/a/switch", `{"to":"auto"}`
	for _, c := range []struct {
		name, method, target, body string
		headers                    []string
		code                       int
	}{
		{"no token", "GET", status, "", nil, 401},
		{"wrong token", "GET", status, "", []string{"Authorization: Bearer " + testToken + "0"}, 401},
		{"empty token", "GET", status, "", []string{"Authorization: Bearer "}, 401},
		{"basic", "GET", status, "", []string{"Authorization: Basic " + testToken}, 401},
		{"token", "GET", status, "", []string{bearer}, 200},
		{"token, any case", "GET", status, "", []string{"Authorization: bearer " + testToken}, 200},
		{"token changes", "POST", sw, order, []string{bearer}, 200},
		{"cookie", "GET", status, "", []string{cookie}, 200},
		{"cookie over", "GET", status, "", []string{over}, 401},
		{"cookie of another token", "GET", status, "", []string{foreign}, 401},
		{"cookie without an end", "GET", status, "", []string{forever}, 401},
		{"cookie forged", "GET", status, "", []string{forged}, 401},
		{"cookie changes without proof", "POST", sw, order, []string{cookie}, 401},
		{"cookie with header", "POST", sw, order, []string{cookie, HeaderCSRF + ": 1"}, 200},
		{"cookie with origin", "POST", sw, order, []string{cookie, "Origin: http://127.0.0.1:9465"}, 200},
		{"other site", "POST", sw, order, []string{cookie, HeaderCSRF + ": 1", "Origin: https://evil.example"}, 403},
		{"other port", "POST", sw, order, []string{cookie, HeaderCSRF + ": 1", "Origin: http://127.0.0.1:8080"}, 403},
		{"opaque origin", "POST", sw, order, []string{cookie, HeaderCSRF + ": 1", "Origin: null"}, 403},
		{"other site reads", "GET", status, "", []string{cookie, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}, 403},
		{"other port reads", "GET", status, "", []string{cookie, "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: navigate"}, 403},
		{"the page reads", "GET", status, "", []string{cookie, "Sec-Fetch-Site: same-origin"}, 200},
		{"rebound name", "GET", status, "", []string{bearer, "Host: evil.example:9465"}, 403},
		{"rebound name to the login", "GET", "/login", "", []string{"Host: evil.example:9465"}, 403},
		{"no host", "GET", status, "", []string{bearer, "Host: "}, 403},
		{"localhost by a tunnel", "GET", status, "", []string{bearer, "Host: LocalHost:1"}, 200},
		{"IPv6", "GET", status, "", []string{bearer, "Host: [::1]:9465"}, 200},
		{"unknown", "GET", "/v1/nothing", "", []string{bearer}, 404},
		{"page", "GET", "/", "", []string{cookie}, 200},
		{"page without", "GET", "/", "", nil, 401},
		{"link to the page", "GET", "/", "", []string{"Accept: text/html", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, 401},
		{"page posts without", "POST", "/x", "", []string{"Accept: text/html"}, 401},
	} {
		var refusals []Code
		h, _ := tcpServer(t, TCPOptions{Refused: func(_ string, code Code) { refusals = append(refusals, code) }})
		w := askTCP(h, c.method, c.target, c.body, c.headers...)
		if w.Code != c.code {
			t.Errorf("%s: %d, want %d: %s", c.name, w.Code, c.code, w.Body)
		}
		if strings.Contains(w.Body.String(), testToken) {
			t.Errorf("%s: the answer holds the token", c.name)
		}
		if told := len(refusals) > 0; told != (w.Code == 403 || w.Code == 401 && strings.HasPrefix(c.target, "/v1/")) {
			t.Errorf("%s: told of refusals %v", c.name, refusals)
		}
	}
}

func TestTCPLogin(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !Authorised(r) {
			t.Error("the page is served to whoever comes")
		}
		_, _ = io.WriteString(w, "the page")
	})
	assets := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "an asset")
	})
	h, _ := tcpServer(t, TCPOptions{Page: page, Assets: assets})
	w := askTCP(h, "GET", "/", "", "Accept: text/html")
	if w.Code != 401 || !strings.Contains(w.Body.String(), `action="/login"`) || !strings.Contains(w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := askTCP(h, "GET", "/assets/style.css", ""); w.Code != 200 || w.Body.String() != "an asset" {
		t.Errorf("asset: %d %s", w.Code, w.Body)
	}
	form := "Content-Type: application/x-www-form-urlencoded"
	for _, wrong := range []string{"token=no", "", "token=" + testToken[1:], "token=" + strings.Repeat("x", 5000)} {
		if w := askTCP(h, "POST", "/login", wrong, form, "Accept: text/html"); w.Code != 401 || len(w.Result().Cookies()) > 0 {
			t.Errorf("%.40s: %d %v", wrong, w.Code, w.Header())
		}
	}
	if w := askTCP(h, "POST", "/login", "token="+testToken, form, "Origin: https://evil.example"); w.Code != 403 {
		t.Errorf("login by another site: %d", w.Code)
	}
	w = askTCP(h, "POST", "/login", url.Values{"token": {testToken}}.Encode(), form, "Accept: text/html", "Origin: http://127.0.0.1:9465")
	cookies := w.Result().Cookies()
	if w.Code != 303 || w.Header().Get("Location") != "/" || len(cookies) != 1 {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	c := cookies[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.MaxAge <= 0 || strings.Contains(c.Value, testToken) {
		t.Errorf("%+v", c)
	}
	sent := "Cookie: " + c.Name + "=" + c.Value
	if w := askTCP(h, "GET", "/", "", sent); w.Body.String() != "the page" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := askTCP(h, "POST", "/logout", "", sent); w.Code != 303 || w.Result().Cookies()[0].MaxAge >= 0 {
		t.Errorf("logout: %d %v", w.Code, w.Header())
	}
}

// Over real sockets: who gave the command is the token's holder, and the other way
// in goes on.
func TestTCPListener(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	var got Order
	o := Options{Socket: socket, Status: fakeStatus{}, Operator: fakeOperator{got: &got}, TCP: &TCPOptions{Listen: "127.0.0.1:0", Token: testToken}}
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, _ := http.NewRequest("POST", "http://"+s.TCPAddr().String()+"/v1/bots/a/ack", bytes.NewReader([]byte(`{"reason":"why"}`)))
	req.Header.Set("Authorization", "Bearer "+testToken)
	resp, err := web.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if by := got.By; resp.StatusCode != 200 || by.User != TokenUser || by.UID != -1 || !strings.HasPrefix(by.Remote, "127.0.0.1:") || !strings.HasPrefix(by.String(), "tcp token from 127.0.0.1:") {
		t.Errorf("%s %+v", resp.Status, by)
	}
	if resp, err = client(socket).Get("http://dualgram/v1/status"); err != nil || resp.StatusCode != 200 {
		t.Errorf("%v %v", resp, err)
	} else {
		resp.Body.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, bad := range []TCPOptions{
		{Listen: "0.0.0.0:0", Token: testToken}, {Listen: ":0", Token: testToken}, {Listen: "example.com:0", Token: testToken},
		{Listen: "127.0.0.1:0", Token: "short"},
	} {
		o.TCP = &bad
		if s, err := Listen(o); err == nil {
			_ = s.Close()
			t.Errorf("%+v: no error", bad)
		} else if bad.Token == testToken && !errors.Is(err, ErrNotLoopback) {
			t.Error(err)
		}
	}
}
