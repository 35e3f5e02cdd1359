package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos"
)

func TestOutcomes(t *testing.T) {
	bubble(t, "held", func(t *testing.T, h *fakeHost) {
		d := office(t, h, &memStore{}, nil)
		j := do(t, d, Request{Experiment: plan(t, expectPolling)}, Held)
		tl := j.Timeline
		if lived := h.gone(t, h.injected); lived != time.Minute {
			t.Errorf("the fault lived for %v", lived)
		}
		if got := tl.Inject.Sub(j.Start); got != 5*time.Second {
			t.Errorf("injected %v after the start, want the hold time", got)
		}
		if s := *j.Timings.Switch; s != 3 {
			t.Errorf("switch after %v", s)
		}
		if s := *j.Timings.Failback; s != 70 {
			t.Errorf("failback after %v", s)
		}
		if s := *j.Timings.Recovery; s < 70 || s > 71 {
			t.Errorf("recovery after %v", s)
		}
		if j.Fired < 55 || j.Run[0].Fault == nil || j.Run[0].Duration != 60 {
			t.Errorf("fired %d, steps %+v", j.Fired, j.Run)
		}
		if len(j.Warnings) != 1 || !j.Warnings[0].Expected || j.Failovers != 1 {
			t.Errorf("warnings %+v, failovers %d", j.Warnings, j.Failovers)
		}
		if j.Status != "completed" || j.Deviated || !j.SteadyStates.Before.Met || !j.SteadyStates.During[0].Met || !j.SteadyStates.After.Met {
			t.Errorf("status %s, states %+v", j.Status, j.SteadyStates)
		}
	})
	bubble(t, "deviated: too late", func(t *testing.T, h *fakeHost) {
		h.switchAfter = 12 * time.Second
		j := do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, expectPolling)}, Deviated)
		if !j.Deviated || !strings.Contains(j.Reasons[0], "12.0s") {
			t.Errorf("%q", j.Reasons)
		}
	})
	bubble(t, "deviated: a forbidden warning", func(t *testing.T, h *fakeHost) {
		h.change = func(f *Facts) {
			if f.Mode == "polling" {
				f.Warnings = append(f.Warnings, "blind")
			}
		}
		do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, expectPolling)}, Deviated)
	})
	bubble(t, "deviated: left the webhook", func(t *testing.T, h *fakeHost) {
		do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, "expect: {mode: webhook}\n")}, Deviated)
	})
	bubble(t, "held: stayed on the webhook", func(t *testing.T, h *fakeHost) {
		h.switchAfter = 0
		j := do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, "expect: {mode: webhook}\n")}, Held)
		if j.Timings.Switch != nil || *j.Timings.Recovery > 1 {
			t.Errorf("%+v", j.Timings)
		}
	})
	bubble(t, "deviated: a probe during the fault", func(t *testing.T, h *fakeHost) {
		h.change = func(f *Facts) {
			if f.Mode == "polling" {
				f.Counts.Lost = 1
			}
		}
		e := plan(t, expectPolling)
		e.Hypothesis.Probes[2].Phase = []Phase{During}
		j := do(t, office(t, h, &memStore{}, nil), Request{Experiment: e}, Deviated)
		if !strings.Contains(j.Reasons[0], "nothing-lost") {
			t.Errorf("%q", j.Reasons)
		}
	})
	bubble(t, "not recovered", func(t *testing.T, h *fakeHost) {
		h.backAfter = 0
		j := do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, expectPolling)}, NotRecovered)
		if took := j.End.Sub(j.Timeline.Remove); took != 2*time.Minute {
			t.Errorf("waited for %v", took)
		}
	})
	bubble(t, "invalid: nothing to hit", func(t *testing.T, h *fakeHost) {
		h.quiet = true
		j := do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, expectPolling)}, Invalid)
		if !strings.Contains(j.Reasons[0], "never fired") {
			t.Errorf("%q", j.Reasons)
		}
	})
	bubble(t, "invalid: nothing was stranded", func(t *testing.T, h *fakeHost) {
		h.switchAfter = 0
		// One more comes that was under way when the fault began, and one after it.
		h.stillFrom(5*time.Second, func(since time.Duration) (n int64) {
			if since > 1500*time.Millisecond {
				n++
			}
			if since > time.Minute {
				n++
			}
			return n
		})
		j := do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, expectPolling)}, Invalid)
		if !strings.Contains(j.Reasons[0], "when there is traffic") {
			t.Errorf("%q", j.Reasons)
		}
	})
	bubble(t, "deviated: stranded, and nothing was done", func(t *testing.T, h *fakeHost) {
		h.switchAfter = 0
		h.pending = func(d time.Duration) *int { n := 3; return &n }
		do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, expectPolling)}, Deviated)
	})
	bubble(t, "deviated: updates came through, and nothing was done", func(t *testing.T, h *fakeHost) {
		h.switchAfter = 0
		h.stillFrom(5*time.Second, func(since time.Duration) (n int64) {
			if since > 20*time.Second {
				n++ // a single one
			}
			return n
		})
		j := do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, expectPolling)}, Deviated)
		if !strings.Contains(j.Reasons[0], "did not fail over to polling") {
			t.Errorf("%q", j.Reasons)
		}
	})
	bubble(t, "invalid: updates came between two faults only", func(t *testing.T, h *fakeHost) {
		h.switchAfter = 0
		e := plan(t, expectPolling)
		pause := e.Method[0]
		pause.Fault, pause.For = "", Duration(20*time.Second)
		e.Method = []Action{e.Method[0], pause, e.Method[0]}
		h.stillFrom(5*time.Second, func(since time.Duration) int64 {
			return int64((min(since, 75*time.Second) - min(since, 65*time.Second)).Seconds())
		})
		do(t, office(t, h, &memStore{}, nil), Request{Experiment: e}, Invalid)
	})
	bubble(t, "invalid: leashed", func(t *testing.T, h *fakeHost) {
		d := office(t, h, &memStore{}, func(o *Options) { o.Policy.Leashed = true })
		j := do(t, d, Request{Experiment: plan(t, expectPolling)}, Invalid)
		if !h.injected.IsZero() || !j.Leashed || len(j.Samples) < 60 {
			t.Errorf("injected %v, %d samples", h.injected, len(j.Samples))
		}
	})
}

// TestOnset: a switch is measured from when the fault can have stranded the
// first update, at the earliest.
func TestOnset(t *testing.T) {
	bubble(t, "quiet at first", func(t *testing.T, h *fakeHost) {
		h.switchAfter = 40 * time.Second
		h.pending = func(d time.Duration) *int {
			n := 0
			if d > 35*time.Second && d < 41*time.Second {
				n = 1
			}
			return &n
		}
		j := do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, expectPolling)}, Held)
		if s := *j.Timings.Switch; s < 4.9 || s > 6.1 {
			t.Errorf("switch after %v", s)
		}
	})
	bubble(t, "waiting from the first", func(t *testing.T, h *fakeHost) {
		h.switchAfter = 12 * time.Second
		h.pending = func(time.Duration) *int { n := 1; return &n }
		j := do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, expectPolling)}, Deviated)
		if s := *j.Timings.Switch; s != 12 {
			t.Errorf("switch after %v", s)
		}
	})
}

func TestNotStarted(t *testing.T) {
	bubble(t, "the steady state does not hold", func(t *testing.T, h *fakeHost) {
		start := time.Now()
		h.change = func(f *Facts) { f.Counts.Lost = int64(time.Since(start) / (3 * time.Second)) }
		s := &memStore{}
		j := do(t, office(t, h, s, nil), Request{Experiment: plan(t, "")}, NotStarted)
		if j.Injected() || !h.injected.IsZero() || j.SteadyStates.Before.Met || j.Status != "failed" {
			t.Errorf("%+v", j.SteadyStates.Before)
		}
		if len(s.records) != 1 || s.records[0].Kind != RecordRun {
			t.Errorf("%d records", len(s.records))
		}
	})
	bubble(t, "a signal trips in the gate", func(t *testing.T, h *fakeHost) {
		start := time.Now()
		h.change = func(f *Facts) {
			if time.Since(start) >= 5*time.Second {
				f.Signals = []string{"stall"}
			}
		}
		j := do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, "")}, NotStarted)
		if len(j.Refusals) != 1 || j.Refusals[0].Code != RefusedSignal {
			t.Errorf("%+v", j.Refusals)
		}
	})
	bubble(t, "disabled", func(t *testing.T, h *fakeHost) {
		s := &memStore{}
		d := office(t, h, s, func(o *Options) { o.Policy.Enabled = false })
		do(t, d, Request{Experiment: plan(t, "")}, NotStarted)
		if len(s.records) != 0 {
			t.Error("a record of what was never allowed")
		}
	})
	bubble(t, "the evidence can't be written", func(t *testing.T, h *fakeHost) {
		d := office(t, h, &memStore{err: errTest}, nil)
		j, err := d.Do(t.Context(), Request{Experiment: plan(t, "")})
		if err == nil || j.Outcome != NotStarted || !h.injected.IsZero() {
			t.Errorf("%v, %s", err, j.Outcome)
		}
	})
	bubble(t, "dry run", func(t *testing.T, h *fakeHost) {
		s := &memStore{}
		j := do(t, office(t, h, s, nil), Request{Experiment: plan(t, ""), DryRun: true}, NotStarted)
		if !j.Ready() || !h.injected.IsZero() || len(s.records) != 0 {
			t.Errorf("ready %v, %d records", j.Ready(), len(s.records))
		}
	})
	bubble(t, "another one runs", func(t *testing.T, h *fakeHost) {
		d := office(t, h, &memStore{}, nil)
		go func() { _, _ = d.Do(t.Context(), Request{Experiment: plan(t, expectPolling)}) }()
		time.Sleep(20 * time.Second)
		p, ok := d.Running()
		if !ok || p.Stage != StageFault || p.Sample == nil {
			t.Errorf("%v %+v", ok, p)
		}
		j := do(t, d, Request{Experiment: plan(t, "")}, NotStarted)
		if len(j.Refusals) != 1 || j.Refusals[0].Code != RefusedRunning {
			t.Errorf("%+v", j.Refusals)
		}
		time.Sleep(5 * time.Minute)
		if _, ok := d.Running(); ok {
			t.Error("still running")
		}
	})
}

func TestHaltLever(t *testing.T) {
	bubble(t, "outlives a restart", func(t *testing.T, h *fakeHost) {
		s := &memStore{}
		if err := office(t, h, s, nil).Halt(t.Context(), Who{User: "ann", Reason: "release"}); err != nil {
			t.Fatal(err)
		}
		d := office(t, h, s, nil)
		j := do(t, d, Request{Experiment: plan(t, "")}, NotStarted)
		if len(j.Refusals) != 1 || j.Refusals[0].Code != RefusedHalted || !strings.Contains(j.Reasons[0], "ann (release)") {
			t.Errorf("%+v", j.Refusals)
		}
		if err := d.Resume(t.Context(), Who{User: "bob"}); err != nil {
			t.Fatal(err)
		}
		if d = office(t, h, s, nil); d.Halted() != nil {
			t.Error("still halted after resume and restart")
		}
		do(t, d, Request{Experiment: plan(t, expectPolling)}, Held)
	})
	bubble(t, "acts without the store", func(t *testing.T, h *fakeHost) {
		s := &memStore{}
		d := office(t, h, s, nil)
		s.err = errTest
		if err := d.Halt(t.Context(), Who{User: "ann"}); err == nil || d.Halted() == nil {
			t.Errorf("%v, %v", err, d.Halted())
		}
		if err := d.Resume(t.Context(), Who{}); err == nil || d.Halted() == nil {
			t.Errorf("resumed without a record: %v", err)
		}
	})
	bubble(t, "a file", func(t *testing.T, h *fakeHost) {
		d := office(t, h, &memStore{}, func(o *Options) { o.Blocked = func() *Halt { return &Halt{Reason: "no-drills is there"} } })
		do(t, d, Request{Experiment: plan(t, "")}, NotStarted)
	})
}

// TestDeath: a run that the host does not survive is on record.
func TestDeath(t *testing.T) {
	bubble(t, "killed in mid-drill", func(t *testing.T, h *fakeHost) {
		s := &memStore{}
		d := office(t, h, s, nil)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, _ = d.Do(ctx, Request{Experiment: plan(t, "")}) }()
		time.Sleep(20 * time.Second)
		onDisk, _ := s.List(ctx)
		dead := &memStore{records: onDisk}
		cancel()
		synctest.Wait()
		d = office(t, h, dead, nil)
		js, err := d.Journals(t.Context())
		if err != nil || len(js) != 1 || js[0].Outcome != Interrupted || js[0].Status != "interrupted" || !strings.Contains(js[0].Reasons[0], "host ended") {
			t.Fatalf("%v, %+v", err, js)
		}
		if js[0].Experiment.Hypothesis.Probes[0].Expr.Eval(&View{Facts: Facts{Mode: "webhook"}}) != True {
			t.Error("the experiment did not survive")
		}
		if d = office(t, h, dead, nil); len(dead.records) != 2 {
			t.Errorf("%d records after another restart", len(dead.records))
		}
		d.o.Policy.MinInterval = time.Hour
		j := do(t, d, Request{Experiment: plan(t, "")}, NotStarted)
		if j.Refusals[0].Code != RefusedInterval {
			t.Errorf("%+v", j.Refusals)
		}
	})
}

// TestJournalKeys: the journal has all keys of Chaos Toolkit's
// (chaostoolkit-lib, chaoslib/run.py, initialize_run_journal).
func TestJournalKeys(t *testing.T) {
	bubble(t, "keys", func(t *testing.T, h *fakeHost) {
		j := do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, expectPolling)}, Held)
		raw, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		_ = json.Unmarshal(raw, &m)
		for _, k := range []string{"chaoslib-version", "platform", "node", "experiment", "start", "end", "duration", "status", "deviated", "steady_states", "run", "rollbacks"} {
			if _, ok := m[k]; !ok {
				t.Errorf("no %s", k)
			}
		}
		if _, ok := m["steady_states"].(map[string]any)["during"].([]any); !ok {
			t.Error("steady_states.during is no list")
		}
		step := m["run"].([]any)[0].(map[string]any)
		for _, k := range []string{"activity", "start", "end", "duration", "status", "output"} {
			if _, ok := step[k]; !ok {
				t.Errorf("run: no %s", k)
			}
		}
	})
}

// planner is a host that knows beforehand which faults it can carry out.
type planner struct {
	*fakeHost
	err error
}

func (p *planner) Plan(context.Context, chaos.Spec) error { return p.err }

// TestPlan: what can't be carried out is refused before the gate's time, and by a
// dry run too.
func TestPlan(t *testing.T) {
	for _, dry := range []bool{true, false} {
		bubble(t, fmt.Sprint("dry run ", dry), func(t *testing.T, h *fakeHost) {
			d := office(t, &planner{h, errors.New("nothing here carries it out")}, &memStore{}, nil)
			j := do(t, d, Request{Experiment: plan(t, ""), DryRun: dry}, NotStarted)
			if j.Ready() || len(j.Refusals) != 1 || j.Refusals[0].Code != RefusedSeam || !strings.Contains(j.Reasons[0], "http.status: nothing here carries it out") {
				t.Errorf("%+v", j.Refusals)
			}
			if j.Duration > 1 || j.Injected() {
				t.Errorf("after %v s, injected %v", j.Duration, j.Injected())
			}
		})
	}
}

// TestObserve: a live view sees each stage and the end, and so does the office.
func TestObserve(t *testing.T) {
	bubble(t, "stages", func(t *testing.T, h *fakeHost) {
		var stages []Stage
		var last Progress
		d := office(t, h, &memStore{}, func(o *Options) {
			o.Observe = func(p Progress) {
				if len(stages) == 0 || stages[len(stages)-1] != p.Stage {
					stages = append(stages, p.Stage)
				}
				last = p
			}
		})
		own := 0
		do(t, d, Request{Experiment: plan(t, expectPolling), Observe: func(Progress) { own++ }}, Held)
		if !slices.Equal(stages, []Stage{StageGate, StageFault, StageRecovery, StageDone}) || last.Outcome != Held || own < 100 {
			t.Errorf("%v, %+v, %d", stages, last, own)
		}
	})
}

func TestCheck(t *testing.T) {
	bubble(t, "now", func(t *testing.T, h *fakeHost) {
		d := office(t, h, &memStore{}, nil)
		if no, err := d.Check(t.Context(), plan(t, ""), time.Now()); err != nil || len(no) != 0 {
			t.Errorf("%v, %v", no, err)
		}
		h.err = errTest
		if _, err := d.Check(t.Context(), plan(t, ""), time.Now()); !errors.Is(err, errTest) {
			t.Errorf("%v", err)
		}
		if j := do(t, d, Request{Experiment: plan(t, "")}, NotStarted); j.Refusals[0].Code != RefusedFacts {
			t.Errorf("%+v", j.Refusals)
		}
	})
}

func TestShareAndFor(t *testing.T) {
	bubble(t, "replaced", func(t *testing.T, h *fakeHost) {
		e := plan(t, expectPolling)
		j := do(t, office(t, h, &memStore{}, nil), Request{Experiment: e, Share: 0.5, For: 30 * time.Second, Seed: 1}, Held)
		if j.Run[0].Duration != 30 || j.Fired < 5 || j.Fired > 25 || j.Experiment.Method[0].Share != 0.5 || e.Method[0].For != Duration(time.Minute) {
			t.Errorf("%+v, fired %d", j.Run[0], j.Fired)
		}
	})
}

func TestExitCodes(t *testing.T) {
	want := map[Outcome]int{Held: 0, Deviated: 1, NotStarted: 3, Aborted: 4, NotRecovered: 5, Invalid: 6, Interrupted: 130}
	for _, o := range Outcomes() {
		if got := o.ExitCode(); got != want[o] {
			t.Errorf("%s: %d", o, got)
		}
	}
}

// TestSecretParams: what a parameter marks as secret goes to the fault and not
// on record.
func TestSecretParams(t *testing.T) {
	bubble(t, "ca", func(t *testing.T, h *fakeHost) {
		s := &memStore{}
		e := plan(t, "")
		e.Method[0].Fault, e.Method[0].Params = "tls.expired", map[string]string{"ca": "PRIVATE KEY", "ago_seconds": "5"}
		j := do(t, office(t, h, s, nil), Request{Experiment: e}, Aborted) // it is no key
		if e.Method[0].Params["ca"] != "PRIVATE KEY" || j.Experiment.Method[0].Params["ago_seconds"] != "5" {
			t.Errorf("%+v", j.Experiment.Method)
		}
		for _, r := range s.records {
			if strings.Contains(string(r.Data), "PRIVATE") {
				t.Errorf("on record: %s", r.Data)
			}
		}
	})
}

// TestRecoveryStreak: the steady state must hold without a break for its hold
// time; one that comes and goes is not back.
func TestRecoveryStreak(t *testing.T) {
	bubble(t, "comes and goes", func(t *testing.T, h *fakeHost) {
		h.change = func(f *Facts) {
			if !h.removed.IsZero() && time.Since(h.removed)/(3*time.Second)%2 == 1 {
				f.StandbyReady = false
			}
		}
		h.switchAfter = 0
		do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, "")}, NotRecovered)
	})
}

// TestWithin: a probe with a time to settle is not judged before.
func TestWithin(t *testing.T) {
	for within, want := range map[time.Duration]Outcome{5 * time.Second: Held, 2 * time.Second: Deviated} {
		bubble(t, within.String(), func(t *testing.T, h *fakeHost) {
			e := plan(t, expectPolling)
			x, err := ParseExpr(`mode == "polling"`)
			if err != nil {
				t.Fatal(err)
			}
			e.Hypothesis.Probes = append(e.Hypothesis.Probes, Probe{Name: "polls", Expr: x, Phase: []Phase{During}, Within: Duration(within)})
			do(t, office(t, h, &memStore{}, nil), Request{Experiment: e}, want)
		})
	}
}

// TestLasting: a fault that is over before a probe would be judged proves nothing,
// and is said to be too short.
func TestLasting(t *testing.T) {
	e := plan(t, "")
	e.Hypothesis.Probes[2].Within = Duration(12 * time.Second)
	for d, ok := range map[time.Duration]bool{11 * time.Second: false, 12 * time.Second: false, 13 * time.Second: true} {
		c, err := e.Lasting(d)
		if (err == nil) != ok {
			t.Errorf("%v: %v", d, err)
		}
		if ok && (c.Length() != d || e.Length() == d) {
			t.Errorf("%v: takes %v, the original %v", d, c.Length(), e.Length())
		}
	}
}
