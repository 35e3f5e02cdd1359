package failover

import (
	"testing"
	"time"
)

// TestRenewal: our own registration is set anew without leaving webhook mode.
func TestRenewal(t *testing.T) {
	unready := renew()
	unready.Ready = false
	s, at := run(t, defaults, proven(), t0, []step{
		{0, unready, "webhook", "-", "a set would find something broken"},
		{0, old(renew()), "webhook", "-", "asked of another epoch"},
		{0, renew(), "to_webhook e+1 to_webhook", "busy renews", "no poller, no hold-down, not automatic"},
		{0, renew(), "to_webhook", "", "once"},
		{0, trip("stall"), "to_webhook", "", "the set cuts what is in flight"},
		{time.Second, result(SetAcked), "webhook", "trial", "nothing but the cause tells it from a failback"},
	})
	if s.Cause.Name != "secret_rotation" || s.Registered != at {
		t.Errorf("%+v", s)
	}
	run(t, defaults, s, at, []step{
		{0, renew(), "to_webhook e+1 to_webhook", "busy renews", "a trial is no reason to wait"},
		{time.Second, result(SetAcked), "webhook", "trial", ""},
		{time.Second, trip("stall"), "to_polling e+1 to_polling delete auto", "busy deleting failovers=1 relapses=1", "a relapse in its trial counts"},
	})
}

func TestRenewalAndGuards(t *testing.T) {
	paused, frozen, pinned, leaving := proven(), proven(), proven(), proven()
	paused.Paused, frozen.Frozen, pinned.Pin, leaving.Pin = true, true, ModeWebhook, ModePolling
	run(t, defaults, paused, t0, []step{
		{0, renew(), "webhook would=to_webhook/held", "paused", "a refused set would end in polling"},
		{0, say(SwitchAuto), "webhook", "", ""},
		{0, renew(), "to_webhook e+1 to_webhook", "busy renews", ""},
	})
	run(t, defaults, frozen, t0, []step{{0, renew(), "to_webhook e+1 to_webhook", "busy renews frozen", "it is no failback"}})
	run(t, defaults, pinned, t0, []step{{0, renew(), "to_webhook e+1 to_webhook", "busy renews pin=webhook", ""}})
	run(t, defaults, leaving, t0, []step{{0, renew(), "webhook", "pin=polling", "the next set brings it"}})
	dry := defaults
	dry.DryRun = true
	run(t, dry, proven(), t0, []step{{0, renew(), "to_webhook e+1 to_webhook", "busy renews", "operators are obeyed"}})
	for _, s := range []State{polling(), toPolling(), toWebhook(), held(Webhook, ModeWebhook), defaults.Restore(proven(), t0)} {
		if n, f := defaults.Step(s, fill(s, renew(), t0)); n != s || f != (Effects{}) {
			t.Errorf("%v: a renewal has no place there: %s", s.Phase, show(s, n, f))
		}
	}
}

// TestRenewalThatFails: whatever becomes of the set, updates come, and what it was
// to replace is not taken for somebody else's.
func TestRenewalThatFails(t *testing.T) {
	begin := func(t *testing.T, steps ...step) State {
		t.Helper()
		s, at := run(t, defaults, proven(), t0, []step{{0, renew(), "to_webhook e+1 to_webhook", "busy renews", ""}})
		s, _ = run(t, defaults, s, at, steps)
		return s
	}
	polled := step{time.Second, result(Polled), "polling", "", "there is none any more"}
	t.Run("not sent", func(t *testing.T) {
		s := begin(t, step{time.Second, result(SetUnsent), "webhook", "-", "what was there still is, and is as proven as it was"})
		if s.Cause.Name != CauseSetUnsent || s.Epoch != proven().Epoch+1 || s.Registered != proven().Registered || s.Passed != proven().Passed {
			t.Errorf("%+v", s)
		}
	})
	t.Run("not sent, in a trial", func(t *testing.T) {
		s := proven()
		s.Trial = true
		n, at := run(t, defaults, s, t0, []step{
			{0, renew(), "to_webhook e+1 to_webhook", "busy renews", ""},
			{time.Second, result(SetUnsent), "webhook", "trial", "the trial goes on from the same registration"},
		})
		if n.Registered != s.Registered {
			t.Errorf("%+v", n)
		}
		// Nor does a trial that was once begin another.
		n, _ = run(t, defaults, n, at, []step{
			{0, result(Proven), "webhook", "-", ""},
			{0, renew(), "to_webhook e+1 to_webhook", "busy renews", ""},
			{time.Second, result(SetUnsent), "webhook", "-", ""},
		})
		if n.Untried {
			t.Errorf("%+v", n)
		}
	})
	t.Run("refused", func(t *testing.T) {
		s := begin(t,
			step{time.Second, result(SetFailed), "to_polling e+1 to_polling", "busy renews relapses=1", "the old one went first"},
			polled)
		if s.Renews || s.HoldDown == 0 {
			t.Errorf("%+v", s)
		}
		run(t, defaults, s, t0.Add(time.Minute), []step{{0, world(Ours), "held e+1", "", "this time it is somebody else's"}})
	})
	t.Run("refused, and the old one is there", func(t *testing.T) {
		begin(t,
			step{time.Second, result(SetFailed), "to_polling e+1 to_polling", "busy renews relapses=1", ""},
			step{time.Hour, conflict(Ours), "webhook e+1", "trial relapses=1", "however long the Bot API was silent"})
	})
	t.Run("refused, and another of ours is there", func(t *testing.T) {
		begin(t,
			step{time.Second, result(SetFailed), "to_polling e+1 to_polling", "busy renews relapses=1", ""},
			step{time.Hour, conflict(OursOther), "to_polling", "renews deleting fails=1 relapses=1", "deleted, not held"})
	})
	t.Run("unanswered", func(t *testing.T) {
		s := begin(t,
			step{time.Second, result(SetUnknown), "to_polling e+1 to_polling", "busy renews late", "not a webhook that can't be set"},
			step{time.Second, conflict(Ours), "webhook e+1", "trial late", "the old one, to which the new one may follow, or the new one"})
		if s.Cause.Name != CauseLateSet {
			t.Errorf("cause %v", s.Cause)
		}
	})
	unanswered := []step{
		{time.Second, result(SetUnknown), "to_polling e+1 to_polling", "", ""},
		{time.Second, conflict(Ours), "webhook e+1", "trial late", "what was to be replaced"},
		{10 * time.Second, trip("stall"), "to_polling e+1 to_polling delete auto", "", "and that is broken"},
	}
	t.Run("unanswered, broken, and it happens", func(t *testing.T) {
		begin(t, append(unanswered[:3:3],
			step{time.Second, result(Polled), "polling", "", ""},
			step{10 * time.Second, world(Ours), "to_polling e+1 to_polling delete", "", "ours, so no alarm, and not wanted any more"})...)
		begin(t, append(unanswered[:3:3],
			step{time.Second, result(Polled), "polling", "", ""},
			step{time.Minute, world(Ours), "held e+1", "", "so late it is somebody else's"})...)
		begin(t, append(unanswered[:3:3],
			step{time.Second, conflict(Ours), "to_polling", "", "deleted again"})...)
	})
	t.Run("unanswered, acknowledged the next time", func(t *testing.T) {
		begin(t, append(unanswered[:2:2],
			step{10 * time.Second, renew(), "to_webhook e+1 to_webhook", "", ""},
			step{time.Second, result(SetAcked), "webhook", "trial", "nothing is under way any more"})...)
	})
	t.Run("unanswered, whose is not to be learnt", func(t *testing.T) {
		begin(t,
			step{time.Second, result(SetUnknown), "to_polling e+1 to_polling", "busy renews late", ""},
			step{time.Hour, conflict(Unreachable), "webhook e+1", "trial late", ""})
	})
	t.Run("unanswered, then pinned to polling", func(t *testing.T) {
		begin(t,
			step{time.Second, result(SetUnknown), "to_polling e+1 to_polling", "busy renews late", ""},
			step{0, say(SwitchPolling), "to_polling", "", ""},
			step{time.Second, conflict(Ours), "to_polling", "renews late deleting pin=polling fails=1", "deleted, not adopted"})
	})
	t.Run("the process dies", func(t *testing.T) {
		s := begin(t)
		run(t, defaults, defaults.Restore(s, t0), t0, []step{{0, world(Ours), "webhook e+1", "trial late", "tried, and renewed again if need be"}})
		run(t, defaults, defaults.Restore(s, t0), t0, []step{{0, world(Nobody), "to_polling e+1 to_polling", "busy late", ""}})
	})
}

// TestClockJumpReconciles: a jump is a start without a restart.
func TestClockJumpReconciles(t *testing.T) {
	jump := Event{Kind: ClockJumped}
	ahead := t0.AddDate(1, 0, 0)
	s := proven()
	s.Pin, s.PinUntil, s.PinFor, s.LastFlush = ModeWebhook, ahead, time.Minute, ahead
	s, at := run(t, defaults, s, t0, []step{
		{0, jump, "starting e+1", "pin=webhook", ""},
		{0, jump, "starting", "", "once is enough"},
		{0, world(Ours), "webhook e+1", "pin=webhook", "proven stays proven"},
	})
	if s.Trial || s.LastFlush.After(t0) {
		t.Errorf("%+v", s)
	}
	run(t, defaults, s, at, []step{
		{time.Minute - 1, trip("tls"), "webhook would=to_polling/pinned", "", ""},
		{1, trip("tls"), "to_polling e+1 to_polling delete auto", "", "a minute was asked for"},
	})
	run(t, defaults, polling(), t0, []step{
		{0, jump, "starting e+1", "-", ""},
		{0, world(Nobody), "to_polling e+1 to_polling", "busy", ""},
		{0, result(Polled), "polling", "-", ""},
	})
	for _, s := range []State{toPolling(), toWebhook(), renewing()} {
		if n, _ := defaults.Step(s, fill(s, jump, t0)); n != s {
			t.Errorf("%v: its result would be lost", s.Phase)
		}
	}
	s = held(Webhook, ModeWebhook)
	s.Pin, s.PinUntil, s.PinFor = ModePolling, ahead, time.Minute
	n, _ := defaults.Step(s, fill(s, jump, t0))
	if n.Phase != Held || n.Epoch != s.Epoch || n.PinUntil != t0.Add(time.Minute) {
		t.Errorf("held: %+v", n)
	}
}
