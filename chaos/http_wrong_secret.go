package chaos

import "net/http"

func httpWrongSecret() kind {
	return kind{Info{
		Kind:  "http.wrong_secret",
		Layer: "http",
		Unit:  "request",
		Doc: "Requests reach the handler with a wrong secret token, as after the secret changed on one side only. The handler refuses them " +
			"as it refuses a stranger: 403.",
		Params:   requestParams(),
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		return behaviour{http: &httpRule{requestMatch(p), func(_ *fault, w http.ResponseWriter, r *http.Request, next http.Handler) {
			r2 := new(http.Request)
			*r2 = *r
			r2.Header = r.Header.Clone()
			r2.Header.Set("X-Telegram-Bot-Api-Secret-Token", "injected-by-chaos")
			next.ServeHTTP(w, r2)
		}}}, nil
	}}
}
