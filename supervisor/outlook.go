package supervisor

import (
	"fmt"
	"time"

	"dualgram/supervisor/failover"
)

// outlook is what the near future of a bot depends on besides its state.
type outlook struct {
	Policy   failover.Policy
	Name     string
	Job      failover.Job // that begins now
	Ready    bool         // a failback would find everything in order
	NotReady string       // else why not
	Broken   string       // the signal that calls for a failover now, if one does
}

// of says in a sentence or two what happens now to a bot in the state.
func (o outlook) of(s failover.State, now time.Time) string {
	switch {
	case o.Job == failover.JobToPolling:
		return "The webhook is deleted and polling begins. " + o.polling(s, now)
	case o.Job == failover.JobToWebhook:
		return "The webhook is registered; the trial that follows takes 20 s with traffic and 65 s without. " + o.webhook(s)
	case s.Busy && s.Phase == failover.ToPolling:
		return "A handover to polling is under way and is finished first. " + o.polling(s, now)
	case s.Busy:
		return "A handover to the webhook is under way and is finished first. " + o.webhook(s)
	}
	switch s.Phase {
	case failover.Webhook:
		return o.webhook(s)
	case failover.Polling, failover.ToPolling:
		return o.polling(s, now)
	case failover.Held:
		if s.Cause.Name == failover.CauseForeign {
			return "Nothing is taken in while somebody else's webhook is set: dualgram switch auto --take-over replaces it."
		}
		return "Nothing is taken in until Telegram accepts the token."
	}
	return "It holds as soon as the Bot API has answered."
}

// webhook is the outlook in webhook mode.
func (o outlook) webhook(s failover.State) string {
	switch {
	case s.Paused:
		return "The mode stays as it is, whatever happens, " + o.until(s.PausedUntil) + "."
	case s.Pin == failover.ModeWebhook:
		return "The webhook stays, whatever happens to it, " + o.until(s.PinUntil) + "."
	case s.Pin == failover.ModePolling:
		return "Polling follows, and stays " + o.until(s.PinUntil) + "."
	case o.Policy.DryRun:
		return "A failover is only reported: failover.dry_run is on."
	case o.Broken != "":
		return "The webhook is broken (" + o.Broken + "), so polling takes over now."
	}
	return "If the webhook breaks, polling takes over."
}

// polling is the outlook in polling mode.
func (o outlook) polling(s failover.State, now time.Time) string {
	switch {
	case o.Policy.PollingOnly:
		return "The bot only polls."
	case s.Pin == failover.ModePolling:
		return "Polling stays " + o.until(s.PinUntil) + "."
	case s.Pin == failover.ModeWebhook && !s.Paused:
		return "The webhook follows, and stays " + o.until(s.PinUntil) + "."
	case s.Paused:
		return "The mode stays as it is " + o.until(s.PausedUntil) + "."
	case s.Frozen:
		return "Failback is frozen: repair the webhook, then dualgram ack --bot " + o.Name + "."
	case o.Policy.DryRun:
		return "A failback is only reported: failover.dry_run is on."
	case s.Phase != failover.Polling:
		return "The webhook is tried again after the hold-down."
	}
	left := s.HoldUntil.Sub(now).Round(time.Second)
	switch {
	case left > 0 && o.Ready:
		return fmt.Sprintf("The webhook is tried again in %v.", left)
	case left > 0:
		return fmt.Sprintf("The webhook is tried again in %v, if it is ready by then: %s.", left, o.NotReady)
	case !o.Ready:
		return "The webhook is tried again once it is ready: " + o.NotReady + "."
	}
	return "The webhook is tried again now."
}

// until says when a pin or a hold ends.
func (o outlook) until(t time.Time) string {
	if t.IsZero() {
		return "until dualgram switch auto --bot " + o.Name
	}
	return "until " + t.Format(time.RFC3339)
}
