package dispatch

import (
	"testing"
	"time"

	"dualgram/transport/delivery"
)

// step is one thing that happens to the bot.
type step struct {
	after time.Duration
	id    int64
	kind  delivery.Kind // "" is taken
	times int           // how often, each after the pause; 0 is once
}

func TestBurial(t *testing.T) {
	const s, m = time.Second, time.Minute
	status, refused := delivery.KindStatus, delivery.KindRefused
	for name, c := range map[string]struct {
		max    int // attempts, 8 if 0
		after  time.Duration
		steps  [][]step // each round repeated
		rounds int
		buried int // in which round update 1 is buried; 0 never
	}{
		"alone, others taken meanwhile": {rounds: 20, buried: 11,
			steps: [][]step{{{1 * m, 1, status, 0}, {0, 2, "", 0}}}},
		"alone, but for a short time: attempts are enough, time is not": {rounds: 100, buried: 61,
			steps: [][]step{{{10 * s, 1, status, 0}, {0, 2, "", 0}}}},
		"alone for long, but few attempts": {rounds: 7,
			steps: [][]step{{{10 * m, 1, status, 0}, {0, 2, "", 0}}}},
		"attempts in a long time": {rounds: 8, buried: 8,
			steps: [][]step{{{10 * m, 1, status, 0}, {0, 2, "", 0}}}},
		"nobody else is taken": {rounds: 1500,
			steps: [][]step{{{1 * m, 1, status, 0}}}},
		"others were taken once, then all fail": {rounds: 1500,
			steps: [][]step{{{1 * m, 1, status, 0}}, {{1 * m, 2, "", 0}}}},
		"all fail": {rounds: 1500,
			steps: [][]step{{{1 * m, 1, status, 0}, {0, 2, status, 0}, {0, 3, status, 0}}}},
		"most fail at their first attempt": {rounds: 200,
			steps: [][]step{{{1 * m, 1, status, 0}, {0, -1, status, 2}, {0, 2, "", 0}}}},
		"half fail at their first attempt": {rounds: 20, buried: 11,
			steps: [][]step{{{1 * m, 1, status, 0}, {0, -1, status, 1}, {0, 2, "", 0}}}},
		"alone half of the time, but most fail on the whole": {rounds: 200,
			steps: [][]step{{{1 * m, 1, status, 0}, {0, 2, "", 0}, {1 * m, 1, status, 0}, {0, -1, status, 2}}}},
		"a long pause adds two minutes at most": {rounds: 100, buried: 50,
			steps: [][]step{{{1 * s, 1, status, 0}, {0, 2, "", 0}}, {{9 * time.Hour, 1, status, 0}, {0, 2, "", 0}}, {{10 * s, 1, status, 0}, {0, 2, "", 0}}}},
		"no update can refuse a connection": {rounds: 200,
			steps: [][]step{{{1 * m, 1, refused, 0}, {0, 2, "", 0}}}},
		"one attempt allowed, nobody taken":  {max: 1, after: 1, rounds: 100, steps: [][]step{{{1 * m, 1, status, 0}}}},
		"one attempt allowed, others taken":  {max: 1, after: 1, rounds: 9, buried: 2, steps: [][]step{{{1 * m, 1, status, 0}, {0, 2, "", 0}}}},
		"three attempts allowed, no waiting": {max: 3, after: 1, rounds: 9, buried: 3, steps: [][]step{{{1 * s, 1, status, 0}, {0, 2, "", 0}}}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.max == 0 {
				c.max = 8
			}
			if c.after == 0 {
				c.after = 10 * m
			}
			j := newJudge(64, c.max, c.after)
			now, fresh, attempts := time.Unix(1e9, 0), int64(1000), map[int64]int{}
			for round := 1; round <= c.rounds; round++ {
				for _, st := range c.steps[min(round, len(c.steps))-1] {
					for range max(st.times, 1) {
						now = now.Add(st.after)
						id := st.id
						if id < 0 { // a new one each time
							fresh++
							id = fresh
						}
						if st.kind == "" {
							j.took(ref(id), 0, now)
							continue
						}
						v := j.failed(ref(id), attempts[id], regular, st.kind, now, 0.5)
						attempts[id]++
						if v.bury && id != 1 {
							t.Fatalf("round %d: %d buried", round, id)
						}
						if v.bury && round != c.buried {
							t.Fatalf("buried in round %d, want %d", round, c.buried)
						}
						if v.bury {
							return
						}
					}
				}
			}
			if c.buried != 0 {
				t.Fatalf("not buried in %d rounds", c.rounds)
			}
		})
	}
}

// An outage adds to nobody's time alone, whatever was taken before and after.
func TestBurialAcrossOutage(t *testing.T) {
	j := newJudge(64, 8, 10*time.Minute)
	now := time.Unix(1e9, 0)
	n := 0
	fail := func(id int64) bool {
		n++
		return j.failed(ref(id), n, regular, delivery.KindStatus, now, 0.5).bury
	}
	for range 6 { // alone for five minutes
		now = now.Add(time.Minute)
		if fail(1) {
			t.Fatal("buried too early")
		}
		j.took(ref(2), 0, now)
	}
	for range 24 * 60 { // down for a day
		now = now.Add(time.Minute)
		if fail(1) || fail(3) || fail(4) || fail(5) {
			t.Fatal("buried in an outage")
		}
	}
	if !j.down() {
		t.Fatal("not down")
	}
	alone := 0
	for {
		now = now.Add(time.Minute)
		j.took(ref(2), 0, now)
		if fail(1) {
			break
		}
		alone++
	}
	if alone < 3 || alone > 6 {
		t.Errorf("buried after %d more failures", alone)
	}
}

func TestDown(t *testing.T) {
	status, refused, timeout := delivery.KindStatus, delivery.KindRefused, delivery.KindTimeout
	for name, c := range map[string]struct {
		steps []step
		down  bool
		since int // the step with the first failure of the outage
	}{
		"one update, again and again":   {steps: []step{{1, 1, status, 50}}},
		"two updates":                   {steps: []step{{1, 1, status, 20}, {1, 2, timeout, 20}}},
		"three updates":                 {steps: []step{{1, 1, status, 0}, {1, 2, status, 0}, {1, 3, status, 0}}, down: true},
		"three, one taken between":      {steps: []step{{1, 1, status, 0}, {1, 2, status, 0}, {1, 4, "", 0}, {1, 3, status, 0}}},
		"three that fail alone":         {steps: []step{{1, 1, status, 0}, {1, 2, status, 0}, {1, 9, "", 0}, {1, 1, status, 0}, {1, 9, "", 0}, {1, 2, status, 0}, {1, 3, status, 0}, {1, 1, status, 9}}},
		"one refused three times":       {steps: []step{{1, 1, refused, 3}}, down: true},
		"one refused twice":             {steps: []step{{1, 1, refused, 2}}},
		"refused, but not in a row":     {steps: []step{{1, 1, refused, 2}, {1, 1, status, 0}, {1, 1, refused, 2}}},
		"down, then taken":              {steps: []step{{1, 1, refused, 5}, {1, 1, "", 0}}},
		"down, up, and down once more":  {steps: []step{{1, 1, refused, 5}, {1, 1, "", 0}, {1, 2, refused, 3}}, down: true, since: 2},
		"taken long ago, then all fail": {steps: []step{{1, 9, "", 0}, {time.Second, 1, status, 0}, {1, 2, status, 0}, {time.Second, 3, status, 0}}, down: true, since: 1},
		"taken just now, then all fail": {steps: []step{{1, 9, "", 0}, {time.Second, 1, status, 0}, {1, 2, status, 0}, {1, 3, status, 99}}},
		"as many as there are lanes":    {steps: []step{{1, 999, "", 0}, {1, -1, status, 64}}, down: true, since: 1},
		"not quite as many":             {steps: []step{{1, 999, "", 0}, {1, -1, status, 63}}},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJudge(64, 8, time.Minute)
			now, since := time.Unix(1e9, 0), time.Time{}
			for i, st := range c.steps {
				for n := range max(st.times, 1) {
					now = now.Add(st.after)
					if c.down && i == c.since && n == 0 {
						since = now
					}
					if st.kind == "" {
						down := j.down()
						if j.took(ref(st.id), 0, now) != down {
							t.Error("took does not tell the end of the outage")
						}
						continue
					}
					id := st.id
					if id < 0 { // a new one each time
						id = 100 + int64(n)
					}
					j.failed(ref(id), n, regular, st.kind, now, 0.5)
				}
			}
			if j.down() != c.down || !j.downSince.Equal(since) {
				t.Fatalf("down %v since %v, want %v since %v", j.down(), j.downSince, c.down, since)
			}
		})
	}
}

func TestPauses(t *testing.T) {
	j := newJudge(64, 8, time.Hour)
	now := time.Unix(1e9, 0)
	for i, want := range []time.Duration{500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000} {
		if got := j.failed(ref(1), i, regular, delivery.KindStatus, now, 0.5).pause; got != want*time.Millisecond {
			t.Errorf("pause %d is %s", i+1, got)
		}
	}
	// The count goes on across a restart.
	if got := newJudge(64, 8, time.Hour).failed(ref(1), 3, regular, delivery.KindStatus, now, 0.5).pause; got != 4*time.Second {
		t.Errorf("after a restart %s", got)
	}
	for r, want := range map[float64]time.Duration{0: 800, 0.5: 1000, 0.999: 1199} {
		if got := spread(time.Second, r).Truncate(time.Millisecond); got != want*time.Millisecond {
			t.Errorf("jitter %v: %s", r, got)
		}
	}
}

// In an outage the pauses between probes grow, and each update that failed
// waits for its turn among the others.
func TestPausesOfAnOutage(t *testing.T) {
	j := newJudge(64, 8, time.Hour)
	now := time.Unix(1e9, 0)
	for id := range int64(64) { // in flight when it began
		j.failed(ref(id), 0, regular, delivery.KindRefused, now, 0.5)
	}
	if !j.down() || j.pauses[freshProbe] != minBackoff || j.pauses[againProbe] != minBackoff {
		t.Fatalf("down %v, pauses %v", j.down(), j.pauses)
	}
	if j.classOf(ref(99)) != freshProbe || j.classOf(ref(60)) != againProbe || !j.failedInOutage(ref(60)) {
		t.Error("which updates failed in this outage")
	}
	for i, want := range []time.Duration{1, 2, 4, 8, 15, 15} {
		j.failed(ref(100+int64(i)), 0, freshProbe, delivery.KindRefused, now, 0.5)
		if got := j.pauses[freshProbe]; got != want*time.Second {
			t.Errorf("probe %d: %s", i, got)
		}
	}
	if j.pauses[againProbe] != minBackoff {
		t.Error("one kind of probe slows down the other")
	}
	for range 10 {
		j.failed(ref(60), 1, againProbe, delivery.KindRefused, now, 0.5)
	}
	if got := j.failed(ref(60), 11, againProbe, delivery.KindRefused, now, 0.5).pause; got < 2*64*maxProbe || got > 2*72*maxProbe {
		t.Errorf("turn after %s", got)
	}
	for id := range int64(1000) {
		j.failed(ref(1000+id), 0, freshProbe, delivery.KindRefused, now, 0.5)
	}
	if got := j.failed(ref(60), 12, againProbe, delivery.KindRefused, now, 1).pause; got > lift {
		t.Errorf("held for %s, longer than can be lifted", got)
	}
}
