package failover

import "time"

// Step returns the state after the event and what has to be done about it. The
// policy must have its defaults set.
func (p Policy) Step(s State, e Event) (State, Effects) {
	n, f := p.step(p.Expire(s, e.At), e)
	f.Persist = n.durable() != s.durable()
	f.Moved = n.Phase != s.Phase || n.Epoch != s.Epoch
	return n, f
}

func (p Policy) step(s State, e Event) (State, Effects) {
	switch e.Kind {
	case Tick:
		return p.tick(s, e)
	case World:
		return p.world(s, e)
	case Operator:
		return p.operator(s, e)
	}
	// The rest are results, and a result of another epoch is history.
	if e.Epoch != s.Epoch {
		return s, Effects{}
	}
	switch e.Kind {
	case Trip:
		return p.trip(s, e)
	case Proven:
		return p.proven(s, e), Effects{}
	case Polled:
		return p.polled(s, e), Effects{}
	case PollFailed:
		return p.pollFailed(s, e)
	case SetAcked:
		if s.Phase != ToWebhook {
			return s, Effects{}
		}
		s.LateSetUntil = time.Time{}
		return p.registered(s, e.At, s.Cause), Effects{}
	case SetFailed, SetUnsent, SetUnknown:
		return p.notSet(s, e)
	case Renew:
		return p.renew(s, e)
	case ClockJumped:
		return p.jumped(s, e.At), Effects{}
	case Refused:
		return p.refused(s, e), Effects{}
	case PollerLost:
		if s.Phase != Polling {
			return s, Effects{}
		}
		return p.toPolling(s, e.At, Cause{CausePollerLost, e.Cause.String()}, false)
	}
	return s, Effects{}
}

// Expire lifts what has run out by now, as each step does first.
func (p Policy) Expire(s State, now time.Time) State {
	if s.Pin != ModeNone && !s.PinUntil.IsZero() && !now.Before(s.PinUntil) {
		s = s.unpinned()
	}
	if s.Paused && !s.PausedUntil.IsZero() && !now.Before(s.PausedUntil) {
		s = s.unpaused()
	}
	if s.Phase == Webhook && !s.Trial && s.Relapses > 0 &&
		now.Sub(s.Passed) >= decayInterval && now.Sub(s.Decayed) >= decayInterval {
		s.Relapses--
		s.Decayed = now
	}
	return s
}

// tick does what only the passing of time calls for.
func (p Policy) tick(s State, e Event) (State, Effects) {
	if s.Busy {
		return s, Effects{}
	}
	switch s.Phase {
	case Webhook:
		if s.Pin == ModePolling && !s.Paused {
			s.Drill = false
			return p.toPolling(s, e.At, Cause{CauseOperator, "polling is pinned"}, true)
		}
	case ToPolling:
		if !e.At.Before(s.RetryAt) {
			s.Busy = true
			return s, Effects{Job: JobToPolling, Delete: s.Deleting}
		}
	case Polling:
		return p.failback(s, e)
	}
	return s, Effects{}
}

// failback decides whether polling has lasted long enough.
func (p Policy) failback(s State, e Event) (State, Effects) {
	if p.stays(s) {
		return s, Effects{}
	}
	if s.Pin == ModeWebhook {
		if s.Paused { // said after the pin
			return s, Effects{}
		}
		unset := s.Cause.Name == CauseSetFailed || s.Cause.Name == CauseSetUnknown
		if unset && e.At.Sub(s.Since) < retryMax {
			return s, Effects{}
		}
		return p.toWebhook(s, e.At, Cause{CauseOperator, "webhook is pinned"})
	}
	if s.Flush {
		switch {
		case s.Paused, s.Frozen, p.DryRun, e.At.Sub(s.Since) >= flushPatience:
			s.Flush = false
			s.HoldDown = p.holdDown(s.Relapses, s.Epoch)
			s.HoldUntil = s.Since.Add(s.HoldDown)
		case e.Ready && e.Drained && s.Registered.IsZero(): // it has only begun
			return p.toWebhook(s, e.At, Cause{CauseStart, "the webhook is ready"})
		case e.Ready && e.Drained:
			return p.toWebhook(s, e.At, Cause{CauseFlush, "backlog drained"})
		}
		return s, Effects{}
	}
	if s.Frozen || e.At.Before(s.HoldUntil) || !e.Ready {
		return s, Effects{}
	}
	cause := Cause{Name: CauseHoldDownOver, Evidence: "a hold-down of " + s.HoldDown.Round(time.Second/10).String()}
	switch {
	case s.Paused:
		return s, Effects{Would: JobToWebhook, WouldBe: cause, WouldWhy: WhyHeld}
	case p.DryRun:
		return s, Effects{Would: JobToWebhook, WouldBe: cause, WouldWhy: WhyDryRun}
	}
	n, f := p.toWebhook(s, e.At, cause)
	f.Automatic = true
	return n, f
}

// stays tells whether the bot is meant to poll, whatever the webhook's state.
func (p Policy) stays(s State) bool { return p.PollingOnly || s.Pin == ModePolling }

// trip decides what a broken webhook means.
func (p Policy) trip(s State, e Event) (State, Effects) {
	if s.Phase != Webhook || s.Busy || p.PollingOnly {
		return s, Effects{}
	}
	would := func(why string) (State, Effects) {
		return s, Effects{Would: JobToPolling, WouldBe: e.Cause, WouldWhy: why}
	}
	switch {
	case s.Paused:
		return would(WhyHeld)
	case s.Pin == ModeWebhook:
		return would(WhyPinned)
	case s.Pin == ModePolling:
		return s, Effects{} // the next tick leaves, and that is no failover to count
	case p.DryRun:
		return would(WhyDryRun)
	case e.Blind:
		return would(WhyBlind)
	case e.Excused && e.StoreFailing:
		// Polling stands before the same disk: the round trip would bring nothing.
		return would(WhyStore)
	case e.Excused && (s.LastFlush.IsZero() || e.At.Sub(s.LastFlush) >= FlushInterval):
		s.Flush, s.LastFlush, s.Drill = true, e.At, e.Drill
		return p.toPolling(s, e.At, Cause{CauseFlush, e.Cause.String()}, true)
	}
	if e.Drill {
		// Rehearsing must not cost the guards that a real outage needs.
		s.Drill = true
		n, f := p.toPolling(s, e.At, e.Cause, true)
		f.Automatic = true
		return n, f
	}
	return p.failover(s, e.At, e.Cause)
}

// failover goes to polling on the webhook's fault, and counts it.
func (p Policy) failover(s State, at time.Time, cause Cause) (State, Effects) {
	s.Drill = false
	if s.Trial || !s.Passed.IsZero() && at.Sub(s.Passed) < relapseWindow {
		s = p.relapse(s, at)
	}
	copy(s.Failovers[1:], s.Failovers[:])
	s.Failovers[0] = at
	if s.RecentFailovers(at) >= p.MaxFailovers {
		s.Frozen = true
	}
	n, f := p.toPolling(s, at, cause, true)
	f.Automatic = true
	return n, f
}

func (p Policy) toPolling(s State, at time.Time, cause Cause, del bool) (State, Effects) {
	s.Epoch++
	s.Phase, s.Since, s.Cause, s.Intent = ToPolling, at, cause, ModePolling
	s.Trial, s.Busy, s.Deleting, s.Renews, s.Untried = false, true, del, false, false
	s.Fails, s.RetryAt = 0, time.Time{}
	return s, Effects{Job: JobToPolling, Delete: del}
}

func (p Policy) toWebhook(s State, at time.Time, cause Cause) (State, Effects) {
	s.Epoch++
	s.Phase, s.Since, s.Cause, s.Intent = ToWebhook, at, cause, ModeWebhook
	s.Trial, s.Busy, s.Renews, s.Untried = false, true, false, false
	s.Fails, s.RetryAt = 0, time.Time{}
	return s, Effects{Job: JobToWebhook}
}

// renew sets our own webhook once more. It is no handover between the modes, so
// no guard of those applies, but a hold does: a refused set ends in polling.
func (p Policy) renew(s State, e Event) (State, Effects) {
	if s.Phase != Webhook || s.Busy || p.stays(s) || !e.Ready {
		return s, Effects{}
	}
	if s.Paused {
		return s, Effects{Would: JobToWebhook, WouldBe: e.Cause, WouldWhy: WhyHeld}
	}
	n, f := p.toWebhook(s, e.At, e.Cause)
	n.Renews, n.Untried, n.Drill = true, s.Trial, false
	return n, f
}

// registered begins the trial of a webhook that is set.
func (p Policy) registered(s State, at time.Time, cause Cause) State {
	s.Phase, s.Since, s.Cause, s.Intent = Webhook, at, cause, ModeWebhook
	s.Trial, s.Registered, s.Busy, s.Flush, s.Renews, s.Untried = true, at, false, false, false, false
	return s
}

func (p Policy) proven(s State, e Event) State {
	if s.Phase == Webhook && s.Trial {
		s.Trial, s.Passed, s.Drill = false, e.At, false
	}
	return s
}

func (p Policy) polled(s State, e Event) State {
	if s.Phase != ToPolling {
		return s
	}
	s.Phase, s.Since, s.Busy, s.Renews = Polling, e.At, false, false
	s.Fails, s.RetryAt = 0, time.Time{}
	restarted := s.Cause.Name == CauseStart && s.Resume == Polling && s.HoldDown > 0
	if s.Cause.Name == CausePollerLost || restarted {
		return s // the same stay in polling: its hold-down runs on
	}
	if s.Flush {
		s.HoldDown, s.HoldUntil = 0, e.At
		return s
	}
	s.HoldDown = p.holdDown(s.Relapses, s.Epoch)
	s.HoldUntil = e.At.Add(s.HoldDown)
	return s
}

func (p Policy) pollFailed(s State, e Event) (State, Effects) {
	if s.Phase != ToPolling {
		return s, Effects{}
	}
	s.Busy = false
	if e.Conflict {
		late := (s.Renews || e.At.Before(s.LateSetUntil) && !s.lateBroken()) && !p.stays(s)
		// Without a delete of ours, a registration of ours that may still be there
		// or a set that may be late, an equal URL is another instance's.
		ours := s.Deleting || s.Renews || s.Since.Before(s.LateSetUntil)
		switch {
		case e.URL == Foreign:
			return p.hold(s, e.At, Cause{CauseForeign, e.Cause.Evidence}), Effects{}
		case late && (e.URL == Ours || e.URL == Unreachable):
			// The set that nobody answered went through after all, or what it
			// was to replace is still there and the set may yet happen.
			if !s.Renews {
				s.LateSetUntil = time.Time{}
			}
			s.Epoch++
			return p.registered(s, e.At, Cause{CauseLateSet, "polling is refused because the webhook is set"}), Effects{}
		case (e.URL == Ours || e.URL == OursOther) && !ours:
			return p.hold(s, e.At, Cause{CauseForeign, e.Cause.Evidence}), Effects{}
		case e.URL == Ours || e.URL == OursOther:
			s.Deleting = true
		}
	}
	s.Fails++
	s.RetryAt = e.At.Add(retryPause(s.Fails))
	return s, Effects{}
}

// notSet goes back to polling after a set that failed or was not answered.
func (p Policy) notSet(s State, e Event) (State, Effects) {
	if s.Phase != ToWebhook {
		return s, Effects{}
	}
	if e.Kind == SetUnsent && s.Renews {
		// The registration that was to be renewed is what it was, proven or not.
		n := p.registered(s, e.At, Cause{CauseSetUnsent, e.Cause.String()})
		n.Registered, n.Trial = s.Registered, s.Untried
		return n, Effects{}
	}
	name := CauseSetFailed
	if e.Kind == SetUnknown {
		name = CauseSetUnknown
		s.LateSetUntil = e.At.Add(lateWindow)
	}
	switch {
	case e.Drill:
		s.Drill = true // the guards are for real outages
	case e.Kind != SetUnknown || !s.Renews:
		s = p.relapse(s, e.At) // a webhook that can't even be set is tried less and less often
	}
	s.Flush = false
	n, f := p.toPolling(s, e.At, Cause{name, e.Cause.String()}, false)
	n.Renews = s.Renews // the old registration may still be there
	return n, f
}

// hold stops all intake by our own doing: somebody else owns the updates.
func (p Policy) hold(s State, at time.Time, cause Cause) State {
	if s.Phase != Held && s.Phase != Starting {
		s.Resume = s.Phase
	}
	s.Epoch++ // what is still under way belongs to the past
	s.Phase, s.Since, s.Cause = Held, at, cause
	s.Trial, s.Flush, s.Busy, s.Renews, s.Untried, s.Drill = false, false, false, false, false, false
	return s
}

func (p Policy) refused(s State, e Event) State {
	if s.Phase == Held && s.Cause.Name == CauseUnauthorized {
		return s
	}
	return p.hold(s, e.At, Cause{CauseUnauthorized, e.Cause.Evidence})
}

func (p Policy) operator(s State, e Event) (State, Effects) {
	until := time.Time{}
	if e.For > 0 {
		until = e.At.Add(e.For)
	}
	switch e.Command {
	case SwitchWebhook:
		if p.PollingOnly {
			return s, Effects{}
		}
		s = s.unpaused()
		s.Pin, s.PinUntil, s.PinFor = ModeWebhook, until, max(e.For, 0)
		if s.Phase == Polling && !s.Busy || s.Phase == Held && e.TakeOver {
			return p.toWebhook(s, e.At, e.Cause)
		}
	case SwitchPolling:
		s = s.unpaused()
		s.Pin, s.PinUntil, s.PinFor = ModePolling, until, max(e.For, 0)
		if s.Phase == Webhook && !s.Busy || s.Phase == Held && e.TakeOver {
			s.Drill = false
			return p.toPolling(s, e.At, e.Cause, true)
		}
	case SwitchAuto:
		s = s.unpinned().unpaused()
		if e.TakeOver {
			return p.takeOver(s, e)
		}
	case Hold:
		s.Paused, s.PausedUntil, s.PausedFor = true, until, max(e.For, 0)
	case Ack:
		s.Frozen, s.Failovers = false, [failoverMemory]time.Time{}
	case TakeOver:
		return p.takeOver(s, e)
	case Failback:
		if s.Phase == Polling && s.HoldUntil.After(e.At) {
			s.HoldUntil = e.At
		}
	}
	return s, Effects{}
}

// takeOver replaces what holds the bot by the mode that it is meant to be in.
func (p Policy) takeOver(s State, e Event) (State, Effects) {
	switch {
	case s.Phase != Held:
		return s, Effects{}
	case p.stays(s):
		return p.toPolling(s, e.At, e.Cause, true)
	}
	return p.toWebhook(s, e.At, e.Cause)
}
