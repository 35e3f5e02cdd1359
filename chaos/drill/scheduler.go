package drill

import (
	"context"
	"time"
)

// Plan is a schedule with its next time.
type Plan struct {
	Schedule    Schedule  `json:"-"`
	Experiment  string    `json:"experiment"`
	Next        Due       `json:"next"`
	LastRun     time.Time `json:"last_run,omitzero"` // that injected something
	LastOutcome Outcome   `json:"last_outcome,omitempty"`
	// OverdueSince is when the run was due that was not made; zero if none.
	OverdueSince time.Time `json:"overdue_since,omitzero"`
}

// Plans lists the schedules with their next times, in the order of the options.
func (d *Drills) Plans(ctx context.Context, now time.Time) ([]Plan, error) {
	records, err := d.o.Store.List(ctx)
	if err != nil {
		return nil, err
	}
	js, err := journals(records)
	if err != nil {
		return nil, err
	}
	var out []Plan
	for _, s := range d.o.Schedules {
		p := Plan{Schedule: s, Experiment: s.Experiment}
		p.Next, _ = s.Next(now)
		last := d.born
		if _, since, ok := standing(records, s.Experiment); ok {
			last = since
		}
		for _, j := range js {
			if j.Experiment.Name != s.Experiment {
				continue
			}
			p.LastOutcome = j.Outcome
			if j.ran() {
				p.LastRun = j.Start
				if j.Start.After(last) {
					last = j.Start
				}
			}
		}
		if since, ok := s.Overdue(last, now); ok {
			p.OverdueSince = since
		}
		out = append(out, p)
	}
	return out, nil
}

// longestNap bounds a sleep, so that a clock that was put on or back is noticed.
const longestNap = time.Minute

// Run runs the schedules until ctx ends, and returns when the run under way has
// ended. What was due while nothing ran is not caught up. Runs that are due at
// once follow one another; each that comes over [OverdueAfter] late is left out.
func (d *Drills) Run(ctx context.Context) {
	// next holds what is due, by the schedule's place.
	next := make([]Due, len(d.o.Schedules))
	plan := func(i int, after time.Time) { next[i], _ = d.o.Schedules[i].Next(after) }
	for i := range next {
		plan(i, time.Now())
	}
	nap := time.NewTimer(0)
	defer nap.Stop()
	for {
		sleep := longestNap
		for i, due := range next {
			if due.At.IsZero() {
				continue
			}
			if left := time.Until(due.At.Round(0)); left > 0 {
				sleep = min(sleep, left)
				continue
			}
			if time.Since(due.At.Round(0)) <= OverdueAfter {
				d.scheduled(ctx, d.o.Schedules[i].Experiment, due)
			}
			after := due.Planned
			if late := time.Now().Add(-OverdueAfter); late.After(after) {
				after = late
			}
			plan(i, after)
			sleep = 0
		}
		nap.Reset(sleep)
		select {
		case <-ctx.Done():
			return
		case <-nap.C:
		}
	}
}

// scheduled does one run. Its record tells what came of it.
func (d *Drills) scheduled(ctx context.Context, name string, due Due) {
	e, err := d.lookup(name)
	if err != nil || ctx.Err() != nil {
		return // New has looked it up once: it is gone, and the run becomes overdue
	}
	_, err = d.Do(ctx, Request{Experiment: e, Who: Who{User: "schedule"}, Trigger: TriggerSchedule, Planned: due.Planned})
	if err != nil {
		d.told(&Progress{Bot: d.o.Bot, Experiment: name, Stage: StageDone, Text: err.Error()})
	}
}
