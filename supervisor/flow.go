package supervisor

import (
	"fmt"
	"time"

	"dualgram/supervisor/failover"
)

const (
	// flowPatience is how long a start, a handover or a commit may take until nobody
	// would say any more that updates are taken in.
	flowPatience = time.Minute
	// pollPatience is how long polling may go without a completed poll: two of the
	// longest, with the time that each may take beyond its timeout.
	pollPatience = 90 * time.Second
)

// Flowing returns nil if updates can be taken in: the store commits, and each bot
// has a transport of which nothing bad is known, or is on its way to one. A quiet
// night is no reason to say otherwise, nor is a bot that takes nothing.
func (s *Supervisor) Flowing(now time.Time) error {
	h := s.opt.Health()
	switch {
	case !h.OK:
		return fmt.Errorf("the store does not commit: %w", h.Err)
	case !h.InProgress.IsZero() && now.Sub(h.InProgress) >= flowPatience:
		return fmt.Errorf("a commit has been in progress since %s", h.InProgress.UTC().Format(time.RFC3339))
	}
	for _, b := range s.bots {
		if why := b.stopped(b.snapshot(), now); why != "" {
			return fmt.Errorf("bot %s: %s", b.opt.Name, why)
		}
	}
	return nil
}

// stopped says why no update can be taken in; empty if that is not known.
func (b *Bot) stopped(v view, now time.Time) string {
	s := v.State
	since := func(what string) string { return what + " since " + s.Since.UTC().Format(time.RFC3339) }
	switch s.Phase {
	case failover.Held:
		return since("held, because of " + s.Cause.String())
	case failover.Webhook:
		if r, why := withheld(b.opt.Policy, v); why != "" && now.Sub(r.Since) >= flowPatience {
			return fmt.Sprintf("the webhook is broken (%s: %s), and %s", r.Signal, r.Evidence, why)
		}
	case failover.Polling:
		last := b.poller.Progress().LastCompleted
		if last.Before(s.Since) {
			last = s.Since
		}
		if now.Sub(last) >= pollPatience {
			return "no poll has completed since " + last.UTC().Format(time.RFC3339)
		}
	default:
		if now.Sub(s.Since) >= flowPatience {
			return since(s.Phase.String())
		}
	}
	return ""
}
