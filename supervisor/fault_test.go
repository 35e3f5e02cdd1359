package supervisor_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dualgram/chaos"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
	"dualgram/supervisor/warning"

	"github.com/prometheus/client_golang/prometheus"
)

// TestFailoversOfFaults: what an injected fault causes is a drill's, and so is what
// comes of it a little later; one that has hit nothing, or that concerns another
// bot, or that has been over for long, explains nothing.
func TestFailoversOfFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault supervisor.Fault
		drill bool
	}{
		{"active", supervisor.Fault{Fired: 1}, true},
		{"of this bot", supervisor.Fault{Fired: 1, Bot: "test"}, true},
		{"of another", supervisor.Fault{Fired: 1, Bot: "other"}, false},
		{"hit nothing", supervisor.Fault{}, false},
		{"ended a minute ago", supervisor.Fault{Fired: 1, Ended: true, Until: time.Unix(-60, 0)}, true},
		{"ended long ago", supervisor.Fault{Fired: 1, Ended: true, Until: time.Unix(-600, 0)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *testWorld) {
				var mu sync.Mutex
				var faults []supervisor.Fault
				reg := prometheus.NewRegistry()
				w.reg = reg
				w.injected = func() []supervisor.Fault { mu.Lock(); defer mu.Unlock(); return faults }
				h, stop := w.proven(t, 10)
				before := map[string]int{supervisor.ByDrill: handovers(t, reg, supervisor.ByDrill), supervisor.ByAutomatic: handovers(t, reg, supervisor.ByAutomatic)}
				mu.Lock()
				f := c.fault
				f.Kind, f.By, f.Reason, f.Since = "net.refuse", "alice (pid 1)", "rehearsal", time.Now()
				if f.Ended {
					f.Until = time.Now().Add(time.Duration(f.Until.Unix()) * time.Second)
				} else {
					f.Until = time.Now().Add(time.Minute)
				}
				faults = []supervisor.Fault{f}
				mu.Unlock()
				from := time.Now()
				lease, err := h.faults.Inject(chaos.Spec{Kind: "net.refuse", For: time.Minute})
				must0(t, err)
				must0(t, h.await("polling", false, 10*time.Second))
				b := h.state(t)
				if by := b.LastHandover.By; (by == "drill") != c.drill {
					t.Errorf("the failover is %s", by)
				}
				says := slices.ContainsFunc(b.Warnings, func(x console.Warning) bool {
					return x.Code == string(warning.FaultActive) && strings.Contains(x.Text, "net.refuse until ") && strings.Contains(x.Text, "by alice (pid 1) (rehearsal)")
				})
				if says == f.Ended {
					t.Errorf("warned of the fault: %v; %+v", says, b.Warnings)
				}
				lease.End()
				mu.Lock()
				faults = nil
				mu.Unlock()
				must0(t, h.await("webhook", true, 2*time.Minute))
				if by := h.state(t).LastHandover.By; (by == "drill") != c.drill {
					t.Errorf("the failback is %s", by)
				}
				var state struct {
					Failovers []time.Time
					Drill     bool
				}
				l, err := h.store.Ledger(w.botID)
				must0(t, err)
				raw, err := l.Load("state")
				must0(t, err)
				must0(t, json.Unmarshal(raw, &state))
				by := map[bool]string{true: supervisor.ByDrill, false: supervisor.ByAutomatic}
				for doing, began := range before {
					want := 0
					if doing == by[c.drill] {
						want = 2
					}
					if n := handovers(t, reg, doing) - began; n != want {
						t.Errorf("the metric counts %d handovers by %s", n, doing)
					}
				}
				if counted := !state.Failovers[0].IsZero(); counted == c.drill {
					t.Errorf("counted: %v", counted)
				}
				for _, e := range w.story() {
					if e.Kind == supervisor.EventHandover && e.At.After(from) && e.Drill != c.drill {
						t.Errorf("journaled as %+v", e)
					}
				}
				w.settle(t, h, stop, from)
			})
		})
	}
}

// handovers is how many the metric counts of one's doing.
func handovers(t *testing.T, reg prometheus.Gatherer, by string) (n int) {
	t.Helper()
	families, err := reg.Gather()
	must0(t, err)
	for _, f := range families {
		if f.GetName() != "dualgram_handovers_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["by"] == by {
				n += int(m.GetCounter().GetValue())
			}
		}
	}
	return n
}

// TestNoteFault: what becomes of a fault is in the journal of each bot that it
// concerns, with who and why, and a reason can't carry a token into it.
func TestNoteFault(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		from := time.Now()
		must0(t, h.sup.NoteFault(t.Context(), supervisor.FaultNote{ID: 3, Kind: "tls.expired", Level: supervisor.FaultExpired, By: &alice,
			Reason: "with " + testToken, For: time.Minute, Fired: 7}))
		must0(t, h.sup.NoteFault(t.Context(), supervisor.FaultNote{Kind: "http.status", Bot: "another", Level: supervisor.FaultInjected}))
		got, err := h.sup.Events(t.Context(), console.EventsQuery{Kinds: []string{supervisor.EventFault}, Tail: true, Limit: 10})
		must0(t, err)
		if len(got.Events) != 1 || strings.Contains(string(got.Events[0].Data), testToken) {
			t.Fatalf("%+v", got)
		}
		var e supervisor.Event
		must0(t, json.Unmarshal(got.Events[0].Data, &e))
		if e.Fault != 3 || e.Name != "tls.expired" || e.Level != supervisor.FaultExpired || e.By == nil || *e.By != alice || e.Seconds != 60 || e.Count != 7 || e.Evidence == "" {
			t.Errorf("%+v", e)
		}
		w.settle(t, h, stop, from)
	})
}
