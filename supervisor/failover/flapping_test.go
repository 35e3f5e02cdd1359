package failover

import (
	"testing"
	"time"
)

// flapping is what an hour of a fault that comes and goes does to a bot.
type flapping struct {
	failovers int
	longest   time.Duration // without a working transport
	end       State
}

// simulate plays a fault which is on and off in turn. A signal needs detect to
// see it and is repeated while it holds; each job takes handover; the proof of
// a trial sees the same signal and deliveries while the path works.
func simulate(t *testing.T, p Policy, fault func(time.Duration) bool, length time.Duration) flapping {
	t.Helper()
	const (
		grain    = 250 * time.Millisecond
		detect   = 3 * time.Second
		handover = time.Second
	)
	var out flapping
	s := proven()
	job, jobEnds := NoJob, time.Time{}
	faultSince, clearSince, deafSince := time.Time{}, t0, time.Time{}
	step := func(e Event, at time.Time) {
		n, f := p.Step(s, fill(s, e, at))
		if f.Job != NoJob {
			job, jobEnds = f.Job, at.Add(handover)
		}
		if f.Automatic && f.Job == JobToPolling {
			out.failovers++
		}
		s = n
	}
	for at := t0; at.Before(t0.Add(length)); at = at.Add(grain) {
		broken := fault(at.Sub(t0))
		switch {
		case !broken:
			faultSince = time.Time{}
		case faultSince.IsZero():
			faultSince = at
		}
		// A fault is seen only where deliveries are attempted.
		from := faultSince
		if s.Phase == Webhook && s.Registered.After(from) {
			from = s.Registered
		}
		seen := broken && s.Phase == Webhook && at.Sub(from) >= detect
		if seen {
			clearSince = at
		}
		if job != NoJob && !at.Before(jobEnds) {
			done := result(Polled)
			if job == JobToWebhook { // a set succeeds whatever the path is like
				done = result(SetAcked)
			}
			job = NoJob
			step(done, at)
		}
		if seen {
			step(trip("fail_rate"), at)
		}
		if s.Trial && TrialPassed(s.Registered, at, TrialView{Deliveries: 1, Doubt: seen, ClearSince: clearSince, Sampled: at}) {
			step(result(Proven), at)
		}
		step(drained(), at)
		step(world(s.owner()), at)
		switch working := s.Phase == Polling || s.Phase == Webhook && !broken; {
		case working:
			deafSince = time.Time{}
		case deafSince.IsZero():
			deafSince = at
		default:
			out.longest = max(out.longest, at.Sub(deafSince))
		}
	}
	out.end = s
	return out
}

// owner is what getWebhookInfo shows if all went as ordered.
func (s State) owner() Owner {
	if s.Phase == Webhook {
		return Ours
	}
	return Nobody
}

func TestFlapping(t *testing.T) {
	for _, c := range []struct{ on, off time.Duration }{
		{20 * time.Second, 20 * time.Second},
		{4 * time.Second, 4 * time.Second},
		{5 * time.Second, 55 * time.Second},
		{20 * time.Second, 2 * time.Minute},
		{time.Minute, 10 * time.Minute},
		{30 * time.Minute, 30 * time.Minute},
	} {
		got := simulate(t, defaults, func(since time.Duration) bool { return since%(c.on+c.off) < c.on }, time.Hour)
		t.Logf("%v on, %v off: %d failovers, %d relapses, frozen %v, ends in %v, longest gap %v",
			c.on, c.off, got.failovers, got.end.Relapses, got.end.Frozen, got.end.Phase, got.longest)
		if got.failovers > defaults.MaxFailovers || got.failovers == 0 {
			t.Errorf("%v on, %v off: %d failovers", c.on, c.off, got.failovers)
		}
		if got.end.Phase != Polling && got.end.Phase != Webhook {
			t.Errorf("%v on, %v off: ends in %v", c.on, c.off, got.end.Phase)
		}
		if got.longest > 5*time.Second {
			t.Errorf("%v on, %v off: deaf for %v", c.on, c.off, got.longest)
		}
	}
}

func TestFaultThatStays(t *testing.T) {
	got := simulate(t, defaults, func(time.Duration) bool { return true }, 24*time.Hour)
	if got.failovers != 4 || !got.end.Frozen || got.end.Phase != Polling || got.longest > 5*time.Second {
		t.Errorf("%d failovers, frozen %v, ends in %v, longest gap %v", got.failovers, got.end.Frozen, got.end.Phase, got.longest)
	}
	p := defaults
	p.MaxFailovers = failoverMemory
	got = simulate(t, p, func(time.Duration) bool { return true }, 24*time.Hour)
	// Five hold-downs of 1 to 16 min, then one each half hour.
	if got.end.Frozen || got.end.Relapses != 5 || got.failovers < 48 || got.failovers > 60 {
		t.Errorf("%d failovers, %d relapses, frozen %v", got.failovers, got.end.Relapses, got.end.Frozen)
	}
	healthy := simulate(t, defaults, func(time.Duration) bool { return false }, time.Hour)
	if healthy.failovers != 0 || healthy.end.Phase != Webhook || healthy.longest != 0 {
		t.Errorf("%+v", healthy)
	}
}
