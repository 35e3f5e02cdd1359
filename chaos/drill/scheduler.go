package drill

import (
	"context"
	"time"
)

// Plan is a schedule with its next time.
type Plan struct {
	Schedule   Schedule `json:"-"`
	Experiment string   `json:"experiment"`
	Next       Due      `json:"next"`
	Past
	// InForce is since when the schedule has been as it is, by the history.
	InForce time.Time `json:"in_force"`
	// MissedSince is when the run was due that was not made; zero if none.
	// OverdueSince is when the second run in a row was due that was not made, or did
	// not succeed; zero if it is not that long. See [Schedule.Overdue].
	MissedSince  time.Time `json:"missed_since,omitzero"`
	OverdueSince time.Time `json:"overdue_since,omitzero"`
}

// Plans lists the schedules with their next times, in the order of the options.
func (d *Drills) Plans(now time.Time) []Plan {
	out := make([]Plan, 0, len(d.o.Schedules))
	for i, s := range d.o.Schedules {
		p := Plan{Schedule: s, Experiment: s.Experiment, Past: d.past(s.Experiment), InForce: d.since[i]}
		p.Next, _ = s.Coming(now)
		p.MissedSince, _ = s.Missed(latest(p.LastRun, p.InForce), now)
		p.OverdueSince, _ = s.Overdue(latest(p.LastSuccess, p.InForce), now)
		out = append(out, p)
	}
	return out
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
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
	for i, s := range d.o.Schedules {
		next[i], _ = s.Coming(time.Now())
	}
	nap := time.NewTimer(0)
	defer nap.Stop()
	for {
		d.settleUp(ctx)
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

// settleUp writes what could not be written before; what still can't be is tried
// again.
func (d *Drills) settleUp(ctx context.Context) {
	d.writing.Lock()
	defer d.writing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, recordWithin)
	defer cancel()
	_ = d.settle(ctx)
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
