package chaos

func netBlackhole() kind {
	return kind{Info{
		Kind:  "net.blackhole",
		Layer: "net",
		Unit:  "connection",
		Doc: "Connections, old and new, are accepted and then nothing happens: nothing sent is read, nothing answered arrives, " +
			"and a close is not seen either. Telegram reports \"Read timeout expired\" after 60 s. " +
			"A real black hole would not complete the TCP handshake; that can't be done from inside the process.",
		ProdSafe: true,
	}, func(*Registry, Spec, *params) (behaviour, error) {
		return behaviour{conn: &connRule{hold: true, swallow: true}}, nil
	}}
}
