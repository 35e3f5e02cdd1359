package console

import (
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// TCPOptions configure the second way to the API: HTTP on a loopback address, for
// browsers and for whoever tunnels.
//
// Everybody on the host can connect, so everything under /v1/ wants the token: as
// Authorization: Bearer, or as the cookie that POST /login gives for it. A request
// for another host's name, or from another site's page, is refused (DNS rebinding,
// CSRF), and so is one that changes something on a cookie's authority without
// [HeaderCSRF] or Origin.
type TCPOptions struct {
	// Listen is host:port. The host is a loopback address, or localhost.
	Listen string
	// Token is what has to be known; it is never logged. It is at least 32 bytes long.
	Token string
	// Page is served for every path but /v1/…, /login and /logout, to whoever has
	// logged in. Others get a form that asks for the token. nil means a line of text.
	Page http.Handler
	// Assets is what the page needs and anybody may have, such as style and script,
	// under /assets/; it may be nil.
	Assets http.Handler
	// Refused, if not nil, is told of each request that is turned away: from where,
	// and with which code.
	Refused func(remote string, code Code)
}

// ErrNotLoopback says that the TCP listener would be open to other hosts.
var ErrNotLoopback = errors.New("not a loopback address")

// minToken is the least length of a token: one that could be guessed would make the
// listener an open door.
const minToken = 32

func listenTCP(o TCPOptions) (net.Listener, error) {
	if len(o.Token) < minToken {
		return nil, fmt.Errorf("console: the token has fewer than %d bytes", minToken)
	}
	if !localName(o.Listen) {
		return nil, fmt.Errorf("console: control.listen: %s: %w", o.Listen, ErrNotLoopback)
	}
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("console: control.listen: %w", err)
	}
	// What localhost means is up to the host.
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		_ = l.Close()
		return nil, fmt.Errorf("console: control.listen: %s is %s: %w", o.Listen, l.Addr(), ErrNotLoopback)
	}
	return l, nil
}

// maxLogin bounds the body of a login.
const maxLogin = 4 << 10

// tcpHandler is what the TCP listener serves: the API behind the guard, the login,
// the page.
func tcpHandler(o TCPOptions, api http.Handler) http.Handler {
	g := newGuard(o.Token, o.Refused)
	page := o.Page
	if page == nil {
		page = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = io.WriteString(w, "dualgram\n/v1/status\n/v1/events\n")
		})
	}
	everybody := func(h http.HandlerFunc) http.Handler { return g.middleware(h, h) }
	mux := http.NewServeMux()
	mux.Handle("/v1/", g.middleware(api, nil))
	mux.Handle("/", g.middleware(page, http.HandlerFunc(askToken)))
	if o.Assets != nil {
		mux.Handle("GET /assets/", everybody(o.Assets.ServeHTTP))
	}
	mux.Handle("GET /login", everybody(askToken))
	mux.Handle("POST /login", everybody(g.login))
	mux.Handle("POST /logout", everybody(logout))
	return headers(mux)
}

// headers keeps other sites from framing what is served, and what is typed into it
// from being sent elsewhere.
func headers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		set := w.Header().Set
		set("Content-Security-Policy", "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		set("X-Content-Type-Options", "nosniff")
		// With no-referrer a form would be sent with Origin: null, and be refused.
		set("Referrer-Policy", "same-origin")
		set("Cross-Origin-Resource-Policy", "same-origin")
		h.ServeHTTP(w, r)
	})
}

func sessionCookie(value string, age int) *http.Cookie {
	// Not Secure: the listener is plain HTTP on loopback.
	return &http.Cookie{Name: CookieName, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// wantsHTML says whether a person at a browser is to be answered.
func wantsHTML(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// login takes the field token of a form and gives a session for it.
func (g *guard) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxLogin)
	if !g.isToken(strings.TrimSpace(r.PostFormValue("token"))) {
		if wantsHTML(r) {
			g.refused(r.RemoteAddr, CodeUnauthorized)
			form(w, "This is not the token.")
			return
		}
		g.turnAway(w, r, CodeUnauthorized, "this is not the token", "send the form field token with what is in control.token_file")
		return
	}
	http.SetCookie(w, sessionCookie(g.session(time.Now().Add(SessionLife)), int(SessionLife.Seconds())))
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, sessionCookie("", -1))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// askToken answers who has no session: with a form, or with an error for a program.
func askToken(w http.ResponseWriter, r *http.Request) {
	if !safe(r.Method) || !wantsHTML(r) && r.URL.Path != "/login" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="dualgram"`)
		fail(w, CodeUnauthorized, "the token is missing or wrong", "log in at /login, or send Authorization: Bearer with what is in control.token_file")
		return
	}
	form(w, "")
}

// form is the login page. It needs no script and nothing from elsewhere.
func form(w http.ResponseWriter, complaint string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusUnauthorized)
	alert := ""
	if complaint != "" {
		alert = `<p role="alert" class="bad">` + html.EscapeString(complaint) + "</p>"
	}
	_, _ = io.WriteString(w, strings.Replace(formPage, "{{alert}}", alert, 1))
}

const formPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>dualgram: log in</title>
<style>
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center}
main{width:min(24rem,90vw)}
label,input,button{display:block;width:100%;box-sizing:border-box;font:inherit}
input,button{padding:.6em;margin:.3em 0 1em}
.bad{border-left:4px solid #c33;padding-left:.6em}
</style></head><body><main>
<h1>dualgram</h1>
{{alert}}
<form method="post" action="/login">
<label for="token">Control token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button type="submit">Log in</button>
</form>
<p>The token is in the file that <code>control.token_file</code> names.</p>
</main></body></html>
`
