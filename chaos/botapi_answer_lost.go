package chaos

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

// dripEvery is the pause between two bytes of an answer in drips that names none.
const dripEvery = 100 * time.Millisecond

func botapiAnswerLost() kind {
	return kind{Info{
		Kind:  "botapi.answer_lost",
		Layer: "botapi",
		Unit:  "call",
		Doc: "The call is made and takes effect, and its answer never arrives: the connection is reset, or hangs until the caller gives up " +
			"or the fault ends and is reset then. With how=truncated half of the answer arrives, with how=drip all of it, byte by byte. " +
			"A caller that gives up while the call is on its way gets its own error, as always.",
		Delay:  "time between the effect and the reset; with how=drip the pause before each byte, 0 means 100ms",
		Params: []Param{{Name: "how", Doc: "reset, hang, truncated or drip", Default: "reset"}, methodsParam},
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		how := p.oneOf("how", "reset", "hang", "truncated", "drip")
		return behaviour{api: &apiRule{methodMatch(p), func(f *fault, req *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err != nil {
				return nil, err
			}
			wait := f.spec.Delay
			switch how {
			case "drip":
				if wait == 0 {
					wait = dripEvery
				}
				resp.Body = &drip{resp.Body, req.Context(), f, wait}
				return resp, nil
			case "truncated":
				if wait > 0 {
					if err := f.wait(req.Context(), wait); err != nil {
						_ = resp.Body.Close()
						return nil, err
					}
				}
				return truncated(f, resp)
			case "hang":
				wait = 0
			}
			_ = resp.Body.Close()
			if how == "hang" || wait > 0 {
				if err := f.wait(req.Context(), wait); err != nil {
					return nil, err
				}
			}
			return nil, f.error(errReset())
		}}}, nil
	}}
}

// truncated is the first half of an answer.
func truncated(f *fault, resp *http.Response) (*http.Response, error) {
	all, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(all[:len(all)/2]), errReader{f.error(io.ErrUnexpectedEOF)}))
	return resp, nil
}

// drip is an answer that comes byte by byte as long as the fault acts.
type drip struct {
	io.ReadCloser
	ctx  context.Context
	f    *fault
	wait time.Duration
}

func (d *drip) Read(p []byte) (int, error) {
	if len(p) > 1 && d.f.live() {
		p = p[:1]
	}
	if err := d.f.wait(d.ctx, d.wait); err != nil {
		return 0, err
	}
	return d.ReadCloser.Read(p)
}
