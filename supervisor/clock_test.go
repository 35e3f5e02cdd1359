package supervisor_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dualgram/chaos/pki"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
	"dualgram/supervisor/failover"
)

// TestClockJump: a wall clock that moves by more than 5 s against the monotonic one
// reconciles everything as a start does, in either mode and without loss; less
// does nothing.
func TestClockJump(t *testing.T) {
	for _, mode := range []string{"webhook", "polling"} {
		for _, jump := range []time.Duration{4 * time.Second, -4 * time.Second, 6 * time.Second, -6 * time.Second, 365 * 24 * time.Hour, -365 * 24 * time.Hour} {
			t.Run(mode+"/"+jump.String(), func(t *testing.T) {
				t.Parallel()
				inWorld(t, func(t *testing.T, w *testWorld) {
					var off atomic.Int64
					w.tune = func(o *supervisor.BotOptions) {
						o.WallClock = func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
					}
					h, stop := w.proven(t, 4)
					if mode == "polling" {
						must0(t, h.sup.Command(t.Context(), "test", failover.Event{Command: failover.SwitchPolling}))
						must0(t, h.await("polling", false, 10*time.Second))
					}
					time.Sleep(1100 * time.Millisecond) // between two ticks
					at := time.Now()
					off.Store(int64(jump))
					time.Sleep(5 * time.Second)
					want := map[string][]string{
						"webhook": {"starting by clock_jump", "webhook by start"},
						"polling": {"starting by clock_jump", "to_polling by start", "polling by start"},
					}[mode]
					if jump.Abs() < 5*time.Second {
						want = nil
					}
					if got := w.moves(at); !slices.Equal(got, want) {
						t.Errorf("moved %v, want %v", got, want)
					}
					if phase, trial := h.phase(); phase != mode || trial {
						t.Errorf("in %s, trial %v", phase, trial)
					}
					w.settle(t, h, stop, at)
				})
			})
		}
	}
}

// TestClockJumpWaitsForTheJob: a handover that is under way ends first.
func TestClockJumpWaitsForTheJob(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		var off atomic.Int64
		w.tune = func(o *supervisor.BotOptions) {
			o.WallClock = func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
			o.Hook = func(_ context.Context, point string) error {
				if point == supervisor.StepDeleteSent {
					off.Store(int64(time.Hour))
					time.Sleep(time.Second)
				}
				return nil
			}
		}
		h, stop := w.proven(t, 4)
		at := time.Now().Add(-1)
		must0(t, h.sup.Command(t.Context(), "test", failover.Event{Command: failover.SwitchPolling}))
		time.Sleep(8 * time.Second)
		if got := strings.Join(w.moves(at), ", "); !strings.HasPrefix(got, "to_polling by , polling by , starting by clock_jump, to_polling by start, polling by start") {
			t.Errorf("moved %s", got)
		}
		w.settle(t, h, stop, at)
	})
}

// TestOneWrongDate: an answer whose Date is a year off moves nothing, not even the
// certificate's signal; two that agree are believed.
func TestOneWrongDate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		w.fromFiles(t, func(f *files) { f.issue(pki.Leaf{NotAfter: time.Now().Add(30 * 24 * time.Hour)}) })
		h, stop := w.proven(t, 4)
		for range 3 {
			at := time.Now()
			w.once.Store(int64(365 * 24 * time.Hour))
			time.Sleep(10 * time.Second)
			if w.once.Load() != 0 {
				t.Error("nobody asked")
			}
			if got := w.moves(at); len(got) > 0 {
				t.Errorf("moved %v", got)
			}
			for _, s := range h.state(t).Signals {
				if s.Name == supervisor.SignalTLS && s.State != console.SignalOK {
					t.Errorf("%+v", s)
				}
			}
			if h.sup.Skew() != 0 {
				t.Errorf("skew %v", h.sup.Skew())
			}
		}
		w.skew.Store(int64(365 * 24 * time.Hour))
		must0(t, h.await("polling", false, 10*time.Second))
		if b := h.state(t); b.LastHandover.Reason != supervisor.SignalTLS {
			t.Errorf("%+v", b.LastHandover)
		}
		w.skew.Store(0)
		must0(t, h.await("webhook", true, 2*time.Minute))
		w.settle(t, h, stop, time.Now())
	})
}
