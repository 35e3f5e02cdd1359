package supervisor

import (
	"sync"
	"time"

	"dualgram/supervisor/console"
	"dualgram/transport"
)

// The spans that new updates are counted in: a bot's counts take about 16 KiB,
// whatever arrives.
const (
	countedSeconds = 600
	countedMinutes = 1440
)

// intakeCounts counts the new updates of a bot by transport, for whoever looks on.
type intakeCounts struct {
	mu      sync.Mutex
	seconds ring
	minutes ring
}

func newIntakeCounts() *intakeCounts {
	return &intakeCounts{seconds: newRing(time.Second, countedSeconds), minutes: newRing(time.Minute, countedMinutes)}
}

// add counts n new updates.
func (c *intakeCounts) add(s transport.Source, n int, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seconds.add(s, n, now)
	c.minutes.add(s, n, now)
}

func (c *intakeCounts) read(now time.Time) console.Intake {
	c.mu.Lock()
	defer c.mu.Unlock()
	return console.Intake{Seconds: c.seconds.read(now), Minutes: c.minutes.read(now)}
}

// ring counts in the latest spans of time. A clock that is set back counts into the
// newest span until it has caught up; one that jumps ahead leaves empty ones.
type ring struct {
	step             time.Duration
	webhook, polling []uint32
	last             int64 // number of the newest span since 1970; 0: none yet
}

func newRing(step time.Duration, n int) ring {
	return ring{step: step, webhook: make([]uint32, n), polling: make([]uint32, n)}
}

// advance empties the spans that have begun since.
func (r *ring) advance(now time.Time) {
	span := now.UnixNano() / int64(r.step)
	n := int64(len(r.webhook))
	if r.last == 0 || span-r.last > n {
		r.last = max(r.last, span-n)
	}
	for r.last < span {
		r.last++
		r.webhook[r.last%n], r.polling[r.last%n] = 0, 0
	}
}

func (r *ring) add(s transport.Source, n int, now time.Time) {
	r.advance(now)
	counts := r.webhook
	if s == transport.SourcePolling {
		counts = r.polling
	}
	counts[r.last%int64(len(counts))] += uint32(n)
}

func (r *ring) read(now time.Time) console.Counts {
	r.advance(now)
	n := int64(len(r.webhook))
	first := r.last - n + 1
	c := console.Counts{Begin: time.Unix(0, first*int64(r.step)), Step: r.step, Webhook: make([]uint32, n), Polling: make([]uint32, n)}
	for i := range n {
		c.Webhook[i], c.Polling[i] = r.webhook[(first+i)%n], r.polling[(first+i)%n]
	}
	return c
}

// Intake implements [console.IntakeProvider].
func (s *Supervisor) Intake(bot string) console.Intake {
	for _, b := range s.bots {
		if b.opt.Name == bot {
			return b.counts.read(time.Now())
		}
	}
	return console.Intake{}
}
