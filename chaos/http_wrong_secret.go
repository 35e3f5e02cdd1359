package chaos

import "net/http"

func httpWrongSecret() kind {
	return kind{Info{
		Kind:  "http.wrong_secret",
		Layer: "http",
		Unit:  "request",
		Doc: "Requests that carry a secret token come in with a wrong one, as after the secret changed on one side only. They are refused as a " +
			"stranger's are: 403.",
		Params:   requestParams(),
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		among := requestMatch(p)
		return behaviour{request: &requestRule{
			// What nobody has signed can't be spoilt, and its body is not worth reading.
			match: func(r *http.Request) bool { return r.Header.Get(secretHeader) != "" && (among == nil || among(r)) },
			change: func(r *http.Request) *http.Request {
				r2 := new(http.Request)
				*r2 = *r
				r2.Header = r.Header.Clone()
				r2.Header.Set(secretHeader, "injected-by-chaos")
				return r2
			},
		}}, nil
	}}
}
