package failover

import "time"

// Times of the trial. setWebhook's success says nothing about the path: Telegram
// answers it before the first connection is made (WebhookActor.cpp:225-246).
const (
	// trialBusy is how long real deliveries must flow without a doubt.
	trialBusy = 20 * time.Second
	// trialQuiet is how long nothing may be pending when nothing is delivered: a
	// black hole shows in last_error_message only after Telegram's time-out of
	// 60 s (WebhookActor.cpp:231).
	trialQuiet = 65 * time.Second
)

// TrialView is what a trial is judged by.
type TrialView struct {
	// Deliveries counts the updates that Telegram delivered and we acknowledged
	// since the registration.
	Deliveries int
	// Doubt is true while any signal is suspect or tripped.
	Doubt bool
	// ClearSince is since when there has been no doubt; the zero time means
	// since the registration.
	ClearSince time.Time
	// Pending is the latest pending_update_count, and Sampled when the call that
	// brought it was sent; zero if there was none since the registration.
	Pending int
	Sampled time.Time
}

// TrialPassed tells whether the webhook that was registered at the given time
// has proven itself by now.
func TrialPassed(registered, now time.Time, v TrialView) bool {
	if v.Doubt {
		return false
	}
	from := registered
	if v.ClearSince.After(from) {
		from = v.ClearSince
	}
	wait, clear := trialQuiet, v.Pending == 0
	if v.Deliveries > 0 {
		wait, clear = trialBusy, true
	}
	// An older sample could not have shown what the wait is for.
	return clear && now.Sub(from) >= wait && v.Sampled.Sub(from) >= wait
}
