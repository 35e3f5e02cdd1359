package supervisor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dualgram/supervisor/console"
	"dualgram/supervisor/failover"
	"dualgram/supervisor/warning"

	"github.com/rs/zerolog"
)

// warnEvery is how often the log and the metrics learn what the status shows.
const warnEvery = time.Second

// conditions lists what is so now, for the process and for every bot.
func (s *Supervisor) conditions(views []view, now time.Time) []warning.Condition {
	var all []warning.Condition
	slow := Thresholds{}.WithDefaults().SlowCommit
	for _, b := range s.bots {
		slow = min(slow, b.opt.Thresholds.SlowCommit)
	}
	switch h := s.opt.Health(); {
	case !h.OK:
		c := warning.Condition{Code: warning.StoreFailing, Since: h.Since, Evidence: "The last commit failed"}
		if h.Err != nil {
			c.Evidence += ": " + h.Err.Error()
		}
		all = append(all, c)
	case !h.InProgress.IsZero() && now.Sub(h.InProgress) >= slow:
		all = append(all, warning.Condition{Code: warning.StoreSlow, Since: h.InProgress,
			Evidence: fmt.Sprintf("A commit has been in progress for %.1f s", now.Sub(h.InProgress).Seconds())})
	}
	all = append(all, s.faultConditions()...)
	if s.opt.Conditions != nil {
		all = append(all, s.opt.Conditions(now)...)
	}
	for i, b := range s.bots {
		all = append(all, b.conditions(views[i], now)...)
	}
	return all
}

// conditions lists what is so now for one bot. A new source is a line here; its
// code is a line in package warning. since is when it began, the zero time if that
// is not known.
func (b *Bot) conditions(v view, now time.Time) []warning.Condition {
	var all []warning.Condition
	add := func(code warning.Code, since time.Time, evidence string, args ...any) {
		all = append(all, warning.Condition{Bot: b.opt.Name, Code: code, Since: since, Evidence: fmt.Sprintf(evidence, args...)})
	}
	s := v.State
	switch {
	case s.Phase == failover.Held && s.Cause.Name == failover.CauseForeign:
		add(warning.ForeignWebhook, s.Since, "%s", s.Cause.Evidence)
	case s.Phase == failover.Held:
		add(warning.TokenRefused, s.Since, "%s", s.Cause.Evidence)
	case s.Phase == failover.Starting && v.InfoErr != nil:
		add(warning.BotAPIUnreachable, s.Since, "The %s: %v", b.apiServer(), v.InfoErr)
	}
	if r, why := withheld(b.opt.Policy, v); why != "" {
		add(warning.FailoverWithheld, r.Since, "%s: %s, and %s", r.Signal, r.Evidence, why)
	}
	if why := stuck(v, now); why != "" {
		add(warning.FailoverWithheld, s.Since, "%s: %s, and %s", s.Cause.Name, s.Cause.Evidence, why)
	}
	if v.Blind {
		add(warning.Blind, time.Time{}, "The %s does not answer", b.apiServer())
	}
	if now.Before(v.Limited) {
		add(warning.InfoRateLimited, time.Time{}, "%s", v.Limited.Format(time.RFC3339))
	}
	if s.Frozen {
		n, more := failoversBefore(s), "s"
		if n == 1 {
			more = ""
		}
		add(warning.Frozen, s.Failovers[0], "%d automatic failover%s within an hour", n, more)
	}
	if s.Phase == failover.Polling && !b.opt.Policy.PollingOnly && s.Pin != failover.ModePolling && !s.Flush {
		add(warning.OnStandby, s.Since, "%s", s.Cause)
	}
	if !v.Rival.IsZero() {
		add(warning.ForeignPoller, v.Rival, "last at %s", v.RivalLast.UTC().Format(time.TimeOnly))
	}
	if down := b.lanes.Snapshot().BotDownSince; !down.IsZero() {
		add(warning.BotDown, down, "")
	}
	if s.Paused {
		add(warning.AutomationHeld, since0(v.Orders.Hold), "%s", inForce(v.Orders.Hold, s.PausedUntil))
	}
	switch s.Pin {
	case failover.ModeWebhook:
		add(warning.PinnedWebhook, since0(v.Orders.Pin), "%s", inForce(v.Orders.Pin, s.PinUntil))
	case failover.ModePolling:
		add(warning.PinnedPolling, since0(v.Orders.Pin), "%s", inForce(v.Orders.Pin, s.PinUntil))
	}
	if b.opt.Policy.DryRun {
		add(warning.DryRun, time.Time{}, "")
	}
	for _, r := range v.Readings {
		code, ok := signalWarnings[r.Signal]
		if ok && r.Level == Tripped {
			add(code, r.Since, "%s", r.Evidence)
		}
	}
	if v.Probe == probeUnproven && v.ProbeSays != "" {
		add(warning.ProbeUnproven, time.Time{}, "%s", v.ProbeSays)
	}
	all = append(all, b.secretConditions(v, now)...)
	return append(all, b.certificateConditions(now.Add(v.Skew))...)
}

// signalWarnings are the warnings that a tripped signal gives by itself. The others
// show in what is done about them.
var signalWarnings = map[string]warning.Code{
	SignalListener: warning.ListenerLost, SignalTelegramError: warning.TelegramErrors, SignalImpostor: warning.Impostor,
	SignalRedelivery: warning.Redelivery, SignalHole: warning.Hole, SignalProbe: warning.ProbeBad, SignalDrift: warning.Drift,
}

// failoversBefore counts the failovers that led to a freeze: those within an hour
// of the last one. Time goes on, and they don't become fewer.
func failoversBefore(s failover.State) int { return s.RecentFailovers(s.Failovers[0]) }

// withheld returns the signal that calls for a failover which is not done, and
// why it is not; an empty reason if there is none.
func withheld(p failover.Policy, v view) (Reading, string) {
	if v.State.Phase != failover.Webhook {
		return Reading{}, ""
	}
	for _, r := range v.Readings {
		if r.Level != Tripped || !r.Moves {
			continue
		}
		switch {
		case v.State.Paused:
			return r, "automation is on hold"
		case v.State.Pin == failover.ModeWebhook:
			return r, "the webhook is pinned"
		case p.DryRun:
			return r, "failover.dry_run is on"
		case v.Blind:
			return r, "the Bot API does not answer either"
		}
		return r, "a failover is forbidden by a veto hook or waits for the store"
	}
	return Reading{}, ""
}

// lateFailover is when a change to polling has taken too long: nothing comes in by
// the webhook any more, and a failover was promised within this.
const lateFailover = 10 * time.Second

// stuck says why a change to polling is not done yet; empty if there is none, or
// still time for it.
func stuck(v view, now time.Time) string {
	if v.State.Phase != failover.ToPolling || now.Sub(v.State.Since) < lateFailover {
		return ""
	}
	why := "no attempt to poll has succeeded yet"
	if v.Handover != nil {
		for _, step := range slices.Backward(v.Handover.Steps) {
			if step.Error != "" {
				return why + ": " + step.Name + ": " + step.Error
			}
		}
	}
	return why
}

// since0 is when the word was given; zero if that is not known.
func since0(w *console.Said) time.Time {
	if w == nil {
		return time.Time{}
	}
	return w.At
}

// inForce says whose word is in force, why, and until when.
func inForce(w *console.Said, until time.Time) string {
	s := "By an operator"
	if w != nil {
		s = "By " + w.By.String() + " at " + w.At.Format(time.RFC3339)
		if w.Reason != "" {
			s += " (" + w.Reason + ")"
		}
	}
	if until.IsZero() {
		return s + ", without an end"
	}
	return s + ", until " + until.Format(time.RFC3339)
}

// shown is the warning as the status shows it.
func shown(a warning.Active) console.Warning {
	return console.Warning{Code: string(a.Code), Severity: string(a.Severity), Title: a.Title, Text: a.Text, Since: a.Since, Runbook: a.Runbook}
}

// zeroWarnings makes every series, so that none appears only with its first
// warning.
func (s *Supervisor) zeroWarnings() {
	for _, k := range warning.Kinds() {
		for _, severity := range k.Severities() {
			if k.Scope == warning.Process {
				s.metrics.warnings.WithLabelValues("", string(k.Code), string(severity))
				continue
			}
			for _, b := range s.bots {
				s.metrics.warnings.WithLabelValues(b.opt.Name, string(k.Code), string(severity))
			}
		}
	}
}

// watchWarnings tells log and metrics, until the context ends.
func (s *Supervisor) watchWarnings(ctx context.Context) {
	var told warning.Log
	var damper warning.Damper
	up := map[[3]string]bool{}
	ticker := time.NewTicker(warnEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		conditions := s.conditions(s.views(), now)
		was := up
		up = map[[3]string]bool{}
		for _, a := range warning.Evaluate(conditions, now) {
			labels := [3]string{a.Bot, string(a.Code), string(a.Severity)}
			up[labels] = true
			delete(was, labels)
			s.metrics.warnings.WithLabelValues(labels[:]...).Set(1)
		}
		for labels := range was {
			s.metrics.warnings.WithLabelValues(labels[:]...).Set(0)
		}
		raised, cleared := told.Update(conditions, now)
		for _, a := range cleared {
			s.logWarning(zerolog.InfoLevel, a, "cleared").Msg("warning cleared")
		}
		for _, a := range raised {
			level := map[warning.Severity]zerolog.Level{warning.Info: zerolog.InfoLevel, warning.Critical: zerolog.ErrorLevel}
			l, known := level[a.Severity]
			if !known {
				l = zerolog.WarnLevel
			}
			s.logWarning(l, a, "raised").Str("text", a.Text).Msg("warning raised")
		}
		for _, c := range damper.Update(raised, cleared, now) {
			select {
			case s.warned <- warningEvent(c):
			default: // the store has failed for long; the log has the line
			}
		}
	}
}

// warningEvent is a warning's change as the journal tells it.
func warningEvent(c warning.Change) Event {
	e := Event{At: c.At, Bot: c.Bot, Kind: EventWarning, Name: string(c.Code), Level: "cleared", Severity: string(c.Severity), Count: c.Missed}
	if c.Raised {
		e.Level, e.Evidence = "raised", c.Evidence
	} else {
		e.Seconds = c.Lasted.Seconds()
	}
	return e
}

// logWarning begins a line of the log; the caller ends it.
func (s *Supervisor) logWarning(level zerolog.Level, a warning.Active, state string) *zerolog.Event {
	l := s.log.WithLevel(level).Str("event", "warning").Str("state", state) //nolint:zerologlint // sent by the caller
	if a.Bot != "" {
		l.Str("bot", a.Bot)
	}
	return l.Str("code", string(a.Code)).Str("severity", string(a.Severity)).Str("title", a.Title).Str("runbook", a.Runbook)
}
