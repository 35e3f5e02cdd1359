package failover

import (
	"fmt"
	"time"
)

// Phase is where a bot stands between the two transports.
type Phase uint8

// The phases. Only Webhook and Polling are at rest.
const (
	// Starting: the world has not been read yet, or the Bot API did not answer.
	Starting Phase = iota
	// Webhook: Telegram delivers to the listener.
	Webhook
	// ToPolling: the webhook is being deleted and the first poll is on its way.
	ToPolling
	// Polling: getUpdates brings the updates.
	Polling
	// ToWebhook: the poller is joined and the webhook is being set.
	ToWebhook
	// Held: somebody else owns the bot's updates, or the token is refused.
	// dualgram takes nothing until that ends or an operator takes over.
	Held
	phases
)

var phaseNames = [...]string{"starting", "webhook", "to_polling", "polling", "to_webhook", "held"}

func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return fmt.Sprintf("phase(%d)", uint8(p))
}

// MarshalText writes the phase's name.
func (p Phase) MarshalText() ([]byte, error) {
	if p >= phases {
		return nil, fmt.Errorf("failover: no such phase: %d", uint8(p))
	}
	return []byte(p.String()), nil
}

// UnmarshalText reads a phase's name.
func (p *Phase) UnmarshalText(text []byte) error {
	for i, name := range phaseNames {
		if name == string(text) {
			*p = Phase(i)
			return nil
		}
	}
	return fmt.Errorf("failover: no such phase: %q", text)
}

// Mode is one of the two ways in which updates come, or none.
type Mode uint8

// The modes.
const (
	ModeNone Mode = iota
	ModeWebhook
	ModePolling
)

func (m Mode) String() string {
	switch m {
	case ModeNone:
		return "none"
	case ModeWebhook:
		return "webhook"
	case ModePolling:
		return "polling"
	}
	return fmt.Sprintf("mode(%d)", uint8(m))
}

// MarshalText writes the mode's name.
func (m Mode) MarshalText() ([]byte, error) {
	if m > ModePolling {
		return nil, fmt.Errorf("failover: no such mode: %d", uint8(m))
	}
	return []byte(m.String()), nil
}

// UnmarshalText reads a mode's name.
func (m *Mode) UnmarshalText(text []byte) error {
	for _, c := range []Mode{ModeNone, ModeWebhook, ModePolling} {
		if c.String() == string(text) {
			*m = c
			return nil
		}
	}
	return fmt.Errorf("failover: no such mode: %q", text)
}

// Cause is why a phase was entered: a signal's name or one of the constants,
// with the evidence in words. Neither may hold a token or message text.
type Cause struct {
	Name     string `json:"name"`
	Evidence string `json:"evidence,omitempty"`
}

func (c Cause) String() string {
	if c.Evidence == "" {
		return c.Name
	}
	return c.Name + ": " + c.Evidence
}

// Causes other than the names of signals.
const (
	CauseStart        = "start"
	CauseTrialAtStart = "found_registered"
	CauseHoldDownOver = "hold_down_over"
	CauseFlush        = "backoff_flush"
	CauseURLGone      = "url_gone"
	CauseReassert     = "reassert"
	CauseForeign      = "foreign_webhook"
	CauseUnauthorized = "token_refused"
	CauseSetFailed    = "set_failed"
	CauseSetUnknown   = "set_unanswered"
	CauseLateSet      = "late_set"
	CauseOperator     = "operator"
	CauseDelivered    = "trial_passed"
	CausePollerLost   = "poller_lost"
	CauseSetUnsent    = "set_not_sent"
	CauseClockJump    = "clock_jump"
)

// failoverMemory bounds how many automatic failovers are remembered; MaxFailovers
// can't be larger.
const failoverMemory = 16

// State is all that a decision depends on. It is small, comparable, and
// persisted as it is; its zero value is a bot that was never started.
type State struct {
	Phase Phase     `json:"phase"`
	Epoch uint64    `json:"epoch"`
	Since time.Time `json:"since"` // when Phase was entered
	Cause Cause     `json:"cause"` // why

	// Resume is the phase that the previous process, or the phase before a hold,
	// left; it selects the row of the boot table.
	Resume Phase `json:"resume,omitempty"`
	// Intent is the mode that dualgram last decided for; it survives a hold and
	// a restart.
	Intent Mode `json:"intent"`

	// Trial is true from a registration until the webhook is proven.
	Trial      bool      `json:"trial,omitempty"`
	Registered time.Time `json:"registered,omitzero"` // the last acknowledged or adopted set
	Passed     time.Time `json:"passed,omitzero"`     // when the last trial was passed

	// Flush is true while polling was entered only to make Telegram forget its
	// back-off.
	Flush     bool      `json:"flush,omitempty"`
	LastFlush time.Time `json:"last_flush,omitzero"`

	HoldDown  time.Duration             `json:"hold_down,omitempty"` // the present length, jitter included
	HoldUntil time.Time                 `json:"hold_until,omitzero"` // no failback before
	Relapses  int                       `json:"relapses,omitempty"`  // doublings of the hold-down in force
	Decayed   time.Time                 `json:"decayed,omitzero"`    // when Relapses last shrank or grew
	Failovers [failoverMemory]time.Time `json:"failovers"`           // the last automatic ones, newest first
	Frozen    bool                      `json:"frozen,omitempty"`    // failback forbidden until acknowledged

	Pin         Mode          `json:"pin,omitempty"` // operator's choice; ModeNone if automatic
	PinUntil    time.Time     `json:"pin_until,omitzero"`
	PinFor      time.Duration `json:"pin_for,omitempty"` // as asked for: PinUntil is wall time
	Paused      bool          `json:"paused,omitempty"`  // operator's hold
	PausedUntil time.Time     `json:"paused_until,omitzero"`
	PausedFor   time.Duration `json:"paused_for,omitempty"`

	// LateSetUntil: until then a set that was given up on may still happen, so a
	// webhook of ours that appears is ours.
	LateSetUntil time.Time `json:"late_set_until,omitzero"`
	// Renews is true from a set that replaces our own registration until it is
	// known whether the old one or the new one is there; either is good.
	Renews bool `json:"renews,omitempty"`
	// Untried is true while a registration is renewed that was in its trial.
	Untried bool `json:"untried,omitempty"`
	// Reasserted is when the webhook was last set again because it had vanished.
	Reasserted time.Time `json:"reasserted,omitzero"`

	// Drill is true from a failover that a fault injected on purpose has caused
	// until the webhook is proven again. What happens meanwhile is the drill's.
	Drill bool `json:"drill,omitempty"`

	// Deleting: the handover to polling under way begins with deleteWebhook.
	Deleting bool `json:"deleting,omitempty"`
	// Fails counts failed attempts of the handover under way; RetryAt is when
	// the next one is due.
	Fails   int       `json:"fails,omitempty"`
	RetryAt time.Time `json:"retry_at,omitzero"`

	// Busy is true while a job is under way. A job dies with the process.
	Busy bool `json:"-"`
}

// Mode returns the mode in which updates arrive or are about to.
func (s State) Mode() Mode {
	switch s.Phase {
	case Webhook, ToWebhook:
		return ModeWebhook
	case Polling, ToPolling:
		return ModePolling
	}
	return ModeNone
}

// Polls tells whether a poller may run in this phase. In ToWebhook the job ends
// it as its first step.
func (s State) Polls() bool {
	return s.Phase == ToPolling || s.Phase == Polling || s.Phase == ToWebhook
}

// lateBroken tells whether the webhook was found broken after the set was sent that
// may still happen: then it is not what is wanted any more.
func (s State) lateBroken() bool { return s.Failovers[0].After(s.LateSetUntil.Add(-lateWindow)) }

// RecentFailovers counts the automatic failovers of the hour before now.
func (s State) RecentFailovers(now time.Time) int {
	n := 0
	for _, t := range s.Failovers {
		if !t.IsZero() && now.Sub(t) < failoverWindow {
			n++
		}
	}
	return n
}

func (s State) unpinned() State {
	s.Pin, s.PinUntil, s.PinFor = ModeNone, time.Time{}, 0
	return s
}

func (s State) unpaused() State {
	s.Paused, s.PausedUntil, s.PausedFor = false, time.Time{}, 0
	return s
}

// durable returns the part of the state that outlives the process.
func (s State) durable() State {
	s.Busy = false
	return s
}

// Phases lists every phase, for metrics that name them all.
func Phases() []Phase {
	all := make([]Phase, phases)
	for i := range all {
		all[i] = Phase(i)
	}
	return all
}
