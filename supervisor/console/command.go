package console

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"time"
)

// The commands, as the journal names them.
const (
	SwitchWebhook = "switch_webhook" // pin webhook mode
	SwitchPolling = "switch_polling" // pin polling mode
	SwitchAuto    = "switch_auto"    // lift pin and hold
	HoldMode      = "hold"           // pause automation in the present mode
	AckFreeze     = "ack"            // end a freeze
	EndHoldDown   = "failback"       // end the hold-down; a drill's rollback only
)

// Limits of a command.
const (
	// MaxReason bounds a reason, in bytes.
	MaxReason = 500
	// MaxFor bounds how long a pin or a hold may be given: one that is meant to
	// last longer is meant to last until it is lifted.
	MaxFor  = 366 * 24 * time.Hour
	maxBody = 64 << 10
)

// SwitchRequest is the body of POST /v1/bots/{name}/switch.
type SwitchRequest struct {
	// Schema may be left out.
	Schema string `json:"schema,omitempty"`
	// To is webhook, polling or auto.
	To string `json:"to"`
	// For is how long the pin lasts; 0 means until it is lifted.
	For float64 `json:"for_s,omitempty"`
	// Reason is kept in the journal. It is required for webhook and polling, and
	// for a take-over, unless it is a dry run.
	Reason string `json:"reason,omitempty"`
	// TakeOver allows to replace somebody else's webhook. Foreign, if given, is
	// the one that was agreed to, as the status shows it, empty for none: another
	// one is not replaced.
	TakeOver bool    `json:"take_over,omitempty"`
	Foreign  *string `json:"foreign,omitempty"`
	// DryRun: say what would be done, and do nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// HoldRequest is the body of POST /v1/bots/{name}/hold. Reason is required.
type HoldRequest struct {
	Schema string  `json:"schema,omitempty"`
	For    float64 `json:"for_s,omitempty"`
	Reason string  `json:"reason,omitempty"`
}

// AckRequest is the body of POST /v1/bots/{name}/ack.
type AckRequest struct {
	Schema string `json:"schema,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Order is an operator's word on one bot.
type Order struct {
	Bot, Command string
	For          time.Duration
	Reason       string
	TakeOver     bool
	Foreign      *string
	DryRun       bool
	By           Caller
}

// Operator carries out orders. It answers within five seconds, when the order is
// durable and not when it is done; errors are [Failure] values where somebody can
// do something about them.
type Operator interface {
	Operate(ctx context.Context, o Order) (Change, error)
}

// Said is an operator's word that is in force.
type Said struct {
	Command string    `json:"command"`
	At      time.Time `json:"at"`
	By      Caller    `json:"by"`
	Reason  string    `json:"reason,omitempty"`
}

// Change is the answer to a command.
type Change struct {
	Schema  string    `json:"schema"`
	Bot     string    `json:"bot"`
	Command string    `json:"command"`
	At      time.Time `json:"at"`
	By      Caller    `json:"by"`
	Reason  string    `json:"reason,omitempty"`
	// For is how long pin or hold last; 0 means until they are lifted.
	For      float64 `json:"for_s,omitempty"`
	TakeOver bool    `json:"take_over,omitempty"`
	// DryRun: what follows would be so, and nothing has been done.
	DryRun bool `json:"dry_run"`
	// Changed says whether anything is different from before.
	Changed bool `json:"changed"`
	// Before and After are where the bot stood and where it stands; a handover
	// that was begun goes on from there.
	Before Stand `json:"before"`
	After  Stand `json:"after"`
	// Wants is the mode that the bot is on its way to or in, webhook or polling,
	// for whoever waits for it; empty if the command asks for none.
	Wants string `json:"wants"`
	// Next says in a sentence what happens now.
	Next string `json:"next"`
	// Warnings say what speaks against it; never null.
	Warnings []Warning `json:"warnings"`
}

// Stand is where a bot stands. The fields mean what they do in [Bot].
type Stand struct {
	Mode      string    `json:"mode"`
	Phase     string    `json:"phase"`
	Trial     bool      `json:"trial"`
	Epoch     uint64    `json:"epoch"`
	Since     time.Time `json:"since,omitzero"`
	Reason    string    `json:"reason"`
	Pin       string    `json:"pin,omitempty"`
	PinUntil  time.Time `json:"pin_until,omitzero"`
	Held      bool      `json:"held"`
	HeldUntil time.Time `json:"held_until,omitzero"`
	Frozen    bool      `json:"frozen"`
}

func (s *Server) postSwitch(w http.ResponseWriter, r *http.Request) {
	var q SwitchRequest
	if !Decode(w, r, &q, SchemaSwitch, "to, for_s, reason, take_over, foreign, dry_run") {
		return
	}
	commands := map[string]string{"webhook": SwitchWebhook, "polling": SwitchPolling, "auto": SwitchAuto}
	command, known := commands[q.To]
	switch {
	case !known:
		badRequest(w, fmt.Sprintf("to is %q", q.To), "write webhook, polling or auto")
		return
	case q.To == "auto" && q.For != 0:
		badRequest(w, "auto has no end", "leave for_s out")
		return
	case q.Foreign != nil && !q.TakeOver:
		badRequest(w, "foreign goes with take_over", "")
		return
	}
	s.operate(w, r, q.For, Order{Command: command, Reason: q.Reason, TakeOver: q.TakeOver, Foreign: q.Foreign, DryRun: q.DryRun})
}

func (s *Server) postHold(w http.ResponseWriter, r *http.Request) {
	var q HoldRequest
	if Decode(w, r, &q, SchemaHold, "for_s, reason") {
		s.operate(w, r, q.For, Order{Command: HoldMode, Reason: q.Reason})
	}
}

func (s *Server) postAck(w http.ResponseWriter, r *http.Request) {
	var q AckRequest
	if Decode(w, r, &q, SchemaAck, "reason") {
		s.operate(w, r, 0, Order{Command: AckFreeze, Reason: q.Reason})
	}
}

// operate checks what all commands have in common and carries the order out.
func (s *Server) operate(w http.ResponseWriter, r *http.Request, seconds float64, o Order) {
	if s.o.Operator == nil {
		fail(w, CodeUnsupported, "this dualgram takes no commands", "")
		return
	}
	if math.IsNaN(seconds) || seconds < 0 || seconds > MaxFor.Seconds() {
		badRequest(w, "for_s is not a number of seconds up to a year", "leave it out for a pin or a hold until it is lifted")
		return
	}
	var bad error
	if o.Reason, bad = CheckReason(o.Reason, !o.DryRun && (needsReason(o.Command) || o.TakeOver)); bad != nil {
		WriteFailure(w, o.Command, bad)
		return
	}
	o.Bot, o.For, o.By = r.PathValue("name"), time.Duration(seconds*float64(time.Second)), CallerOf(r)
	c, err := s.o.Operator.Operate(r.Context(), o)
	if err != nil {
		WriteFailure(w, o.Command, err)
		return
	}
	c.Schema, c.Warnings = SchemaChange, notNil(c.Warnings)
	WriteJSON(w, http.StatusOK, c)
}

// needsReason says which commands overrule automation. Those that give it its
// freedom back need none: who and when is in the journal all the same.
func needsReason(command string) bool {
	return command == SwitchWebhook || command == SwitchPolling || command == HoldMode
}
