package chaos

import "net/http"

func botapiAnswerLost() kind {
	return kind{Info{
		Kind:  "botapi.answer_lost",
		Layer: "botapi",
		Unit:  "call",
		Doc: "The call is made and takes effect, and its answer never arrives: the connection is reset, or hangs until the caller gives up " +
			"or the fault ends and is reset then. A caller that gives up while the call is on its way gets its own error, as always.",
		Delay:  "time between the effect and the reset",
		Params: []Param{{Name: "how", Doc: "reset or hang", Default: "reset"}, methodsParam},
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		hang := p.oneOf("how", "reset", "hang") == "hang"
		return behaviour{api: &apiRule{methodMatch(p), func(f *fault, req *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err != nil {
				return nil, err
			}
			_ = resp.Body.Close()
			if hang || f.spec.Delay > 0 {
				d := f.spec.Delay
				if hang {
					d = 0
				}
				if err := f.wait(req.Context(), d); err != nil {
					return nil, err
				}
			}
			return nil, f.error(errReset())
		}}}, nil
	}}
}
