package failover

import (
	"testing"
	"time"
)

func TestBootTable(t *testing.T) {
	trial := proven()
	trial.Trial = true
	pinned := proven()
	pinned.Pin = ModePolling
	never := State{}
	// What a step shows for Nobody, Ours, OursOther, Foreign, Unreachable.
	const (
		set      = "to_webhook e+1 to_webhook"
		adopt    = "webhook e+1"
		poll     = "to_polling e+1 to_polling"
		deletes  = "to_polling e+1 to_polling delete"
		hold     = "held e+1"
		wait     = "starting"
		tried    = "trial"
		untried  = "-"
		sent     = "trial late" // the set that nobody waited for may yet happen
		whatever = ""
	)
	pollingOnly := defaults
	pollingOnly.PollingOnly = true
	for _, c := range []struct {
		name  string
		p     Policy
		s     State
		want  [owners]string
		found string // flags of an adopted webhook
	}{
		{"never ran", defaults, never, [owners]string{set, adopt, set, hold, wait}, tried},
		{"webhook", defaults, proven(), [owners]string{set, adopt, set, hold, wait}, untried},
		{"webhook in trial", defaults, trial, [owners]string{set, adopt, set, hold, wait}, tried},
		{"to polling", defaults, toPolling(), [owners]string{poll, deletes, deletes, hold, wait}, whatever},
		{"polling", defaults, polling(), [owners]string{poll, deletes, deletes, hold, wait}, whatever},
		{"to webhook", defaults, toWebhook(), [owners]string{poll, adopt, set, hold, wait}, sent},
		{"webhook, polling pinned", defaults, pinned, [owners]string{poll, deletes, deletes, hold, wait}, whatever},
		{"never ran, polling only", pollingOnly, never, [owners]string{poll, deletes, deletes, hold, wait}, whatever},
		{"webhook, now polling only", pollingOnly, proven(), [owners]string{poll, deletes, deletes, hold, wait}, whatever},
		{"held from webhook", defaults, held(Webhook, ModeWebhook), [owners]string{set, adopt, set, hold, wait}, tried},
		{"held from to webhook", defaults, held(ToWebhook, ModeWebhook), [owners]string{poll, adopt, set, hold, wait}, tried},
		{"held from polling", defaults, held(Polling, ModePolling), [owners]string{poll, hold, hold, hold, wait}, whatever},
		{"held at the first start", defaults, held(Starting, ModeNone), [owners]string{set, adopt, set, hold, wait}, tried},
	} {
		for o := range owners {
			t.Run(c.name+"/"+o.String(), func(t *testing.T) {
				s := c.p.Restore(c.s, t0)
				if s.Phase != Starting || s.Busy || s.Epoch != c.s.Epoch+1 {
					t.Fatalf("restored to %v, busy %v, epoch %d", s.Phase, s.Busy, s.Epoch)
				}
				n, _ := run(t, c.p, s, t0, []step{
					{0, ready(), "starting", "", "the world was not read"},
					{0, trip("tls"), "starting", "", ""},
					{0, result(PollerLost), "starting", "", ""},
					{0, old(world(o)), "starting", "", "asked before the clock jumped or the process began"},
					{time.Second, world(o), c.want[o], "", ""},
				})
				if o == Ours && c.found != whatever && flags(n) != c.found {
					t.Errorf("adopted as %q, want %q", flags(n), c.found)
				}
			})
		}
	}
}

// TestBootNotReady: a first start whose webhook would be broken polls, and sets it
// as soon as it is ready: no failover, no relapse, no hold-down.
func TestBootNotReady(t *testing.T) {
	unready := func(o Owner) Event { e := world(o); e.Unfit = Cause{"tls", "no certificate"}; return e }
	first := defaults.Restore(State{}, t0)
	s, _ := run(t, defaults, first, t0, []step{
		{time.Second, unready(Nobody), "to_polling e+1 to_polling", "busy flush", "nothing is there to be deleted"},
		{0, result(Polled), "polling", "flush", ""},
		{10 * time.Second, Event{Kind: Tick, Drained: true}, "polling", "flush", "not ready yet"},
		{0, drained(), "to_webhook e+1 to_webhook", "busy flush", "at once"},
		{time.Second, result(SetAcked), "webhook", "trial", ""},
	})
	if s.Relapses != 0 || s.HoldDown != 0 || s.Cause.Name != CauseStart {
		t.Errorf("%+v", s)
	}
	s, _ = run(t, defaults, first, t0, []step{
		{time.Second, unready(Nobody), "to_polling e+1 to_polling", "busy flush", ""},
		{0, result(Polled), "polling", "flush", ""},
		{flushPatience, tick(), "polling", "-", "it takes longer: the usual hold-down, which is shown"},
	})
	if s.Relapses != 0 || s.HoldDown != defaults.holdDown(0, s.Epoch) {
		t.Errorf("%+v", s)
	}
	// What is there already, or what an operator insists on, is not given up for that.
	run(t, defaults, first, t0, []step{{0, unready(Ours), "webhook e+1", "trial", ""}})
	run(t, defaults, first, t0, []step{{0, unready(OursOther), "to_webhook e+1 to_webhook", "busy", ""}})
	run(t, defaults, defaults.Restore(proven(), t0), t0, []step{{0, unready(Nobody), "to_webhook e+1 to_webhook", "busy", "set again"}})
	pinned := first
	pinned.Pin = ModeWebhook
	run(t, defaults, pinned, t0, []step{{0, unready(Nobody), "to_webhook e+1 to_webhook", "busy pin=webhook", ""}})
	dry := defaults
	dry.DryRun = true
	run(t, dry, first, t0, []step{{0, unready(Nobody), "to_webhook e+1 to_webhook", "busy", "it would never come back"}})
}

func TestBootReassertsOnceAnHour(t *testing.T) {
	s := proven()
	s.Reasserted = t0.Add(-time.Hour + time.Minute)
	boot := func(p Policy, s State, steps ...step) {
		t.Helper()
		run(t, p, p.Restore(s, t0), t0, steps)
	}
	boot(defaults, s, step{0, world(Nobody), "to_polling e+1 to_polling delete auto", "busy deleting failovers=1", "somebody keeps deleting it"})
	boot(defaults, s, step{time.Minute, world(Nobody), "to_webhook e+1 to_webhook", "busy", ""})
	// Who insists on the present mode gets it, but not in a tight loop.
	dry := defaults
	dry.DryRun = true
	pinned, paused := s, s
	pinned.Pin, paused.Paused = ModeWebhook, true
	boot(dry, s, step{0, world(Nobody), "to_webhook e+1 to_webhook", "busy", "a dry run never fails over"})
	boot(defaults, pinned, step{0, world(Nobody), "to_webhook e+1 to_webhook", "busy pin=webhook", ""})
	boot(defaults, paused, step{0, world(Nobody), "to_webhook e+1 to_webhook", "busy paused", "nor does a hold"})
	pinned.Reasserted = t0
	boot(defaults, pinned,
		step{pinnedReassert - 1, world(Nobody), "starting", "", ""},
		step{1, world(Nobody), "to_webhook e+1 to_webhook", "", ""})
}

func TestPollingOnly(t *testing.T) {
	p := defaults
	p.PollingOnly = true
	run(t, p, p.Restore(State{}, t0), t0, []step{
		{0, world(Nobody), "to_polling e+1 to_polling", "", ""},
		{0, result(Polled), "polling", "", ""},
		{time.Hour, drained(), "polling", "-", "for ever"},
		{0, say(SwitchWebhook), "polling", "-", "it has none"},
		{0, drained(), "polling", "-", ""},
		{0, result(PollerLost), "to_polling e+1 to_polling", "", ""},
		{0, conflict(Foreign), "held e+1", "", ""},
		{0, say(TakeOver), "to_polling e+1 to_polling delete", "", ""},
	})
	// A webhook pinned before the configuration changed.
	s := proven()
	s.Pin = ModeWebhook
	run(t, p, p.Restore(s, t0), t0, []step{
		{0, world(Ours), "to_polling e+1 to_polling delete", "", ""},
		{0, result(Polled), "polling", "", ""},
		{time.Hour, drained(), "polling", "", ""},
	})
}

// TestClockJump: a state whose every time lies a year ahead must not hold the
// bot for longer than each guard's own length.
func TestClockJump(t *testing.T) {
	year := 365 * 24 * time.Hour
	ahead := t0.Add(year)
	s := polling()
	s.Since, s.Registered, s.Passed, s.LastFlush, s.Reasserted, s.Decayed, s.RetryAt = ahead, ahead, ahead, ahead, ahead, ahead, ahead
	s.LateSetUntil, s.HoldUntil, s.HoldDown = ahead, ahead, 4*time.Minute
	s.Failovers = [failoverMemory]time.Time{ahead, ahead.Add(-time.Minute)}
	s.Pin, s.PinUntil, s.PinFor = ModePolling, ahead, 10*time.Minute
	s.Paused, s.PausedUntil, s.PausedFor = true, ahead, 5*time.Minute

	r := defaults.Restore(s, t0)
	for _, c := range []struct {
		name string
		got  time.Time
		most time.Duration
	}{
		{"hold-down", r.HoldUntil, 4 * time.Minute}, {"late window", r.LateSetUntil, lateWindow},
		{"pin", r.PinUntil, 10 * time.Minute}, {"hold", r.PausedUntil, 5 * time.Minute},
		{"registered", r.Registered, 0}, {"passed", r.Passed, 0}, {"flush", r.LastFlush, 0},
		{"reasserted", r.Reasserted, 0}, {"decayed", r.Decayed, 0}, {"since", r.Since, 0},
		{"failover", r.Failovers[0], 0}, {"failover before", r.Failovers[1], 0},
	} {
		if !c.got.Equal(t0.Add(c.most)) {
			t.Errorf("%s: %v from now, want %v", c.name, c.got.Sub(t0), c.most)
		}
	}
	if !r.RetryAt.IsZero() || !r.Failovers[2].IsZero() {
		t.Error("times that are not set are invented")
	}
	if again := defaults.Restore(r, t0); again.HoldUntil != r.HoldUntil || again.PinUntil != r.PinUntil {
		t.Error("not idempotent")
	}
	run(t, defaults, r, t0, []step{
		{time.Second, world(Nobody), "to_polling e+1 to_polling", "", ""},
		{0, result(Polled), "polling", "", ""},
		{10*time.Minute - time.Second - 1, ready(), "polling", "", "pinned"},
		{1, ready(), "to_webhook e+1 to_webhook auto", "", "within the hour of its restart"},
	})

	// A hold-down that a flush left at nothing is bounded by the policy's.
	s.HoldDown = 0
	if r := defaults.Restore(s, t0); !r.HoldUntil.Equal(t0.Add(time.Minute)) {
		t.Errorf("hold-down until %v from now", r.HoldUntil.Sub(t0))
	}
	// What lies in the past stays there.
	p := polling()
	p.Since = t0.Add(-year)
	if r := defaults.Restore(p, t0); r.HoldUntil != p.HoldUntil || r.Passed != p.Passed {
		t.Error("times in order are changed")
	}
}
