package chaos

import "crypto/tls"

func tlsOldVersion() kind {
	return kind{Info{
		Kind:     "tls.old_version",
		Layer:    "tls",
		Unit:     "handshake",
		Doc:      "The server speaks nothing newer than TLS 1.0 or 1.1; Telegram requires 1.2 (core.telegram.org/bots/webhooks).",
		Params:   []Param{{Name: "version", Doc: "1.0 or 1.1", Default: "1.0"}},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		version := uint16(tls.VersionTLS10)
		if p.oneOf("version", "1.0", "1.1") == "1.1" {
			version = tls.VersionTLS11
		}
		return behaviour{kick: true, tls: func(_ *fault, _ *tls.ClientHelloInfo, good *tls.Config) (*tls.Config, error) {
			c := faulty(good)
			c.MinVersion, c.MaxVersion = version, version
			return c, nil
		}}, nil
	}}
}
