package chaos

import (
	"io"
	"net/http"
)

// probeHeader is what the requests of our own look from outside have.
const probeHeader = "Dualgram-Probe"

func httpImpostor() kind {
	return kind{Info{
		Kind:  "http.impostor",
		Layer: "http",
		Unit:  "probe",
		Doc: "Our own look from outside finds somebody else under the webhook's name: it gets a page with 200 that lacks the proof. Deliveries are " +
			"left alone, so that nothing is lost.",
		ProdSafe: true,
	}, func(*Registry, Spec, *params) (behaviour, error) {
		return behaviour{http: &httpRule{isProbe, func(_ *fault, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			_, _ = io.WriteString(w, "<!doctype html><title>Welcome</title>") // a client that has gone
		}}}, nil
	}}
}

func isProbe(r *http.Request) bool { return len(r.Header[probeHeader]) > 0 }
