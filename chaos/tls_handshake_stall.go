package chaos

func tlsHandshakeStall() kind {
	return kind{Info{
		Kind:  "tls.handshake_stall",
		Layer: "tls",
		Unit:  "connection",
		Doc: "The handshake begins and gets stuck: the ClientHello is read and never answered. It acts beneath TLS, where the server's own " +
			"handshake deadline still works; on a listener without TLS it stalls the answer instead.",
		ProdSafe: true,
	}, func(*Registry, Spec, *params) (behaviour, error) {
		return behaviour{conn: &connRule{holdWrites: true}, kick: true}, nil
	}}
}
