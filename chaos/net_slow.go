package chaos

import "time"

func netSlow() kind {
	return kind{Info{
		Kind:  "net.slow",
		Layer: "net",
		Unit:  "connection",
		Doc: "Each read and each write of a connection is late, handshakes included; nothing is lost and the order is kept. With rate the line is " +
			"narrow, and with piece everything comes in drips, each of them late: a slow loris.",
		Delay: "latency of one read or write; 0 means 1s, or none if rate is given",
		Params: []Param{
			{Name: "rate", Doc: "bytes per second in each direction, 1 to 1000000000; 0 means any", Default: "0"},
			{Name: "piece", Doc: "most bytes of one read or write, 1 to 1000000; 0 means any", Default: "0"},
		},
		ProdSafe: true,
	}, func(_ *Registry, s Spec, p *params) (behaviour, error) {
		rate := p.number("rate", 0, 1_000_000_000)
		d := s.Delay
		if d == 0 && rate == 0 {
			d = time.Second
		}
		return behaviour{conn: &connRule{latency: d, rate: rate, piece: int(p.number("piece", 0, 1_000_000))}}, nil
	}}
}

// bite is as much of p as may be read or written at once.
func (c *conn) bite(p []byte) []byte {
	if c.quiet() {
		return p
	}
	if f := c.find(cuts); f != nil {
		return p[:min(len(p), f.b.conn.piece)]
	}
	return p
}
