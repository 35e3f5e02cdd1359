package host

import (
	"path/filepath"
	"sync"
	"time"

	"dualgram/store"

	"github.com/prometheus/client_golang/prometheus"
)

// newCommitTimes is the histogram of the store's commits, which is needed before
// there is a store.
func newCommitTimes() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "dualgram_store_commit_duration_seconds",
		Help:    "How long commits took, fsync included, those that failed as well.",
		Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}, NativeHistogramBucketFactor: 1.1,
		NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour})
}

// registerStore adds what the store tells of itself.
func registerStore(reg prometheus.Registerer, s *store.Store, path string, commits prometheus.Histogram) error {
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
		commits,
		usage{s, filepath.Dir(path)},
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

// usage tells what the store takes and what is left for it. What is not known at
// the moment is left out.
type usage struct {
	s   *store.Store
	dir string
}

var (
	sizeDesc = prometheus.NewDesc("dualgram_store_size_bytes", "Size of the store's file.", nil, nil)
	freeDesc = prometheus.NewDesc("dualgram_store_free_bytes",
		"How much of the store's file holds nothing and is used before the file grows.", nil, nil)
	availDesc = prometheus.NewDesc("dualgram_store_filesystem_avail_bytes", "What may still be written to the store's file system.", nil, nil)
)

// Describe implements prometheus.Collector.
func (usage) Describe(out chan<- *prometheus.Desc) {
	out <- sizeDesc
	out <- freeDesc
	out <- availDesc
}

// Collect implements prometheus.Collector.
func (u usage) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64) { out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	if x, ok := u.s.Usage(); ok {
		gauge(sizeDesc, float64(x.FileBytes))
		gauge(freeDesc, float64(x.FreeBytes))
	}
	if n, ok := available(u.dir); ok {
		gauge(availDesc, n)
	}
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
