package check

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// planned runs tasks in a bubble, each with a second.
func planned(t *testing.T, most time.Duration, tasks ...task) (got map[Code]Result, took time.Duration) {
	t.Helper()
	got = map[Code]Result{}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), most)
		defer cancel()
		begin := time.Now()
		for _, r := range newSchedule(tasks, time.Second, nil).run(ctx) {
			if was, twice := got[r.Code]; twice {
				t.Errorf("%s is given twice: %+v, %+v", r.Code, was, r)
			}
			got[r.Code] = r
		}
		took = time.Since(begin)
	})
	return got, took
}

func after(d time.Duration, f func(*findings)) func(context.Context, *findings) {
	return func(ctx context.Context, out *findings) {
		select {
		case <-time.After(d):
			f(out)
		case <-ctx.Done():
		}
	}
}

func want(t *testing.T, got map[Code]Result, code Code, s Status, detail string) {
	t.Helper()
	if r := got[code]; r.Status != s || !strings.Contains(r.Detail, detail) {
		t.Errorf("%s: %s %q, want %s %q", code, r.Status, r.Detail, s, detail)
	}
}

// Tasks that don't need each other run side by side; those that do, one after the
// other; and what a failed one was needed for is skipped for it, however far it is.
func TestSchedule(t *testing.T) {
	got, took := planned(t, time.Minute,
		task{codes: []Code{"A"}, run: after(900*time.Millisecond, func(f *findings) { f.pass("A", "") })},
		task{codes: []Code{"B"}, run: after(900*time.Millisecond, func(f *findings) { f.fail("B", "", "broken") })},
		task{codes: []Code{"C"}, needs: []Code{"A"}, run: after(500*time.Millisecond, func(f *findings) { f.warn("C", "", "odd") })},
		task{codes: []Code{"D"}, needs: []Code{"C"}, run: after(0, func(f *findings) { f.pass("D", "after a warning") })},
		task{codes: []Code{"E"}, needs: []Code{"B"}, run: func(context.Context, *findings) { t.Error("E was run") }},
		task{codes: []Code{"F"}, needs: []Code{"E"}, run: func(context.Context, *findings) { t.Error("F was run") }},
		task{codes: []Code{"G"}, after: []Code{"B"}, run: after(0, func(f *findings) { f.pass("G", "all the same") })},
		task{codes: []Code{"H", "I"}, run: after(0, func(f *findings) { f.fail("H", "", "first") })},
	)
	if took != 1400*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	want(t, got, "A", Pass, "")
	want(t, got, "D", Pass, "after a warning")
	want(t, got, "E", Skip, "prerequisite failed: B")
	want(t, got, "F", Skip, "prerequisite failed: B")
	want(t, got, "G", Pass, "all the same")
	want(t, got, "I", Skip, "prerequisite failed: H")
}

// A bot's task waits for its own bot's and for the host's; a host's for all bots'.
func TestScheduleOfBots(t *testing.T) {
	ok := func(c Code, d time.Duration) func(context.Context, *findings) {
		return after(d, func(f *findings) { f.pass(c, "") })
	}
	var at time.Duration
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s := newSchedule([]task{
			{codes: []Code{"H"}, run: ok("H", 100*time.Millisecond)},
			{bot: "a", codes: []Code{"X"}, needs: []Code{"H"}, run: ok("X", 200*time.Millisecond)},
			{bot: "b", codes: []Code{"X"}, needs: []Code{"H"}, run: func(_ context.Context, f *findings) { f.fail("X", "", "broken") }},
			{bot: "a", codes: []Code{"Y"}, needs: []Code{"X"}, run: ok("Y", 0)},
			{bot: "b", codes: []Code{"Y"}, needs: []Code{"X"}, run: ok("Y", 0)},
			{codes: []Code{"Z"}, after: []Code{"X"}, run: func(_ context.Context, f *findings) { at = time.Since(begin); f.pass("Z", "") }},
		}, time.Second, nil)
		var a, b Status
		for _, r := range s.run(t.Context()) {
			switch {
			case r.Code == "Y" && r.Bot == "a":
				a = r.Status
			case r.Code == "Y":
				b = r.Status
			}
		}
		if a != Pass || b != Skip || at != 300*time.Millisecond {
			t.Errorf("a %s, b %s, the host's after %v", a, b, at)
		}
	})
}

// One that hangs ends with its time, one that has none left isn't begun, and neither
// passes.
func TestScheduleTimes(t *testing.T) {
	hang := func(ctx context.Context, _ *findings) { <-ctx.Done() }
	got, took := planned(t, 1500*time.Millisecond,
		task{codes: []Code{"A"}, run: hang},
		task{codes: []Code{"B"}, after: []Code{"A"}, run: hang},
		task{codes: []Code{"C"}, after: []Code{"B"}, run: hang},
		task{codes: []Code{"D"}, run: after(1100*time.Millisecond, func(f *findings) { f.pass("D", "") }), atLeast: 1200 * time.Millisecond},
		task{codes: []Code{"E"}, run: func(context.Context, *findings) { panic("broken") }},
	)
	if took != 1500*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	want(t, got, "A", Fail, "no answer within 1s")
	want(t, got, "B", Fail, "within the time for all checks")
	want(t, got, "C", Fail, "within the time for all checks")
	want(t, got, "D", Pass, "")
	want(t, got, "E", Fail, "broke down: broken")
}

// Whatever a detail should hold, what is secret doesn't get through.
func TestDress(t *testing.T) {
	k := &checkup{}
	k.hide("the-secret/of+it")
	for _, private := range []string{"the-secret/of+it", "the-secret%2Fof%2Bit", "700000001:AAHfakefakefakefakefakefakefakefake0", "700000001%3AAAHfakefakefakefakefakefakefakefake0"} {
		r := Result{Code: APIToken, Status: Fail, Detail: "it says " + private + ".", Fix: "Don't say " + private + "."}
		k.dress(&r)
		if strings.Contains(r.Detail+r.Fix, private) {
			t.Errorf("%s: %+v", private, r)
		}
	}
	k.hide("abc") // would tear holes into every text
	r := Result{Code: APIToken, Status: Pass, Detail: "abcdef", Fix: "none"}
	if k.dress(&r); r.Detail != "abcdef" || r.Fix != "" || r.Runbook != "" || r.Category == "" {
		t.Errorf("%+v", r)
	}
}
