package supervisor

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// failRate judges the answers we gave to authenticated deliveries. gobreaker
// counts them over a rolling window, and its trip is one signal among others:
// it never owns the mode. There is a fresh one for each registration, fed when a
// delivery is completed.
type failRate struct {
	t       Thresholds
	breaker *gobreaker.CircuitBreaker[struct{}]

	mu      sync.Mutex
	since   time.Time // first failure of those that are not further apart than the window
	row     int       // failures since the last success
	rowFrom time.Time // when the first of them was
	total   int       // failures since the registration
	lastBad string
}

// What happened to a delivery, as the breaker sees it.
var (
	errOurFault = errors.New("our fault, on the path")
	errNotPath  = errors.New("not the path's fault") // content, client, store, strangers
)

func newFailRate(t Thresholds) *failRate {
	f := &failRate{t: t}
	f.breaker = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         SignalFailRate,
		Interval:     t.FailWindow,
		BucketPeriod: t.FailBucket,
		// A new registration brings a new breaker; this one stays open.
		Timeout:    365 * 24 * time.Hour,
		IsExcluded: func(err error) bool { return errors.Is(err, errNotPath) },
		// Called under the breaker's lock, so it must not call the breaker.
		ReadyToTrip: f.ready,
	})
	return f
}

// ready is called after each failure with the window's counts.
func (f *failRate) ready(c gobreaker.Counts) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.row >= f.t.FailRow && time.Since(f.rowFrom) >= f.t.FailSpan {
		return true
	}
	span := time.Since(f.since)
	rate := float64(c.TotalFailures) / float64(max(c.Requests, 1))
	// Many connections can fail in one hiccup; only what lasts is an outage.
	return int(c.Requests) >= f.t.FailMin && rate >= f.t.FailShare && span >= f.t.FailBucket
}

// record takes in the outcome of one delivery: nil, errOurFault or errNotPath.
// cause names what went wrong.
func (f *failRate) record(outcome error, cause string, now time.Time) {
	f.mu.Lock()
	switch {
	case outcome == nil:
		f.row = 0
	case errors.Is(outcome, errOurFault):
		if f.row == 0 {
			f.rowFrom = now
			if f.since.IsZero() || now.Sub(f.since) > f.t.FailWindow {
				f.since = now
			}
		}
		f.row++
		f.total++
		f.lastBad = cause
	}
	f.mu.Unlock()
	// The result is what was passed in, or ErrOpenState once tripped.
	_, _ = f.breaker.Execute(func() (struct{}, error) { return struct{}{}, outcome })
}

func (f *failRate) read() Reading {
	open := f.breaker.State() == gobreaker.StateOpen
	f.mu.Lock()
	defer f.mu.Unlock()
	r := Reading{Signal: SignalFailRate, Moves: true, Since: f.since}
	switch {
	case open:
		// Since stays the first failure: that is when the outage began, and what a
		// failover's duration is counted from.
		r.Level = Tripped
		r.Evidence = fmt.Sprintf("%d failed deliveries since %s, the last by %s", f.total, f.since.UTC().Format(time.TimeOnly), f.lastBad)
	case f.row > 0:
		r.Level = Suspect
		r.Evidence = fmt.Sprintf("%d failed in a row, the last by %s", f.row, f.lastBad)
	default:
		r.Since = time.Time{}
	}
	return r
}
