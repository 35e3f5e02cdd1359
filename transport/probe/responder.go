package probe

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"sync"
)

// Headers of a probe. The values are hexadecimal.
const (
	ChallengeHeader = "Dualgram-Probe"
	ProofHeader     = "Dualgram-Probe-Proof"
)

// challenge is what one probe asks.
type challenge struct {
	ask   string // random; the value of ChallengeHeader
	proof string // the value of ProofHeader that answers it
	path  string // where it has to arrive, decoded
}

// Responder is the listener's side: it knows the challenges of the probes that are
// under way, and answers them. One can serve any number of probers and listeners.
// The zero Responder is ready for use. It must not be copied.
type Responder struct {
	mu   sync.Mutex
	open []*challenge
}

// Busy reports whether a probe is under way: then, and only then, a listener may
// have to let in a peer whose address it doesn't know, for it may be our own.
func (r *Responder) Busy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open) > 0
}

// Exempt reports whether req is one of the probes under way, at the path where it
// belongs. How long it takes tells nothing about their challenges.
func (r *Responder) Exempt(req *http.Request) bool { return r.find(req) != nil }

// ServeHTTP answers a probe with its proof, and 403 to anything else.
func (r *Responder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h := w.Header()
	h.Set("Content-Length", "0")
	h.Set("Cache-Control", "no-store")
	c := r.find(req)
	if c == nil {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	h.Set(ProofHeader, c.proof)
	w.WriteHeader(http.StatusOK)
}

func (r *Responder) find(req *http.Request) *challenge {
	got := req.Header[ChallengeHeader]
	if len(got) != 1 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var found *challenge
	for _, c := range r.open {
		if subtle.ConstantTimeCompare([]byte(got[0]), []byte(c.ask)) == 1 && req.URL.Path == c.path {
			found = c
		}
	}
	return found
}

func (r *Responder) add(c *challenge) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = append(r.open, c)
}

func (r *Responder) remove(c *challenge) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.open, c); i >= 0 {
		r.open = slices.Delete(r.open, i, i+1)
	}
}
