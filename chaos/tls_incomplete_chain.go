package chaos

import (
	"crypto/tls"
	"time"

	"dualgram/chaos/pki"
)

func tlsIncompleteChain() kind {
	return kind{Info{
		Kind:  "tls.incomplete_chain",
		Layer: "tls",
		Unit:  "handshake",
		Doc: "The server sends its leaf without the intermediate, so the peer finds no path to a root. A chain in service is cut to its leaf; " +
			"if it has no intermediate, a leaf under a new intermediate takes its place. Browsers and whoever caches intermediates may not notice.",
		Params:   []Param{caParam},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		return swap(p, func(ca *pki.CA, good *tls.Certificate, l pki.Leaf) (tls.Certificate, error) {
			if len(good.Certificate) > 1 {
				cut := *good
				cut.Certificate = good.Certificate[:1:1]
				return cut, nil
			}
			mid, err := ca.Intermediate(time.Now(), "Intermediate CA")
			if err != nil {
				return tls.Certificate{}, err
			}
			l.OmitChain = true
			return issue(mid, l)
		})
	}}
}
