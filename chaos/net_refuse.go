package chaos

func netRefuse() kind {
	return kind{Info{
		Kind:  "net.refuse",
		Layer: "net",
		Unit:  "connection",
		Doc: "Nobody listens. Where the listener can be reopened, the socket is closed for the length of the fault and peers see " +
			"\"Connection refused\"; it counts as one fire. Otherwise, and with share or count, connections are reset as soon as they " +
			"are accepted: an approximation, since the peer's connect succeeds and it then sees \"Connection reset by peer\". " +
			"Kept-alive connections are closed when it begins.",
		Params:   []Param{{Name: "existing", Doc: "close or keep the connections that are open when the fault begins", Default: "close"}},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		return behaviour{conn: &connRule{refuse: true}, kick: p.oneOf("existing", "close", "keep") == "close"}, nil
	}}
}
