package failover

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// t0 is when every test begins: whole seconds, in UTC, without a monotonic
// reading, so that states can be compared after a JSON round trip.
var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// stale marks an event that belongs to an earlier epoch; see run.
const stale = ^uint64(0)

var defaults = Policy{}.WithDefaults()

func tick() Event            { return Event{Kind: Tick} }
func ready() Event           { return Event{Kind: Tick, Ready: true} }
func drained() Event         { return Event{Kind: Tick, Ready: true, Drained: true} }
func world(o Owner) Event    { return Event{Kind: World, URL: o} }
func trip(name string) Event { return Event{Kind: Trip, Cause: Cause{Name: name}} }
func excused() Event         { return Event{Kind: Trip, Cause: Cause{Name: "stall"}, Excused: true} }
func result(k Kind) Event    { return Event{Kind: k, Cause: Cause{Name: "result"}} }
func drilled(k Kind) Event   { return Event{Kind: k, Cause: Cause{Name: "result"}, Drill: true} }
func conflict(o Owner) Event {
	return Event{Kind: PollFailed, Conflict: true, URL: o, Cause: Cause{Name: "result"}}
}

func say(c Command) Event {
	return Event{Kind: Operator, Command: c, Cause: Cause{CauseOperator, "because"}}
}

func sayFor(c Command, d time.Duration) Event {
	e := say(c)
	e.For = d
	return e
}

func takeOver(c Command) Event {
	e := say(c)
	e.TakeOver = true
	return e
}

func renew() Event {
	return Event{Kind: Renew, Ready: true, Cause: Cause{Name: "secret_rotation"}}
}

func old(e Event) Event {
	e.Epoch = stale
	return e
}

// step is one line of a sequence. Want is what show writes, without the flags
// that state lists; state is what flags writes, and "" is not compared.
type step struct {
	after time.Duration // since the step before
	event Event
	want  string
	state string
	why   string
}

// run plays the steps and returns the last state. Epoch and times that an event
// leaves out are filled in as a caller with fresh knowledge would.
func run(t *testing.T, p Policy, s State, at time.Time, steps []step) (State, time.Time) {
	t.Helper()
	for i, st := range steps {
		at = at.Add(st.after)
		n, f := p.Step(s, fill(s, st.event, at))
		if got := show(s, n, f); got != st.want {
			t.Fatalf("step %d (%s) after %v: got %q, want %q: %s", i, label(st.event), at.Sub(t0), got, st.want, st.why)
		}
		if got := flags(n); st.state != "" && got != st.state {
			t.Fatalf("step %d (%s) after %v: state %q, want %q: %s", i, label(st.event), at.Sub(t0), got, st.state, st.why)
		}
		s = n
	}
	return s, at
}

func fill(s State, e Event, at time.Time) Event {
	e.At = at
	switch e.Epoch {
	case 0:
		e.Epoch = s.Epoch
	case stale:
		e.Epoch = s.Epoch - 1
	}
	if e.SentAt.IsZero() {
		e.SentAt = at
	}
	return e
}

// show writes what a step did: the phase, how far the epoch moved, the effects.
func show(before, after State, f Effects) string {
	out := []string{after.Phase.String()}
	if d := after.Epoch - before.Epoch; d != 0 {
		out = append(out, fmt.Sprintf("e+%d", d))
	}
	if f.Job != NoJob {
		out = append(out, f.Job.String())
	}
	for _, x := range []struct {
		on   bool
		name string
	}{{f.Delete, "delete"}, {f.Automatic, "auto"}} {
		if x.on {
			out = append(out, x.name)
		}
	}
	if f.Would != NoJob {
		out = append(out, fmt.Sprintf("would=%v/%s", f.Would, f.WouldWhy))
	}
	return strings.Join(out, " ")
}

// flags writes the parts of a state that decide later steps.
func flags(s State) string {
	var out []string
	for _, x := range []struct {
		on   bool
		name string
	}{
		{s.Busy, "busy"}, {s.Drill, "drill"}, {s.Renews, "renews"}, {s.Trial, "trial"}, {s.Flush, "flush"}, {s.Frozen, "frozen"},
		{s.Paused, "paused"}, {!s.LateSetUntil.IsZero(), "late"}, {s.Deleting && s.Phase == ToPolling, "deleting"},
	} {
		if x.on {
			out = append(out, x.name)
		}
	}
	if s.Pin != ModeNone {
		out = append(out, "pin="+s.Pin.String())
	}
	if n := len(slices.DeleteFunc(slices.Clone(s.Failovers[:]), time.Time.IsZero)); n > 0 {
		out = append(out, fmt.Sprintf("failovers=%d", n))
	}
	for _, x := range []struct {
		n    int
		name string
	}{{s.Fails, "fails"}, {s.Relapses, "relapses"}} {
		if x.n > 0 {
			out = append(out, fmt.Sprintf("%s=%d", x.name, x.n))
		}
	}
	if len(out) == 0 {
		return "-"
	}
	return strings.Join(out, " ")
}

func label(e Event) string {
	names := [kinds]string{"tick", "world", "trip", "proven", "polled", "poll_failed", "set_acked",
		"set_failed", "set_unsent", "set_unknown", "refused", "operator", "poller_lost", "renew", "clock_jumped"}
	commands := []string{"", "switch_webhook", "switch_polling", "switch_auto", "hold", "ack", "take_over", "failback"}
	out := names[e.Kind]
	if e.Kind == World || e.Conflict {
		out += " " + e.URL.String()
	}
	if e.Kind == Operator {
		out += " " + commands[e.Command]
	}
	for _, x := range []struct {
		on   bool
		name string
	}{
		{e.Ready, "ready"}, {e.Drained, "drained"}, {e.PollerDown, "poller_down"}, {e.Excused, "excused"},
		{e.StoreFailing, "store_failing"}, {e.Blind, "blind"}, {e.Drill, "drill"}, {e.Conflict, "conflict"}, {e.For > 0, "for"},
		{e.TakeOver, "take_over"}, {e.Epoch == stale, "stale"},
	} {
		if x.on {
			out += " " + x.name
		}
	}
	return out
}

// proven is a bot whose webhook passed its trial long ago.
func proven() State {
	long := t0.Add(-24 * time.Hour)
	return State{Phase: Webhook, Epoch: 7, Since: long, Intent: ModeWebhook, Registered: long, Passed: long}
}

// polling is a bot in polling whose hold-down is not over.
func polling() State {
	s := proven()
	s.Phase, s.Since, s.Intent = Polling, t0, ModePolling
	s.Cause = Cause{Name: "stall"}
	s.HoldDown, s.HoldUntil = time.Minute, t0.Add(time.Minute)
	return s
}

// toPolling is a bot whose handover to polling is under way.
func toPolling() State {
	s := polling()
	s.Phase, s.Busy, s.Deleting = ToPolling, true, true
	s.HoldDown, s.HoldUntil = 0, time.Time{}
	return s
}

// toWebhook is a bot whose set is under way.
func toWebhook() State {
	s := polling()
	s.Phase, s.Busy, s.Intent = ToWebhook, true, ModeWebhook
	return s
}

// renewing is a bot that sets its own webhook anew.
func renewing() State {
	s := proven()
	s.Phase, s.Since, s.Busy, s.Renews = ToWebhook, t0, true, true
	s.Cause = Cause{Name: "secret_rotation"}
	return s
}

// held is a bot whose updates somebody else took while it was in the mode.
func held(resume Phase, intent Mode) State {
	s := proven()
	s.Phase, s.Since, s.Resume, s.Intent = Held, t0, resume, intent
	s.Cause = Cause{Name: CauseForeign}
	return s
}

// within tells whether d is at most the jitter away from want.
func within(d, want time.Duration) bool {
	return (d - want).Abs() <= time.Duration(float64(want)*jitterShare)
}
