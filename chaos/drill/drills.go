package drill

import (
	"context"
	"errors"
	"time"
)

// LeaseFor is the lease of a drill's fault, RenewEvery how often a living runner
// renews it.
const (
	LeaseFor   = 6 * time.Second
	RenewEvery = 2 * time.Second
)

// Options configure [Drills].
type Options struct {
	Bot        string
	Host       Host
	Store      Store
	Policy     Policy
	Version    string // the program's
	ConfigHash string // of the configuration in force, without secrets
	Simulated  bool
	// Schedules are run by [Drills.Run]; Lookup finds their experiments, nil means
	// [Template].
	Schedules []Schedule
	Lookup    func(name string) (*Experiment, error)
	// Blocked is a halt lever outside the store, such as a file; nil means none.
	Blocked func() *Halt
	// Observe is told of each step of a run, one call at a time, and must not
	// block.
	Observe func(Progress)
}

// Drills is the office of one bot. All methods may be called from any goroutine.
type Drills struct{}

// Request asks for a run.
type Request struct {
	Experiment *Experiment
	Who        Who
	Trigger    Trigger
	Planned    time.Time
	// Seed seeds the faults' draws; 0 means one is drawn.
	Seed uint64
	// DryRun plans, gates and samples without injecting, and leaves no record.
	DryRun bool
	// Share and For, if not 0, stand in for those of each action.
	Share float64
	For   time.Duration
	// Observe is told of each step of this run; it must not block.
	Observe func(Progress)
}

// Progress is what a live view shows.
type Progress struct {
	ID         string        `json:"id"`
	Bot        string        `json:"bot"`
	Experiment string        `json:"experiment"`
	Stage      Stage         `json:"stage"`
	Started    time.Time     `json:"started"`
	Text       string        `json:"text"` // what happened, for people
	Sample     *Sample       `json:"sample,omitempty"`
	Left       time.Duration `json:"left"` // until the stage ends at the latest
	Outcome    Outcome       `json:"outcome,omitempty"`
}

// New reads the halt lever's state from the store.
func New(ctx context.Context, o Options) (*Drills, error) { return nil, errors.ErrUnsupported }

// Do runs a drill and returns its evidence. It returns when the faults are gone,
// the host has recovered or not, and the record is written; or, with
// [NotStarted], at once. When ctx ends the faults are removed at once and the
// outcome is [Interrupted]. The error is about the record only: the journal is
// always there.
func (d *Drills) Do(ctx context.Context, r Request) (*Journal, error) {
	return nil, errors.ErrUnsupported
}

// Check returns the reasons against running an experiment at now.
func (d *Drills) Check(ctx context.Context, e *Experiment, now time.Time) ([]Refusal, error) {
	return nil, errors.ErrUnsupported
}

// Running tells of the run under way, if there is one.
func (d *Drills) Running() (Progress, bool) { return Progress{}, false }

// Halt ends the run under way and refuses new ones until Resume, also after a
// restart. It acts at once, even if the store fails; the error says so.
func (d *Drills) Halt(ctx context.Context, who Who) error { return errors.ErrUnsupported }

// Resume lets drills begin again.
func (d *Drills) Resume(ctx context.Context, who Who) error { return errors.ErrUnsupported }

// Halted returns the halt lever, nil if it is not pulled.
func (d *Drills) Halted() *Halt { return nil }

// Run runs the schedules until ctx ends, and returns when the run under way has
// ended. What was due while nothing ran is not caught up.
func (d *Drills) Run(ctx context.Context) {}

// Plan is a schedule with its next time.
type Plan struct {
	Schedule     Schedule  `json:"-"`
	Experiment   string    `json:"experiment"`
	Next         Due       `json:"next"`
	LastRun      time.Time `json:"last_run,omitzero"`
	LastOutcome  Outcome   `json:"last_outcome,omitempty"`
	OverdueSince time.Time `json:"overdue_since,omitzero"`
}

// Plans lists the schedules with their next times.
func (d *Drills) Plans(ctx context.Context, now time.Time) ([]Plan, error) {
	return nil, errors.ErrUnsupported
}

// Journals returns the runs that are kept, oldest first.
func (d *Drills) Journals(ctx context.Context) ([]Journal, error) { return nil, errors.ErrUnsupported }
