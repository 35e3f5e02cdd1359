package chaos

import (
	"net/http"
	"time"
)

func httpSlow() kind {
	return kind{Info{
		Kind:     "http.slow",
		Layer:    "http",
		Unit:     "request",
		Doc:      "Requests wait before the handler sees them.",
		Delay:    "the wait; 0 means 1s",
		Params:   requestParams(),
		ProdSafe: true,
	}, func(_ *Registry, s Spec, p *params) (behaviour, error) {
		d := s.Delay
		if d == 0 {
			d = time.Second
		}
		return behaviour{http: &httpRule{requestMatch(p), func(f *fault, w http.ResponseWriter, r *http.Request, next http.Handler) {
			waitThenServe(f, d, w, r, next)
		}}}, nil
	}}
}

// waitThenServe serves the request after the wait. One whose client has gone
// never reaches the handler.
func waitThenServe(f *fault, d time.Duration, w http.ResponseWriter, r *http.Request, next http.Handler) {
	holdBody(r)
	if f.wait(r.Context(), d) != nil {
		panic(http.ErrAbortHandler)
	}
	next.ServeHTTP(w, r)
}
