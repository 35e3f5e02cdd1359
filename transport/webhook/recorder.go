package webhook

import (
	"bufio"
	"net"
	"net/http"
)

// recorder notes what a handler of WrapHandler answers.
type recorder struct {
	http.ResponseWriter
	q *request
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.q.out.Status == 0 && status >= 200 {
		r.q.out.Status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	if r.q.out.Status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	return r.ResponseWriter.Write(b)
}

// FlushError is found by http.ResponseController.
func (r *recorder) FlushError() error {
	if r.q.out.Status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(r.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (r *recorder) Flush() { _ = r.FlushError() }

// Hijack implements http.Hijacker, by which a fault resets a connection.
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(r.ResponseWriter).Hijack()
	if err == nil {
		r.q.hijacked = true
	}
	return nc, rw, err
}

// Unwrap is for the rest of http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
