package drill

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// tick is a ticker that can be waited for together with a context.
type tick struct{ *time.Ticker }

func newTick(every time.Duration) tick { return tick{time.NewTicker(every)} }

// wait returns false if the context ends first.
func (t tick) wait(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// look asks the host how it is, and brings the view up to date.
func (r *run) look(stage Stage) (Sample, error) {
	now := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), askWithin)
	defer cancel()
	s := Sample{At: now, Stage: stage, Fired: r.fired()}
	f, err := r.d.o.Host.Facts(ctx)
	if err == nil && r.j.Injected() {
		var events []Event
		if events, err = r.d.o.Host.Events(ctx, r.j.Timeline.Inject); err == nil {
			r.j.Events = events
		}
	}
	if err != nil {
		s.Error = err.Error()
		return s, err
	}
	f.At = now
	s.Facts = f
	r.view.Facts, r.view.Fired = f, s.Fired
	if r.j.Injected() {
		r.j.Timeline.follow(r.j.Events, r.j.Samples, s)
		r.view.Timeline = r.j.Timeline
		r.view.Failovers = failovers(r.j.Events, r.j.Timeline.Inject, time.Time{})
		r.warned(f)
	}
	if p := f.Pending; p != nil && (r.j.MaxPending == nil || *p > *r.j.MaxPending) {
		r.j.MaxPending = p
	}
	return s, nil
}

// fired counts the units hit so far.
func (r *run) fired() (n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.j.Run {
		if s.Fault != nil {
			n += s.Fault.Fired
		}
	}
	for _, f := range r.live {
		n += f.Status().Fired
	}
	return n
}

// warned writes down the warnings that are shown.
func (r *run) warned(f Facts) {
	for _, code := range f.Warnings {
		i := slices.IndexFunc(r.j.Warnings, func(w WarningSeen) bool { return w.Code == code })
		if i < 0 {
			i = len(r.j.Warnings)
			r.j.Warnings = append(r.j.Warnings, WarningSeen{Code: code, First: f.At, Expected: slices.Contains(r.view.Expected, code)})
		}
		r.j.Warnings[i].Last = f.At
	}
}

// keep adds a sample to the evidence, unless a long recovery would fill it with
// what stays the same.
func (r *run) keep(s Sample) {
	if n := len(r.j.Samples); s.Stage == StageRecovery && n > 0 && s.At.Sub(r.j.Timeline.Remove) > dense {
		last := r.j.Samples[n-1]
		same := s.Error == last.Error && s.Facts.Mode == last.Facts.Mode && s.Facts.Phase == last.Facts.Phase && s.Facts.Trial == last.Facts.Trial &&
			slices.Equal(s.Unmet, last.Unmet) && slices.Equal(s.Facts.Warnings, last.Facts.Warnings) && slices.Equal(s.Facts.Signals, last.Facts.Signals)
		if same && s.At.Sub(last.At) < 5*sampleEvery {
			return
		}
	}
	r.j.Samples = append(r.j.Samples, s)
}

// say tells of something that happened.
func (r *run) say(format string, args ...any) {
	r.tell("", 0, Sample{}, fmt.Sprintf(format, args...))
}

// tell tells of the run's progress. Without a stage the last one stands.
func (r *run) tell(stage Stage, left time.Duration, s Sample, text string) {
	p := Progress{ID: r.j.ID, Bot: r.j.Bot, Experiment: r.exp.Name, Stage: stage, Started: r.j.Start, Who: r.j.Who, Text: text, Left: max(0, left), Outcome: r.j.Outcome}
	if !s.At.IsZero() {
		p.Sample = &s
	}
	r.d.told(&p)
	if r.req.Observe != nil {
		r.req.Observe(p)
	}
}
