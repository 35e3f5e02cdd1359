package failover

import (
	"testing"
	"time"
)

// cycle is a failover, a whole hold-down in polling, and a failback. The trial
// that follows is left to the caller. It returns the hold-down.
func cycle(t *testing.T, p Policy, s State, at time.Time) (State, time.Time, time.Duration) {
	t.Helper()
	s, at = run(t, p, s, at, []step{
		{0, trip("stall"), "to_polling e+1 to_polling delete auto", "", ""},
		{time.Second, result(Polled), "polling", "", ""},
	})
	hold := s.HoldUntil.Sub(at)
	if hold != s.HoldDown {
		t.Fatalf("hold-down is %v, until in %v", s.HoldDown, hold)
	}
	s, at = run(t, p, s, at, []step{
		{hold - 1, ready(), "polling", "", "not yet"},
		{1, ready(), "to_webhook e+1 to_webhook auto", "", "to the moment"},
		{time.Second, result(SetAcked), "webhook", "", ""},
	})
	return s, at, hold
}

func TestRelapsesDoubleTheHoldDown(t *testing.T) {
	p := defaults
	p.MaxFailovers = failoverMemory
	s, at := proven(), t0
	seen := map[time.Duration]bool{}
	minutes := []time.Duration{1, 2, 4, 8, 16, 30, 30, 30}
	for i, m := range minutes {
		// Each trial fails, except that the first webhook was proven long ago.
		var hold time.Duration
		if s, at, hold = cycle(t, p, s, at); !within(hold, m*time.Minute) {
			t.Errorf("failover %d: hold-down %v, want %d min", i, hold, m)
		}
		if seen[hold] {
			t.Errorf("failover %d: %v again: no jitter", i, hold)
		}
		seen[hold] = true
	}
	if s.Relapses != 5 {
		t.Errorf("%d relapses: what doesn't lengthen the hold-down only takes longer to decay", s.Relapses)
	}
}

func TestJitterDiffersBetweenBotsAndRepeatsInReplay(t *testing.T) {
	sum, n := time.Duration(0), 4000
	for i := range n {
		p := defaults
		p.Seed = uint64(i)
		d := p.holdDown(0, 9)
		if !within(d, time.Minute) {
			t.Fatalf("seed %d: %v", i, d)
		}
		if d != p.holdDown(0, 9) {
			t.Fatal("a replay differs")
		}
		sum += d
	}
	if mean := sum / time.Duration(n); (mean - time.Minute).Abs() > 300*time.Millisecond {
		t.Errorf("mean %v: the jitter leans", mean)
	}
	if a, b := defaults.holdDown(0, 9), (Policy{Seed: 1}).WithDefaults().holdDown(0, 9); a == b {
		t.Error("two seeds, one hold-down")
	}
}

func TestRelapseWindow(t *testing.T) {
	for _, c := range []struct {
		after time.Duration // since the trial was passed
		want  string
	}{
		{0, "busy deleting failovers=1 relapses=1"},
		{relapseWindow - 1, "busy deleting failovers=1 relapses=1"},
		{relapseWindow, "busy deleting failovers=1"},
	} {
		s := proven()
		s.Passed = t0
		run(t, defaults, s, t0, []step{{c.after, trip("tls"), "to_polling e+1 to_polling delete auto", c.want, ""}})
	}
	s := proven()
	s.Trial = true
	run(t, defaults, s, t0, []step{{time.Hour, trip("tls"), "to_polling e+1 to_polling delete auto",
		"busy deleting failovers=1 relapses=1", "a trial that lasts is still one"}})
	s = proven()
	s.Passed = time.Time{}
	run(t, defaults, s, t0, []step{{0, trip("tls"), "to_polling e+1 to_polling delete auto",
		"busy deleting failovers=1", "never passed and not in trial: no relapse"}})
}

func TestRelapsesDecay(t *testing.T) {
	s := proven()
	s.Relapses, s.Passed, s.Decayed = 3, t0, t0.Add(-time.Minute)
	run(t, defaults, s, t0, []step{
		{time.Hour - 1, tick(), "webhook", "relapses=3", ""},
		{1, tick(), "webhook", "relapses=2", "an hour since the trial"},
		{time.Hour - 1, tick(), "webhook", "relapses=2", ""},
		{1, tick(), "webhook", "relapses=1", "one an hour"},
		{5 * time.Hour, tick(), "webhook", "-", "one at most in a step"},
		{5 * time.Hour, tick(), "webhook", "-", ""},
	})
	s.Trial = true
	run(t, defaults, s, t0, []step{{3 * time.Hour, tick(), "webhook", "trial relapses=3", "not proven, not healthy"}})
	s = polling()
	s.Relapses = 3
	run(t, defaults, s, t0, []step{{30 * time.Hour, tick(), "polling", "relapses=3", "polling says nothing about the webhook"}})
}

func TestFreeze(t *testing.T) {
	p := Policy{MaxHoldDown: time.Minute}.WithDefaults()
	s, at := proven(), t0
	for range 3 {
		s, at, _ = cycle(t, p, s, at)
		s, at = run(t, p, s, at, []step{{20 * time.Second, result(Proven), "webhook", "", ""}})
	}
	s, at = run(t, p, s, at, []step{
		{0, trip("hole"), "to_polling e+1 to_polling delete auto", "busy frozen deleting failovers=4", "the fourth within the hour"},
		{time.Second, result(Polled), "polling", "frozen failovers=4", ""},
		{3 * time.Hour, ready(), "polling", "frozen failovers=4", "not even when the hour is long over"},
		{0, say(SwitchAuto), "polling", "frozen failovers=4", "lifts pins and holds, not this"},
		{0, say(SwitchWebhook), "to_webhook e+1 to_webhook", "busy frozen pin=webhook failovers=4", "an operator's word"},
		{0, result(SetAcked), "webhook", "", ""},
		{0, say(SwitchAuto), "webhook", "trial frozen failovers=4", ""},
		{0, trip("hole"), "to_polling e+1 to_polling delete auto", "busy frozen deleting failovers=5", "a failover is never blocked"},
		{0, result(Polled), "polling", "", ""},
		{time.Hour, ready(), "polling", "", ""},
		{0, say(Ack), "polling", "", "acknowledged"},
		{0, ready(), "to_webhook e+1 to_webhook auto", "busy", "the count begins anew"},
		{0, result(SetAcked), "webhook", "trial", ""},
	})
	run(t, p, s, at, []step{{0, trip("hole"), "to_polling e+1 to_polling delete auto", "busy deleting failovers=1", "one, not five"}})
}

// TestFailback: an early end of the hold-down, and nothing but that.
func TestFailback(t *testing.T) {
	s, at := run(t, defaults, proven(), t0, []step{
		{0, trip("tls"), "to_polling e+1 to_polling delete auto", "busy deleting failovers=1", ""},
		{0, say(Failback), "to_polling", "busy deleting failovers=1", "no hold-down yet"},
		{0, result(Polled), "polling", "failovers=1", ""},
		{time.Second, ready(), "polling", "failovers=1", "held down"},
		{0, say(Failback), "polling", "failovers=1", "the next tick decides"},
		{0, tick(), "polling", "failovers=1", "not ready"},
		{0, ready(), "to_webhook e+1 to_webhook auto", "busy failovers=1", ""},
	})
	run(t, defaults, s, at, []step{{0, say(Failback), "to_webhook", "busy failovers=1", ""}})
	frozen := polling()
	frozen.Frozen = true
	run(t, defaults, frozen, t0, []step{
		{0, say(Failback), "polling", "frozen", ""},
		{time.Hour, ready(), "polling", "frozen", "a freeze stays"},
	})
	run(t, defaults, proven(), t0, []step{{0, say(Failback), "webhook", "-", ""}})
}

func TestFailoversOfAnHourAgoDoNotFreeze(t *testing.T) {
	s := proven()
	for i, ago := range []time.Duration{10 * time.Minute, 50 * time.Minute, time.Hour, 2 * time.Hour} {
		s.Failovers[i] = t0.Add(-ago)
	}
	n, _ := run(t, defaults, s, t0, []step{{0, trip("tls"), "to_polling e+1 to_polling delete auto", "busy deleting failovers=5", "three within the hour"}})
	if got := n.RecentFailovers(t0); got != 3 {
		t.Errorf("%d within the hour", got)
	}
	s.Failovers[2] = t0.Add(-time.Hour + 1)
	run(t, defaults, s, t0, []step{{0, trip("tls"), "to_polling e+1 to_polling delete auto", "busy frozen deleting failovers=5", "four"}})
}

func TestPins(t *testing.T) {
	run(t, defaults, proven(), t0, []step{
		{0, say(SwitchWebhook), "webhook", "pin=webhook", ""},
		{0, trip("tls"), "webhook would=to_polling/pinned", "pin=webhook", "the operator knows better"},
		{0, excused(), "webhook would=to_polling/pinned", "pin=webhook", ""},
		{0, say(SwitchPolling), "to_polling e+1 to_polling delete", "busy deleting pin=polling", "not counted"},
		{0, say(SwitchWebhook), "to_polling", "busy deleting pin=webhook", "a change of mind waits for the job"},
		{0, result(Polled), "polling", "", ""},
		{0, tick(), "to_webhook e+1 to_webhook", "busy pin=webhook", "no hold-down, ready or not"},
		{0, say(SwitchPolling), "to_webhook", "busy pin=polling", "a change of mind waits for the job"},
		{0, result(SetAcked), "webhook", "trial pin=polling", ""},
		{0, world(Nobody), "webhook", "", "no set against a pin"},
		{0, trip("tls"), "webhook", "trial pin=polling", "left at the next tick, which is not to be counted"},
		{0, tick(), "to_polling e+1 to_polling delete", "busy deleting pin=polling", ""},
		{0, result(Polled), "polling", "pin=polling", ""},
		{time.Hour, ready(), "polling", "", "pinned"},
		{0, say(SwitchAuto), "polling", "-", ""},
		{0, ready(), "to_webhook e+1 to_webhook auto", "", "the hold-down is long over"},
	})
}

func TestPinsAndHoldsRunOut(t *testing.T) {
	run(t, defaults, polling(), t0, []step{
		{0, sayFor(SwitchPolling, 10*time.Minute), "polling", "pin=polling", ""},
		{10*time.Minute - 1, ready(), "polling", "pin=polling", ""},
		{1, ready(), "to_webhook e+1 to_webhook auto", "busy", "the pin ran out"},
	})
	run(t, defaults, proven(), t0, []step{
		{0, sayFor(Hold, 10*time.Minute), "webhook", "paused", ""},
		{10*time.Minute - 1, trip("tls"), "webhook would=to_polling/held", "paused", ""},
		{1, trip("tls"), "to_polling e+1 to_polling delete auto", "", "the hold ran out"},
	})
	n, _ := run(t, defaults, proven(), t0, []step{
		{0, sayFor(Hold, time.Minute), "webhook", "paused", ""},
		{0, say(Hold), "webhook", "paused", "now without an end"},
		{time.Hour, trip("tls"), "webhook would=to_polling/held", "paused", ""},
		{0, sayFor(SwitchWebhook, -time.Hour), "webhook", "pin=webhook", "no sense in it: until lifted"},
		{time.Hour, trip("tls"), "webhook would=to_polling/pinned", "pin=webhook", ""},
		{0, say(SwitchAuto), "webhook", "-", ""},
	})
	if n != proven() {
		t.Errorf("something is left of a lifted hold: %+v", n)
	}
}

func TestHold(t *testing.T) {
	s, at := run(t, defaults, polling(), t0, []step{
		{0, say(Hold), "polling", "paused", ""},
		{30 * time.Second, ready(), "polling", "", "the hold-down is not over anyway"},
		{time.Hour, ready(), "polling would=to_webhook/held", "paused", ""},
		{0, result(PollerLost), "to_polling e+1 to_polling", "busy paused", "the present mode is kept alive"},
		{0, result(Polled), "polling", "paused", ""},
	})
	run(t, defaults, s, at, []step{
		{0, say(SwitchWebhook), "to_webhook e+1 to_webhook", "busy pin=webhook", "a later word ends the hold"},
		{0, say(Hold), "to_webhook", "busy paused pin=webhook", ""},
		{0, result(SetFailed), "to_polling e+1 to_polling", "", ""},
		{0, result(Polled), "polling", "", ""},
		{time.Hour, ready(), "polling", "paused pin=webhook relapses=1", "said after the pin"},
		{0, say(SwitchPolling), "polling", "pin=polling relapses=1", ""},
	})
	run(t, defaults, proven(), t0, []step{
		{0, say(Hold), "webhook", "paused", ""},
		{0, world(Nobody), "webhook would=to_webhook/held", "paused", ""},
		{0, excused(), "webhook would=to_polling/held", "paused", ""},
	})
	s = toWebhook()
	s.Pin = ModePolling
	run(t, defaults, s, t0, []step{
		{0, say(Hold), "to_webhook", "", ""},
		{0, result(SetAcked), "webhook", "trial paused pin=polling", ""},
		{0, tick(), "webhook", "", "said after the pin"},
	})
}

func TestDryRun(t *testing.T) {
	p := defaults
	p.DryRun = true
	run(t, p, proven(), t0, []step{
		{0, trip("tls"), "webhook would=to_polling/dry_run", "-", "not counted"},
		{0, excused(), "webhook would=to_polling/dry_run", "-", ""},
		{0, world(Nobody), "webhook would=to_webhook/dry_run", "-", ""},
		{0, say(SwitchPolling), "to_polling e+1 to_polling delete", "", "operators are obeyed"},
		{0, result(Polled), "polling", "", ""},
		{0, say(SwitchAuto), "polling", "", ""},
		{time.Hour, ready(), "polling would=to_webhook/dry_run", "", ""},
	})
	n, f := p.Step(proven(), fill(proven(), trip("tls"), t0))
	if f.WouldBe.Name != "tls" || f.Persist || n != proven() {
		t.Errorf("%+v", f)
	}
}

func TestBlindBotStays(t *testing.T) {
	blind := trip("stall")
	blind.Blind = true
	run(t, defaults, proven(), t0, []step{
		{0, blind, "webhook would=to_polling/blind", "-", "polling would be no better"},
		{0, trip("stall"), "to_polling e+1 to_polling delete auto", "", "the Bot API answers again"},
	})
}

// TestDrillsDontCount: however often a drill fails the bot over, the next outage
// finds every guard as it was; and the failback is the drill's as well.
func TestDrillsDontCount(t *testing.T) {
	drill := trip("tls")
	drill.Drill = true
	s, at := proven(), t0
	for range 2 * failoverMemory {
		s, at = run(t, defaults, s, at, []step{
			{0, drill, "to_polling e+1 to_polling delete auto", "busy drill deleting", ""},
			{time.Second, result(Polled), "polling", "drill", ""},
			{70 * time.Second, ready(), "to_webhook e+1 to_webhook auto", "busy drill", "the shortest hold-down"},
			{0, drilled(SetUnknown), "to_polling e+1 to_polling", "busy drill late", "the fault is still there"},
			{0, result(Polled), "polling", "drill late", ""},
			{70 * time.Second, ready(), "to_webhook e+1 to_webhook auto", "busy drill late", ""},
			{0, result(SetAcked), "webhook", "drill trial", ""},
			{0, drill, "to_polling e+1 to_polling delete auto", "busy drill deleting", "no relapse, although in its trial"},
			{time.Second, result(Polled), "polling", "drill", ""},
			{70 * time.Second, ready(), "to_webhook e+1 to_webhook auto", "", ""},
			{0, result(SetAcked), "webhook", "drill trial", ""},
			{20 * time.Second, result(Proven), "webhook", "-", "over"},
		})
	}
	run(t, defaults, s, at, []step{
		{relapseWindow, trip("tls"), "to_polling e+1 to_polling delete auto", "busy deleting failovers=1", "an outage is one"}})
}
