package chaos

func netStopAccept() kind {
	return kind{Info{
		Kind:  "net.stop_accept",
		Layer: "net",
		Unit:  "listener",
		Doc: "The server stops accepting, as one that is out of descriptors does: connects succeed until the kernel's queue is full, and nothing " +
			"answers. What waited is served when the fault ends. Kept-alive connections are closed when it begins, else they would hide it. " +
			"It fires when the first connection is left waiting.",
		Params:   []Param{{Name: "existing", Doc: "close or keep the connections that are open when the fault begins", Default: "close"}},
		Whole:    true,
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		return behaviour{conn: &connRule{stopAccept: true}, kick: p.oneOf("existing", "close", "keep") == "close"}, nil
	}}
}
