package failover

import (
	"testing"
	"time"
)

func TestTrialPassed(t *testing.T) {
	const s = time.Second
	at := func(d time.Duration) time.Time { return t0.Add(d) }
	for _, c := range []struct {
		name string
		now  time.Duration
		v    TrialView
		want bool
	}{
		{"nothing known", time.Hour, TrialView{}, false},
		{"traffic", 20 * s, TrialView{Deliveries: 1, Sampled: at(20 * s)}, true},
		{"traffic, backlog still draining", 20 * s, TrialView{Deliveries: 900, Pending: 50, Sampled: at(20 * s)}, true},
		{"traffic, too early", 20*s - 1, TrialView{Deliveries: 1, Sampled: at(20*s - 1)}, false},
		{"traffic, in doubt", time.Hour, TrialView{Deliveries: 1, Doubt: true, Sampled: at(time.Hour)}, false},
		{"traffic, clear since 10 s", 25 * s, TrialView{Deliveries: 1, ClearSince: at(15 * s), Sampled: at(25 * s)}, false},
		{"traffic, clear since 20 s", 35 * s, TrialView{Deliveries: 1, ClearSince: at(15 * s), Sampled: at(35 * s)}, true},
		{"traffic, clear since before", 20 * s, TrialView{Deliveries: 1, ClearSince: at(-s), Sampled: at(20 * s)}, true},
		{"traffic, never sampled", time.Hour, TrialView{Deliveries: 1}, false},
		{"traffic, sampled too early", time.Hour, TrialView{Deliveries: 1, Sampled: at(20*s - 1)}, false},
		{"quiet", 65 * s, TrialView{Sampled: at(65 * s)}, true},
		{"quiet, too early", 65*s - 1, TrialView{Sampled: at(65*s - 1)}, false},
		{"quiet, pending", time.Hour, TrialView{Pending: 1, Sampled: at(time.Hour)}, false},
		{"quiet, in doubt", time.Hour, TrialView{Doubt: true, Sampled: at(time.Hour)}, false},
		{"quiet, clear since 64 s", 70 * s, TrialView{ClearSince: at(6 * s), Sampled: at(70 * s)}, false},
		{"quiet, the Bot API silent since", time.Hour, TrialView{Sampled: at(60 * s)}, false},
		{"quiet, sampled before the set", time.Hour, TrialView{Sampled: at(-s)}, false},
	} {
		if got := TrialPassed(t0, t0.Add(c.now), c.v); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
