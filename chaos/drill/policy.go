package drill

import "time"

// Policy is what a configuration allows drills to do. The zero value allows
// nothing.
type Policy struct {
	// Enabled lets drills run; Leashed lets them run without effect, so that they
	// are planned, gated, sampled and journaled.
	Enabled bool
	Leashed bool
	// Windows are the times in which a drill may begin and must fit; none means
	// any time. Freezes are whole days without drills.
	Windows []Window
	Freezes []Freeze
	// MinInterval is the least time between the starts of two runs of one
	// experiment.
	MinInterval time.Duration
	// QuietAfterError is how long after Telegram's last error, QuietAfterStart how
	// long after the host's start no drill may begin; 0 means [DefaultQuietAfterError]
	// and [DefaultQuietAfterStart], below 0 no time at all.
	QuietAfterError time.Duration
	QuietAfterStart time.Duration
}

// The quiet times of a Policy that names none.
const (
	DefaultQuietAfterError = 10 * time.Minute
	DefaultQuietAfterStart = 30 * time.Minute
)

// Window is a part of the week in which drills may run, by the clocks of a zone.
type Window struct {
	Days []time.Weekday // none means every day
	// From and To are times of the day, since midnight on the clock; To is later
	// than From and at most 24 h.
	From, To time.Duration
	Zone     *time.Location // nil means UTC
}

// Freeze is a range of days without drills, both ends included, by the calendar
// of a zone.
type Freeze struct {
	From, To Date
	Zone     *time.Location // nil means UTC
	Reason   string
}

// Date is a day of the calendar.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// Situation is what a Policy judges.
type Situation struct {
	Experiment *Experiment
	Facts      Facts
	// LastRun is when the last run of the same experiment began; zero if never.
	LastRun time.Time
	// Running is the ID of the run under way for this bot; empty if there is none.
	Running string
	// Halt is the halt lever, nil if it is not pulled.
	Halt *Halt
}

// Refusal is a reason not to begin.
type Refusal struct {
	Code RefusalCode `json:"code"`
	// Text says why and what to do.
	Text string `json:"text"`
}

// RefusalCode names a reason not to begin.
type RefusalCode string

// The reasons not to begin.
const (
	RefusedDisabled   RefusalCode = "disabled"
	RefusedHalted     RefusalCode = "halted"
	RefusedRunning    RefusalCode = "running"
	RefusedWindow     RefusalCode = "outside_window"
	RefusedFreeze     RefusalCode = "frozen_date"
	RefusedInterval   RefusalCode = "too_soon"
	RefusedMode       RefusalCode = "not_on_webhook"
	RefusedSignal     RefusalCode = "signal"
	RefusedAutomation RefusalCode = "automation"
	RefusedTelegram   RefusalCode = "telegram_error"
	RefusedStart      RefusalCode = "started_lately"
	RefusedStandby    RefusalCode = "standby"
)

// Check returns the reasons against a drill that would begin at now, nil if
// there is none.
func (p Policy) Check(now time.Time, s Situation) []Refusal {
	return []Refusal{{RefusedDisabled, "not built yet"}}
}
