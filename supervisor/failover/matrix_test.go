package failover

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden transition matrix anew")

// later is when the matrix's events happen: hold-downs, retries and late windows
// of the states below are over, unless their name says otherwise.
var later = t0.Add(2 * time.Minute)

type variant struct {
	name string
	p    Policy
	s    State
}

func variants() []variant {
	dry, only := defaults, defaults
	dry.DryRun, only.PollingOnly = true, true
	var out []variant
	add := func(name string, p Policy, s State, change func(*State)) {
		if change != nil {
			change(&s)
		}
		out = append(out, variant{s.Phase.String() + name, p, s})
	}
	start := func(s State) State { return defaults.Restore(s, t0) }
	late := func(s *State) { s.LateSetUntil = later.Add(1) }
	pin := func(m Mode) func(*State) { return func(s *State) { s.Pin = m } }
	paused := func(s *State) { s.Paused = true }
	frozen := func(s *State) { s.Frozen = true }

	add(", never ran", defaults, start(State{}), nil)
	add(", was in webhook", defaults, start(proven()), nil)
	add(", was in polling", defaults, start(polling()), nil)
	add(", was on the way to webhook", defaults, start(toWebhook()), nil)
	add(", polling only", only, start(State{}), nil)

	add("", defaults, proven(), nil)
	add(" in trial", defaults, proven(), func(s *State) { s.Trial = true })
	add(" in trial after a drill", defaults, proven(), func(s *State) { s.Trial, s.Drill = true, true })
	add(", set again lately", defaults, proven(), func(s *State) { s.Reasserted = t0 })
	add(", flushed lately", defaults, proven(), func(s *State) { s.LastFlush = later.Add(-time.Minute) })
	add(", last before the freeze", defaults, proven(), func(s *State) { s.Failovers = [failoverMemory]time.Time{t0, t0, t0} })
	add(", frozen", defaults, proven(), frozen)
	add(", webhook pinned", defaults, proven(), pin(ModeWebhook))
	add(", polling pinned", defaults, proven(), pin(ModePolling))
	add(", paused", defaults, proven(), paused)
	add(", dry run", dry, proven(), nil)

	add(" busy", defaults, toPolling(), nil)
	add(" busy after an unanswered set", defaults, toPolling(), func(s *State) { late(s); s.Deleting = false })
	add(" busy, late, polling pinned", defaults, toPolling(), func(s *State) { late(s); s.Deleting, s.Pin = false, ModePolling })
	add(" busy, nothing to delete", defaults, toPolling(), func(s *State) { s.Deleting = false })
	add(" waiting", defaults, toPolling(), func(s *State) { s.Busy, s.Fails, s.RetryAt = false, 3, later.Add(1) })
	add(" retry due", defaults, toPolling(), func(s *State) { s.Busy, s.Fails, s.RetryAt = false, 3, later })

	add("", defaults, polling(), nil)
	add(" for a drill", defaults, polling(), func(s *State) { s.Drill = true })
	add(" in hold-down", defaults, polling(), func(s *State) { s.HoldUntil = later.Add(1) })
	add(" for a flush", defaults, polling(), func(s *State) { s.Flush, s.Since = true, later.Add(-time.Second) })
	add(" for a flush, too long", defaults, polling(), func(s *State) { s.Flush = true })
	add(" for a flush, frozen", defaults, polling(), func(s *State) { s.Flush, s.Since, s.Frozen = true, later.Add(-time.Second), true })
	add(" after an unanswered set", defaults, polling(), late)
	add(", late, polling pinned", defaults, polling(), func(s *State) { late(s); s.Pin = ModePolling })
	add(", frozen", defaults, polling(), frozen)
	add(", webhook pinned", defaults, polling(), pin(ModeWebhook))
	add(", webhook pinned, just failed", defaults, polling(), func(s *State) {
		s.Pin, s.Since, s.Cause.Name = ModeWebhook, later.Add(-time.Second), CauseSetFailed
	})
	add(", polling pinned", defaults, polling(), pin(ModePolling))
	add(", paused", defaults, polling(), paused)
	add(", dry run", dry, polling(), nil)
	add(", polling only", only, polling(), nil)

	add(" busy", defaults, toWebhook(), nil)
	add(" busy, polling pinned", defaults, toWebhook(), pin(ModePolling))
	add(" busy for a flush", defaults, toWebhook(), func(s *State) { s.Flush = true })

	add(" busy renewing", defaults, renewing(), nil)
	add(" busy renewing, polling pinned", defaults, renewing(), pin(ModePolling))
	add(" busy after an unanswered renewal", defaults, toPolling(), func(s *State) { late(s); s.Deleting, s.Renews = false, true })
	add(" busy after a refused renewal", defaults, toPolling(), func(s *State) { s.Deleting, s.Renews = false, true })

	add(" from webhook", defaults, held(Webhook, ModeWebhook), nil)
	add(" from polling", defaults, held(Polling, ModePolling), nil)
	add(" at the first start", defaults, held(Starting, ModeNone), nil)
	add(", token refused in webhook", defaults, held(Webhook, ModeWebhook), func(s *State) { s.Cause.Name = CauseUnauthorized })
	add(", token refused in polling", defaults, held(Polling, ModePolling), func(s *State) { s.Cause.Name = CauseUnauthorized })
	return out
}

func matrixEvents() []Event {
	bad := func(change func(*Event)) Event {
		e := trip("stall")
		change(&e)
		return e
	}
	down := world(Nobody)
	down.PollerDown = true
	out := []Event{tick(), ready(), drained()}
	for o := range owners {
		out = append(out, world(o))
	}
	out = append(out, down, trip("stall"), excused(),
		bad(func(e *Event) { e.Excused, e.StoreFailing = true, true }),
		bad(func(e *Event) { e.StoreFailing = true }),
		bad(func(e *Event) { e.Blind = true }),
		bad(func(e *Event) { e.Drill = true }),
		bad(func(e *Event) { e.Excused, e.Drill = true, true }),
		result(Proven), result(Polled), result(PollFailed))
	for o := range owners {
		out = append(out, conflict(o))
	}
	out = append(out, result(SetAcked), result(SetFailed), result(SetUnsent), result(SetUnknown), drilled(SetFailed), drilled(SetUnknown), result(Refused), result(PollerLost),
		renew(), result(Renew), result(ClockJumped))
	for c := SwitchWebhook; c <= Failback; c++ {
		out = append(out, say(c))
	}
	out = append(out, takeOver(SwitchWebhook), takeOver(SwitchPolling), takeOver(SwitchAuto))
	for k := range kinds {
		if k != Tick && k != Operator {
			out = append(out, old(Event{Kind: k}))
		}
	}
	return out
}

// TestMatrix holds every state against every event. A difference is either a
// bug or to be reviewed line by line: go test -run TestMatrix -update.
func TestMatrix(t *testing.T) {
	var b strings.Builder
	b.WriteString("# state [flags]\n#   event -> phase, epoch, job, effects [flags]\n" +
		"# What is not listed changes nothing. The events:\n")
	for _, e := range matrixEvents() {
		b.WriteString("#   " + label(e) + "\n")
	}
	for _, v := range variants() {
		fmt.Fprintf(&b, "\n%s [%s]\n", v.name, flags(v.s))
		for _, e := range matrixEvents() {
			n, f := v.p.Step(v.s, fill(v.s, e, later))
			if n != v.s || f != (Effects{}) {
				fmt.Fprintf(&b, "  %-33s -> %s [%s]\n", label(e), show(v.s, n, f), flags(n))
			}
		}
	}
	const golden = "testdata/matrix.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, golden, b.String(), string(want))
}

// diff reports the lines that only one of two matrices has, with their state.
func diff(t *testing.T, name, got, want string) {
	t.Helper()
	lines := func(text string) (all []string, has map[string]bool) {
		has = map[string]bool{}
		section := ""
		for line := range strings.Lines(text) {
			if line[0] != ' ' {
				section = strings.TrimSpace(line)
			}
			line = section + "\n    " + strings.TrimSpace(line)
			all, has[line] = append(all, line), true
		}
		return all, has
	}
	g, inGot := lines(got)
	w, inWant := lines(want)
	for _, line := range g {
		if !inWant[line] {
			t.Errorf("not in %s: %s", name, line)
		}
	}
	for _, line := range w {
		if !inGot[line] {
			t.Errorf("only in %s: %s", name, line)
		}
	}
	if got != want && !t.Failed() {
		t.Errorf("%s has the same lines in another order", name)
	}
}
