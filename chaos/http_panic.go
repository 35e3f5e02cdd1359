package chaos

import "net/http"

func httpPanic() kind {
	return kind{Info{
		Kind:  "http.panic",
		Layer: "http",
		Unit:  "request",
		Doc: "The handler panics before it has done anything. Where nothing recovers, net/http closes the connection without an answer, which " +
			"Telegram counts as a failure and does not report (WebhookActor.cpp:658).",
		Params:   requestParams(),
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		return behaviour{http: &httpRule{requestMatch(p), func(*fault, http.ResponseWriter, *http.Request, http.Handler) {
			panic("chaos: http.panic")
		}}}, nil
	}}
}
