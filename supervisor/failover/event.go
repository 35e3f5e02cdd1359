package failover

import "time"

// Kind tells what an [Event] reports.
type Kind uint8

// The kinds of event. The fields that each uses are named with it.
const (
	// Tick: time has passed. Ready, NotReady and Drained describe now.
	Tick Kind = iota
	// World: getWebhookInfo answered. URL says whose webhook it saw. Epoch is
	// the state's when the call was sent, and SentAt when that was. PollerDown
	// is set if the poller ended because a webhook is active. Unfit is the signal
	// that says that a webhook would be broken from the first, such as for want of a
	// certificate; zero if none does.
	World
	// Trip: the detector says the webhook is broken. Cause, Excused,
	// StoreFailing, Blind, Drill. Level-triggered: it is repeated while it holds.
	Trip
	// Proven: the trial is passed. Epoch.
	Proven
	// Polled: the job ToPolling ended well: a poll has completed. Epoch.
	Polled
	// PollFailed: the job ToPolling ended badly. Epoch, Cause. Conflict is set
	// if polling was refused because a webhook is active; URL then says whose,
	// Unreachable if that could not be learnt.
	PollFailed
	// SetAcked: the job ToWebhook ended well. Epoch.
	SetAcked
	// SetFailed: Telegram refused the webhook; there is none now. Epoch, Cause,
	// Drill.
	SetFailed
	// SetUnsent: nothing was asked of Telegram, or nothing was done about it: what
	// was registered before still is. Epoch, Cause.
	SetUnsent
	// SetUnknown: the set may or may not have happened. Epoch, Cause, Drill.
	SetUnknown
	// Refused: the Bot API says that the token is not valid; as a job's result,
	// or from another call while no job is under way. Epoch, Cause.
	Refused
	// Operator: an operator's word. Command, For, Cause (the reason), TakeOver.
	Operator
	// PollerLost: the poller ended without being asked to. Epoch, Cause.
	PollerLost
	// Renew: our own registration is good and has to be set anew with other
	// parameters, which don't change what it is good for. Epoch, Cause, Ready (a
	// set would find the Bot API and the webhook in order). Level-triggered.
	Renew
	// ClockJumped: the wall clock moved against the monotonic one, so no time that
	// was persisted means what it meant: the world is read anew, as at a start.
	// Nothing happens while a job is under way; it is repeated until it is taken.
	// Epoch.
	ClockJumped
	kinds
)

// Owner says whose webhook getWebhookInfo shows.
type Owner uint8

// The owners. The order is that of the boot table's columns.
const (
	// Nobody: the url is empty.
	Nobody Owner = iota
	// Ours: our URL, and all that can be compared equals the last acknowledged
	// registration.
	Ours
	// OursOther: a URL that this bot registered or is configured with, but with
	// other parameters.
	OursOther
	// Foreign: any other URL.
	Foreign
	// Unreachable: the Bot API did not answer.
	Unreachable
	owners
)

var ownerNames = [...]string{"nobody", "ours", "ours_other", "foreign", "unreachable"}

func (o Owner) String() string {
	if int(o) < len(ownerNames) {
		return ownerNames[o]
	}
	return "unknown"
}

// words says what getWebhookInfo shows.
func (o Owner) words() string {
	return map[Owner]string{Nobody: "nobody's", Ours: "ours", OursOther: "ours, with other settings", Foreign: "somebody else's", Unreachable: "not to be seen"}[o]
}

// Command is an operator's word.
type Command uint8

// The commands.
const (
	// SwitchWebhook pins webhook mode.
	SwitchWebhook Command = iota + 1
	// SwitchPolling pins polling mode.
	SwitchPolling
	// SwitchAuto lifts pin and hold. With TakeOver it also does what TakeOver does.
	SwitchAuto
	// Hold pauses automation in the present mode.
	Hold
	// Ack ends a freeze.
	Ack
	// TakeOver replaces a foreign webhook without pinning a mode.
	TakeOver
	// Failback ends the hold-down of the present stay in polling. Everything else
	// that a failback waits for stays in force, a freeze too.
	Failback
)

// Why an automatic handover was decided and not done.
const (
	WhyHeld   = "held"    // an operator paused automation
	WhyPinned = "pinned"  // an operator pinned the mode
	WhyDryRun = "dry_run" // the policy only reports
	WhyBlind  = "blind"   // the Bot API doesn't answer either
	WhyStore  = "store"   // the ledger can't commit, in either mode
)

// Event is something that happened. It is flat; its Kind says which fields mean
// something.
type Event struct {
	Kind  Kind
	At    time.Time
	Epoch uint64
	Cause Cause

	// Tick, Renew
	Ready    bool   // a set would find certificate, listener and standby in order
	NotReady string // else why not
	Drained  bool   // the poller has seen an empty page since it started

	// World
	URL        Owner
	SentAt     time.Time
	PollerDown bool
	Unfit      Cause

	// Trip
	Excused      bool // a stall that our own downtime or refusals explain
	StoreFailing bool
	Blind        bool // the Bot API doesn't answer either: polling would be no better

	// Trip, SetFailed, SetUnknown
	Drill bool // a fault that was injected on purpose acts, or did so lately

	// PollFailed
	Conflict bool

	// Operator
	Command  Command
	For      time.Duration // how long the pin or hold lasts; 0 = until lifted
	TakeOver bool
}

// Job is work that the caller has to do: a handover procedure.
type Job uint8

// The jobs.
const (
	NoJob Job = iota
	// JobToPolling: delete the webhook if Delete is set, then poll from the head
	// until one poll has completed. Ends in Polled, PollFailed or Refused.
	JobToPolling
	// JobToWebhook: join the poller if there is one, confirm what it committed, set
	// the webhook. Ends in SetAcked, SetFailed, SetUnsent, SetUnknown or Refused.
	JobToWebhook
)

func (j Job) String() string {
	switch j {
	case JobToPolling:
		return "to_polling"
	case JobToWebhook:
		return "to_webhook"
	}
	return "none"
}

// Effects is what a step asks for. The caller persists the state first.
type Effects struct {
	// Persist is set if the state must be written before anything else is done.
	Persist bool
	Job     Job
	// Delete: the job begins with deleteWebhook, and deletes again if a poll is
	// refused because a webhook is active. Otherwise a refusal ends the job.
	Delete bool
	// Automatic is set for an automatic failover or failback that is not a flush.
	Automatic bool
	// Would is a job that a dry run or an operator's hold kept from being done.
	Would    Job
	WouldBe  Cause
	WouldWhy string // one of the Why constants
	// Moved is set if the phase changed; the caller writes a journal entry.
	Moved bool
}

var commandNames = [...]string{SwitchWebhook: "switch_webhook", SwitchPolling: "switch_polling",
	SwitchAuto: "switch_auto", Hold: "hold", Ack: "ack", TakeOver: "take_over", Failback: "failback"}

func (c Command) String() string {
	if int(c) < len(commandNames) && commandNames[c] != "" {
		return commandNames[c]
	}
	return "unknown"
}
