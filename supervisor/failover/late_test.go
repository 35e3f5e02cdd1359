package failover

import (
	"testing"
	"time"
)

func TestSetFailed(t *testing.T) {
	s, _ := run(t, defaults, toWebhook(), t0, []step{
		{0, result(SetFailed), "to_polling e+1 to_polling", "busy relapses=1", "a failed set has removed the old webhook: nothing to delete"},
		{0, result(SetFailed), "to_polling", "", "said twice"},
		{time.Second, result(Polled), "polling", "relapses=1", ""},
		{107 * time.Second, ready(), "polling", "", "the hold-down is doubled"},
		{26 * time.Second, ready(), "to_webhook e+1 to_webhook auto", "", ""},
	})
	if s.Cause.Name != CauseHoldDownOver {
		t.Errorf("cause %v", s.Cause)
	}
}

func TestPinnedSetIsRetriedGently(t *testing.T) {
	s := toWebhook()
	s.Pin = ModeWebhook
	for _, k := range []Kind{SetFailed, SetUnknown} {
		s, at := s, t0
		for range 40 {
			s, at = run(t, defaults, s, at, []step{
				{time.Second, result(k), "to_polling e+1 to_polling", "", ""},
				{time.Second, result(Polled), "polling", "", ""},
				{retryMax - 1, tick(), "polling", "", "not at once"},
				{1, tick(), "to_webhook e+1 to_webhook", "", "the operator insists"},
			})
		}
		if s.Relapses > 5 {
			t.Errorf("%d relapses would take as many hours to decay", s.Relapses)
		}
	}
}

func TestSetUnanswered(t *testing.T) {
	afterUnknown := []step{
		{0, result(SetUnknown), "to_polling e+1 to_polling", "busy late relapses=1", "whether it happened will show"},
	}
	then := func(t *testing.T, p Policy, steps ...step) State {
		t.Helper()
		s, at := run(t, p, toWebhook(), t0, afterUnknown)
		s, _ = run(t, p, s, at, steps)
		return s
	}
	polled := step{time.Second, result(Polled), "polling", "late relapses=1", ""}

	t.Run("the first poll is refused", func(t *testing.T) {
		s := then(t, defaults,
			step{time.Second, conflict(Ours), "webhook e+1", "trial relapses=1", "it went through"},
			step{0, result(SetAcked), "webhook", "", ""})
		if s.Cause.Name != CauseLateSet || s.Intent != ModeWebhook || s.Registered != t0.Add(time.Second) {
			t.Errorf("%+v", s)
		}
	})
	t.Run("refused, and the owner can't be learnt", func(t *testing.T) {
		then(t, defaults, step{lateWindow - 1, conflict(Unreachable), "webhook e+1", "trial relapses=1", "who else"})
	})
	t.Run("refused too late, and the owner can't be learnt", func(t *testing.T) {
		then(t, defaults, step{lateWindow, conflict(Unreachable), "to_polling", "late fails=1 relapses=1", "not enough to go by"})
	})
	t.Run("seen only after the window", func(t *testing.T) {
		then(t, defaults,
			step{lateWindow, conflict(Ours), "to_polling", "late deleting fails=1 relapses=1", "polling never worked since: it is still that set"},
			step{retryMax, tick(), "to_polling to_polling delete", "", ""})
	})
	t.Run("an older set of ours", func(t *testing.T) {
		then(t, defaults, step{time.Second, conflict(OursOther), "to_polling", "late deleting fails=1 relapses=1", "not the one wanted"})
	})
	t.Run("a refusal that was over when asked", func(t *testing.T) {
		then(t, defaults, step{time.Second, conflict(Nobody), "to_polling", "late fails=1 relapses=1", ""})
	})
	t.Run("shows after the first poll", func(t *testing.T) {
		then(t, defaults, polled,
			step{lateWindow - time.Second - 1, world(Ours), "webhook e+1", "trial relapses=1", "it went through"})
	})
	t.Run("shows after the window", func(t *testing.T) {
		then(t, defaults, polled,
			step{lateWindow - time.Second, world(Ours), "held e+1", "late relapses=1", "another instance with our configuration"})
	})
	t.Run("another of ours shows", func(t *testing.T) {
		then(t, defaults, polled, step{time.Second, world(OursOther), "to_polling e+1 to_polling delete", "", "not wanted"})
	})
	t.Run("an acknowledged set closes the window", func(t *testing.T) {
		then(t, defaults, polled,
			step{0, say(SwitchWebhook), "to_webhook e+1 to_webhook", "", ""},
			step{0, result(SetAcked), "webhook", "trial pin=webhook relapses=1", ""})
	})
	t.Run("polling is pinned", func(t *testing.T) {
		then(t, defaults, polled,
			step{0, say(SwitchPolling), "polling", "", ""},
			step{0, world(Ours), "to_polling e+1 to_polling delete", "", "nothing leaves a pinned mode"})
		then(t, defaults,
			step{0, say(SwitchPolling), "to_polling", "", ""},
			step{0, conflict(Ours), "to_polling", "late deleting pin=polling fails=1 relapses=1", ""})
		then(t, defaults,
			step{0, say(SwitchPolling), "to_polling", "", ""},
			step{0, conflict(Unreachable), "to_polling", "late pin=polling fails=1 relapses=1", ""})
	})
	t.Run("held by the operator", func(t *testing.T) {
		then(t, defaults, polled,
			step{0, say(Hold), "polling", "", ""},
			step{0, world(Ours), "webhook e+1", "trial paused relapses=1", "it is the fact; neither mode would be the present one"})
	})
}

// TestSetAtDeath: a process that dies between sending a set and hearing of it
// leaves a set that may happen after the next one's start.
func TestSetAtDeath(t *testing.T) {
	begin := func(t *testing.T) State {
		s, _ := run(t, defaults, defaults.Restore(toWebhook(), t0), t0, []step{
			{time.Second, world(Nobody), "to_polling e+1 to_polling", "busy late", "poll, then failback again"},
		})
		return s
	}
	run(t, defaults, begin(t), t0, []step{{2 * time.Second, conflict(Ours), "webhook e+1", "trial", "adopted"}})
	run(t, defaults, begin(t), t0, []step{
		{2 * time.Second, result(Polled), "polling", "late", ""},
		{2 * time.Second, world(Ours), "webhook e+1", "trial", "adopted"},
	})
	run(t, defaults, begin(t), t0, []step{
		{2 * time.Second, result(Polled), "polling", "late", ""},
		{lateWindow, world(Ours), "held e+1", "", "not that one"},
	})
	s := defaults.Restore(defaults.Restore(toWebhook(), t0), t0.Add(time.Second))
	run(t, defaults, s, t0, []step{
		{time.Second, world(Nobody), "to_polling e+1 to_polling", "busy late", "dying twice changes nothing"},
	})
	only := defaults
	only.PollingOnly = true
	run(t, only, only.Restore(toWebhook(), t0), t0, []step{
		{0, world(Nobody), "to_polling e+1 to_polling", "busy late", ""},
		{0, conflict(Ours), "to_polling", "late deleting fails=1", "the bot has no webhook any more"},
		{retryMax, tick(), "to_polling to_polling delete", "", ""},
		{0, result(Polled), "polling", "", ""},
		{0, world(Ours), "to_polling e+1 to_polling delete", "", ""},
	})
}

func TestWebhookVanished(t *testing.T) {
	back := []step{
		{0, result(SetAcked), "webhook", "", ""},
		{20 * time.Second, result(Proven), "webhook", "", ""},
	}
	begin := func(t *testing.T, s State) (State, time.Time) {
		before := world(Nobody)
		before.SentAt = s.Registered.Add(-1)
		s, at := run(t, defaults, s, t0, []step{
			{0, before, "webhook", "", "what was asked before the set says nothing about it"},
			{0, old(world(Nobody)), "webhook", "", "nor what belongs to another epoch"},
			{0, world(Unreachable), "webhook", "", "no news"},
			{0, world(OursOther), "webhook", "", "drift is the detector's"},
			{0, world(Nobody), "to_webhook e+1 to_webhook", "", "set again, once"},
		})
		if s.Cause.Name != CauseReassert {
			t.Errorf("cause %v", s.Cause)
		}
		return run(t, defaults, s, at, back)
	}
	t.Run("again within the hour", func(t *testing.T) {
		s, at := begin(t, proven())
		run(t, defaults, s, at, []step{
			{time.Hour - 20*time.Second - 1, world(Nobody), "to_polling e+1 to_polling delete auto", "busy deleting failovers=1", "somebody is deleting it"},
		})
	})
	t.Run("again after the hour", func(t *testing.T) {
		s, at := begin(t, proven())
		run(t, defaults, s, at, []step{{time.Hour - 20*time.Second, world(Nobody), "to_webhook e+1 to_webhook", "", ""}})
	})
	t.Run("while the webhook is pinned", func(t *testing.T) {
		s := proven()
		s.Pin = ModeWebhook
		s, at := begin(t, s)
		run(t, defaults, s, at, []step{
			{0, world(Nobody), "webhook", "pin=webhook", "not left, and not at once"},
			{pinnedReassert - 20*time.Second - 1, world(Nobody), "webhook", "", ""},
			{1, world(Nobody), "to_webhook e+1 to_webhook", "", "once a minute"},
		})
	})
}
