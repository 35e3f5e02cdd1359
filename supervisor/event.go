package supervisor

import (
	"context"
	"encoding/json"
	"time"

	"dualgram/store"
	"dualgram/supervisor/console"
	"dualgram/supervisor/failover"

	"github.com/rs/zerolog"
)

// The kinds of [Event].
const (
	// EventPhase: the bot moved from one phase to another, or began a new epoch.
	EventPhase = "phase"
	// EventStep: one step of a handover is done, or failed.
	EventStep = "step"
	// EventFirstUpdate: the first new update since a handover, with its source.
	EventFirstUpdate = "first_update"
	// EventSignal: a signal changed its level.
	EventSignal = "signal"
	// EventTrial: the webhook passed its trial.
	EventTrial = "trial_passed"
	// EventWould: a handover was decided and, for the reason given, not done.
	EventWould = "would"
	// EventOperator: an operator's command was taken.
	EventOperator = "operator"
	// EventForeign: somebody else consumes this bot's updates, or stopped to.
	EventForeign = "foreign"
	// EventLoss: update_ids that Telegram no longer has and that never came.
	EventLoss = "loss"
	// EventSecret: something changed about the webhook's secret token; Name says
	// what.
	EventSecret = "secret"
	// EventFault: a fault was injected on purpose or has ended; Name is its kind,
	// Level what became of it, Evidence the operator's reason, Seconds its lease and
	// Count how much it hit.
	EventFault = "fault"
	// EventWarning: a warning was raised, or is over; Name is its code, Level raised
	// or cleared. Of one that is over, Seconds is how long it was up. Count is how
	// many changes before it were left out, because it flaps.
	EventWarning = "warning"
	// EventNotice: people were told of warnings, or could not be; Name is the channel,
	// Level which of the two, Evidence what and Count of how many.
	EventNotice = "notice"
	// EventHandover: a handover is complete, with the timing of all its steps.
	EventHandover = "handover"
)

// EventKinds lists the kinds that are journaled.
func EventKinds() []string {
	return []string{EventPhase, EventHandover, EventFirstUpdate, EventTrial, EventWould, EventOperator, EventForeign, EventLoss, EventSecret, EventFault, EventNotice, EventWarning}
}

// Event is one line of a bot's story. It holds neither token nor message text.
type Event struct {
	At       time.Time `json:"at"`
	Bot      string    `json:"bot"`
	Kind     string    `json:"kind"`
	Epoch    uint64    `json:"epoch"`
	From     string    `json:"from,omitempty"`
	To       string    `json:"to,omitempty"`
	Cause    string    `json:"cause,omitempty"`
	Evidence string    `json:"evidence,omitempty"`
	Name     string    `json:"name,omitempty"`  // of a step or signal, or what happened
	Level    string    `json:"level,omitempty"` // of a signal or fault
	Source   string    `json:"source,omitempty"`
	Count    int       `json:"count,omitempty"`
	Seconds  float64   `json:"seconds,omitempty"` // a duration, by Kind
	Error    string    `json:"error,omitempty"`
	Severity string    `json:"severity,omitempty"` // of a warning
	Handover *Handover `json:"handover,omitempty"`
	// Fault is the number of an injected fault. Drill says that such a fault is what
	// the change of phase comes from.
	Fault uint64 `json:"fault,omitempty"`
	Drill bool   `json:"drill,omitempty"`
	// By is who gave an operator's command; nil if the program itself did.
	By *console.Caller `json:"by,omitempty"`
}

// Handover is the record of one change of mode.
type Handover struct {
	Epoch    uint64         `json:"epoch"`
	From     failover.Mode  `json:"from"`
	To       failover.Mode  `json:"to"`
	Cause    failover.Cause `json:"cause"`
	Onset    time.Time      `json:"onset"`   // when the signal that caused it began
	Decided  time.Time      `json:"decided"` // when the decision was persisted
	Done     time.Time      `json:"done"`    // when the new transport answered
	First    time.Time      `json:"first_update,omitzero"`
	Attempts int            `json:"attempts"`
	// Drill: it is the doing of a fault that was injected on purpose.
	Drill bool   `json:"drill,omitempty"`
	Steps []Step `json:"steps"`
}

// Whose doing a handover is.
const (
	ByAutomatic = "automatic"
	ByOperator  = "operator"
	ByDrill     = "drill" // a failover that an injected fault has caused, and the failback from it
)

// By is one of the By constants.
func (h Handover) By() string {
	switch {
	case h.Cause.Name == failover.CauseOperator:
		return ByOperator
	case h.Drill:
		return ByDrill
	}
	return ByAutomatic
}

// Step is one named step of a handover.
type Step struct {
	Name    string    `json:"name"`
	At      time.Time `json:"at"`
	Seconds float64   `json:"seconds,omitempty"`
	Error   string    `json:"error,omitempty"`
}

// durable tells which events are journaled: what an operator asks about later.
func (e Event) durable() bool {
	switch e.Kind {
	case EventStep, EventSignal:
		return false
	}
	return true
}

func (e Event) entry() (store.Entry, error) {
	raw, err := json.Marshal(e)
	return store.Entry{At: e.At, Kind: e.Kind, Data: raw}, err
}

// emit logs the event, shows it to the observer, and counts it. The journal is
// written by [Bot.record] or together with the state.
func (b *Bot) emit(e Event) {
	tell(b.log, e)
	if b.opt.Observe != nil {
		b.opt.Observe(e)
	}
}

// tell writes the event into the log.
func tell(log zerolog.Logger, e Event) {
	l := log.WithLevel(e.level()) //nolint:zerologlint // sent below
	l.Str("event", e.Kind).Uint64("epoch", e.Epoch)
	str := func(key, v string) {
		if v != "" {
			l.Str(key, v)
		}
	}
	str("from", e.From)
	str("to", e.To)
	str("cause", e.Cause)
	str("evidence", e.Evidence)
	str("name", e.Name)
	str("state", e.Level)
	str("source", e.Source)
	str("error", e.Error)
	if e.Seconds != 0 {
		l.Float64("seconds", e.Seconds)
	}
	if e.Count != 0 {
		l.Int("count", e.Count)
	}
	if e.Fault != 0 {
		l.Uint64("fault_id", e.Fault)
	}
	if e.Drill {
		l.Bool("drill", true)
	}
	if e.By != nil {
		l.Str("by", e.By.User).Int64("by_uid", e.By.UID).Int64("by_pid", e.By.PID)
		if e.By.Remote != "" {
			l.Str("by_remote", e.By.Remote)
		}
	}
	l.Msg(eventMessage(e))
}

// level is the event's weight in the log.
func (e Event) level() zerolog.Level {
	switch {
	case e.Kind == EventForeign && e.Level == "gone":
		return zerolog.InfoLevel
	case e.Kind == EventLoss || e.Kind == EventForeign:
		return zerolog.ErrorLevel
	case e.Kind == EventSignal && e.Level == Tripped.String(), e.Kind == EventWould, e.Kind == EventFault, e.Error != "":
		return zerolog.WarnLevel
	case e.Kind == EventStep, e.Kind == EventSignal:
		return zerolog.DebugLevel
	}
	return zerolog.InfoLevel
}

func eventMessage(e Event) string {
	switch e.Kind {
	case EventPhase:
		return "phase changed"
	case EventStep:
		return "handover step"
	case EventFirstUpdate:
		return "first update since the handover"
	case EventSignal:
		return "signal changed"
	case EventTrial:
		return "the webhook is proven"
	case EventWould:
		return "a handover was decided but not done"
	case EventOperator:
		return "operator's command"
	case EventForeign:
		if e.Level == "gone" {
			return "whoever consumed this bot's updates as well is gone"
		}
		return "somebody else consumes this bot's updates"
	case EventLoss:
		return "updates are lost"
	case EventHandover:
		return "handover complete"
	case EventSecret:
		return "secret token"
	case EventFault:
		return "fault injected on purpose"
	case EventNotice:
		return "people were told of warnings"
	}
	return e.Kind
}

// record emits the event and writes it to the journal. A journal that can't be
// written is the store signal's business; the log has the line.
func (b *Bot) record(ctx context.Context, e Event) {
	b.emit(e)
	if !e.durable() {
		return
	}
	if err := b.write(ctx, e); err != nil {
		b.log.Warn().Err(err).Str("event", e.Kind).Msg("the journal could not be written")
	}
}

// write puts the event into the journal.
func (b *Bot) write(ctx context.Context, e Event) error {
	entry, err := e.entry()
	if err != nil {
		return err
	}
	// It has happened, also if the process is being stopped meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveDeadline)
	defer cancel()
	return b.ledger.Save(ctx, nil, entry)
}
