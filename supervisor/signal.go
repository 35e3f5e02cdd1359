package supervisor

import (
	"time"

	"dualgram/transport/probe"
)

// The names of the signals: the same in status, metrics, journal, alerts and
// runbooks.
const (
	// SignalFailRate: our own bad answers to authenticated deliveries whose cause
	// lies on the path between Telegram and the ledger.
	SignalFailRate = "fail_rate"
	// SignalTimeout: an authenticated delivery in progress for too long.
	SignalTimeout = "timeout"
	// SignalTLS: the certificate chain in service.
	SignalTLS = "tls"
	// SignalStall: Telegram has updates for us and none arrives.
	SignalStall = "stall"
	// SignalHole: an update is missing while later ones arrive.
	SignalHole = "hole"
	// SignalRedelivery: Telegram delivers again what was acknowledged.
	SignalRedelivery = "redelivery"
	// SignalTelegramError: Telegram newly reports failed deliveries.
	SignalTelegramError = "telegram_error"
	// SignalImpostor: somebody else answers in our place.
	SignalImpostor = "impostor"
	// SignalProbe: our own check of the webhook from outside fails. It moves
	// nothing by itself; when it has just turned bad it shortens what stall waits for.
	SignalProbe = "probe"
	// SignalListener: our own socket is lost, or takes no more connections.
	SignalListener = "listener"
	// SignalDrift: Telegram has other parameters than we registered.
	SignalDrift = "drift"
	// SignalStandby: the Bot API does not answer, so polling could not take over.
	SignalStandby = "standby"
	// SignalPollStall: updates are pending while the same poll stays parked.
	SignalPollStall = "poll_stall"
	// SignalStore: the ledger does not commit, or slowly. It never moves the
	// mode: the same disk stands behind both transports.
	SignalStore = "store"
)

// Signals returns the names of all signals, in the order in which they are read.
func Signals() []string {
	return []string{SignalTLS, SignalListener, SignalFailRate, SignalTimeout, SignalTelegramError, SignalImpostor, SignalRedelivery,
		SignalStall, SignalHole, SignalProbe, SignalDrift, SignalStandby, SignalPollStall, SignalStore}
}

// Level is how far a signal has gone.
type Level uint8

// The levels.
const (
	// Clear: nothing to see.
	Clear Level = iota
	// Suspect: looked at more closely; nothing is done yet.
	Suspect
	// Tripped: the signal holds.
	Tripped
)

func (l Level) String() string {
	switch l {
	case Suspect:
		return "suspect"
	case Tripped:
		return "tripped"
	}
	return "ok"
}

// Reading is what one signal says at one moment.
type Reading struct {
	Signal string
	Level  Level
	// Since is when the present level began.
	Since time.Time
	// Evidence says in words what was seen. It never holds a token, a secret or
	// message text.
	Evidence string
	// Moves is true if the signal, when tripped, calls for a failover on its own.
	Moves bool
	// Excused is true for a stall that our own downtime or refusals explain:
	// Telegram is waiting out its back-off.
	Excused bool
}

// Thresholds are the figures that the signals are judged by. The zero value of
// a field means its default.
type Thresholds struct {
	// FailWindow (4 s) is the rolling window of fail_rate, counted in steps of
	// FailBucket (0.5 s). It trips at FailShare (0.5) of at least FailMin (5)
	// deliveries, or at FailRow (3) failures in a row over at least FailSpan
	// (1.5 s).
	FailWindow, FailBucket, FailSpan time.Duration
	FailMin, FailRow                 int
	FailShare                        float64
	// Timeout (2.25 s) is the age at which a delivery in progress trips timeout.
	Timeout time.Duration
	// TLSLead (2 min) is how long before a certificate's end tls trips.
	TLSLead time.Duration
	// Stall (3 s) is how long every getWebhookInfo must have shown updates
	// pending, with none arriving, until stall trips.
	Stall time.Duration
	// StallProbe (1 s) takes the place of Stall for a minute after the probe turned
	// bad, and while the listener takes no connections.
	StallProbe time.Duration
	// Hole (4 s) is how long the oldest missing update_id must have been the same,
	// with updates pending, until hole trips. HoleGone (2) ids that are missing and
	// no longer at Telegram trip it within HoleGoneWindow (60 s).
	Hole, HoleGoneWindow time.Duration
	HoleGone             int
	// RedeliveryMin (2) deliveries within RedeliveryWindow (10 s) of updates that
	// were acknowledged RedeliveryAfter (1 s) before or earlier trip redelivery.
	RedeliveryMin                     int
	RedeliveryWindow, RedeliveryAfter time.Duration
	// ErrorConfirm (1 s) is how long a hard error that Telegram reports must stand
	// without a delivery that speaks against it. ErrorSoft (2) others within
	// ErrorWindow (10 s), at least ErrorSpan (2 s) from the first to the last, trip
	// telegram_error too.
	ErrorConfirm, ErrorWindow, ErrorSpan time.Duration
	ErrorSoft                            int
	// ProbeInterval (4 s) is the pause between two probes, ProbeSuspect (0.5 s)
	// while the last one was bad or a signal is suspect.
	ProbeInterval, ProbeSuspect time.Duration
	// ProbeBad (3) bad ones of the last ProbeOf (4) make the probe bad, if one was
	// good in this registration; ProbeImpostors (2) answers by somebody else in a
	// row trip impostor.
	ProbeBad, ProbeOf, ProbeImpostors int
	// Excuse (130 s) is how long after our own downtime or refusal a stall may be
	// Telegram's back-off, which is at most 120 s (WebhookActor.cpp:493-523).
	Excuse time.Duration
	// InfoInterval (2 s) is the pause between two getWebhookInfo calls in steady
	// state, InfoSuspect (0.5 s) while a signal is suspect, InfoDeadline (1 s)
	// the deadline of each.
	InfoInterval, InfoSuspect, InfoDeadline time.Duration
	// StandbyInterval (30 s) is the pause between two checks that polling could
	// take over.
	StandbyInterval time.Duration
	// SlowCommit (2 s) is the age of a commit in progress at which store trips.
	SlowCommit time.Duration
}

// WithDefaults returns the thresholds with their zero fields set.
func (t Thresholds) WithDefaults() Thresholds {
	dur := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	dur(&t.FailWindow, 4*time.Second)
	dur(&t.FailBucket, 500*time.Millisecond)
	dur(&t.FailSpan, 1500*time.Millisecond)
	dur(&t.Timeout, 2250*time.Millisecond)
	dur(&t.TLSLead, 2*time.Minute)
	dur(&t.Stall, 3*time.Second)
	dur(&t.StallProbe, time.Second)
	dur(&t.Hole, 4*time.Second)
	dur(&t.HoleGoneWindow, time.Minute)
	dur(&t.RedeliveryWindow, 10*time.Second)
	dur(&t.RedeliveryAfter, time.Second)
	dur(&t.ErrorConfirm, time.Second)
	dur(&t.ErrorWindow, 10*time.Second)
	dur(&t.ErrorSpan, 2*time.Second)
	dur(&t.ProbeInterval, 4*time.Second)
	dur(&t.ProbeSuspect, 500*time.Millisecond)
	dur(&t.Excuse, 130*time.Second)
	dur(&t.InfoInterval, 2*time.Second)
	dur(&t.InfoSuspect, 500*time.Millisecond)
	dur(&t.InfoDeadline, time.Second)
	dur(&t.StandbyInterval, 30*time.Second)
	dur(&t.SlowCommit, 2*time.Second)
	num := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	num(&t.FailMin, 5)
	num(&t.FailRow, 3)
	num(&t.HoleGone, 2)
	num(&t.RedeliveryMin, 2)
	num(&t.ErrorSoft, 2)
	num(&t.ProbeBad, probe.DefaultBad)
	num(&t.ProbeOf, probe.DefaultOf)
	num(&t.ProbeImpostors, probe.DefaultImpostors)
	if t.FailShare == 0 {
		t.FailShare = 0.5
	}
	return t
}
