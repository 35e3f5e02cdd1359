package notify

import (
	"time"

	"dualgram/supervisor/warning"
)

// Rules are what a [Book] decides by. The zero value of a field means its default.
type Rules struct {
	// MinSeverity is the least that is told; default [warning.Warning].
	MinSeverity warning.Severity
	// Repeat is after how long a warning that lasts is told again. Default 4 h; a
	// negative one: never.
	Repeat time.Duration
	// Gather is how long a new warning waits for others to be told with it; default
	// 5 s.
	Gather time.Duration
	// Settle is how long a warning must have ended until that is told, so that one
	// that comes and goes is told once; default 1 min.
	Settle time.Duration
	// Pause is the least time between two messages; default 15 s.
	Pause time.Duration
	// Quiet is how long after the start nothing is told: what a start brings with it
	// is over by then, and a process that dies again and again doesn't tell it each
	// time. Default 30 s.
	Quiet time.Duration
}

// WithDefaults fills in what is zero.
func (r Rules) WithDefaults() Rules {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if r.MinSeverity == "" {
		r.MinSeverity = warning.Warning
	}
	set(&r.Repeat, 4*time.Hour)
	set(&r.Gather, 5*time.Second)
	set(&r.Settle, time.Minute)
	set(&r.Pause, 15*time.Second)
	set(&r.Quiet, 30*time.Second)
	return r
}

// rank orders severities; one that is not known counts as the highest.
func rank(s warning.Severity) int {
	switch s {
	case warning.Info:
		return 0
	case warning.Warning:
		return 1
	}
	return 2
}
