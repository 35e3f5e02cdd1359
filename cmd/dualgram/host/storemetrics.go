package host

import (
	"sync"
	"time"

	"dualgram/store"

	"github.com/prometheus/client_golang/prometheus"
)

// registerStore adds what the store tells of itself.
func registerStore(reg prometheus.Registerer, s *store.Store) error {
	gauge := func(name, help string, f func(store.Health) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "dualgram_store_" + name, Help: help},
			func() float64 { return f(s.Health()) })
	}
	counter := func(name, help string, f func(store.Health) float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "dualgram_store_" + name, Help: help},
			func() float64 { return f(s.Health()) })
	}
	flag := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	for _, c := range []prometheus.Collector{
		gauge("healthy", "1 if the last commit succeeded.", func(h store.Health) float64 { return flag(h.OK) }),
		gauge("disk_full", "1 if the last commit failed for lack of space.", func(h store.Health) float64 { return flag(h.Full) }),
		gauge("last_commit_seconds", "Duration of the last commit, fsync included.", func(h store.Health) float64 { return h.LastCommit.Seconds() }),
		gauge("max_commit_seconds", "Longest commit since the start.", func(h store.Health) float64 { return h.MaxCommit.Seconds() }),
		counter("commits_total", "Commits since the start.", func(h store.Health) float64 { return float64(h.Commits) }),
		counter("commit_failures_total", "Commits that failed since the start.", func(h store.Health) float64 { return float64(h.Failures) }),
	} {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// limiter lets something through once in a while.
type limiter struct {
	mu   sync.Mutex
	last time.Time
}

func (l *limiter) allow(now time.Time, every time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() && now.Sub(l.last) < every {
		return false
	}
	l.last = now
	return true
}
