package failover

import (
	"testing"
	"time"
)

func TestForeignWebhookIsNeverOverpowered(t *testing.T) {
	cases := []struct {
		name  string
		s     State
		event Event
	}{
		{"first start", State{Epoch: 1}, world(Foreign)},
		{"start in webhook", defaults.Restore(proven(), t0), world(Foreign)},
		{"start in polling", defaults.Restore(polling(), t0), world(Foreign)},
		{"start on the way to polling", defaults.Restore(toPolling(), t0), world(Foreign)},
		{"start on the way to webhook", defaults.Restore(toWebhook(), t0), world(Foreign)},
		{"webhook", proven(), world(Foreign)},
		{"polling", polling(), world(Foreign)},
		{"polling, equal", polling(), world(Ours)},
		{"polling, ours but other", polling(), world(OursOther)},
		{"first poll refused", toPolling(), conflict(Foreign)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.event.Cause = Cause{"whatever the caller says", "host"}
			s, at := run(t, defaults, c.s, t0, []step{
				{0, c.event, "held e+1", "", "named and alarmed"},
				{0, trip("tls"), "held", "", ""},
				{0, drained(), "held", "", ""},
				{time.Hour, world(Foreign), "held", "", "still there"},
				{0, world(Unreachable), "held", "", "not known to be gone"},
				{0, say(SwitchWebhook), "held", "", "only with take-over"},
				{0, say(SwitchPolling), "held", "", "only with take-over"},
				{0, say(SwitchAuto), "held", "", ""},
			})
			if s.Cause != (Cause{CauseForeign, "host"}) {
				t.Errorf("cause %q", s.Cause)
			}
			run(t, defaults, s, at, []step{{0, say(TakeOver), "to_webhook e+1 to_webhook", "", ""}})
			run(t, defaults, s, at, []step{{0, takeOver(SwitchWebhook), "to_webhook e+1 to_webhook", "", ""}})
			run(t, defaults, s, at, []step{{0, takeOver(SwitchPolling), "to_polling e+1 to_polling delete", "", ""}})
			run(t, defaults, s, at, []step{
				{0, say(SwitchPolling), "held", "", ""},
				{0, say(TakeOver), "to_polling e+1 to_polling delete", "", "as pinned"},
			})
			// Polling always works once the webhook is gone; before, its owner decides.
			n, _ := defaults.Step(s, fill(s, world(Nobody), at))
			if n.Phase != ToPolling && n.Phase != ToWebhook {
				t.Errorf("it is gone: %v", n.Phase)
			}
		})
	}
}

func TestTakeOverOutsideAHoldIsNothing(t *testing.T) {
	for _, s := range []State{{Epoch: 1}, proven(), polling(), toPolling(), toWebhook()} {
		n, f := defaults.Step(s, fill(s, say(TakeOver), t0))
		if n != s || f != (Effects{}) {
			t.Errorf("%v: %s", s.Phase, show(s, n, f))
		}
	}
}

func TestForeignWebhookGoesAway(t *testing.T) {
	for _, c := range []struct {
		name string
		s    State
		want string
		sees Owner
	}{
		{"webhook, empty", held(Webhook, ModeWebhook), "to_webhook e+1 to_webhook", Nobody},
		{"webhook, ours again", held(Webhook, ModeWebhook), "webhook e+1", Ours},
		{"webhook, another of ours", held(Webhook, ModeWebhook), "to_webhook e+1 to_webhook", OursOther},
		{"polling, empty", held(Polling, ModePolling), "to_polling e+1 to_polling", Nobody},
		{"polling, equal to ours", held(Polling, ModePolling), "held", Ours},
		{"polling, another of ours", held(Polling, ModePolling), "held", OursOther},
		{"never ran, empty", held(Starting, ModeNone), "to_webhook e+1 to_webhook", Nobody},
		{"never ran, ours", held(Starting, ModeNone), "webhook e+1", Ours},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := run(t, defaults, c.s, t0, []step{{0, world(c.sees), c.want, "", ""}})
			if s.Phase == Webhook && !s.Trial {
				t.Error("what was out of our hands is tried anew")
			}
		})
	}
}

// TestHeldSurvivesARestart: a restart is no way to overpower somebody.
func TestHeldSurvivesARestart(t *testing.T) {
	s := held(Polling, ModePolling)
	s.LateSetUntil = time.Time{}
	run(t, defaults, defaults.Restore(s, t0), t0, []step{
		{0, world(Ours), "held e+1", "", "it was not ours before, either"},
		{0, world(OursOther), "held", "", ""},
		{0, world(Nobody), "to_polling e+1 to_polling", "", ""},
	})
	run(t, defaults, defaults.Restore(held(ToWebhook, ModeWebhook), t0), t0, []step{
		{0, world(Nobody), "to_polling e+1 to_polling", "", "the row of the boot table is that from before the hold"},
	})
	run(t, defaults, defaults.Restore(held(Webhook, ModeWebhook), t0), t0, []step{
		{0, world(Ours), "webhook e+1", "trial", "it was out of our hands"},
	})
}

// TestEqualWebhookIsNotDeleted: the poller is lost, and before it polls again
// another instance with the same configuration sets the webhook.
func TestEqualWebhookIsNotDeleted(t *testing.T) {
	for _, o := range []Owner{Ours, OursOther} {
		s, at := run(t, defaults, polling(), t0, []step{
			{time.Second, result(PollerLost), "to_polling e+1 to_polling", "", ""},
			{time.Second, conflict(o), "held e+1", "", "this epoch set none"},
		})
		run(t, defaults, s, at, []step{{time.Hour, world(o), "held", "", ""}})
	}
	run(t, defaults, toPolling(), t0, []step{
		{time.Second, conflict(Ours), "to_polling", "deleting fails=1", "our own, which is being deleted"},
	})
}

func TestPollerDown(t *testing.T) {
	down := func(o Owner) Event {
		e := world(o)
		e.PollerDown = true
		return e
	}
	before := down(Ours)
	before.SentAt = t0.Add(-1)
	run(t, defaults, polling(), t0, []step{
		{0, before, "polling", "", "asked before the webhook was deleted"},
		{0, down(Unreachable), "polling", "", "ask again"},
		{0, down(Nobody), "to_polling e+1 to_polling", "busy", "set and deleted again"},
	})
	run(t, defaults, polling(), t0, []step{{0, down(Foreign), "held e+1", "", ""}})
	run(t, defaults, polling(), t0, []step{{0, down(Ours), "held e+1", "", ""}})
}
