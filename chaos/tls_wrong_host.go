package chaos

import (
	"crypto/tls"

	"dualgram/chaos/pki"
)

func tlsWrongHost() kind {
	return kind{Info{
		Kind:     "tls.wrong_host",
		Layer:    "tls",
		Unit:     "handshake",
		Doc:      "The certificate in service is for another host, as after a default virtual host took over.",
		Params:   []Param{{Name: "host", Doc: "the name it is for", Default: "wrong-host.invalid"}, caParam},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		host := p.str("host")
		if host == "" {
			p.fail("host must not be empty")
		}
		return swap(p, func(ca *pki.CA, _ *tls.Certificate, _ pki.Leaf) (tls.Certificate, error) {
			return issue(ca, pki.Leaf{Hosts: []string{host}})
		})
	}}
}
