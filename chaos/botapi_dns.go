package chaos

import (
	"net"
	"net/http"
)

var dnsErrorParam = Param{Name: "error", Doc: "not_found (NXDOMAIN), temporary (SERVFAIL) or timeout", Default: "temporary"}

func botapiDNS() kind {
	return kind{Info{
		Kind:  "botapi.dns",
		Layer: "botapi",
		Unit:  "call",
		Doc: "The Bot API's name does not resolve. Every call fails, also one that would have used an open connection; for new connections " +
			"only see dial.dns.",
		Delay:    "time before the failure",
		Params:   []Param{dnsErrorParam, methodsParam},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		how := p.oneOf("error", "not_found", "temporary", "timeout")
		return instead(p, func(f *fault, req *http.Request) (*http.Response, error) {
			return nil, f.error(dnsError(how, req.URL.Hostname()))
		}), nil
	}}
}

// dnsError is the error of a dial whose look-up failed.
func dnsError(how, host string) error {
	e := &net.DNSError{Name: host}
	switch how {
	case "not_found":
		e.Err, e.IsNotFound = "no such host", true
	case "timeout":
		e.Err, e.IsTimeout = "i/o timeout", true
	default:
		e.Err, e.IsTemporary = "server misbehaving", true
	}
	return &net.OpError{Op: "dial", Net: "tcp", Err: e}
}
