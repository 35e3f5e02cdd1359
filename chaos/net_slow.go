package chaos

import "time"

func netSlow() kind {
	return kind{Info{
		Kind:     "net.slow",
		Layer:    "net",
		Unit:     "connection",
		Doc:      "Each read and each write of a connection is late, handshakes included; nothing is lost and the order is kept.",
		Delay:    "latency of one read or write; 0 means 1s",
		ProdSafe: true,
	}, func(_ *Registry, s Spec, _ *params) (behaviour, error) {
		d := s.Delay
		if d == 0 {
			d = time.Second
		}
		return behaviour{conn: &connRule{latency: d}}, nil
	}}
}
