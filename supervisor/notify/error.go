package notify

import (
	"fmt"
	"time"
)

// Error is why something could not be sent. It holds no more of a URL than its host.
type Error struct {
	// Op is what was tried: webhook, telegram or heartbeat.
	Op string
	// Target is the host or chat.
	Target string
	// Status is that of HTTP or the Bot API; 0 if there was no answer.
	Status int
	// RetryAfter is how long the receiver wants to be left alone; 0 if it didn't say.
	RetryAfter time.Duration
	// Hint says what to do; empty if nothing is known.
	Hint string
	Err  error
}

// Error is one line.
func (e *Error) Error() string {
	s := "notify: " + e.Op
	if e.Target != "" {
		s += " to " + e.Target
	}
	if e.Status != 0 {
		s += fmt.Sprintf(": answered %d", e.Status)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
