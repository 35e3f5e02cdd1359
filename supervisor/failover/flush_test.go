package failover

import (
	"testing"
	"time"
)

func TestFlush(t *testing.T) {
	polled, _ := run(t, defaults, proven(), t0, []step{
		{0, excused(), "to_polling e+1 to_polling delete", "busy flush deleting", ""},
		{time.Second, result(Polled), "polling", "flush", ""},
	})
	if polled.HoldDown != 0 || polled.HoldUntil.After(polled.Since) {
		t.Errorf("a hold-down of %v is shown, and there is none", polled.HoldDown)
	}
	run(t, defaults, proven(), t0, []step{
		{0, excused(), "to_polling e+1 to_polling delete", "busy flush deleting", "not counted"},
		{time.Second, result(Polled), "polling", "flush", ""},
		{0, ready(), "polling", "flush", "the backlog is not drained"},
		{0, Event{Kind: Tick, Drained: true}, "polling", "flush", "not ready"},
		{time.Second, drained(), "to_webhook e+1 to_webhook", "busy flush", "no hold-down"},
		{time.Second, result(SetAcked), "webhook", "trial", "and no relapse"},
		{FlushInterval - 3*time.Second - 1, tick(), "webhook", "trial", ""},
		{0, excused(), "to_polling e+1 to_polling delete auto", "busy deleting failovers=1 relapses=1", "a second stall within 2 min is an outage"},
	})
	s := proven()
	s.LastFlush = t0.Add(-FlushInterval)
	run(t, defaults, s, t0, []step{{0, excused(), "to_polling e+1 to_polling delete", "busy flush deleting", "2 min later"}})
}

func TestFlushNeedsAWorkingStore(t *testing.T) {
	e := excused()
	e.StoreFailing = true
	s, at := run(t, defaults, proven(), t0, []step{
		{0, e, "webhook would=to_polling/store", "-", "the same disk stands behind polling"},
		{time.Minute, e, "webhook would=to_polling/store", "-", ""},
		{0, excused(), "to_polling e+1 to_polling delete", "busy flush deleting", "what was not done doesn't use up the limit"},
	})
	run(t, defaults, s, at, []step{{0, result(PollFailed), "to_polling", "flush deleting fails=1", ""}})
	e = trip("fail_rate")
	e.StoreFailing = true
	run(t, defaults, proven(), t0, []step{{0, e, "to_polling e+1 to_polling delete auto", "", "the path is broken besides"}})
}

func TestFlushThatCannotReturnBecomesAStay(t *testing.T) {
	s, _ := run(t, defaults, proven(), t0, []step{
		{0, excused(), "to_polling e+1 to_polling delete", "", ""},
		{0, result(Polled), "polling", "flush", ""},
		{flushPatience - 1, ready(), "polling", "flush", ""},
		{1, drained(), "polling", "-", "too late"},
	})
	if !within(s.HoldDown, time.Minute) || s.HoldUntil != t0.Add(s.HoldDown) {
		t.Errorf("hold-down %v, until %v: it runs from the first poll", s.HoldDown, s.HoldUntil.Sub(t0))
	}
	run(t, defaults, s, s.HoldUntil, []step{
		{-1, drained(), "polling", "", ""},
		{1, ready(), "to_webhook e+1 to_webhook auto", "", ""},
	})
}

// TestFlushYieldsToGuards: what forbids a failback forbids a flush's return.
func TestFlushYieldsToGuards(t *testing.T) {
	flushing := polling()
	flushing.Flush, flushing.HoldDown, flushing.HoldUntil = true, 0, t0
	frozen := flushing
	frozen.Frozen = true
	dry := defaults
	dry.DryRun = true
	run(t, defaults, frozen, t0, []step{
		{0, drained(), "polling", "frozen", "never before it is acknowledged"},
		{time.Hour, drained(), "polling", "frozen", ""},
	})
	run(t, defaults, flushing, t0, []step{
		{0, say(Hold), "polling", "flush paused", ""},
		{0, drained(), "polling", "paused", "nothing automatic"},
		{time.Hour, drained(), "polling would=to_webhook/held", "paused", ""},
	})
	run(t, defaults, flushing, t0, []step{
		{0, say(SwitchPolling), "polling", "flush pin=polling", ""},
		{0, drained(), "polling", "flush pin=polling", "pinned"},
		{time.Hour, say(SwitchAuto), "polling", "", ""},
		{0, drained(), "polling", "-", "the flush is long past"},
	})
	run(t, dry, flushing, t0, []step{{0, drained(), "polling", "-", "left over from before the dry run"}})
	run(t, defaults, flushing, t0, []step{
		{0, result(PollerLost), "to_polling e+1 to_polling", "busy flush", ""},
		{0, result(Polled), "polling", "flush", ""},
		{0, drained(), "to_webhook e+1 to_webhook", "busy flush", ""},
		{0, result(SetFailed), "to_polling e+1 to_polling", "busy relapses=1", "the flush is over"},
		{0, result(Polled), "polling", "relapses=1", ""},
		{0, drained(), "polling", "", "a hold-down like any"},
	})
}
