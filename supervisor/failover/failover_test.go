package failover

import (
	"testing"
	"time"
)

func TestFailoverAndFailback(t *testing.T) {
	s, _ := run(t, defaults, proven(), t0, []step{
		{0, ready(), "webhook", "-", "nothing is wrong"},
		{time.Second, old(trip("stall")), "webhook", "-", "evidence from another registration"},
		{time.Second, trip("stall"), "to_polling e+1 to_polling delete auto", "busy deleting failovers=1", "an outage"},
		{time.Second, trip("stall"), "to_polling", "busy deleting failovers=1", "the same outage, repeated"},
		{0, ready(), "to_polling", "", "the job is under way"},
		{0, old(result(Polled)), "to_polling", "busy deleting failovers=1", "another handover's result"},
		{0, result(Polled), "polling", "failovers=1", "a poll has completed"},
		{0, world(Nobody), "polling", "", "as it should be"},
		{53 * time.Second, ready(), "polling", "", "the hold-down is 60 s less at most 10 %"},
		{13 * time.Second, tick(), "polling", "", "over, but not ready"},
		{time.Hour, tick(), "polling", "", "however long"},
		{0, ready(), "to_webhook e+1 to_webhook auto", "busy failovers=1", "ready"},
		{time.Second, world(Ours), "to_webhook", "busy failovers=1", "the job will say so itself"},
		{0, old(result(SetAcked)), "to_webhook", "busy failovers=1", "another handover's result"},
		{0, result(SetAcked), "webhook", "trial failovers=1", "set, and not proven"},
		{0, old(result(Proven)), "webhook", "trial failovers=1", "another registration's proof"},
		{20 * time.Second, result(Proven), "webhook", "failovers=1", "proven"},
	})
	if s.Intent != ModeWebhook || s.Passed != s.Registered.Add(20*time.Second) {
		t.Errorf("intent %v, registered %v, passed %v", s.Intent, s.Registered, s.Passed)
	}
}

func TestFailedHandoverIsRetriedForEver(t *testing.T) {
	s := toPolling()
	s, at := run(t, defaults, s, t0, []step{
		{0, result(PollFailed), "to_polling", "deleting fails=1", ""},
		{249 * time.Millisecond, tick(), "to_polling", "deleting fails=1", "the pause is 250 ms"},
		{time.Millisecond, tick(), "to_polling to_polling delete", "busy deleting fails=1", "the same handover: no new epoch"},
		{0, result(PollFailed), "to_polling", "deleting fails=2", ""},
		{499 * time.Millisecond, tick(), "to_polling", "deleting fails=2", "doubled"},
		{time.Millisecond, tick(), "to_polling to_polling delete", "busy deleting fails=2", ""},
	})
	for range 100 {
		failedAt := at
		s, _ = defaults.Step(s, fill(s, result(PollFailed), at))
		for s.Busy = false; !s.Busy; at = at.Add(10 * time.Millisecond) {
			s, _ = defaults.Step(s, fill(s, tick(), at))
		}
		if d := at.Sub(failedAt); d > retryMax+10*time.Millisecond {
			t.Fatalf("attempt %d came after %v", s.Fails, d)
		}
	}
	run(t, defaults, s, at, []step{{0, result(Polled), "polling", "-", "the count is over"}})
}

func TestPollerLost(t *testing.T) {
	s := polling()
	again := func(n State) []step {
		return []step{
			{0, old(result(PollerLost)), "polling", "", "an earlier poller's end"},
			{0, result(PollerLost), "to_polling e+1 to_polling", "busy", "nothing is deleted: no webhook is known of"},
			{0, result(PollerLost), "to_polling", "busy", "said twice"},
			{time.Second, result(Polled), "polling", "", ""},
		}
	}
	s, at := run(t, defaults, s, t0.Add(30*time.Second), again(s))
	s, at = run(t, defaults, s, at, again(s))
	run(t, defaults, s, at, []step{
		{27 * time.Second, ready(), "polling", "", "59 s"},
		{time.Second, ready(), "to_webhook e+1 to_webhook auto", "", "a poller that dies each half minute must not keep the bot from its webhook"},
	})
}

func TestRefusedToken(t *testing.T) {
	for _, c := range []struct {
		name string
		s    State
	}{
		{"starting", State{Epoch: 1}}, {"webhook", proven()}, {"polling", polling()},
		{"to polling", toPolling()}, {"to webhook", toWebhook()},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, at := run(t, defaults, c.s, t0, []step{
				{0, old(result(Refused)), c.s.Phase.String(), "", "from before"},
				{0, result(Refused), "held e+1", "-", "no call can succeed"},
				{0, result(Refused), "held", "", "no news"},
				{time.Hour, ready(), "held", "", "nothing to do about it"},
				{0, world(Unreachable), "held", "", "no proof that the token works"},
			})
			n, _ := defaults.Step(s, fill(s, world(Ours), at))
			want := Webhook // found and tried anew
			if c.s.Intent == ModePolling {
				want = ToPolling
			}
			if n.Phase != want || n.Trial != (want == Webhook) {
				t.Errorf("the token works again: %v, trial %v", n.Phase, n.Trial)
			}
		})
	}
}

// TestStaleResultsChangeNothing is I3 in the phases in which each result would
// otherwise count.
func TestStaleResultsChangeNothing(t *testing.T) {
	trial := proven()
	trial.Trial = true
	for _, s := range []State{{Epoch: 3}, proven(), trial, toPolling(), polling(), toWebhook(), held(Webhook, ModeWebhook)} {
		for k := range kinds {
			if k == Tick || k == Operator {
				continue
			}
			for u := range owners {
				e := Event{Kind: k, URL: u, Conflict: true}
				for _, epoch := range []uint64{s.Epoch - 1, s.Epoch + 1} {
					e.Epoch = epoch
					n, f := defaults.Step(s, Event{Kind: k, URL: u, Conflict: true, Epoch: epoch, At: t0, SentAt: t0})
					if n != s || f != (Effects{}) {
						t.Errorf("%v: %s of another epoch: %s", s.Phase, label(e), show(s, n, f))
					}
				}
			}
		}
	}
}

func TestPersistIsSetExactlyOnDurableChange(t *testing.T) {
	s := toPolling()
	s.Busy, s.RetryAt = false, t0
	n, f := defaults.Step(s, fill(s, tick(), t0))
	if f.Job != JobToPolling || f.Persist || !n.Busy {
		t.Errorf("a retry changes only what dies with the process: %+v", f)
	}
	_, f = defaults.Step(n, fill(n, result(PollFailed), t0))
	if !f.Persist || f.Moved {
		t.Errorf("a failed attempt is durable and no journal entry: %+v", f)
	}
	s = proven()
	s.Pin, s.PinUntil = ModeWebhook, t0
	if _, f = defaults.Step(s, fill(s, old(trip("stall")), t0)); !f.Persist || f.Moved {
		t.Errorf("a pin that ran out is durable: %+v", f)
	}
	if _, f = defaults.Step(proven(), fill(proven(), trip("stall"), t0)); !f.Persist || !f.Moved {
		t.Errorf("a failover is durable: %+v", f)
	}
}
