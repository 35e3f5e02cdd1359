package chaos

import (
	"fmt"
	"net/http"
)

func botapi429() kind {
	return kind{Info{
		Kind:  "botapi.429",
		Layer: "botapi",
		Unit:  "call",
		Doc:   "The Bot API answers 429 with retry_after, in the body and as a header.",
		Delay: "time before the answer",
		Params: []Param{
			{Name: "retry_after", Doc: "seconds, 1 to 3600", Default: "3"},
			methodsParam,
		},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		n := p.number("retry_after", 1, 3600)
		return instead(p, func(_ *fault, req *http.Request) (*http.Response, error) {
			return apiError(req, http.StatusTooManyRequests, fmt.Sprintf("Too Many Requests: retry after %d", n), n), nil
		}), nil
	}}
}
