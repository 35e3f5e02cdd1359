package chaos

import "time"

// minRTO is Linux's least retransmission time-out (TCP_RTO_MIN), which each
// further loss doubles; maxRetransmits bounds the wait to half a minute.
const (
	minRTO         = 200 * time.Millisecond
	maxRetransmits = 7
)

func netLossApprox() kind {
	return kind{Info{
		Kind:  "net.loss_approx",
		Layer: "net",
		Unit:  "connection",
		Doc: "An approximation of packet loss: each read and write waits as long as TCP would for its retransmissions, 200 ms for the first and " +
			"twice as long for each further one. Nothing is really dropped, which can't be done beneath TCP from inside the process; " +
			"a lost SYN is not shown.",
		Params:   []Param{{Name: "percent", Doc: "packets lost of a hundred, 1 to 90", Default: "5"}},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		return behaviour{conn: &connRule{loss: float64(p.number("percent", 1, 90)) / 100}}, nil
	}}
}

// lateness is how much later one read or write of so many bytes is.
func (f *fault) lateness(bytes int) time.Duration {
	r := f.b.conn
	if r.rate > 0 {
		return r.latency + time.Duration(float64(bytes)/float64(r.rate)*float64(time.Second))
	}
	if r.loss == 0 {
		return r.latency
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d := time.Duration(0)
	for n, rto := 0, minRTO; n < maxRetransmits && f.rng.Float64() < r.loss; n, rto = n+1, 2*rto {
		d += rto
	}
	return d
}
