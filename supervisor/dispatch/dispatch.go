package dispatch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"dualgram/store"
	"dualgram/transport"
	"dualgram/transport/delivery"
)

const (
	defaultMaxLanes    = 64
	defaultMaxAttempts = 8
	defaultBuryAfter   = 10 * time.Minute
	// defaultTimeout is the handlers' own 30 s and some slack, so that it is
	// the handler that names the failure.
	defaultTimeout = 35 * time.Second
)

// Options configure a [Dispatcher]. Ledger and Handler are required.
type Options struct {
	Ledger  Ledger
	Handler delivery.Handler
	// MaxLanes is how many updates are delivered at once at most; 64 by default.
	MaxLanes int
	// MaxAttempts and BuryAfter say when an update that alone fails is buried:
	// after so many failures over at least this time. 8 and 10 min by default.
	MaxAttempts int
	BuryAfter   time.Duration
	// Timeout ends the context of one delivery; 35 s by default.
	Timeout time.Duration
	// Hook has the point "delivery", before each delivery, with the delivery's
	// context. An error is a failed delivery.
	Hook transport.Hook
	// Observe is called with the outcome of each delivery once it is durable,
	// from many goroutines at once. It must not block.
	Observe func(Outcome)
	// LedgerFailed is called with each error of the ledger and the operation
	// that failed ("next", "done", "retry", "bury"), from many goroutines at
	// once. The operation is tried again.
	LedgerFailed func(op string, err error)
	// Random returns numbers in [0, 1) that spread the pauses; nil means
	// math/rand/v2. Calls are one after another.
	Random func() float64
}

func (o *Options) validate() error {
	switch {
	case o.Ledger == nil:
		return errors.New("dispatch: Ledger is missing")
	case o.Handler == nil:
		return errors.New("dispatch: Handler is missing")
	case o.MaxLanes < 0:
		return fmt.Errorf("dispatch: MaxLanes %d: must not be negative", o.MaxLanes)
	case o.MaxAttempts < 0:
		return fmt.Errorf("dispatch: max_attempts %d: must not be negative", o.MaxAttempts)
	case o.BuryAfter < 0:
		return fmt.Errorf("dispatch: bury_after %s: must not be negative", o.BuryAfter)
	case o.Timeout < 0:
		return fmt.Errorf("dispatch: Timeout %s: must not be negative", o.Timeout)
	}
	if o.MaxLanes == 0 {
		o.MaxLanes = defaultMaxLanes
	}
	if o.MaxAttempts == 0 {
		o.MaxAttempts = defaultMaxAttempts
	}
	if o.BuryAfter == 0 {
		o.BuryAfter = defaultBuryAfter
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Observe == nil {
		o.Observe = func(Outcome) {}
	}
	if o.LedgerFailed == nil {
		o.LedgerFailed = func(string, error) {}
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	return nil
}

// Result is what became of a delivery.
type Result string

// The results.
const (
	Taken  Result = "taken"
	Failed Result = "failed" // it comes again
	Buried Result = "buried" // it failed and was given up
)

// Outcome tells of one delivery. A delivery that a stop cut short has none.
type Outcome struct {
	Ref     store.Ref
	Kind    string // of the update
	Source  transport.Source
	Attempt int // from 1
	Result  Result
	// ErrKind is the kind of the failure, "" if the update was taken; Err is
	// the error. Its text is safe to log, what it wraps may not be.
	ErrKind delivery.Kind
	Err     error
	// Duration is how long the handler took.
	Duration time.Duration
	// Waited is the time from receiving the update to the end of this delivery.
	Waited time.Duration
}

// Snapshot is the state of a dispatcher at one moment. Times are zero if there
// is nothing to tell.
type Snapshot struct {
	// InFlight counts deliveries in progress, OldestInFlight is when the first
	// of them began.
	InFlight       int
	OldestInFlight time.Time
	// Settling counts updates whose outcome is not durable yet, OldestSettling
	// is since when the first of them waits for the ledger.
	Settling       int
	OldestSettling time.Time
	// Failing counts updates that failed and wait for another attempt.
	Failing int
	// LastTaken is when the bot last took an update; ConsecutiveFailures counts
	// the failures since then.
	LastTaken           time.Time
	LastFailed          time.Time
	ConsecutiveFailures int
	// BotDownSince is the first failure of the outage, if the bot as a whole is
	// down.
	BotDownSince time.Time
	// Unsettled counts updates that the bot took and that could not be removed
	// from the ledger before the stop: they come again after a restart.
	Unsettled int
}

// Dispatcher delivers what is in a ledger.
type Dispatcher struct {
	opts    Options
	started atomic.Bool
	stopped chan struct{}
	kick    chan struct{}          // an outage ended
	drains  chan chan<- struct{}   // to be told when nothing is ready
	mu      sync.Mutex             // never held across a call to others
	judge   *judge                 // guarded by mu
	active  map[store.Ref]activity // guarded by mu
	lost    int                    // guarded by mu; Snapshot.Unsettled
}

// activity is a record between Next and the end of its settlement.
type activity struct {
	since    time.Time
	settling bool
}

// New checks the options.
func New(o Options) (*Dispatcher, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	return &Dispatcher{
		opts:    o,
		stopped: make(chan struct{}),
		kick:    make(chan struct{}, 1),
		drains:  make(chan chan<- struct{}),
		judge:   newJudge(o.MaxLanes, o.MaxAttempts, o.BuryAfter),
		active:  make(map[store.Ref]activity, o.MaxLanes),
	}, nil
}

// Snapshot returns the present state.
func (d *Dispatcher) Snapshot() Snapshot {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Snapshot{
		LastTaken:           d.judge.lastTaken,
		LastFailed:          d.judge.lastFailed,
		ConsecutiveFailures: d.judge.consecutive,
		BotDownSince:        d.judge.downSince,
		Failing:             len(d.judge.failing),
		Unsettled:           d.lost,
	}
	for _, a := range d.active {
		n, oldest := &s.InFlight, &s.OldestInFlight
		if a.settling {
			n, oldest = &s.Settling, &s.OldestSettling
		}
		*n++
		if oldest.IsZero() || a.since.Before(*oldest) {
			*oldest = a.since
		}
	}
	return s
}

// Drain waits until nothing in the ledger is ready to be delivered and nothing
// is in flight, or until ctx ends, and returns the state then: true if it
// drained. Updates that failed and wait for another attempt are not ready. Run
// goes on; the caller ends it afterwards.
func (d *Dispatcher) Drain(ctx context.Context) (Snapshot, bool) {
	idle := make(chan struct{}, 1)
	select {
	case d.drains <- idle:
	case <-d.stopped:
		return d.Snapshot(), false
	case <-ctx.Done():
		return d.Snapshot(), false
	}
	select {
	case <-idle:
		return d.Snapshot(), true
	case <-d.stopped:
	case <-ctx.Done():
	}
	return d.Snapshot(), false
}
