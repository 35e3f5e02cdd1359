package chaos

import (
	"crypto/tls"
	"time"

	"dualgram/chaos/pki"
)

func tlsExpired() kind {
	return kind{Info{
		Kind:     "tls.expired",
		Layer:    "tls",
		Unit:     "handshake",
		Doc:      "The certificate in service has expired: the names of the good one, valid until some time ago.",
		Params:   []Param{{Name: "ago_seconds", Doc: "how long ago it expired, 1 to 31536000", Default: "86400"}, caParam},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		ago := time.Duration(p.number("ago_seconds", 1, 31536000)) * time.Second
		end := time.Now().Add(-ago)
		return swap(p, func(ca *pki.CA, _ *tls.Certificate, l pki.Leaf) (tls.Certificate, error) {
			l.NotBefore, l.NotAfter = end.AddDate(0, 0, -90), end
			return issue(ca, l)
		})
	}}
}

func issue(ca *pki.CA, l pki.Leaf) (tls.Certificate, error) {
	p, err := ca.Issue(time.Now(), l)
	if err != nil {
		return tls.Certificate{}, err
	}
	return p.TLS(), nil
}
