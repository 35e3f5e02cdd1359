package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"dualgram/transport"
)

// Route is one bot's webhook on a server.
type Route struct {
	// Bot names the route in outcomes; required and unique on the server.
	Bot string
	// Path is matched exactly, without the query; required, starts with "/". It
	// may be written escaped or not.
	Path string
	// Secrets returns the secret tokens that are good now: the current one, and
	// during a change the next. Empty ones are skipped; with none left nothing is
	// authenticated. It is called for each request. Required.
	Secrets func() []string
	// Former, if set, returns the digests of further tokens that are good now: of
	// those before a change, whose values are no longer known. It is called for
	// each request.
	Former func() []Digest
	// Unsigned, if set and true, lets in requests without the header, for the time
	// that it takes to give a secret to a sender which has none. With Networks
	// they count as authenticated by their address; without, they are taken but
	// prove nothing. It is called for each such request.
	Unsigned func() bool
	// Networks lists where requests may come from; empty means anywhere.
	Networks []netip.Prefix
	// TrustedProxies lists peers whose X-Forwarded-For is believed: the client is
	// its right-most address that is not a trusted proxy itself.
	TrustedProxies []netip.Prefix
	// Sink makes updates durable; required.
	Sink transport.Sink
	// Observe, if set, is called once for each request when it has ended, from
	// the request's goroutine. It must return quickly.
	Observe func(Outcome)
}

func (r *Route) validate() error {
	switch {
	case r.Bot == "":
		return errors.New("no bot name")
	case !strings.HasPrefix(r.Path, "/"):
		return errors.New("path must start with /")
	case strings.ContainsAny(r.Path, "?#"):
		return errors.New("path must not have a query or fragment")
	case r.Secrets == nil:
		return errors.New("no secrets")
	case r.Sink == nil:
		return errors.New("no sink")
	}
	return nil
}

// route is a Route in service.
type route struct {
	Route
	flight *flight
}

// pathKey is a path as net/url splits it: raw is set only where escaping path
// doesn't give back what was written, as in "/a%2Fb".
type pathKey struct{ path, raw string }

func keyOf(path string) (pathKey, error) {
	u, err := url.ParseRequestURI(path)
	if err != nil { // a path may hold the token: not even the error is passed on
		return pathKey{}, errors.New("path doesn't parse")
	}
	if u.RawPath != "" && u.EscapedPath() != u.RawPath {
		return pathKey{}, errors.New("path is escaped in part only")
	}
	return pathKey{u.Path, u.RawPath}, nil
}

// table is the routes of a server; it is replaced, never changed.
type table struct {
	byPath map[pathKey]*route
	byBot  map[string]*route
	// gate is what may connect at all; nil if that can't be decided from the
	// peer's address alone.
	gate []netip.Prefix
}

func newTable(routes map[string]*route) (*table, error) {
	t := &table{byPath: make(map[pathKey]*route), byBot: routes}
	gated := len(routes) > 0
	for _, rt := range routes {
		k, err := keyOf(rt.Path)
		if err != nil {
			return nil, err
		}
		if other, taken := t.byPath[k]; taken {
			return nil, fmt.Errorf("bots %s and %s have the same path", min(rt.Bot, other.Bot), max(rt.Bot, other.Bot))
		}
		t.byPath[k] = rt
		if len(rt.Networks) == 0 || len(rt.TrustedProxies) > 0 {
			gated = false
		}
		t.gate = append(t.gate, rt.Networks...)
	}
	if !gated {
		t.gate = nil
	}
	return t, nil
}

// find returns the route of a request's URL; nil if there is none.
func (t *table) find(u *url.URL) *route {
	rt := t.byPath[pathKey{u.Path, u.RawPath}]
	// More escaped than it needs to be is the same path, except for a slash.
	if rt == nil && u.RawPath != "" && !strings.Contains(strings.ToUpper(u.RawPath), "%2F") {
		rt = t.byPath[pathKey{u.Path, ""}]
	}
	return rt
}

// flight is the authenticated requests in progress of one bot.
type flight struct {
	mu     sync.Mutex
	oldest *request // a list in the order of arrival
	newest *request
	n      int
	last   time.Time
}

func (f *flight) add(q *request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q.prev = f.newest
	if f.newest != nil {
		f.newest.next = q
	} else {
		f.oldest = q
	}
	f.newest = q
	f.n++
	f.last = q.out.HeadersAt
}

func (f *flight) remove(q *request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if q.prev != nil {
		q.prev.next = q.next
	} else {
		f.oldest = q.next
	}
	if q.next != nil {
		q.next.prev = q.prev
	} else {
		f.newest = q.prev
	}
	q.prev, q.next = nil, nil
	f.n--
}

func (f *flight) arrivals() Arrivals {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := Arrivals{Last: f.last, InProgress: f.n}
	if f.oldest != nil {
		a.Oldest = f.oldest.out.HeadersAt
	}
	return a
}

func (f *flight) list(bot string) []InFlight {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]InFlight, 0, f.n)
	for q := f.oldest; q != nil; q = q.next {
		in := InFlight{Bot: bot, Stage: Stage(q.stage.Load()), Started: q.out.HeadersAt, Remote: q.out.Remote}
		in.Commit = time.Duration(q.commit.Load()) // after the stage, which is set after it
		if q.known.Load() {
			in.UpdateID, in.HasID = q.id, true
		}
		out = append(out, in)
	}
	return out
}

func contains(nets []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Contains(a) })
}

// client returns the address that a request comes from; false if a trusted proxy
// doesn't say. Of several X-Forwarded-For headers the last is the newest.
func (rt *route) client(r *http.Request, peer netip.Addr) (netip.Addr, bool) {
	if !contains(rt.TrustedProxies, peer) {
		return peer, true
	}
	values := r.Header["X-Forwarded-For"]
	var a netip.Addr
	for i := len(values) - 1; i >= 0; i-- {
		for rest := values[i]; rest != ""; {
			cut := strings.LastIndexByte(rest, ',')
			item := rest[cut+1:]
			rest = rest[:max(cut, 0)]
			var ok bool
			if a, ok = forwarded(item); !ok {
				return netip.Addr{}, false
			}
			if !contains(rt.TrustedProxies, a) {
				return a, true
			}
		}
	}
	return a, a.IsValid() // every hop is trusted: the first one is the client
}

// forwarded reads one element of X-Forwarded-For; some proxies add a port.
func forwarded(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}
