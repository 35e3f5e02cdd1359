package drill

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/hashicorp/cronexpr"
)

// Schedule says when an experiment is due.
type Schedule struct {
	// Experiment is the name.
	Experiment string
	// Cron has five fields: minute, hour, day of the month, month, day of the week,
	// by the clocks of Zone. TUE#1 is the month's first Tuesday, L the last day.
	Cron string
	Zone *time.Location // nil means UTC
	// Jitter is the most by which a run is put off, at random but the same for the
	// same due time and Seed; at most [MaxJitter].
	Jitter time.Duration
	Seed   uint64
}

const (
	// MaxJitter keeps a run on the day that people expect.
	MaxJitter = 12 * time.Hour
	// OverdueAfter is how late a run may be before it counts as missed.
	OverdueAfter = time.Hour
	// longestShift is more than clocks were ever put on or back at once: a day, where
	// the date line was moved.
	longestShift = 25 * time.Hour
	// horizon is how far ahead a next time is looked for: it covers a 29 February.
	horizon = 9 * 366 * 24 * time.Hour
)

// Due is one time in a schedule.
type Due struct {
	// Planned is by the cron expression; At is with the jitter.
	Planned time.Time `json:"planned"`
	At      time.Time `json:"at"`
}

// Check says what is wrong with a schedule.
func (s Schedule) Check() error {
	if s.Jitter < 0 || s.Jitter > MaxJitter {
		return fmt.Errorf("jitter is %v: it must be from 0s to %v", s.Jitter, MaxJitter)
	}
	x, err := s.parse()
	if err != nil {
		return err
	}
	// A fixed day, so that the verdict does not depend on when it is asked for.
	if x.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return &CronError{s.Cron, "never comes: there is no such day"}
	}
	return nil
}

func (s Schedule) zone() *time.Location {
	if s.Zone == nil {
		return time.UTC
	}
	return s.Zone
}

// CronError says why a cron expression can't be read.
type CronError struct {
	Cron string
	// What is wrong, as the end of a sentence that starts with the expression.
	What string
}

// CronForm is how an expression is written.
const CronForm = `write five fields: minute hour day month weekday, such as "30 10 * 1,4,7,10 TUE#1" for 10:30 on the first Tuesday of each quarter`

// Error implements error.
func (e *CronError) Error() string { return fmt.Sprintf("cron %q %s; %s", e.Cron, e.What, CronForm) }

func (s Schedule) parse() (x *cronexpr.Expression, err error) {
	if n := len(strings.Fields(s.Cron)); n != 5 {
		return nil, &CronError{s.Cron, fmt.Sprintf("has %d fields", n)}
	}
	defer func() {
		// The parser is a third party's and the text is anybody's.
		if r := recover(); r != nil {
			x, err = nil, &CronError{s.Cron, "can't be read"}
		}
	}()
	if x, err = cronexpr.Parse(s.Cron); err != nil {
		return nil, &CronError{s.Cron, "can't be read: " + err.Error()}
	}
	return x, nil
}

// Next returns the first time planned after t, by the cron expression; false if
// there is none.
//
// The expression is read on the wall clock, where each day has 24 hours. A time
// that a change of the clocks skips is due when they have been put forward; one
// that comes twice is due the first time only.
func (s Schedule) Next(t time.Time) (Due, bool) {
	x, err := s.parse()
	if err != nil {
		return Due{}, false
	}
	end := t.Add(horizon)
	// A wall time that was skipped is due later than the clock says, one that comes
	// twice earlier: the search begins where the clock would stand by the least
	// offset of any change that could still matter, and passes over what is no
	// longer due.
	for wall := t.UTC().Add(leastOffset(t, s.zone())); ; {
		wall = x.Next(wall)
		if wall.IsZero() || wall.After(end) {
			return Due{}, false
		}
		if at := instant(wall, s.zone()); at.After(t) {
			return Due{Planned: at, At: at.Add(s.jitter(at))}, true
		}
	}
}

// Coming returns the first planned time whose run, put off by the jitter, is
// still to come at t; false if there is none. A host that starts between the
// two still makes the run.
func (s Schedule) Coming(t time.Time) (Due, bool) {
	d, ok := s.Next(t.Add(-s.Jitter - time.Second))
	for ok && !d.At.After(t) {
		d, ok = s.Next(d.Planned)
	}
	return d, ok
}

// jitter draws the time by which a planned one is put off.
func (s Schedule) jitter(planned time.Time) time.Duration {
	if s.Jitter <= 0 {
		return 0
	}
	r := rand.New(rand.NewPCG(s.Seed, uint64(planned.Unix())))
	return time.Duration(r.Int64N(int64(s.Jitter) + 1)).Truncate(time.Second)
}

// Missed says since when a run has been due and has not been made: the time of
// the first one planned after last (the last run, or when the schedule was
// first in force), if now is more than [OverdueAfter] later.
func (s Schedule) Missed(last, now time.Time) (time.Time, bool) {
	d, ok := s.Next(last)
	if !ok || now.Sub(d.At) <= OverdueAfter {
		return time.Time{}, false
	}
	return d.At, true
}

// Overdue says since when the experiment has gone without a success for two of
// the schedule's periods: the time of the second run planned after success (the
// last one, or when the schedule was first in force), if now is more than
// [OverdueAfter] later. One run that an incident forbade is no reason to be
// called; the second in a row is.
func (s Schedule) Overdue(success, now time.Time) (time.Time, bool) {
	first, ok := s.Next(success)
	if !ok {
		return time.Time{}, false
	}
	return s.Missed(first.Planned, now)
}

// leastOffset is the least offset of a zone from two of the longest shifts before
// t until as long after.
func leastOffset(t time.Time, zone *time.Location) time.Duration {
	_, least := t.In(zone).Zone()
	for _, shifts := range []time.Duration{-2, -1, 1, 2} {
		_, offset := t.Add(shifts * longestShift).In(zone).Zone()
		least = min(least, offset)
	}
	return time.Duration(least) * time.Second
}

// wallClock is what the clocks of a zone show at t, as a time in UTC.
func wallClock(t time.Time, zone *time.Location) time.Time {
	_, offset := t.In(zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// instant is when the clocks of a zone first show wall. If they never do,
// because they are put forward past it, it is counted on as if they were not.
func instant(wall time.Time, zone *time.Location) time.Time {
	// No zone changes its clocks twice within two days.
	_, before := wall.Add(-24 * time.Hour).In(zone).Zone()
	_, after := wall.Add(24 * time.Hour).In(zone).Zone()
	first := wall.Add(-time.Duration(before) * time.Second)
	second := wall.Add(-time.Duration(after) * time.Second)
	if second.Before(first) && !wallClock(first, zone).Equal(wall) && wallClock(second, zone).Equal(wall) {
		return second.In(zone)
	}
	if wallClock(first, zone).Equal(wall) || !wallClock(second, zone).Equal(wall) {
		return first.In(zone)
	}
	return second.In(zone)
}
