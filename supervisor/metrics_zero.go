package supervisor

import (
	"dualgram/supervisor/failover"
	"dualgram/transport/botapi"
	"dualgram/transport/probe"
	"dualgram/transport/webhook"
)

// beginnings are the causes for which a handover to each mode can begin, beside the
// signals, which lead to polling.
var beginnings = map[failover.Mode][]string{
	failover.ModePolling: {failover.CauseStart, failover.CauseURLGone, failover.CauseFlush, failover.CauseOperator,
		failover.CauseSetFailed, failover.CauseSetUnknown, failover.CauseLateSet, failover.CausePollerLost},
	failover.ModeWebhook: {failover.CauseStart, failover.CauseReassert, failover.CauseHoldDownOver, failover.CauseFlush,
		failover.CauseOperator, CauseSecretRotation},
}

// withholdings are why a handover to each mode is decided and not done.
var withholdings = map[failover.Mode][]string{
	failover.ModePolling: {failover.WhyHeld, failover.WhyPinned, failover.WhyDryRun, failover.WhyBlind, failover.WhyStore, WhyVetoed},
	failover.ModeWebhook: {failover.WhyHeld, failover.WhyDryRun, WhyVetoed},
}

// The results of an attempt at a handover.
const (
	attemptOK     = "ok"
	attemptFailed = "failed"
)

// stepNames are the steps of a handover, in their order.
var stepNames = []string{StepIntentPersisted, StepDeleteSent, StepDeleteAcked, StepPageFetched, StepPageCommitted, StepConfirmSent,
	StepPollerJoined, StepSetSent, StepSetAcked, StepModePersisted}

// zero makes every series of the bot that can come to exist, so that a rate sees its
// first event.
func (b *botMetrics) zero() {
	m, name := b.m, b.name
	for _, mode := range []failover.Mode{failover.ModeWebhook, failover.ModePolling} {
		to := mode.String()
		m.handoverTime.WithLabelValues(name, to)
		m.firstTime.WithLabelValues(name, to)
		for _, cause := range beginnings[mode] {
			by := ByAutomatic
			if cause == failover.CauseOperator {
				by = ByOperator
			}
			m.handovers.WithLabelValues(name, to, cause, by)
			if cause == failover.CauseHoldDownOver {
				m.handovers.WithLabelValues(name, to, cause, ByDrill)
			}
		}
		for _, why := range withholdings[mode] {
			m.woulds.WithLabelValues(name, to, why)
		}
		for _, result := range []string{attemptOK, attemptFailed} {
			m.attempts.WithLabelValues(name, to, result)
		}
	}
	for _, step := range stepNames {
		m.stepTime.WithLabelValues(name, step)
	}
	for _, s := range Signals() {
		m.signals.WithLabelValues(name, s)
		m.trips.WithLabelValues(name, s)
		m.handovers.WithLabelValues(name, failover.ModePolling.String(), s, ByAutomatic)
		m.handovers.WithLabelValues(name, failover.ModePolling.String(), s, ByDrill)
	}
	for _, c := range botapi.WebhookErrorClasses() {
		m.telegramErrors.WithLabelValues(name, string(c))
	}
	for _, s := range []probe.Stage{"", probe.StageDNS, probe.StageConnect, probe.StageTLS, probe.StageHTTP, probe.StageProof} {
		m.probes.WithLabelValues(name, stageName(s))
	}
	m.probeTime.WithLabelValues(name)
	for _, c := range []string{"lost", "expired_suspected"} {
		m.losses.WithLabelValues(name, c)
	}
	for _, c := range []botapi.Conflict{botapi.ConflictWebhookActive, botapi.ConflictOtherGetUpdates, botapi.ConflictSetWebhook, botapi.ConflictOtherSetWebhook, botapi.ConflictUnknown} {
		m.conflicts.WithLabelValues(name, string(c))
	}
	m.pollKicks.WithLabelValues(name)
	m.replies.WithLabelValues(name)
	m.frozen.WithLabelValues(name)
	m.standbyOK.WithLabelValues(name)
}

// zeroListener makes the series of what happens below any bot's route.
func (m *metrics) zeroListener() {
	for _, e := range webhook.ConnEvents() {
		m.conns.WithLabelValues("", string(e.Kind), e.Reason)
	}
	m.requests.WithLabelValues("", string(webhook.CauseBadPath))
}

// attempted counts what became of one attempt of a handover.
func (b *botMetrics) attempted(to failover.Job, e failover.Event) {
	result := attemptFailed
	if e.Kind == failover.Polled || e.Kind == failover.SetAcked {
		result = attemptOK
	}
	b.m.attempts.WithLabelValues(b.name, jobMode(to).String(), result).Inc()
}

// jobMode is the mode that a job leads to.
func jobMode(j failover.Job) failover.Mode {
	if j == failover.JobToWebhook {
		return failover.ModeWebhook
	}
	return failover.ModePolling
}
