package supervisor

import (
	"path/filepath"
	"testing"
	"time"

	"dualgram/store"
	"dualgram/supervisor/failover"
)

// TestSkew tells what is made of the clocks, in steps of one answer of the Bot API
// each.
func TestSkew(t *testing.T) {
	const year = 365 * 24 * time.Hour
	type step struct {
		jump   time.Duration // of our wall clock, before the answer
		date   time.Duration // how far the answer's Date is from our clock
		skew   time.Duration // that is believed then
		agreed bool
	}
	for name, steps := range map[string][]step{
		"equal":                        {{0, 0, 0, false}, {0, time.Second, 0, true}, {0, -2 * time.Second, 0, true}},
		"ours is wrong from the start": {{0, -time.Hour, -time.Hour, false}, {0, -time.Hour, -time.Hour, true}},
		"one answer is wrong":          {{0, 0, 0, false}, {0, year, 0, false}, {0, 0, 0, false}, {0, 0, 0, true}},
		"every other answer is wrong":  {{0, 0, 0, false}, {0, year, 0, false}, {0, 0, 0, false}, {0, year, 0, false}, {0, 0, 0, false}},
		"theirs was set":               {{0, 0, 0, false}, {0, year, 0, false}, {0, year + time.Second, year + time.Second, true}},
		"ours was set":                 {{0, 0, 0, false}, {time.Hour, -time.Hour, -time.Hour, false}, {0, -time.Hour, -time.Hour, true}},
		"ours was set right":           {{0, -time.Hour, -time.Hour, false}, {-time.Hour, 0, 0, false}, {0, 0, 0, true}},
		"the host was suspended":       {{0, 0, 0, false}, {time.Hour, 0, 0, true}, {0, 0, 0, true}},
		"a slow drift":                 {{0, 0, 0, false}, {0, 4 * time.Second, 0, false}, {0, 4 * time.Second, 4 * time.Second, true}, {0, 6 * time.Second, 6 * time.Second, true}},
	} {
		t.Run(name, func(t *testing.T) {
			var c clockWatch
			now, wall := time.Unix(1000, 0), time.Unix(5000, 0)
			c.looked(now, wall)
			for i, s := range steps {
				now, wall = now.Add(2*time.Second), wall.Add(2*time.Second+s.jump)
				if got := c.looked(now, wall); got != s.jump {
					t.Errorf("step %d: jumped %v", i, got)
				}
				if agreed := c.answered(wall.Add(s.date), wall); agreed != s.agreed || c.skew != s.skew {
					t.Errorf("step %d: skew %v, agreed %v", i, c.skew, agreed)
				}
			}
		})
	}
}

// TestHoleTrip: what is learnt of a hole is learnt from a failover that was made
// for it, and from no other.
func TestHoleTrip(t *testing.T) {
	trip := func(signal string) failover.Event {
		return failover.Event{Kind: failover.Trip, At: time.Unix(100, 0), Cause: failover.Cause{Name: signal}}
	}
	st := store.Stats{Lost: 3, ExpiredSuspected: 1}
	var h holeTrip
	if h.began(trip(SignalStall), st); h != (holeTrip{}) {
		t.Errorf("for a stall: %+v", h)
	}
	want := holeTrip{time.Unix(100, 0), 4}
	if h.began(trip(SignalHole), st); h != want {
		t.Errorf("for a hole: %+v", h)
	}
	st.Lost = 9
	if h.began(failover.Event{Kind: failover.Tick}, st); h != want {
		t.Errorf("the way back: %+v", h)
	}
	if h.began(trip(SignalTLS), st); h != (holeTrip{}) {
		t.Errorf("for something else later: %+v", h)
	}
}

// TestHoleWithheld: a failover for a hole that is withheld leaves the hole's
// threshold alone, however much is lost until the next one.
func TestHoleWithheld(t *testing.T) {
	s, err := store.Open(store.Options{Path: filepath.Join(t.TempDir(), "x.db"), Holder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l, err := s.Ledger(1)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	limits := Thresholds{}.WithDefaults()
	b := &Bot{opt: BotOptions{Name: "x", Policy: failover.Policy{}.WithDefaults(), Thresholds: limits}, ledger: l, metrics: m.bot("x"),
		health: func() store.Health { return store.Health{OK: true} }, breaker: newStandbyBreaker(limits), fail: newFailRate(limits), work: make(chan job, 4),
		state: failover.State{Phase: failover.Webhook, Epoch: 3, Paused: true}}
	hole := Reading{Signal: SignalHole, Level: Tripped, Moves: true, Evidence: "update 5 is missing"}
	now := time.Now()
	if b.trip(t.Context(), now, hole); b.holeTrip != (holeTrip{}) || b.state.Phase != failover.Webhook || b.would == "" {
		t.Errorf("withheld: %+v, %v, %q", b.holeTrip, b.state.Phase, b.would)
	}
	b.state.Paused = false
	if b.trip(t.Context(), now, hole); !b.holeTrip.at.Equal(now) || b.state.Phase != failover.ToPolling {
		t.Errorf("carried out: %+v, %v", b.holeTrip, b.state.Phase)
	}
}
