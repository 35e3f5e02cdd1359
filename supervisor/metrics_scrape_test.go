package supervisor

import (
	"testing"

	"dualgram/supervisor/failover"

	"github.com/sony/gobreaker/v2"
)

// TestBreakerStates: the metric of the webhook's breaker follows the bot's state alone;
// on trial it is half open, as one that lets a few through to see.
func TestBreakerStates(t *testing.T) {
	for _, c := range []struct {
		phase failover.Phase
		trial bool
		want  string
	}{
		{failover.Starting, false, breakerOpen},
		{failover.Webhook, false, breakerClosed},
		{failover.Webhook, true, breakerHalfOpen},
		{failover.ToPolling, false, breakerOpen},
		{failover.Polling, false, breakerOpen},
		{failover.ToWebhook, false, breakerHalfOpen},
		{failover.Held, false, breakerOpen},
	} {
		if got := webhookBreakerState(failover.State{Phase: c.phase, Trial: c.trial}); got != c.want {
			t.Errorf("%s, trial %t: %s, want %s", c.phase, c.trial, got, c.want)
		}
	}
	for state, want := range map[gobreaker.State]string{gobreaker.StateClosed: breakerClosed, gobreaker.StateHalfOpen: breakerHalfOpen, gobreaker.StateOpen: breakerOpen} {
		if got := standbyBreakerState(state); got != want {
			t.Errorf("%s: %s", state, got)
		}
	}
}
