package console

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

const (
	// CookieName is the cookie that a login sets. Its value is no token: it is good
	// for [SessionLife], and not beyond the token's own life.
	CookieName = "dualgram_session"
	// SessionLife is how long a login lasts: a shift on call.
	SessionLife = 12 * time.Hour
	// HeaderCSRF has to be there, with any value, on a request that changes something
	// and is authorised by the cookie: a form of another site can't set it.
	HeaderCSRF = "X-Dualgram"
)

// guard lets in who has the token, and nobody whom a browser brings along from
// another site.
type guard struct {
	key  [sha256.Size]byte // hash of the token, so that lengths don't show
	sign []byte
	// refused is told of each request that is turned away.
	refused func(remote string, code Code)
}

func newGuard(token string, refused func(string, Code)) *guard {
	if refused == nil {
		refused = func(string, Code) {}
	}
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("dualgram session key v1"))
	return &guard{key: sha256.Sum256([]byte(token)), sign: mac.Sum(nil), refused: refused}
}

// isToken compares in a time that tells nothing.
func (g *guard) isToken(s string) bool {
	sum := sha256.Sum256([]byte(s))
	return hmac.Equal(sum[:], g.key[:])
}

// session is the cookie's value for a login that ends then.
func (g *guard) session(ends time.Time) string {
	stamp := strconv.FormatInt(ends.Unix(), 10)
	mac := hmac.New(sha256.New, g.sign)
	mac.Write([]byte(stamp))
	return stamp + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// isSession says whether a cookie's value was made here and is not over.
func (g *guard) isSession(value string, now time.Time) bool {
	stamp, _, ok := strings.Cut(value, ".")
	unix, err := strconv.ParseInt(stamp, 10, 64)
	if !ok || err != nil {
		return false
	}
	ends := time.Unix(unix, 0)
	return hmac.Equal([]byte(g.session(ends)), []byte(value)) && now.Before(ends) && ends.Before(now.Add(SessionLife+time.Minute))
}

// localName says whether a Host or the host of an Origin is this machine as its own
// processes name it. A site whose name was made to resolve to 127.0.0.1 (DNS
// rebinding) is reached under its own name.
func localName(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// safe says whether a method changes nothing (RFC 9110, section 9.2.1).
func safe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// place says why a request must not be served, whoever sends it; empty if it may.
func place(r *http.Request) (message, fix string) {
	if !localName(r.Host) {
		return "the request is for the host " + strconv.Quote(r.Host), "use 127.0.0.1 or localhost; from elsewhere, tunnel: ssh -L 9465:127.0.0.1:PORT HOST"
	}
	if o := r.Header.Get("Origin"); o != "" && o != "http://"+r.Host {
		return "the request comes from another site: " + strconv.Quote(o), "open the page on the same address that it talks to"
	}
	// Of the same site is also whatever runs on another port of this machine.
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return "", ""
	}
	if safe(r.Method) && r.Header.Get("Sec-Fetch-Mode") == "navigate" && !strings.HasPrefix(r.URL.Path, "/v1/") {
		return "", "" // a link to the page; the cookie is not sent from other sites
	}
	return "the request comes from another site", "open the page on the same address that it talks to"
}

// authorised says whether the request carries the token, or a session; for what
// changes something, a session only with proof that the page itself asks.
func (g *guard) authorised(r *http.Request, now time.Time) bool {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
		return strings.EqualFold(scheme, "Bearer") && g.isToken(strings.TrimSpace(token))
	}
	c, err := r.Cookie(CookieName)
	if err != nil || !g.isSession(c.Value, now) {
		return false
	}
	return safe(r.Method) || r.Header.Get(HeaderCSRF) != "" || r.Header.Get("Origin") != ""
}

// insideKey marks the context of a request that was let in.
type insideKey struct{}

// Authorised says whether a request to the page of the TCP listener carries the
// token or a session.
func Authorised(r *http.Request) bool { return r.Context().Value(insideKey{}) != nil }

func (g *guard) turnAway(w http.ResponseWriter, r *http.Request, code Code, message, fix string) {
	g.refused(r.RemoteAddr, code)
	if code == CodeUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="dualgram"`)
	}
	fail(w, code, message, fix)
}

// middleware serves inside to whoever is let in; outside gets the others, and nil
// turns them away.
func (g *guard) middleware(inside, outside http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if message, fix := place(r); message != "" {
			g.turnAway(w, r, CodeForbidden, message, fix)
			return
		}
		if g.authorised(r, time.Now()) {
			inside.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), insideKey{}, true)))
			return
		}
		if outside != nil {
			outside.ServeHTTP(w, r)
			return
		}
		g.turnAway(w, r, CodeUnauthorized, "the token is missing or wrong", "send Authorization: Bearer with what is in control.token_file; with a cookie, send "+HeaderCSRF+": 1 too")
	})
}
