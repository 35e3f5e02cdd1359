package chaos

import (
	"bytes"
	"io"
	"net/http"
)

func netReset() kind {
	return kind{Info{
		Kind:  "net.reset",
		Layer: "net",
		Unit:  "connection; with at=body and at=handler a request",
		Doc: "The connection is reset in the middle of a request: after so many bytes have come in since the fault began (over TLS these " +
			"are bytes of TLS records, handshake included), with at=body after so many bytes of the request's body, or with at=handler after the handler ran, before its answer is sent. " +
			"The peer sees \"Connection reset by peer\".",
		Params: requestParams(
			Param{Name: "at", Doc: "bytes, body or handler", Default: "bytes"},
			Param{Name: "bytes", Doc: "reset once this many bytes were read, 1 to 10000000", Default: "1"},
		),
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		n := p.number("bytes", 1, 10_000_000)
		match := requestMatch(p)
		switch p.oneOf("at", "bytes", "body", "handler") {
		case "handler":
			return behaviour{http: &httpRule{match, resetAfterHandler}}, nil
		case "body":
			return behaviour{http: &httpRule{longer(match, n), resetInBody(n)}}, nil
		}
		if match != nil {
			p.fail("path, chat and nth need at=body or at=handler: bytes are counted beneath HTTP")
		}
		return behaviour{conn: &connRule{resetAfter: n}}, nil
	}}
}

func resetAfterHandler(_ *fault, w http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(newUnsent(w), r)
	// HTTP/2 can't be hijacked; its stream is reset by the abort.
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if in := accepted(c); in != nil {
			in.abort()
		} else {
			reset(c)
		}
		return
	}
	panic(http.ErrAbortHandler)
}

// longer are the requests of match whose body has at least so many bytes.
func longer(match func(*http.Request) bool, bytes int64) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return (match == nil || match(r)) && int64(len(holdBody(r))) >= bytes
	}
}

// resetInBody cuts the body short, as the handler sees it too, and then resets.
func resetInBody(n int64) func(*fault, http.ResponseWriter, *http.Request, http.Handler) {
	return func(f *fault, w http.ResponseWriter, r *http.Request, next http.Handler) {
		body := holdBody(r)
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body[:n]), errReader{f.error(errReset())}), r.Body}
		resetAfterHandler(f, w, r, next)
	}
}
