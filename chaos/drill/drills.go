package drill

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// LeaseFor is the lease of a drill's fault, RenewEvery how often a living runner
// renews it: two renewals may be late before a fault ends.
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
	// Simulator says what is played; nil means a live bot.
	Simulator *Simulator
	// Schedules are run by [Drills.Run], each with a seed made of the names of bot
	// and experiment unless it has one. Lookup finds their experiments, nil means
	// the shipped ones.
	Schedules []Schedule
	Lookup    func(name string) (*Experiment, error)
	// Blocked is a halt lever outside the store, such as a file; nil means none. It
	// is asked often.
	Blocked func() *Halt
	// Observe is told of each step of a run, one call at a time; it must neither
	// block nor run a drill.
	Observe func(Progress)
}

// Drills is the office of one bot. All methods may be called from any goroutine.
type Drills struct {
	o    Options
	born time.Time

	writing sync.Mutex // held while a record is appended
	last    Record     // guarded by writing
	owed    []owed     // guarded by writing

	observing sync.Mutex // held while the observer is told

	runningID atomic.Pointer[string] // nil: nothing runs

	mu      sync.Mutex
	halt    *Halt
	running *run
	at      Progress // of running
	pasts   map[string]Past
	runs    map[string]map[Outcome]uint64

	since []time.Time // since when each schedule has been in force; not changed after New
}

// Request asks for a run.
type Request struct {
	Experiment *Experiment
	Who        Who
	Trigger    Trigger   // empty means TriggerOperator
	Planned    time.Time // by the schedule
	// Seed seeds the faults' draws; 0 means one is drawn.
	Seed uint64
	// DryRun judges the guards and the gate, injects nothing and leaves no record;
	// see [Journal.Ready].
	DryRun bool
	// Share and For, if not 0, stand in for those of each fault.
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
	Who        Who           `json:"who"`
	Text       string        `json:"text"` // what happens, for people
	Sample     *Sample       `json:"sample,omitempty"`
	Left       time.Duration `json:"left"` // until the stage ends, at the latest
	Outcome    Outcome       `json:"outcome,omitempty"`
}

// New reads what is on record: the halt lever's state, and whether the host
// ended in mid-drill the last time. A history that doesn't verify is an error
// ([*ChainError]); nothing may be added to it.
func New(ctx context.Context, o Options) (*Drills, error) {
	d := &Drills{o: o, born: time.Now(), pasts: map[string]Past{}, runs: map[string]map[Outcome]uint64{}}
	d.o.Schedules = slices.Clone(o.Schedules)
	for i := range d.o.Schedules {
		s := &d.o.Schedules[i]
		if s.Seed == 0 { // or all bots of all hosts would be drilled at once
			h := fnv.New64a()
			_, _ = fmt.Fprintf(h, "%q %q", o.Bot, s.Experiment)
			s.Seed = h.Sum64()
		}
		if err := s.Check(); err != nil {
			return nil, fmt.Errorf("drill: the schedule of %s: %w", s.Experiment, err)
		}
		if _, err := d.lookup(s.Experiment); err != nil {
			return nil, fmt.Errorf("drill: the schedule of %s: %w", s.Experiment, err)
		}
	}
	records, err := o.Store.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("drill: reading the history: %w", err)
	}
	if _, err := Verify(records, ""); err != nil {
		return nil, err
	}
	if n := len(records); n > 0 {
		d.last = records[n-1]
	}
	if d.halt, err = lever(records); err != nil {
		return nil, err
	}
	if err := d.recall(records); err != nil {
		return nil, err
	}
	if err := d.bury(ctx, records); err != nil {
		return nil, err
	}
	return d, d.inForce(ctx, records)
}

// lever is the halt lever's state by the history.
func lever(records []Record) (*Halt, error) {
	for _, r := range slices.Backward(records) {
		switch r.Kind {
		case RecordResume:
			return nil, nil
		case RecordHalt:
			h := &Halt{}
			if err := json.Unmarshal(r.Data, h); err != nil {
				return nil, fmt.Errorf("drill: reading record %d: %w", r.Seq, err)
			}
			return h, nil
		}
	}
	return nil, nil
}

// bury ends the run that the host did not survive, if there is one.
func (d *Drills) bury(ctx context.Context, records []Record) error {
	var open *Journal
	for _, r := range records {
		switch r.Kind {
		case RecordBegin:
			open = &Journal{}
			if err := json.Unmarshal(r.Data, open); err != nil {
				return fmt.Errorf("drill: reading record %d: %w", r.Seq, err)
			}
			open.Timeline.Inject = r.At // the injection came right after
		case RecordRun:
			if open != nil && open.ID == r.ID {
				open = nil
			}
		}
	}
	if open == nil {
		return nil
	}
	open.Outcome, open.Status = Interrupted, Interrupted.ctkStatus()
	open.Reasons = []string{"the host ended while the drill was under way, and the fault with it, or before the end could be written down; what followed is not on record"}
	open.End = d.born
	open.Duration = open.End.Sub(open.Start).Seconds()
	d.remember(open)
	d.count(open.Experiment.Name, open.Outcome)
	return d.append(ctx, open.ID, RecordRun, open)
}

// runID is unique and tells when and what.
func runID(at time.Time, what string) string {
	var b [3]byte
	_, _ = rand.Read(b[:])
	return fmt.Sprintf("%s-%s-%x", at.UTC().Format("20060102T150405Z"), what, b)
}

func (d *Drills) lookup(name string) (*Experiment, error) {
	if d.o.Lookup != nil {
		return d.o.Lookup(name)
	}
	e, _, err := Template(name)
	return e, err
}

// Do runs a drill and returns its evidence. It returns when the faults are gone,
// the host has come back or not, and the record is written; or, with
// [NotStarted], as soon as that is clear. When ctx ends the faults are removed at
// once, the recovery is not watched, and the outcome is [Interrupted]. The error
// is about the record only: the journal is always there.
func (d *Drills) Do(ctx context.Context, q Request) (*Journal, error) {
	r := d.newRun(q)
	defer r.cause(nil)
	if refused := d.admit(r); refused != nil {
		r.refuse(refused.Code, refused.Text)
	} else {
		defer d.leave(r)
		if !q.DryRun {
			d.count(r.exp.Name, "") // a counter must be seen at 0 before it is seen at 1
		}
		r.do(ctx)
	}
	j := r.j
	j.End = time.Now()
	j.Duration = j.End.Sub(j.Start).Seconds()
	j.Status = j.Outcome.ctkStatus()
	r.tell(StageDone, 0, Sample{}, string(j.Outcome))
	if q.DryRun || !d.o.Policy.Enabled {
		return j, nil
	}
	d.remember(j)
	d.count(j.Experiment.Name, j.Outcome)
	return j, d.append(ctx, j.ID, RecordRun, j)
}

func (d *Drills) newRun(q Request) *run {
	now := time.Now()
	if q.Trigger == "" {
		q.Trigger = TriggerOperator
	}
	if q.Seed == 0 {
		var b [8]byte
		_, _ = rand.Read(b[:])
		q.Seed = binary.BigEndian.Uint64(b[:]) >> 12 // exact as a JSON number
	}
	e := q.Experiment.with(q.Share, q.For)
	node, _ := os.Hostname()
	r := &run{d: d, req: q, exp: e, live: map[int]*acting{}}
	r.stop, r.cause = context.WithCancelCause(context.Background())
	r.j = &Journal{
		Schema: SchemaJournal, ChaosLib: ctkVersion, Platform: runtime.GOOS + "/" + runtime.GOARCH, Node: node,
		Experiment: *e.redacted(), Start: now, SteadyStates: SteadyStates{During: []SteadyState{}}, Run: []Step{}, Rollbacks: []Step{},
		ID: runID(now, e.Name), Bot: d.o.Bot, Reasons: []string{}, Who: q.Who, Trigger: q.Trigger, Planned: q.Planned,
		Simulated: d.o.Simulator != nil, Leashed: d.o.Policy.Leashed, DryRun: q.DryRun, Seed: q.Seed,
		Version: d.o.Version, ConfigHash: d.o.ConfigHash, Warnings: []WarningSeen{}, Events: []Event{}, Samples: []Sample{},
	}
	if s := d.o.Simulator; s != nil {
		played := *s
		r.j.Simulator = &played
	}
	return r
}

// admit lets one run in at a time.
func (d *Drills) admit(r *run) *Refusal {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running != nil {
		return &Refusal{RefusedRunning, fmt.Sprintf("drill %s is under way for this bot; wait, or end it: dualgram drill halt", d.running.j.ID)}
	}
	d.running = r
	d.runningID.Store(&r.j.ID)
	d.at = Progress{ID: r.j.ID, Bot: r.j.Bot, Experiment: r.exp.Name, Stage: StageGate, Started: r.j.Start, Who: r.j.Who}
	return nil
}

func (d *Drills) leave(*run) {
	d.mu.Lock()
	d.running = nil
	d.runningID.Store(nil)
	d.mu.Unlock()
}

// told keeps a run's latest progress and passes it on.
func (d *Drills) told(p *Progress) {
	d.mu.Lock()
	if d.running != nil && d.at.ID == p.ID {
		if p.Stage == "" {
			p.Stage, p.Left = d.at.Stage, d.at.Left
		}
		if p.Sample == nil {
			p.Sample = d.at.Sample
		}
		d.at = *p
	}
	d.mu.Unlock()
	if d.o.Observe != nil {
		d.observing.Lock()
		defer d.observing.Unlock()
		d.o.Observe(*p)
	}
}

// situation is what the policy judges, but for who asks.
func (d *Drills) situation(e *Experiment, f Facts) Situation {
	return Situation{Experiment: e, Facts: f, LastRun: d.past(e.Name).LastRun, Halt: d.Halted(), Simulated: d.o.Simulator != nil}
}

// ran says whether the run broke something. One that the host did not survive
// may have.
func (j *Journal) ran() bool { return j.Injected() && !j.Leashed }

// Check returns the reasons against running an experiment at now, nil if there
// is none. The gate is not tried; see [Request.DryRun].
func (d *Drills) Check(ctx context.Context, e *Experiment, now time.Time) ([]Refusal, error) {
	f, err := d.o.Host.Facts(ctx)
	if err != nil {
		return nil, fmt.Errorf("drill: asking the host how it is: %w", err)
	}
	s := d.situation(e, f)
	if p, ok := d.Running(); ok {
		s.Running = p.ID
	}
	return d.o.Policy.Check(now, s), nil
}

// Running tells of the run under way, if there is one.
func (d *Drills) Running() (Progress, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at, d.running != nil
}

// RunningID is the ID of the run under way, empty if there is none. It takes no
// lock and costs next to nothing.
func (d *Drills) RunningID() string {
	if id := d.runningID.Load(); id != nil {
		return *id
	}
	return ""
}

// Bot is the name of the bot that is drilled.
func (d *Drills) Bot() string { return d.o.Bot }

// Interrupt ends the faults of the run under way; the recovery is watched and
// the outcome is [Interrupted]. It returns false if nothing runs.
func (d *Drills) Interrupt(who Who) bool {
	d.mu.Lock()
	r := d.running
	d.mu.Unlock()
	if r == nil {
		return false
	}
	r.end(&stopCause{Interrupted, "ended by " + orUnknown(who.User) + because(who.Reason)})
	return true
}

// Halt ends the run under way and refuses new ones until Resume, also after a
// restart. It acts at once, even if the store fails; the error says so, and
// then a restart forgets it.
func (d *Drills) Halt(ctx context.Context, who Who) error {
	h := &Halt{At: time.Now().UTC().Round(0), Who: who, Reason: who.Reason}
	d.mu.Lock()
	d.halt = h
	r := d.running
	d.mu.Unlock()
	if r != nil {
		r.end(&stopCause{Aborted, "halted by " + orUnknown(who.User) + because(who.Reason)})
	}
	return d.append(ctx, runID(h.At, "halt"), RecordHalt, h)
}

// Resume lets drills begin again. If it can't be written down, the lever stays
// pulled.
func (d *Drills) Resume(ctx context.Context, who Who) error {
	h := &Halt{At: time.Now().UTC().Round(0), Who: who, Reason: who.Reason}
	if err := d.append(ctx, runID(h.At, "resume"), RecordResume, h); err != nil {
		return err
	}
	d.mu.Lock()
	d.halt = nil
	d.mu.Unlock()
	return nil
}

// Halted returns the halt lever, nil if it is not pulled.
func (d *Drills) Halted() *Halt {
	d.mu.Lock()
	h := d.halt
	d.mu.Unlock()
	if h == nil && d.o.Blocked != nil {
		h = d.o.Blocked()
	}
	return h
}
