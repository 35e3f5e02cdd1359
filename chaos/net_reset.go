package chaos

import "net/http"

func netReset() kind {
	return kind{Info{
		Kind:  "net.reset",
		Layer: "net",
		Unit:  "connection; with at=handler a request",
		Doc: "The connection is reset in the middle of a request: after so many bytes have come in since the fault began (over TLS these " +
			"are bytes of TLS records, handshake included), or with at=handler after the handler ran, before its answer is sent. " +
			"The peer sees \"Connection reset by peer\".",
		Params: requestParams(
			Param{Name: "at", Doc: "bytes or handler", Default: "bytes"},
			Param{Name: "bytes", Doc: "reset once this many bytes were read, 1 to 10000000", Default: "1"},
		),
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		n := p.number("bytes", 1, 10_000_000)
		match := requestMatch(p)
		if p.oneOf("at", "bytes", "handler") == "handler" {
			return behaviour{http: &httpRule{match, resetAfterHandler}}, nil
		}
		if match != nil {
			p.fail("path, chat and nth need at=handler: bytes are counted beneath HTTP")
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
