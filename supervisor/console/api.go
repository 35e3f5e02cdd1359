// Package console is how a running dualgram is asked what it does: an HTTP+JSON
// API on a unix socket for the commands, and the handlers of the read-only
// observe listener.
//
// The guarantee: the socket can be used by dualgram's own user only (mode
// 0600), from the moment it exists; a file that is no socket is never removed,
// and neither is a socket that somebody answers on. Answers hold no token, no
// secret and no message text, because the types of this package have no place
// for them; whoever fills them in redacts foreign URLs.
//
// With [Options.TCP] the same API, and a page, is offered on a loopback address to
// whoever has the token; see [TCPOptions] for what it keeps out.
//
// Commands go to POST /v1/bots/{name}/switch, /hold and /ack, as one JSON object with
// known keys only; the answer says where the bot stood, where it stands and what
// happens next. Who gave one is what the kernel says of the connection. GET /v1/events
// reads the journals of all bots by one cursor, which neither repeats nor loses an
// entry and outlives a restart.
//
// GET /v1/chaos lists the faults that can be injected and those that are; POST
// /v1/chaos/faults injects one, for a time that has to be given, and DELETE ends one
// or all. A fault with a lease_s ends by itself unless POST
// /v1/chaos/faults/{id}/renew keeps it alive.
//
// # Stability
//
// Every answer names its schema, such as dualgram/status/v1. Within v1 fields
// are added, never renamed, removed or given another meaning; a reader ignores
// what it doesn't know. Times are RFC 3339 with the zone of the host, absent if
// unknown. Durations end in _s (seconds, with a fraction) or _ms.
package console

import "time"

// Names of the schemas.
const (
	SchemaStatus = "dualgram/status/v1"
	SchemaEvents = "dualgram/events/v1"
	SchemaEvent  = "dualgram/event/v1" // one entry, where they are told line by line
	SchemaChange = "dualgram/change/v1"
	SchemaSwitch = "dualgram/switch/v1"
	SchemaHold   = "dualgram/hold/v1"
	SchemaAck    = "dualgram/ack/v1"
	SchemaError  = "dualgram/error/v1"
	SchemaHealth = "dualgram/health/v1"
)

// Status is the answer of GET /v1/status.
type Status struct {
	Schema    string    `json:"schema"`
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at,omitzero"`
	// Bots are in the order of the configuration; never null.
	Bots []Bot `json:"bots"`
	// Warnings concern the process as a whole; never null.
	Warnings []Warning `json:"warnings"`
	// Faults are injected on purpose and active now; never null.
	Faults []Fault `json:"faults"`
}

// Bot is the state of one bot.
type Bot struct {
	// Name is the bot's name in the configuration, BotID Telegram's number of
	// it (0 until the token has been read).
	Name  string `json:"name"`
	BotID int64  `json:"bot_id"`

	// Mode is webhook, polling or none: the transport that takes updates in.
	Mode string `json:"mode"`
	// Phase is starting, webhook, to_polling, polling, to_webhook or held.
	Phase string `json:"phase"`
	// Trial is true from a setWebhook until the webhook is proven.
	Trial bool `json:"trial"`
	// Epoch counts the handovers of this store, in both directions.
	Epoch uint64 `json:"epoch"`
	// Since is when the phase was entered.
	Since time.Time `json:"since,omitzero"`
	// Reason is the stable name of the cause of the phase, such as stall or
	// operator; Evidence is a sentence for people.
	Reason   string `json:"reason"`
	Evidence string `json:"evidence"`

	// Next says in a sentence or two what happens from here by itself.
	Next string `json:"next"`

	// Held: automation is paused in the present mode. Pinned: an operator chose
	// the mode. Frozen: too many failovers, no failback until acknowledged.
	Held   bool `json:"held"`
	Frozen bool `json:"frozen"`
	Pinned bool `json:"pinned"`
	// HoldDownLeft is the time until a failback is allowed; 0 if it is now.
	HoldDownLeft float64 `json:"hold_down_left_s"`
	// NextFailbackAt is when the next failback is tried; absent if none is due.
	NextFailbackAt time.Time `json:"next_failback_at,omitzero"`
	// Pin is the mode that is pinned, webhook or polling; absent if none is.
	// PinUntil and HeldUntil are when pin and hold end by themselves; absent if
	// they last until they are lifted. PinnedBy and HeldBy tell whose word it
	// was; null if there is none in force.
	Pin       string    `json:"pin,omitempty"`
	PinUntil  time.Time `json:"pin_until,omitzero"`
	PinnedBy  *Said     `json:"pinned_by"`
	HeldUntil time.Time `json:"held_until,omitzero"`
	HeldBy    *Said     `json:"held_by"`
	// DryRun: automation decides and reports, and does nothing.
	DryRun bool `json:"dry_run"`
	// ForeignWebhook is somebody else's webhook that Telegram has for this bot:
	// scheme and host, and a hash of the rest. Absent if there is none.
	ForeignWebhook string `json:"foreign_webhook,omitempty"`

	// PendingAtTelegram is pending_update_count as last read; null if it has not
	// been read in this process.
	PendingAtTelegram *int64 `json:"pending_at_telegram"`
	// Waiting counts the updates in the store that the bot has not taken.
	Waiting         int64     `json:"waiting"`
	OldestWaitingAt time.Time `json:"oldest_waiting_at,omitzero"`
	// Lanes counts the delivery queues with something in them.
	Lanes       int64 `json:"lanes"`
	Dead        int64 `json:"dead"`
	Quarantined int64 `json:"quarantined"`
	// OpenHoles counts update_ids that are missing so far; Lost those that are
	// known to be gone for good.
	OpenHoles int64 `json:"open_holes"`
	Lost      int64 `json:"lost"`

	// StandbyReady says whether polling would work if it were needed now.
	StandbyReady bool   `json:"standby_ready"`
	StandbyError string `json:"standby_error,omitempty"`

	// Breakers judge; the phase is what is done about it.
	Breakers Breakers `json:"breakers"`

	// Drill is the drill under way; null if there is none. DrillsHalted is the halt
	// lever; null if it is not pulled.
	Drill        *Drill     `json:"drill"`
	DrillsHalted *DrillHalt `json:"drills_halted"`

	// Webhook is null for a bot that only polls.
	Webhook *Webhook `json:"webhook"`
	// Signals and Warnings are never null. The warnings of the process that
	// concern this bot are among them.
	Signals  []Signal  `json:"signals"`
	Warnings []Warning `json:"warnings"`
	// LastHandover is the latest one, running ones included; null if the store
	// knows of none.
	LastHandover *Handover `json:"last_handover"`
}

// Breakers are the states of the circuit breakers: closed (all is well), open, or
// half-open (about to try again).
type Breakers struct {
	// Deliveries judges our answers to Telegram since the webhook was registered; it
	// is empty for a bot that only polls. BotAPI judges the calls to the Bot API: open
	// means that polling could not take over.
	Deliveries string `json:"deliveries,omitempty"`
	BotAPI     string `json:"bot_api"`
}

// Drill is a drill under way.
type Drill struct {
	ID         string `json:"id"`
	Experiment string `json:"experiment"`
	// Stage is gate, fault or recovery; Text what happens, for people.
	Stage     string    `json:"stage"`
	Text      string    `json:"text"`
	StartedAt time.Time `json:"started_at,omitzero"`
	// LeftS is the time until the stage ends, at the latest.
	LeftS float64 `json:"left_s"`
}

// DrillHalt is the halt lever while it is pulled.
type DrillHalt struct {
	At     time.Time `json:"at,omitzero"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// Webhook is the way in from Telegram.
type Webhook struct {
	// URLHost is the host of the public URL; its path may be a secret.
	URLHost string `json:"url_host"`
	// Registered says whether Telegram last reported this URL as set.
	Registered bool   `json:"registered"`
	Listen     string `json:"listen"`
	// Listening says whether the listener accepts connections.
	Listening bool `json:"listening"`
	// CertificateNotAfter is the end of the certificate in service; absent if
	// TLS is off.
	CertificateNotAfter time.Time `json:"certificate_not_after,omitzero"`
	LastArrivalAt       time.Time `json:"last_arrival_at,omitzero"`
	InFlight            int64     `json:"in_flight"`
	// LastErrorAt and LastError are what Telegram reported last.
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	LastError   string    `json:"last_error,omitempty"`
	// Probe is ok, bad, unproven (never worked from here) or disabled.
	Probe string `json:"probe,omitempty"`
	// ProbeDetail is what the last probe said, if it was bad.
	ProbeDetail string `json:"probe_detail,omitempty"`
}

// States of a signal.
const (
	SignalOK       = "ok"
	SignalSuspect  = "suspect"
	SignalTripped  = "tripped"
	SignalDisabled = "disabled"
)

// Signal is one of the detector's signals.
type Signal struct {
	Name   string    `json:"name"`
	State  string    `json:"state"`
	Since  time.Time `json:"since,omitzero"`
	Detail string    `json:"detail,omitempty"`
}

// Severities of a warning.
const (
	SeverityInfo     = "info"
	SeverityWarning  = "warning"
	SeverityCritical = "critical"
)

// Warning is a bad condition that lasts. Title is a few words, Text says what
// it means and what to do.
type Warning struct {
	Code     string `json:"code"`
	Severity string `json:"severity"`
	Title    string `json:"title"`
	Text     string `json:"text"`
	// Since is when it began, absent if that is not known; Runbook names the page
	// that tells what to do.
	Since   time.Time `json:"since,omitzero"`
	Runbook string    `json:"runbook,omitempty"`
}

// Handover is one change of the transport.
type Handover struct {
	Epoch uint64 `json:"epoch"`
	// From and To are webhook or polling.
	From string `json:"from"`
	To   string `json:"to"`
	// By is automatic, operator or drill.
	By       string `json:"by"`
	Reason   string `json:"reason"`
	Evidence string `json:"evidence"`
	// FinishedAt is absent while the handover runs.
	StartedAt  time.Time `json:"started_at,omitzero"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	TookMS     float64   `json:"took_ms"`
	OK         bool      `json:"ok"`
	Error      string    `json:"error,omitempty"`
	// Steps are in the order in which they were reached; never null.
	Steps []Step `json:"steps"`
}

// Step is one named step of a handover, such as delete-acked.
type Step struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`
	// AfterMS is the time since the handover started.
	AfterMS float64 `json:"after_ms"`
	Error   string  `json:"error,omitempty"`
}
