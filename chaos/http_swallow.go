package chaos

import "net/http"

func httpSwallow() kind {
	return kind{Info{
		Kind:  "http.swallow",
		Layer: "http",
		Unit:  "delivery",
		Doc: "Deliveries are answered with 200 and not passed on: Telegram forgets the updates, as after a maintenance page, and they are LOST. Other " +
			"than with such a page the host sees the requests. For a bot of no use to anybody.",
		Params:      requestParams(),
		Destructive: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		match := requestMatch(p)
		return behaviour{http: &httpRule{
			func(r *http.Request) bool { return !isProbe(r) && (match == nil || match(r)) },
			func(_ *fault, w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusOK) },
		}}, nil
	}}
}
