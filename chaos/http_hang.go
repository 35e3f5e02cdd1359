package chaos

import "net/http"

func httpHang() kind {
	return kind{Info{
		Kind:  "http.hang",
		Layer: "http",
		Unit:  "request",
		Doc: "Requests are read and hang before the handler: TCP and TLS are fine, no answer comes. Telegram reports \"Read timeout expired\" " +
			"after 60 s. Those that still wait when the fault ends are served.",
		Params:   requestParams(),
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		return behaviour{http: &httpRule{requestMatch(p), func(f *fault, w http.ResponseWriter, r *http.Request, next http.Handler) {
			waitThenServe(f, 0, w, r, next)
		}}}, nil
	}}
}
