package chaos

import "net/http"

// Handler returns h with the http.* faults around it, and net.reset with
// at=handler. It belongs outside everything that judges a request.
func (s *Scope) Handler(h http.Handler) http.Handler {
	if !s.Enabled() {
		return h
	}
	s.attach(seamHTTP)
	return &handler{s, h}
}

type handler struct {
	reg  *Scope
	next http.Handler
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t := h.reg.load()
	if t == nil {
		h.next.ServeHTTP(w, r)
		return
	}
	serveThrough(t.http, h.next, w, r)
}

// serveThrough hands the request to the first fault that hits it, with the
// faults after it in the way of the handler.
func serveThrough(fs []*fault, next http.Handler, w http.ResponseWriter, r *http.Request) {
	for i, f := range fs {
		rule := f.b.http
		if rule.match != nil && !rule.match(r) || !f.fire() {
			continue
		}
		rule.serve(f, w, r, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			serveThrough(fs[i+1:], next, w, r)
		}))
		return
	}
	next.ServeHTTP(w, r)
}

// unsent is a ResponseWriter whose answer goes nowhere. Deadlines still reach
// the connection.
type unsent struct {
	http.ResponseWriter
	header http.Header
}

func newUnsent(w http.ResponseWriter) *unsent { return &unsent{w, make(http.Header)} }

func (u *unsent) Header() http.Header         { return u.header }
func (u *unsent) Write(p []byte) (int, error) { return len(p), nil }
func (u *unsent) WriteHeader(int)             {}
func (u *unsent) FlushError() error           { return nil }
func (u *unsent) Unwrap() http.ResponseWriter { return u.ResponseWriter }
