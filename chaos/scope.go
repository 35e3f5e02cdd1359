package chaos

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"time"
)

// Scope makes injectors that serve a part of the process only, such as one bot of
// several: they carry out the faults whose [Spec.Scope] is one of its names, and
// those without a scope. The injectors that a [Registry] makes itself have no
// names.
type Scope struct {
	*Registry
	names []string
}

// Scope returns the injectors' maker for a part of the process.
func (r *Registry) Scope(names ...string) *Scope { return &Scope{r, names} }

// holds reports whether the fault concerns this part.
func (s *Scope) holds(f *fault) bool {
	return f.spec.Scope == "" || slices.Contains(s.names, f.spec.Scope)
}

// load returns the active faults of this part, or nil.
func (s *Scope) load() *table {
	t := s.Registry.load()
	if t == nil || !t.scoped {
		return t
	}
	return t.only(s.holds)
}

// only returns the table of the faults that are kept; nil if none is.
func (t *table) only(keep func(*fault) bool) *table {
	some := false
	pick := func(fs []*fault) (out []*fault) {
		for _, f := range fs {
			if keep(f) {
				out, some = append(out, f), true
			}
		}
		return out
	}
	n := &table{conn: pick(t.conn), tls: pick(t.tls), request: pick(t.request), http: pick(t.http), api: pick(t.api), dial: pick(t.dial), hook: pick(t.hook), probe: pick(t.probe), clock: pick(t.clock)}
	if !some {
		return nil
	}
	return n
}

// Listener is [Scope.Listener] for what has no scope.
func (r *Registry) Listener(ln net.Listener) net.Listener { return r.Scope().Listener(ln) }

// ReopenListener is [Scope.ReopenListener] for what has no scope.
func (r *Registry) ReopenListener(ln net.Listener, reopen func() (net.Listener, error)) net.Listener {
	return r.Scope().ReopenListener(ln, reopen)
}

// TLSConfig is [Scope.TLSConfig] for what has no scope.
func (r *Registry) TLSConfig(base *tls.Config) *tls.Config { return r.Scope().TLSConfig(base) }

// Request is [Scope.Request] for what has no scope.
func (r *Registry) Request() func(*http.Request) *http.Request { return r.Scope().Request() }

// Handler is [Scope.Handler] for what has no scope.
func (r *Registry) Handler(h http.Handler) http.Handler { return r.Scope().Handler(h) }

// RoundTripper is [Scope.RoundTripper] for what has no scope.
func (r *Registry) RoundTripper(rt http.RoundTripper) http.RoundTripper {
	return r.Scope().RoundTripper(rt)
}

// Dial is [Scope.Dial] for what has no scope.
func (r *Registry) Dial(dial DialFunc) DialFunc { return r.Scope().Dial(dial) }

// ProbeDial is [Scope.ProbeDial] for what has no scope.
func (r *Registry) ProbeDial(dial DialFunc) DialFunc { return r.Scope().ProbeDial(dial) }

// ProbeLookup is [Scope.ProbeLookup] for what has no scope.
func (r *Registry) ProbeLookup(look LookupFunc) LookupFunc { return r.Scope().ProbeLookup(look) }

// Clock is [Scope.Clock] for what has no scope.
func (r *Registry) Clock(now func() time.Time) func() time.Time { return r.Scope().Clock(now) }

// Hook is [Scope.Hook] for what has no scope.
func (r *Registry) Hook(s Seam) func(ctx context.Context, point string) error {
	return r.Scope().Hook(s)
}
