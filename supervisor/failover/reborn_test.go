package failover

import (
	"encoding/json"
	"testing"
	"time"
)

// reborn is the state that the next process begins with.
func reborn(t *testing.T, p Policy, s State, at time.Time) State {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var n State
	if err := json.Unmarshal(data, &n); err != nil {
		t.Fatal(err)
	}
	return p.Restore(n, at)
}

// backIn starts a process anew and brings it back to where the last one was.
func backIn(t *testing.T, p Policy, s State, at time.Time) State {
	t.Helper()
	was := s.Phase
	s = reborn(t, p, s, at)
	if was == Webhook {
		s, _ = run(t, p, s, at, []step{{0, world(Ours), "webhook e+1", "", ""}})
		return s
	}
	s, _ = run(t, p, s, at, []step{
		{0, world(Nobody), "to_polling e+1 to_polling", "", ""},
		{0, result(Polled), "polling", "", ""},
	})
	return s
}

func TestFreezeOutlivesARestart(t *testing.T) {
	s := proven()
	for i := range 3 {
		s.Failovers[i] = t0.Add(-time.Duration(i+1) * 10 * time.Minute)
	}
	s = backIn(t, defaults, s, t0) // the count does as well
	s, at := run(t, defaults, s, t0, []step{
		{0, trip("tls"), "to_polling e+1 to_polling delete auto", "busy frozen deleting failovers=4", "the fourth within the hour"},
		{0, result(Polled), "polling", "", ""},
	})
	at = at.Add(10 * time.Hour)
	s = backIn(t, defaults, s, at)
	s, at = run(t, defaults, s, at, []step{
		{time.Hour, ready(), "polling", "frozen failovers=4", "no failback before it is acknowledged"},
		{0, say(Ack), "polling", "-", ""},
	})
	s = backIn(t, defaults, s, at)
	run(t, defaults, s, at, []step{{time.Hour, ready(), "to_webhook e+1 to_webhook auto", "", "acknowledged for good"}})
}

// TestHoldDownOutlivesARestart: a restart neither shortens a hold-down nor begins
// it anew.
func TestHoldDownOutlivesARestart(t *testing.T) {
	s := polling()
	s.Relapses, s.HoldDown, s.HoldUntil = 3, 8*time.Minute, t0.Add(8*time.Minute)
	s = backIn(t, defaults, s, t0.Add(5*time.Minute))
	run(t, defaults, s, t0, []step{
		{8*time.Minute - 1, ready(), "polling", "relapses=3", "not shortened"},
		{1, ready(), "to_webhook e+1 to_webhook auto", "", "nor begun anew"},
	})
	// It is over, and something else was in the way.
	s = backIn(t, defaults, s, t0.Add(time.Hour))
	run(t, defaults, s, t0.Add(time.Hour), []step{{0, ready(), "to_webhook e+1 to_webhook auto", "", ""}})
	// Who dies on the way to the webhook waits again: it may be why.
	dead := toWebhook()
	dead.HoldDown, dead.HoldUntil = time.Minute, t0
	s = backIn(t, defaults, dead, t0)
	run(t, defaults, s, t0, []step{
		{0, ready(), "polling", "late", "a hold-down"},
		{2 * time.Minute, ready(), "to_webhook e+1 to_webhook auto", "", ""},
	})
}

func TestRelapsesOutliveARestart(t *testing.T) {
	s := proven()
	s.Relapses, s.Passed, s.Decayed = 3, t0, t0
	s = backIn(t, defaults, s, t0.Add(50*time.Minute))
	s, at := run(t, defaults, s, t0, []step{
		{time.Hour - 1, tick(), "webhook", "relapses=3", ""},
		{1, tick(), "webhook", "relapses=2", "an hour healthy, over a restart"},
	})
	s = backIn(t, defaults, s, at)
	s, at = run(t, defaults, s, at, []step{
		{0, trip("tls"), "to_polling e+1 to_polling delete auto", "", ""},
		{0, result(Polled), "polling", "", ""},
	})
	if !within(s.HoldDown, 4*time.Minute) {
		t.Errorf("hold-down %v after two relapses", s.HoldDown)
	}
	// A trial that the restart broke off is still one.
	s = proven()
	s.Trial = true
	s = backIn(t, defaults, s, at)
	run(t, defaults, s, at, []step{{0, trip("tls"), "to_polling e+1 to_polling delete auto", "busy deleting failovers=1 relapses=1", ""}})
}

func TestPinsAndHoldsOutliveARestart(t *testing.T) {
	s, at := run(t, defaults, proven(), t0, []step{{0, sayFor(SwitchWebhook, 10*time.Minute), "webhook", "pin=webhook", ""}})
	s = backIn(t, defaults, s, at.Add(5*time.Minute))
	run(t, defaults, s, t0, []step{
		{10*time.Minute - 1, trip("tls"), "webhook would=to_polling/pinned", "", ""},
		{1, trip("tls"), "to_polling e+1 to_polling delete auto", "", "it ran out"},
	})
	s = backIn(t, defaults, s, at.Add(time.Hour)) // it ran out while nobody ran
	run(t, defaults, s, at.Add(time.Hour), []step{{0, trip("tls"), "to_polling e+1 to_polling delete auto", "", ""}})

	s, at = run(t, defaults, proven(), t0, []step{{0, say(Hold), "webhook", "paused", ""}})
	s = backIn(t, defaults, s, at.AddDate(1, 0, 0))
	run(t, defaults, s, at.AddDate(1, 0, 0), []step{{0, trip("tls"), "webhook would=to_polling/held", "", "without an end"}})

	s = proven()
	s.Pin = ModePolling
	s, _ = run(t, defaults, s, t0, []step{{0, tick(), "to_polling e+1 to_polling delete", "", ""}, {0, result(Polled), "polling", "", ""}})
	s = backIn(t, defaults, s, t0.Add(time.Hour))
	run(t, defaults, s, t0.Add(time.Hour), []step{{time.Hour, ready(), "polling", "pin=polling", ""}})
}

func TestFlushLimitOutlivesARestart(t *testing.T) {
	s, at := run(t, defaults, proven(), t0, []step{
		{0, excused(), "to_polling e+1 to_polling delete", "busy flush deleting", ""},
		{0, result(Polled), "polling", "", ""},
		{0, drained(), "to_webhook e+1 to_webhook", "", ""},
		{0, result(SetAcked), "webhook", "trial", ""},
	})
	for after, want := range map[time.Duration]string{
		FlushInterval - 1: "to_polling e+1 to_polling delete auto", // an outage
		FlushInterval:     "to_polling e+1 to_polling delete",
	} {
		n := backIn(t, defaults, s, at.Add(after))
		run(t, defaults, n, at.Add(after), []step{{0, excused(), want, "", after.String()}})
	}
}

// TestOperatorsSwitchesAreNotCounted: nor are flushes and renewals; only what was
// decided on the webhook's fault is.
func TestOperatorsSwitchesAreNotCounted(t *testing.T) {
	s, at := proven(), t0
	for range 10 {
		s, at = run(t, defaults, s, at, []step{
			{time.Minute, say(SwitchPolling), "to_polling e+1 to_polling delete", "", ""},
			{0, result(Polled), "polling", "pin=polling", ""},
			{time.Minute, say(SwitchWebhook), "to_webhook e+1 to_webhook", "", ""},
			{0, result(SetAcked), "webhook", "trial pin=webhook", "not frozen, no failovers, no relapses"},
			{0, say(SwitchAuto), "webhook", "trial", ""},
			{0, renew(), "to_webhook e+1 to_webhook", "", ""},
			{0, result(SetAcked), "webhook", "trial", ""},
			{time.Minute, excused(), "to_polling e+1 to_polling delete", "busy flush deleting", ""},
			{0, result(Polled), "polling", "", ""},
			{0, drained(), "to_webhook e+1 to_webhook", "", ""},
			{0, result(SetAcked), "webhook", "trial", ""},
		})
	}
}
