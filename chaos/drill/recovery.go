package drill

import (
	"context"
	"errors"
	"time"
)

// recovery watches the host come back to the steady state.
func (r *run) recovery(ctx context.Context, v *verdict) {
	r.rollback(ctx)
	removed := r.j.Timeline.Remove
	hold, within := r.exp.Hypothesis.Hold.D(), r.exp.RecoverWithin.D()
	var since time.Time // since when all has held without a break
	seconds := newTick(sampleEvery)
	defer seconds.Stop()
	for {
		s, err := r.look(StageRecovery)
		if err != nil {
			since = time.Time{}
			r.keep(s)
		} else {
			t := newTally(After, r.exp.Hypothesis.Probes)
			s.Unmet = t.judge(&r.view)
			r.j.SteadyStates.After = t.state()
			r.keep(s)
			r.tell(StageRecovery, within-time.Since(removed), s, "the host must come back")
			if len(s.Unmet) > 0 {
				since = time.Time{}
			} else if since.IsZero() {
				since = s.At
			}
		}
		now := time.Now()
		switch {
		case !since.IsZero() && now.Sub(since) >= hold:
			r.j.Timeline.Recovered = since
			v.watched, v.recovered = true, true
			return
		case since.IsZero() && now.Sub(removed) >= within:
			v.watched = true
			return
		}
		if !seconds.wait(ctx) {
			return
		}
	}
}

// rollback asks the host to tidy up. One that fails doesn't stop the rest.
func (r *run) rollback(ctx context.Context) {
	for _, b := range r.exp.Rollbacks {
		s := Step{Activity: activity("action", b.Action, b.Action), Start: time.Now(), Status: "succeeded"}
		err := errors.New("this host can't be asked to")
		if host, ok := r.d.o.Host.(Rollbacker); ok {
			ctx, cancel := context.WithTimeout(ctx, recordWithin)
			err = host.Rollback(ctx, b.Action)
			cancel()
		}
		if err != nil {
			s.Status, s.Error = "failed", err.Error()
		}
		s.End = time.Now()
		s.Duration = s.End.Sub(s.Start).Seconds()
		r.j.Rollbacks = append(r.j.Rollbacks, s)
		r.say("rollback %s: %s", b.Action, s.Status)
	}
}

// finish brings the journal up to date once all is over.
func (r *run) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), askWithin)
	defer cancel()
	func() {
		defer func() { _ = recover() }() // the host's; what was read before stands
		if events, err := r.d.o.Host.Events(ctx, r.j.Timeline.Inject); err == nil {
			r.j.Events = events
		}
		if f, err := r.d.o.Host.Facts(ctx); err == nil {
			r.view.Facts = f
		}
	}()
	j := r.j
	j.Timeline.follow(j.Events, j.Samples)
	j.Timings = j.Timeline.timings()
	j.Failovers = failovers(j.Events, j.Timeline.Inject, j.Timeline.Remove)
	j.Counts = r.view.Counts.Sub(r.view.Base)
	j.Fired = 0
	for _, s := range j.Run {
		if s.Fault != nil {
			j.Fired += s.Fault.Fired
		}
	}
}
