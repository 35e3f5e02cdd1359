package chaos

import "net/http"

func botapiReset() kind {
	return kind{Info{
		Kind:     "botapi.reset",
		Layer:    "botapi",
		Unit:     "call",
		Doc:      "The connection is reset before the call reaches the Bot API.",
		Delay:    "time before the reset",
		Params:   []Param{methodsParam},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		return instead(p, func(f *fault, _ *http.Request) (*http.Response, error) {
			return nil, f.error(errReset())
		}), nil
	}}
}
