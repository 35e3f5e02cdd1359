package drill

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"dualgram/chaos"
)

// TestHeals: whatever ends a drill, its fault is gone, and how soon.
func TestHeals(t *testing.T) {
	during := 20 * time.Second // from the start of the drill: 15 s into the fault
	bubble(t, "stop condition", func(t *testing.T, h *fakeHost) {
		h.pending = func(d time.Duration) *int {
			n := 0
			if d > 10*time.Second && d < 30*time.Second {
				n = 501
			}
			return &n
		}
		j := do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, expectPolling)}, Aborted)
		if d := h.gone(t, h.injected); d > 12*time.Second {
			t.Errorf("gone after %v", d)
		}
		if !strings.Contains(j.Reasons[0], "pending > 500") || j.Timeline.Recovered.IsZero() {
			t.Errorf("%q, recovered %v", j.Reasons, j.Timeline.Recovered)
		}
	})
	bubble(t, "stop condition, and no recovery", func(t *testing.T, h *fakeHost) {
		h.switchAfter, h.backAfter = 500*time.Millisecond, 0
		h.pending = func(time.Duration) *int { n := 501; return &n }
		j := do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, expectPolling+"rollbacks: [{action: failback}]\n")}, NotRecovered)
		if !slices.Equal(h.rolled, []string{"failback"}) || len(j.Rollbacks) != 1 || j.Rollbacks[0].Status != "succeeded" {
			t.Errorf("%q, %+v", h.rolled, j.Rollbacks)
		}
		if !strings.Contains(strings.Join(j.Reasons, "; "), "stop condition") {
			t.Errorf("%q", j.Reasons)
		}
	})
	table := map[string]string{}
	for name, c := range map[string]struct {
		stop func(d *Drills, cancel func(), h *fakeHost)
		want Outcome
		soon time.Duration
	}{
		// A fault whose lease is over by the wall clock is inert at once; that it has
		// ended is told at the next look.
		"clock put on a day":     {func(_ *Drills, _ func(), h *fakeHost) { h.clock.Store(int64(day)) }, Aborted, time.Second},
		"suspended for a minute": {func(_ *Drills, _ func(), h *fakeHost) { h.clock.Store(int64(time.Minute)) }, Aborted, time.Second},
		"host hangs, clock put back a day": {func(_ *Drills, _ func(), h *fakeHost) {
			h.clock.Store(-int64(day))
			h.once(func() { time.Sleep(time.Minute) })
		}, Aborted, sampleEvery + LeaseFor},
		"halt":      {func(d *Drills, _ func(), _ *fakeHost) { _ = d.Halt(context.Background(), Who{User: "ann"}) }, Aborted, 0},
		"interrupt": {func(d *Drills, _ func(), _ *fakeHost) { d.Interrupt(Who{User: "ann"}) }, Interrupted, 0},
		"ctx":       {func(_ *Drills, cancel func(), _ *fakeHost) { cancel() }, Interrupted, 0},
		"clear":     {func(_ *Drills, _ func(), h *fakeHost) { h.reg.Clear() }, Aborted, 0},
		"operator": {func(_ *Drills, _ func(), h *fakeHost) {
			h.add(Event{At: time.Now(), Kind: EventOperator, Name: "switch"})
		}, Aborted, time.Second},
		"panic":       {func(_ *Drills, _ func(), h *fakeHost) { h.once(func() { panic("host") }) }, Aborted, time.Second},
		"host errors": {func(_ *Drills, _ func(), h *fakeHost) { h.fail(errTest, 5*time.Second) }, Aborted, 3 * time.Second},
		"host hangs":  {func(_ *Drills, _ func(), h *fakeHost) { h.once(func() { time.Sleep(time.Minute) }) }, Aborted, sampleEvery + LeaseFor},
		"host hangs and ctx ends": {func(_ *Drills, cancel func(), h *fakeHost) {
			h.once(func() { time.Sleep(time.Minute) })
			time.AfterFunc(1500*time.Millisecond, cancel)
		}, Interrupted, 1500 * time.Millisecond},
	} {
		bubble(t, name, func(t *testing.T, h *fakeHost) {
			d := office(t, h, &memStore{}, func(o *Options) {
				o.Blocked = func() *Halt {
					if h.blocked.Load() {
						return &Halt{Reason: "a file"}
					}
					return nil
				}
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var stopped time.Time
			time.AfterFunc(during+100*time.Millisecond, func() { stopped = time.Now(); c.stop(d, cancel, h) })
			j, err := d.Do(ctx, Request{Experiment: plan(t, expectPolling)})
			if err != nil || j.Outcome != c.want || len(j.Reasons) == 0 {
				t.Errorf("%v, outcome %s, want %s: %q", err, j.Outcome, c.want, j.Reasons)
			}
			got := h.gone(t, stopped)
			if got < 0 || got > c.soon {
				t.Errorf("the fault was gone %v after the stop, want at most %v", got, c.soon)
			}
			table[name] = fmt.Sprintf("%8v (at most %v)", got.Round(time.Millisecond), c.soon)
			if watched := !j.Timeline.Recovered.IsZero(); watched != (ctx.Err() == nil) {
				t.Errorf("recovered %v", j.Timeline.Recovered)
			}
			if j.Run[0].Fault == nil || j.Run[0].End.IsZero() {
				t.Errorf("step %+v", j.Run[0])
			}
		})
	}
	var told strings.Builder
	for _, name := range slices.Sorted(maps.Keys(table)) {
		fmt.Fprintf(&told, "\n  %-34s %s", name, table[name])
	}
	t.Logf("a drill's fault is gone after%s", told.String())
	bubble(t, "clock put back a day", func(t *testing.T, h *fakeHost) {
		time.AfterFunc(during, func() { h.clock.Store(-int64(day)) })
		do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, expectPolling)}, Held)
		if got := h.removed.Sub(h.injected); got != time.Minute {
			t.Errorf("a fault of a minute acted for %v", got)
		}
	})
	bubble(t, "injecting fails", func(t *testing.T, h *fakeHost) {
		h.registerFail = chaos.ErrDisabled
		j := do(t, office(t, h, &memStore{}, nil), Request{Experiment: plan(t, "")}, Aborted)
		if !strings.Contains(j.Reasons[0], "chaos.enabled") {
			t.Errorf("%q", j.Reasons)
		}
	})
	bubble(t, "halted in the gate", func(t *testing.T, h *fakeHost) {
		d := office(t, h, &memStore{}, nil)
		time.AfterFunc(2500*time.Millisecond, func() { _ = d.Halt(context.Background(), Who{User: "ann"}) })
		j := do(t, d, Request{Experiment: plan(t, "")}, NotStarted)
		if !h.injected.IsZero() || j.Injected() {
			t.Error("injected")
		}
	})
	bubble(t, "several faults", func(t *testing.T, h *fakeHost) {
		e := plan(t, "")
		e.Method = []Action{
			{Name: "a", Fault: "http.status", For: Duration(30 * time.Second), Background: true},
			{Name: "b", Fault: "http.slow", For: Duration(10 * time.Second), Delay: 1, Pauses: Pauses{Before: Duration(5 * time.Second), After: Duration(40 * time.Second)}},
		}
		most := 0
		h.facts = func() { most = max(most, len(h.reg.List())) }
		h.switchAfter = 0
		j := do(t, office(t, h, &memStore{}, nil), Request{Experiment: e}, Invalid) // b is behind a, which answers first
		if most != 2 || j.Run[1].Start.Sub(j.Run[0].Start) != 5*time.Second || j.Run[0].Duration != 30 || j.Run[1].Duration != 10 {
			t.Errorf("%d at once; %+v", most, j.Run)
		}
		if got := j.Timeline.Remove.Sub(j.Timeline.Inject); got != 30*time.Second {
			t.Errorf("removed after %v", got)
		}
	})
}

func (h *fakeHost) add(e Event) { h.mu.Lock(); h.events = append(h.events, e); h.mu.Unlock() }

// once does something in the next call of Facts only.
func (h *fakeHost) once(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	done := false
	h.facts = func() {
		if !done {
			done = true
			f()
		}
	}
}

func (h *fakeHost) fail(err error, d time.Duration) {
	set := func(err error) { h.mu.Lock(); h.err = err; h.mu.Unlock() }
	set(err)
	time.AfterFunc(d, func() { set(nil) })
}

// slowHost takes its time to inject.
type slowHost struct{ *fakeHost }

func (s slowHost) Inject(ctx context.Context, spec chaos.Spec) (Fault, error) {
	time.Sleep(2 * time.Second)
	return s.fakeHost.Inject(ctx, spec)
}

// TestStoppedWhileInjecting: a fault that begins after the drill was stopped ends
// at once.
func TestStoppedWhileInjecting(t *testing.T) {
	bubble(t, "halt", func(t *testing.T, h *fakeHost) {
		d := office(t, slowHost{h}, &memStore{}, nil)
		time.AfterFunc(6*time.Second, func() { _ = d.Halt(context.Background(), Who{User: "ann"}) })
		j := do(t, d, Request{Experiment: plan(t, "")}, Aborted)
		if got := h.gone(t, h.injected); got != 0 || j.Run[0].Fault == nil {
			t.Errorf("it acted for %v, %+v", got, j.Run[0])
		}
	})
}
