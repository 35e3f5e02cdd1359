package chaos

import "net/http"

func botapiHang() kind {
	return kind{Info{
		Kind:     "botapi.hang",
		Layer:    "botapi",
		Unit:     "call",
		Doc:      "Calls hang before they reach the Bot API, until the caller gives up. Those that still wait when the fault ends are made.",
		Delay:    "hang only so long and then make the call; 0 means to the end of the fault",
		Params:   []Param{methodsParam},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		return behaviour{api: &apiRule{methodMatch(p), func(f *fault, req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if err := f.wait(req.Context(), f.spec.Delay); err != nil {
				closeBody(req)
				return nil, err
			}
			return next.RoundTrip(req)
		}}}, nil
	}}
}
