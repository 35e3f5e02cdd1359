package drill

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

const (
	// sampleEvery is how often the host is looked at, and stop conditions judged.
	sampleEvery = time.Second
	// askWithin bounds one look. A host that answers later leaves the drill blind,
	// and its faults' leases unrenewed.
	askWithin = 2 * time.Second
	// blindFor is how many looks may fail in a row while faults act.
	blindFor = 3
	// recordWithin bounds writing a record once the caller has gone.
	recordWithin = 5 * time.Second
	// dense is how long into the recovery each sample is kept; later every fifth
	// is, and each in which something changed.
	dense = time.Minute
)

// run is one drill under way. Its goroutine alone injects, renews, judges: a
// runner that hangs renews nothing, and so the faults end.
type run struct {
	d    *Drills
	req  Request
	exp  *Experiment // j.Experiment, with what the request replaces
	j    *Journal
	view View

	// stop ends the faults and the stage; its cause is a stopCause.
	stop  context.Context
	cause context.CancelCauseFunc

	mu     sync.Mutex      // guards what follows
	live   map[int]*acting // by the action's place in the method
	healed bool            // nothing may be injected any more

	blind int // looks that have failed in a row
}

// stopCause says why a run ends early.
type stopCause struct {
	outcome Outcome
	text    string
}

func (c *stopCause) Error() string { return c.text }

func (r *run) abort(format string, args ...any) {
	r.end(&stopCause{Aborted, fmt.Sprintf(format, args...)})
}

// end ends the faults and the stage. The first cause stands.
func (r *run) end(c *stopCause) { r.cause(c) }

// do is the run from its gate to its verdict. ctx is the caller's: when it ends,
// nothing is waited for.
func (r *run) do(ctx context.Context) {
	away := context.AfterFunc(ctx, func() { r.cause(nil) })
	defer away()
	// The faults end at once, even while the runner waits for a host that hangs.
	heal := context.AfterFunc(r.stop, r.heal)
	defer heal()
	defer r.heal()

	var v verdict
	if !r.guarded(&v, func() bool { return r.gate(ctx) }) {
		return
	}
	r.guarded(&v, func() bool { r.method(); return true })
	r.heal()
	r.endSteps()
	r.causes(&v)
	if ctx.Err() == nil {
		r.guarded(&v, func() bool { r.recovery(ctx, &v); return true })
	}
	if ctx.Err() == nil {
		r.guarded(&v, func() bool { v.unread = r.books(ctx); return true })
	}
	if ctx.Err() != nil && !v.watched && v.interrupted == "" {
		v.interrupted = "the host or the caller went away: the faults were ended, and the recovery was not watched"
	}
	r.finish()
	v.conclude(r.j)
}

// causes takes over why the method was ended early, if it was.
func (r *run) causes(v *verdict) {
	var c *stopCause
	switch {
	case !errors.As(context.Cause(r.stop), &c):
	case c.outcome == Interrupted:
		v.interrupted = c.text
	default:
		v.aborted = c.text
	}
}

// guarded does a part of the run. A panic in it, be it the host's or ours, ends
// the faults and aborts.
func (r *run) guarded(v *verdict, part func() bool) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			r.heal()
			v.aborted = fmt.Sprintf("the drill's own code failed: %v", p)
			r.say("%s\n%s", v.aborted, debug.Stack())
			if r.j.Injected() {
				r.abort("%s", v.aborted)
				return
			}
			r.refuse(RefusedFacts, v.aborted)
			ok = false
		}
	}()
	return part()
}

// refuse ends a run before anything was injected.
func (r *run) refuse(c RefusalCode, text string) {
	r.j.Outcome = NotStarted
	if c != "" {
		r.j.Refusals = append(r.j.Refusals, Refusal{c, text})
	}
	r.j.Reasons = append(r.j.Reasons, text)
}

// gate lets the drill begin if the guards allow it and the steady state holds
// throughout the hold time.
func (r *run) gate(ctx context.Context) bool {
	now := time.Now()
	s, err := r.look(StageGate)
	if err != nil {
		r.refuse(RefusedFacts, "the host does not tell how it is: "+err.Error())
		return false
	}
	r.view.Base, r.view.Began = s.Facts.Counts, now
	situation := r.d.situation(r.exp, s.Facts)
	situation.Scheduled = r.req.Trigger == TriggerSchedule
	for _, no := range r.d.o.Policy.Check(now, situation) {
		r.refuse(no.Code, no.Text)
	}
	r.plan(ctx)
	if len(r.j.Refusals) > 0 {
		return false
	}
	t := newTally(Before, r.exp.Hypothesis.Probes)
	hold := r.exp.Hypothesis.Hold.D()
	seconds := newTick(sampleEvery)
	defer seconds.Stop()
	for {
		s.Unmet = t.judge(&r.view)
		r.keep(s)
		r.j.SteadyStates.Before = t.state()
		if len(s.Unmet) > 0 {
			r.j.Outcome = NotStarted
			r.j.Reasons = append(r.j.Reasons, r.j.SteadyStates.Before.misses("before the drill")...)
			return false
		}
		left := hold - time.Since(now)
		r.tell(StageGate, left, s, "the steady state must hold")
		if left <= 0 {
			break
		}
		if !seconds.wait(r.stop) {
			r.stopped(ctx)
			return false
		}
		if s, err = r.look(StageGate); err != nil {
			r.refuse(RefusedFacts, "the host does not tell how it is: "+err.Error())
			return false
		}
	}
	if h := r.d.Halted(); h != nil {
		r.refuse(RefusedHalted, "halted by "+orUnknown(h.Who.User)+because(h.Reason))
	}
	r.d.o.Policy.checkIncident(time.Now(), s.Facts, func(c RefusalCode, f string, args ...any) { r.refuse(c, fmt.Sprintf(f, args...)) })
	if len(r.j.Refusals) > 0 {
		return false
	}
	r.view.Expected = append(slices.Clone(r.exp.Expect.Warnings), s.Facts.Warnings...)
	if r.req.DryRun {
		r.j.Outcome = NotStarted
		r.j.Reasons = append(r.j.Reasons, "dry run: the drill could begin now; nothing was injected")
		return false
	}
	if err := r.d.append(ctx, r.j.ID+".begin", RecordBegin, r.j); err != nil {
		r.refuse(RefusedFacts, "the evidence can't be written: "+err.Error())
		return false
	}
	if r.stop.Err() != nil {
		r.stopped(ctx)
		return false
	}
	return true
}

// stopped ends a run that was stopped before anything was injected.
func (r *run) stopped(ctx context.Context) {
	var c *stopCause
	if errors.As(context.Cause(r.stop), &c) {
		r.refuse("", c.text)
	} else {
		r.refuse("", "the caller went away before anything was injected")
	}
	r.j.Outcome = NotStarted
	if ctx.Err() != nil || c != nil && c.outcome == Interrupted {
		r.j.Outcome = Interrupted
	}
}

// method carries out the method.
func (r *run) method() {
	start := time.Now()
	t := newTally(During, r.exp.Hypothesis.Probes)
	r.j.SteadyStates.During = []SteadyState{*t.state()}
	todo := r.exp.deeds()
	end := r.exp.Length()
	samples, renewals := newTick(sampleEvery), newTick(RenewEvery)
	next := time.NewTimer(0)
	defer next.Stop()
	defer samples.Stop()
	defer renewals.Stop()
	for r.stop.Err() == nil {
		for len(todo) > 0 && time.Since(start) >= todo[0].at {
			if todo[0].inject {
				r.inject(todo[0].action)
			} else {
				r.remove(todo[0].action)
			}
			todo = todo[1:]
		}
		if r.stop.Err() != nil || len(todo) == 0 && time.Since(start) >= end {
			return
		}
		at := end
		if len(todo) > 0 {
			at = todo[0].at
		}
		next.Reset(at - time.Since(start))
		select {
		case <-r.stop.Done():
			return
		case <-next.C:
		case <-renewals.C:
			r.renew()
		case <-samples.C:
			r.sample(t, end-time.Since(start))
			r.j.SteadyStates.During = []SteadyState{*t.state()}
		}
	}
}

// sample looks at the host while faults act and judges what it sees.
func (r *run) sample(t *tally, left time.Duration) {
	s, err := r.look(StageFault)
	if err != nil {
		r.keep(s)
		if r.blind++; r.blind >= blindFor {
			r.abort("the host has not told how it is for %d s: %v", r.blind, err)
		}
		return
	}
	r.blind = 0
	for _, f := range r.acting() {
		r.check(f)
	}
	if r.j.Injected() {
		s.Unmet = t.judge(&r.view)
	}
	r.keep(s)
	r.tell(StageFault, left, s, "the faults act")
	if h := r.d.Halted(); h != nil {
		r.abort("halted by %s%s", orUnknown(h.Who.User), because(h.Reason))
		return
	}
	for _, x := range r.exp.StopWhen {
		if x.Eval(&r.view) == True {
			r.abort("stop condition: %s (%s)", x, valuesText(x.Values(&r.view)))
			return
		}
	}
	for _, e := range r.j.Events {
		if e.Kind == EventOperator {
			r.abort("an operator intervened: %s", e.Name)
			return
		}
	}
}

// mark sets a time of the timeline once.
func (r *run) mark(t *time.Time) {
	if t.IsZero() {
		*t = time.Now()
	}
}
