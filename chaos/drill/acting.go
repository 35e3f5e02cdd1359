package drill

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// acting is an injected fault.
type acting struct {
	Fault
	step  int       // in j.Run
	end   time.Time // by the plan
	lease time.Time // when it ends without a renewal
}

// lapsed says whether the fault is gone before its time: its lease ran out
// because the runner was held up, or somebody cleared it.
func (f *acting) lapsed(now time.Time) bool {
	if f.lease.Before(f.end) && !now.Before(f.lease) {
		return true
	}
	select {
	case <-f.Done():
		return now.Before(f.end)
	default:
		return false
	}
}

// plan asks whether each fault could be carried out, before anything is broken and
// in a dry run too.
func (r *run) plan(ctx context.Context) {
	host, ok := r.d.o.Host.(Planner)
	if !ok {
		return
	}
	for i, a := range r.exp.Method {
		if a.Fault == "" {
			continue
		}
		if err := host.Plan(ctx, a.Spec(r.j.Seed+uint64(i))); err != nil {
			r.refuse(RefusedSeam, fmt.Sprintf("%s: %v", a.Fault, err))
		}
	}
}

// inject begins a fault, with a lease that is far shorter than the fault.
func (r *run) inject(action int) {
	a := r.exp.Method[action]
	now := time.Now()
	step := Step{Activity: activity("action", a.Name, string(a.Fault)), Start: now, Status: "succeeded"}
	r.mark(&r.j.Timeline.Inject)
	r.view.Inject = r.j.Timeline.Inject
	i := len(r.j.Run)
	r.j.Run = append(r.j.Run, step)
	if r.j.Leashed {
		r.j.Run[i].End = now.Add(a.For.D())
		r.say("%s: leashed, nothing is injected", a.Name)
		return
	}
	spec := a.Spec(r.j.Seed + uint64(action))
	spec.Most, spec.For = spec.For, min(spec.For, LeaseFor)
	f, err := r.d.o.Host.Inject(r.stop, spec)
	if err != nil {
		r.j.Run[i].Status, r.j.Run[i].Error, r.j.Run[i].End = "failed", err.Error(), time.Now()
		r.abort("%s could not be injected: %v", a.Name, err)
		return
	}
	r.mu.Lock()
	late := r.healed
	if !late {
		r.live[action] = &acting{f, i, now.Add(a.For.D()), now.Add(spec.For)}
	}
	r.mu.Unlock()
	if late { // stopped while it was injected
		f.End()
		r.note(i, f)
		return
	}
	r.say("%s: %s begins, for %s", a.Name, a.Fault, a.For)
}

// remove ends a fault whose time is over.
func (r *run) remove(action int) {
	r.mu.Lock()
	f, ok := r.live[action]
	delete(r.live, action)
	r.mu.Unlock()
	if !ok {
		return
	}
	r.check(f)
	f.End()
	r.note(f.step, f)
	r.say("%s: ended", r.j.Run[f.step].Activity.Name)
}

// note writes down how a fault ended.
func (r *run) note(step int, f Fault) {
	st := f.Status()
	s := &r.j.Run[step]
	s.Fault = &st
	if s.End.IsZero() {
		s.End = time.Now()
	}
}

// acting lists the faults that act.
func (r *run) acting() []*acting {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.live))
}

// check aborts if a fault is gone before its time.
func (r *run) check(f *acting) {
	now := time.Now()
	if r.stop.Err() != nil || !f.lapsed(now) {
		return
	}
	if f.lease.Before(now) {
		now = f.lease
	}
	r.j.Run[f.step].End = now
	r.abort("%s ended before its time, at %s: the drill was held up and did not renew its lease, or somebody cleared it", r.j.Run[f.step].Activity.Name, now.UTC().Format(time.TimeOnly))
}

// renew prolongs the leases, never beyond the fault's own end.
func (r *run) renew() {
	for _, f := range r.acting() {
		r.check(f)
		now := time.Now()
		left := f.end.Sub(now)
		if left <= 0 || r.stop.Err() != nil {
			continue
		}
		lease := min(LeaseFor, left)
		if err := f.Renew(lease); err != nil {
			r.abort("the lease of %s could not be renewed: %v", r.j.Run[f.step].Activity.Name, err)
			return
		}
		f.lease = now.Add(lease)
	}
}

// heal ends all faults. It may be called at any time, from any goroutine, and
// again; when it returns, nothing acts and nothing will.
func (r *run) heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.healed = true
	for _, f := range r.live {
		f.End()
	}
}

// endSteps writes down the faults that heal has ended.
func (r *run) endSteps() {
	r.mu.Lock()
	all := r.live
	r.live = map[int]*acting{}
	r.mu.Unlock()
	for _, f := range all {
		r.note(f.step, f)
	}
	for i := range r.j.Run {
		s := &r.j.Run[i]
		if now := time.Now(); s.End.IsZero() || s.End.After(now) {
			s.End = now
		}
		s.Duration = s.End.Sub(s.Start).Seconds()
		if s.End.After(r.j.Timeline.Remove) {
			r.j.Timeline.Remove = s.End
		}
	}
}
