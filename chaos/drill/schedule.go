package drill

import (
	"errors"
	"time"
)

// Schedule says when an experiment is due.
type Schedule struct {
	// Experiment is the name.
	Experiment string
	// Cron has five fields, by the clocks of Zone.
	Cron string
	Zone *time.Location // nil means UTC
	// Jitter is the most by which a run is put off, at random but the same for the
	// same due time and Seed.
	Jitter time.Duration
	Seed   uint64
}

// Due is one time in a schedule.
type Due struct {
	// Planned is by the cron expression; At is with the jitter.
	Planned time.Time `json:"planned"`
	At      time.Time `json:"at"`
}

// Check says what is wrong with a schedule.
func (s Schedule) Check() error { return errors.ErrUnsupported }

// Next returns the first time that is due after t; false if there is none
// within five years.
func (s Schedule) Next(t time.Time) (Due, bool) { return Due{}, false }

// Overdue says since when a run has been due and has not been made: the first
// due time after last, if now is more than [OverdueAfter] later.
func (s Schedule) Overdue(last, now time.Time) (time.Time, bool) { return time.Time{}, false }

// OverdueAfter is how late a run may be before it counts as missed.
const OverdueAfter = time.Hour
