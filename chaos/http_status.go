package chaos

import "net/http"

func httpStatus() kind {
	return kind{Info{
		Kind:  "http.status",
		Layer: "http",
		Unit:  "request",
		Doc: "Requests are answered with an error status before the handler sees them. Statuses that would lose updates are refused: 2xx (Telegram " +
			"would take it as accepted) and 410 (it removes the webhook in the end); a Retry-After is never sent (Telegram obeys up to an hour).",
		Delay:    "time before the answer",
		Params:   requestParams(Param{Name: "code", Doc: "300 to 599, not 410", Default: "500"}),
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		code := int(p.number("code", 300, 599))
		if code == http.StatusGone {
			p.fail("code must not be 410: Telegram removes a webhook that keeps answering it")
		}
		return behaviour{http: &httpRule{requestMatch(p), func(f *fault, w http.ResponseWriter, r *http.Request, _ http.Handler) {
			if f.spec.Delay > 0 {
				holdBody(r)
				if f.wait(r.Context(), f.spec.Delay) != nil {
					panic(http.ErrAbortHandler)
				}
			}
			w.WriteHeader(code)
		}}}, nil
	}}
}
