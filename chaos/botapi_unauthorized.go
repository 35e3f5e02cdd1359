package chaos

import "net/http"

func botapiUnauthorized() kind {
	return kind{Info{
		Kind:  "botapi.unauthorized",
		Layer: "botapi",
		Unit:  "call",
		Doc: "The Bot API answers 401, as after the token was revoked. dualgram then leaves Telegram alone until it answers again; what Telegram " +
			"still delivers is taken. In polling mode nothing comes in meanwhile, and what Telegram keeps for seconds expires.",
		Delay:    "time before the answer",
		Params:   []Param{methodsParam},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		return instead(p, func(_ *fault, req *http.Request) (*http.Response, error) {
			return apiError(req, http.StatusUnauthorized, "Unauthorized", 0), nil
		}), nil
	}}
}
