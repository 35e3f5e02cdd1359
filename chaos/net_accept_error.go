package chaos

import "syscall"

func netAcceptError() kind {
	return kind{Info{
		Kind:  "net.accept_error",
		Layer: "net",
		Unit:  "accept",
		Doc: "Accepting fails. EMFILE: the process is out of descriptors; the connection stays in the queue, and each further accept fails on it " +
			"again. lost: the socket is gone for good, and so is each one that is opened in its place, until the fault ends.",
		Params: []Param{
			{Name: "error", Doc: "EMFILE or lost", Default: "EMFILE"},
			{Name: "existing", Doc: "close or keep the connections that are open when the fault begins", Default: "close"},
		},
		Whole:    true,
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		r := &connRule{acceptError: syscall.EMFILE}
		if p.oneOf("error", "EMFILE", "lost") == "lost" {
			r.acceptError = syscall.EINVAL // what accept on a socket that doesn't listen returns
		}
		return behaviour{conn: r, kick: p.oneOf("existing", "close", "keep") == "close"}, nil
	}}
}
