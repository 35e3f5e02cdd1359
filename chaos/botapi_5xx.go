package chaos

import "net/http"

func botapi5xx() kind {
	return kind{Info{
		Kind:  "botapi.5xx",
		Layer: "botapi",
		Unit:  "call",
		Doc:   "The Bot API answers with a server error in its own form, as one that restarts does.",
		Delay: "time before the answer",
		Params: []Param{
			{Name: "code", Doc: "500 to 599", Default: "500"},
			methodsParam,
		},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		code := int(p.number("code", 500, 599))
		text := http.StatusText(code)
		if code == http.StatusInternalServerError {
			text += ": restart"
		}
		return instead(p, func(_ *fault, req *http.Request) (*http.Response, error) {
			return apiError(req, code, text, 0), nil
		}), nil
	}}
}
