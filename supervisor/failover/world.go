package failover

import "time"

// row is a line of the boot table: what dualgram meant to do when it last ran.
type row uint8

const (
	rowFirst row = iota // never ran
	rowWebhook
	rowPolling   // in polling, or on the way there
	rowToWebhook // the set was being sent
	rows
)

// bootAct is a cell of the boot table.
type bootAct uint8

const (
	actRetry  bootAct = iota // the Bot API is silent: listen, ask again
	actSet                   // register the webhook
	actTrial                 // it is registered: prove it
	actKeep                  // it is registered and was proven
	actPoll                  // poll from the head
	actDelete                // delete the webhook, then poll
	actHold                  // not ours: name it, take nothing
)

// bootTable says what a start makes of the world, by what was intended and
// whose webhook is found.
var bootTable = [rows][owners]bootAct{
	//              Nobody      Ours       OursOther  Foreign    Unreachable
	rowFirst:     {actSet, actTrial, actSet, actHold, actRetry},
	rowWebhook:   {actSet, actKeep, actSet, actHold, actRetry},
	rowPolling:   {actPoll, actDelete, actDelete, actHold, actRetry},
	rowToWebhook: {actPoll, actTrial, actSet, actHold, actRetry},
}

func (p Policy) bootRow(s State) row {
	if p.stays(s) {
		return rowPolling
	}
	switch s.Resume {
	case Webhook:
		return rowWebhook
	case ToPolling, Polling:
		return rowPolling
	case ToWebhook:
		return rowToWebhook
	}
	return rowFirst
}

// boot reconciles what was meant with what is.
func (p Policy) boot(s State, e Event) (State, Effects) {
	cause := Cause{Name: CauseStart, Evidence: "the webhook at Telegram was " + e.URL.words()}
	r := p.bootRow(s)
	switch bootTable[r][e.URL] {
	case actSet:
		if r == rowWebhook && e.URL == Nobody {
			return p.reassert(s, e.At)
		}
		if e.URL == Nobody && e.Unfit != (Cause{}) && !p.DryRun && !s.Paused && s.Pin == ModeNone {
			// Nothing is registered that could break: polling takes what is there until
			// the webhook is ready, which is no failover and has no hold-down.
			s.Flush = true
			return p.toPolling(s, e.At, e.Unfit, false)
		}
		return p.toWebhook(s, e.At, cause)
	case actTrial:
		s.Epoch++
		return p.registered(s, e.At, Cause{CauseTrialAtStart, cause.Evidence}), Effects{}
	case actKeep:
		// What was not proven yet, or was out of our hands, is tried anew.
		trial := s.Trial || s.Cause.Name == CauseForeign || s.Cause.Name == CauseUnauthorized
		s.Epoch++
		s = p.registered(s, e.At, cause)
		s.Trial = trial
		return s, Effects{}
	case actPoll:
		return p.toPolling(s, e.At, cause, false)
	case actDelete:
		if s.Cause.Name == CauseForeign && s.Intent == ModePolling {
			// It was not ours before the restart either, only equal.
			return p.hold(s, e.At, Cause{CauseForeign, e.Cause.Evidence}), Effects{}
		}
		return p.toPolling(s, e.At, cause, true)
	case actHold:
		return p.hold(s, e.At, Cause{CauseForeign, e.Cause.Evidence}), Effects{}
	}
	return s, Effects{}
}

// reassert sets a webhook that vanished, once; a second time somebody is
// deleting it, and polling is the way to keep taking updates.
func (p Policy) reassert(s State, at time.Time) (State, Effects) {
	every := reassertInterval
	insist := s.Pin == ModeWebhook || s.Paused || p.DryRun
	if insist {
		every = pinnedReassert
	}
	if s.Reasserted.IsZero() || at.Sub(s.Reasserted) >= every {
		s.Reasserted = at
		return p.toWebhook(s, at, Cause{CauseReassert, "the webhook was deleted by somebody else"})
	}
	if insist {
		return s, Effects{}
	}
	return p.failover(s, at, Cause{CauseURLGone, "the webhook was deleted again within the hour"})
}

// world compares what Telegram has registered with what should be.
func (p Policy) world(s State, e Event) (State, Effects) {
	if s.Busy || e.Epoch != s.Epoch || e.URL == Unreachable {
		return s, Effects{}
	}
	switch s.Phase {
	case Starting:
		return p.boot(s, e)
	case Webhook:
		if e.SentAt.Before(s.Registered) {
			return s, Effects{}
		}
		switch e.URL {
		case Foreign:
			return p.hold(s, e.At, Cause{CauseForeign, e.Cause.Evidence}), Effects{}
		case Nobody:
			switch {
			case s.Pin == ModePolling:
				return s, Effects{} // the next tick leaves
			case s.Paused:
				return s, Effects{Would: JobToWebhook, WouldBe: Cause{Name: CauseReassert}, WouldWhy: WhyHeld}
			case p.DryRun:
				return s, Effects{Would: JobToWebhook, WouldBe: Cause{Name: CauseReassert}, WouldWhy: WhyDryRun}
			}
			return p.reassert(s, e.At)
		}
	case Polling:
		if e.SentAt.Before(s.Since) {
			return s, Effects{}
		}
		return p.worldPolling(s, e)
	case Held:
		return p.worldHeld(s, e)
	}
	return s, Effects{}
}

func (p Policy) worldPolling(s State, e Event) (State, Effects) {
	switch e.URL {
	case Nobody:
		if e.PollerDown {
			return p.toPolling(s, e.At, Cause{CausePollerLost, "a webhook was set and is gone again"}, false)
		}
		return s, Effects{}
	case Ours, OursOther:
		if e.At.Before(s.LateSetUntil) {
			if e.URL == Ours && !p.stays(s) && !s.lateBroken() {
				s.LateSetUntil = time.Time{}
				s.Epoch++
				return p.registered(s, e.At, Cause{CauseLateSet, "the set that was not answered went through"}), Effects{}
			}
			return p.toPolling(s, e.At, Cause{CauseLateSet, "a set that is no longer wanted went through"}, true)
		}
	}
	// A URL that this epoch did not set is somebody else's, even if it is equal:
	// another instance with our configuration.
	return p.hold(s, e.At, Cause{CauseForeign, e.Cause.Evidence}), Effects{}
}

func (p Policy) worldHeld(s State, e Event) (State, Effects) {
	if s.Cause.Name == CauseForeign {
		free := e.URL == Nobody || s.Intent != ModePolling && (e.URL == Ours || e.URL == OursOther)
		if !free {
			return s, Effects{}
		}
	}
	return p.boot(s, e)
}
