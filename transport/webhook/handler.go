package webhook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"dualgram/transport"
)

const (
	// drainTimeout and drainMax bound what is spent on a refused body to keep the
	// connection, or to have the answer read before the connection goes.
	drainTimeout = time.Second
	drainMax     = 64 << 10
	// keepBuffer is the largest body buffer that is kept for the next request.
	keepBuffer = 64 << 10
)

var errEmptyBody = errors.New("the body is empty")

// request is one request in progress.
type request struct {
	s     *Server
	route *route
	out   Outcome
	w     http.ResponseWriter // net/http's own

	stage   atomic.Uint32
	commit  atomic.Int64 // how long the commit took, once it is over; ns
	id      int64        // valid once known is true
	known   atomic.Bool
	passed  bool // path, address, method and secret are in order
	listed  bool // in route.flight
	probe   bool
	intaken bool // the intake answered, or tried to
	dirty   bool // somebody else may still hold parts of it

	hijacked bool // by a handler of WrapHandler

	prev, next *request // in route.flight

	updates [1]transport.Update
	body    bytes.Buffer
	limited io.LimitedReader
}

// serve is the handler that net/http calls.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	if !s.gate.enter() {
		panic(http.ErrAbortHandler) // the connection is closed already
	}
	defer s.gate.leave()
	c, _ := r.Context().Value(connKey{}).(*conn)
	q := s.pool.Get().(*request)
	q.s, q.w = s, w
	q.out.HeadersAt, q.out.Started, q.out.Remote = now, c.started(now), c.remote
	defer func() { s.done(q, r, recover()) }()

	if wrap := s.o.WrapRequest; wrap != nil {
		r = wrap(r)
	}
	if !s.admitted(q, r, c) {
		return
	}
	if s.wrapped == nil {
		s.take(q, w, r)
		return
	}
	q.dirty = true
	rec := &recorder{ResponseWriter: w, q: q}
	s.wrapped.ServeHTTP(rec, r.WithContext(context.WithValue(r.Context(), requestKey{}, q)))
	if q.out.Status == 0 && !q.hijacked { // net/http would make it a 200
		q.hangUp()
		q.answer(w, http.StatusInternalServerError)
	}
}

type requestKey struct{}

// inner is what WrapHandler wraps.
func (s *Server) inner(w http.ResponseWriter, r *http.Request) {
	if q, ok := r.Context().Value(requestKey{}).(*request); ok {
		s.take(q, w, r)
	}
}

// admitted checks path, address, method and secret, and answers what fails.
func (s *Server) admitted(q *request, r *http.Request, c *conn) bool {
	rt := s.table.Load().find(r.URL)
	if rt == nil {
		q.refuse(r, CauseBadPath, http.StatusNotFound)
		return false
	}
	q.route, q.out.Bot = rt, rt.Bot
	exempt := s.o.Exempt != nil && s.o.Exempt(r)
	if exempt && s.o.Probe != nil {
		q.probe = true
		return true
	}
	client, known := rt.client(r, c.peer)
	if client != c.peer && known {
		q.out.Remote = client.String()
	}
	if len(rt.Networks) > 0 && !exempt {
		if !known {
			q.out.Authenticated = r.Method == http.MethodPost && rt.secret(r).signed()
			q.refuse(r, CauseProxyHeader, http.StatusForbidden)
			return false
		}
		if !contains(rt.Networks, client) {
			q.refuse(r, CauseBadAddress, http.StatusForbidden)
			return false
		}
	}
	if r.Method != http.MethodPost {
		q.w.Header()["Allow"] = []string{http.MethodPost}
		q.refuse(r, CauseBadMethod, http.StatusMethodNotAllowed)
		return false
	}
	if q.out.Secret = rt.secret(r); q.out.Secret == SecretWrong {
		q.refuse(r, CauseBadSecret, http.StatusForbidden)
		return false
	}
	q.passed = true
	if !q.out.Secret.signed() && len(rt.Networks) == 0 {
		return true // anybody can send such a one
	}
	q.out.Authenticated = true
	q.listed = true
	rt.flight.add(q)
	c.prove()
	return true
}

// refuse answers without having looked at the body. net/http reads a small body
// away, so that the connection can go on; the deadline keeps a body that doesn't
// come from holding up the answer. Before a larger or endless one it hangs up.
func (q *request) refuse(r *http.Request, cause Cause, status int) {
	q.out.Cause = cause
	if r.ContentLength != 0 {
		_ = http.NewResponseController(q.w).SetReadDeadline(time.Now().Add(drainTimeout))
		if r.ContentLength < 0 || r.ContentLength > drainMax {
			q.hangUp()
		}
	}
	q.answer(q.w, status)
}

func (q *request) hangUp() { q.w.Header()["Connection"] = []string{"close"} }

var zeroLength = []string{"0"} // never changed

func (q *request) answer(w http.ResponseWriter, status int) {
	q.stage.Store(uint32(StageAnswering))
	w.Header()["Content-Length"] = zeroLength
	if w == q.w { // else the recorder sees what WrapHandler's handlers make of it
		q.out.Status = status
	}
	w.WriteHeader(status)
}

// take reads the body, has it committed and answers.
func (s *Server) take(q *request, w http.ResponseWriter, r *http.Request) {
	if q.probe {
		s.o.Probe.ServeHTTP(w, r)
		return
	}
	q.intaken = true
	if r.ContentLength > int64(s.o.MaxBody) {
		q.out.Cause = CauseTooLarge
		q.hangUp()
		_ = http.NewResponseController(q.w).SetReadDeadline(time.Now().Add(drainTimeout))
		q.answer(w, http.StatusRequestEntityTooLarge)
		return
	}
	q.stage.Store(uint32(StageReading))
	switch err := q.read(r); {
	case err != nil:
		q.out.Cause, q.out.Err = CauseBodyMissing, err
		if gone(err) {
			q.out.Cause = CauseClientGone
		}
		q.hangUp()
		q.answer(w, http.StatusServiceUnavailable)
		return
	case q.body.Len() > s.o.MaxBody:
		q.out.Cause = CauseTooLarge
		q.hangUp()
		q.answer(w, http.StatusRequestEntityTooLarge)
		return
	}

	u := transport.Scan(q.body.Bytes())
	q.out.UpdateID, q.out.HasID = u.ID, u.HasID
	if u.HasID {
		q.id = u.ID
		q.known.Store(true)
	}
	q.stage.Store(uint32(StageCommitting))
	// Not the request's context: an update that is here is committed even if the
	// client is gone.
	ctx, cancel := context.WithTimeout(s.base, s.o.AcceptTimeout)
	defer cancel()
	q.updates[0] = u
	dirty := q.dirty
	q.dirty = true // unless Accept returns, and without an error
	begun := time.Now()
	receipt, err := q.route.Sink.Accept(ctx, transport.Batch{Source: transport.SourceWebhook, ReceivedAt: begun, Updates: q.updates[:]})
	q.commit.Store(int64(time.Since(begun)))
	if err != nil {
		q.out.Cause, q.out.Err = CauseStoreFailed, err
		q.answer(w, http.StatusServiceUnavailable)
		return
	}
	q.dirty = dirty
	q.out.Cause = CauseOK
	if len(receipt.Items) == 1 {
		item := receipt.Items[0]
		switch item.Status {
		case transport.StatusDuplicate:
			q.out.Cause, q.out.Duplicate, q.out.FirstSeen = CauseDuplicate, true, item.FirstSeen
		case transport.StatusQuarantined:
			q.out.Quarantined = true
		}
	}
	q.answer(w, http.StatusOK)
}

// read reads the whole body into q.body, at most one byte more than MaxBody.
func (q *request) read(r *http.Request) error {
	rc := http.NewResponseController(q.w)
	_ = rc.SetReadDeadline(time.Now().Add(q.s.o.BodyTimeout))
	q.body.Reset()
	if n := r.ContentLength; n > 0 {
		q.body.Grow(int(n) + bytes.MinRead) // MinRead: else ReadFrom grows it again to see the end
	}
	q.limited = io.LimitedReader{R: r.Body, N: int64(q.s.o.MaxBody) + 1}
	_, err := q.body.ReadFrom(&q.limited)
	q.limited.R = nil
	if err != nil {
		return err // the deadline stays, so that nobody waits for the rest
	}
	if q.body.Len() == 0 {
		return errEmptyBody
	}
	// A commit may take longer than the body may. net/http clears the deadline
	// here as well, but doesn't promise to.
	_ = rc.SetReadDeadline(time.Time{})
	return nil
}

// gone reports whether reading or writing failed because the client left.
func gone(err error) bool {
	for _, e := range []error{io.ErrUnexpectedEOF, io.EOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, e) && !errors.Is(err, os.ErrDeadlineExceeded) {
			return true
		}
	}
	return false
}

// done ends a request, whatever became of it: it answers a panic, sends the
// answer off, reports the outcome. p is what was recovered.
func (s *Server) done(q *request, r *http.Request, p any) {
	aborted := p == http.ErrAbortHandler //nolint:errorlint // net/http compares it so, too
	switch {
	case p != nil:
		q.dirty = true
		q.out.Cause, q.out.Err = CausePanicked, newPanicError(p)
		if q.out.Status == 0 && !aborted && !q.hijacked {
			q.hangUp()
			_ = http.NewResponseController(q.w).SetReadDeadline(time.Now().Add(drainTimeout))
			q.answer(q.w, http.StatusInternalServerError)
		}
	case q.probe:
	case q.passed && (!q.intaken || q.out.Cause.OK() != (q.out.Status/100 == 2)):
		q.out.Cause = CauseHandler
	}
	if q.out.Status != 0 && !aborted && !q.hijacked {
		// The answer goes off here, so that a failure to write it is seen.
		err := http.NewResponseController(q.w).Flush()
		if err == nil && q.out.Cause.OK() {
			err = r.Context().Err()
		}
		if err != nil && q.out.Cause.OK() {
			q.out.Cause, q.out.Err = CauseClientGone, err
		}
	}
	q.out.Duration = time.Since(q.out.HeadersAt)
	if q.listed {
		q.route.flight.remove(q)
	}
	out, rt, probe := q.out, q.route, q.probe
	if !q.dirty {
		s.recycle(q)
	}
	switch {
	case probe:
	case rt == nil:
		s.o.Observe(out)
	case rt.Observe != nil:
		rt.Observe(out)
	}
	if aborted {
		panic(http.ErrAbortHandler)
	}
}

func (s *Server) recycle(q *request) {
	body := q.body
	*q = request{}
	if body.Cap() <= keepBuffer {
		q.body = body
	}
	s.pool.Put(q)
}
