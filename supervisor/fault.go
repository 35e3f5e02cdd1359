package supervisor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"dualgram/supervisor/console"
	"dualgram/supervisor/warning"
	"dualgram/transport/botapi"
)

// afterglow is how long after its end a fault may still be what trips a signal:
// Telegram reports a request that hung only after its own sixty seconds, and takes
// some more until it tries again.
const afterglow = 75 * time.Second

// The levels of an [EventFault]: what became of the fault.
const (
	FaultInjected = "injected" // the order is taken; it acts from now on
	FaultPlanned  = "planned"  // the order is taken; leashed, so it only counts
	FaultEnded    = "ended"    // by whoever injected it
	FaultExpired  = "expired"  // its lease ran out, or its runner fell silent
	FaultCleared  = "cleared"  // by an operator, or by the end of the process
	FaultFailed   = "failed"   // it could not be injected after all
)

// Fault is one that somebody injected on purpose.
type Fault struct {
	// Kind is its name, such as tls.expired; Bot the only bot that it concerns,
	// empty for all of them.
	Kind, Bot string
	// By is who injected it and Reason why.
	By, Reason string
	Since      time.Time
	// Until is when its lease ends, or when it ended.
	Until time.Time
	Ended bool
	// Fired counts what it hit.
	Fired uint64
}

func (f Fault) concerns(bot string) bool { return f.Bot == "" || f.Bot == bot }

// drilled tells whether what trips now may be an injected fault's doing: one that
// has hit something, and acts or did so lately.
func (b *Bot) drilled(now time.Time) bool {
	if b.faults == nil {
		return false
	}
	for _, f := range b.faults() {
		if f.Fired > 0 && f.concerns(b.opt.Name) && (!f.Ended || now.Sub(f.Until) < afterglow) {
			return true
		}
	}
	return false
}

// faultConditions is the warning that somebody breaks things on purpose.
func (s *Supervisor) faultConditions() []warning.Condition {
	if s.opt.Faults == nil {
		return nil
	}
	var words []string
	since := time.Time{}
	for _, f := range s.opt.Faults() {
		if f.Ended {
			continue
		}
		w := f.Kind + " until " + f.Until.Format(time.RFC3339)
		if f.Bot != "" {
			w += " on bot " + f.Bot
		}
		if f.By != "" {
			w += " by " + f.By
		}
		if f.Reason != "" {
			w += " (" + f.Reason + ")"
		}
		words = append(words, w)
		if since.IsZero() || f.Since.Before(since) {
			since = f.Since
		}
	}
	if len(words) == 0 {
		return nil
	}
	return []warning.Condition{{Code: warning.FaultActive, Since: since, Evidence: strings.Join(words, "; ")}}
}

// FaultNote is what is written down of a fault.
type FaultNote struct {
	ID    uint64
	Kind  string
	Bot   string // empty for all
	Level string // one of the Fault constants
	// By and Reason are the operator's; For is how long it was given.
	By     *console.Caller
	Reason string
	For    time.Duration
	Fired  uint64
}

// NoteFault writes what became of a fault into the journal of each bot that it
// concerns, and into the log. It returns the first journal's error; the others are
// written all the same.
func (s *Supervisor) NoteFault(ctx context.Context, n FaultNote) error {
	var first error
	for _, b := range s.bots {
		if n.Bot != "" && n.Bot != b.opt.Name {
			continue
		}
		e := Event{At: time.Now(), Bot: b.opt.Name, Kind: EventFault, Epoch: b.snapshot().State.Epoch, Name: n.Kind, Level: n.Level,
			Fault: n.ID, Evidence: botapi.Redact(n.Reason), Seconds: n.For.Seconds(), Count: int(n.Fired), By: n.By}
		if err := b.write(ctx, e); err != nil && first == nil {
			first = fmt.Errorf("supervisor: bot %s: journal: %w", b.opt.Name, err)
		}
		b.emit(e)
	}
	return first
}
