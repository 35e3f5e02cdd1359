package polling

import (
	"math/rand/v2"
	"time"
)

// backoff is a pause that doubles from first to limit, with full jitter.
type backoff struct {
	first, limit time.Duration
	n            int
}

func (b *backoff) next() time.Duration {
	d := b.first
	for range b.n {
		if d >= b.limit {
			break
		}
		d *= 2
	}
	d = min(d, b.limit)
	b.n++
	// Not quite down to nothing, so that a fast failure never spins.
	return d/10 + rand.N(d-d/10) + 1
}

// gently is the pause between polls against another poller: 3 s to 30 s, so that
// neither side starves and the log stays readable.
func gently(n int) time.Duration {
	d := min(3*time.Second<<min(n, 4), 30*time.Second)
	return d - rand.N(d/4) + rand.N(500*time.Millisecond)
}
