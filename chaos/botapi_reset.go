package chaos

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
)

func botapiReset() kind {
	return kind{Info{
		Kind:  "botapi.reset",
		Layer: "botapi",
		Unit:  "call",
		Doc: "The connection is reset before the call reaches the Bot API; or with how=intercepted something in between answers with a certificate of an " +
			"authority that is not trusted, as a proxy does that looks into TLS.",
		Delay:    "time before the failure",
		Params:   []Param{{Name: "how", Doc: "reset or intercepted", Default: "reset"}, methodsParam},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		intercepted := p.oneOf("how", "reset", "intercepted") == "intercepted"
		return instead(p, func(f *fault, _ *http.Request) (*http.Response, error) {
			if intercepted {
				return nil, f.error(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}})
			}
			return nil, f.error(errReset())
		}), nil
	}}
}
