package supervisor_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/telegramsim"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
	"dualgram/supervisor/failover"
)

// TestBlind: while the Bot API is silent too, a failover would bring nothing; it
// is done as soon as it would.
func TestBlind(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultHang})
		time.Sleep(15 * time.Second) // three calls are lost
		from := time.Now()
		lease, err := h.faults.Inject(chaos.Spec{Kind: "tls.expired", For: 10 * time.Minute})
		must0(t, err)
		time.Sleep(20 * time.Second)
		if m := w.moves(from); len(m) > 0 {
			t.Fatalf("blind, and moved: %v", m)
		}
		s, err := h.sup.Status(t.Context())
		must0(t, err)
		if !hasWarning(s.Bots[0].Warnings, "blind") || s.Bots[0].StandbyReady {
			t.Errorf("no warning says so: %+v", s.Bots[0].Warnings)
		}
		i := slices.IndexFunc(s.Bots[0].Signals, func(r console.Signal) bool { return r.Name == supervisor.SignalStandby })
		if says := s.Bots[0].Signals[i].Detail; !strings.HasPrefix(says, "the Bot API at "+testAPI+" does not answer: ") || strings.Contains(says, "circuit breaker") {
			t.Errorf("the standby: %s", says)
		}
		would := 0
		for _, e := range w.story() {
			if e.Kind == supervisor.EventWould && e.Level == failover.WhyBlind {
				would++
			}
		}
		if would != 1 {
			t.Errorf("the withheld failover was told %d times, want once", would)
		}
		w.sim.ClearFaults()
		must0(t, h.await("polling", false, 10*time.Second))
		lease.End()
		must0(t, h.await("webhook", false, 3*time.Minute))
		w.settle(t, h, stop, time.Now())
	})
}

// TestStandbyAfresh: once the Bot API answers again, nobody reads for half a minute
// that polling would not work.
func TestStandbyAfresh(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultHang})
		time.Sleep(time.Minute)
		if h.state(t).StandbyReady {
			t.Error("ready, with a Bot API that hangs")
		}
		w.sim.ClearFaults()
		healed := time.Now()
		for !h.state(t).StandbyReady && time.Since(healed) < time.Minute {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(healed); took > 8*time.Second {
			t.Errorf("ready again after %v", took)
		}
		// Where getUpdates alone fails, nobody is pestered.
		lease, err := h.faults.Inject(chaos.Spec{Kind: "botapi.429", For: 5 * time.Minute, Params: map[string]string{"methods": "getUpdates", "retry_after": "60"}})
		must0(t, err)
		time.Sleep(2 * time.Minute)
		if n := lease.Fired(); n < 2 || n > 6 {
			t.Errorf("%d calls of getUpdates in two minutes", n)
		}
		lease.End()
		w.settle(t, h, stop, time.Now())
	})
}
