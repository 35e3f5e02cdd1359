package failover

import (
	"fmt"
	"time"
)

// Constants of the procedure. Each one's reason stands with it.
const (
	// relapseWindow: a failover this soon after a passed trial means that the
	// proof was too weak, so the next hold-down is longer.
	relapseWindow = 10 * time.Minute
	// failoverWindow is the time over which MaxFailovers counts.
	failoverWindow = time.Hour
	// flushPatience: if the failback of a flush can't start within it, the flush
	// becomes a plain stay in polling.
	flushPatience = 30 * time.Second
	// lateWindow: Telegram answers a set or delete late at most by the time its
	// name look-up and its own restarts take; what shows up later is not ours.
	lateWindow = 60 * time.Second
	// reassertInterval: a webhook that vanishes more often than this is being
	// deleted by somebody.
	reassertInterval = time.Hour
	// pinnedReassert is the same for an operator who insists on the webhook.
	pinnedReassert = time.Minute
	// decayInterval is how long a proven webhook takes to earn back one relapse.
	decayInterval = time.Hour
	// retryMax bounds the pause between two attempts of one handover.
	retryMax = 5 * time.Second
	// jitterShare spreads the hold-downs of many hosts that failed together.
	jitterShare = 0.10
)

// FlushInterval is the least time between two flushes: a second stall within it is
// no longer our own back-off.
const FlushInterval = 2 * time.Minute

// Policy is the operator's choice of guards. The zero value of a field means
// its default.
type Policy struct {
	// HoldDown is the least time in polling before a failback; default 60 s. It
	// doubles with each relapse up to MaxHoldDown, and is varied by up to 10 %.
	HoldDown time.Duration
	// MaxHoldDown bounds the doubling; default 30 min. Equal to HoldDown means
	// no doubling.
	MaxHoldDown time.Duration
	// MaxFailovers is how many automatic failovers an hour may see; default 4,
	// at most 16. With the last of them failback is frozen until acknowledged.
	MaxFailovers int
	// DryRun decides and reports, but orders no automatic handover.
	DryRun bool
	// PollingOnly: the bot has no webhook of its own.
	PollingOnly bool
	// Seed makes the jitter of this bot differ from that of others.
	Seed uint64
}

// Default values of a [Policy].
const (
	DefaultHoldDown     = 60 * time.Second
	DefaultMaxHoldDown  = 30 * time.Minute
	DefaultMaxFailovers = 4
)

// WithDefaults returns the policy with its zero fields set.
func (p Policy) WithDefaults() Policy {
	if p.HoldDown == 0 {
		p.HoldDown = DefaultHoldDown
	}
	if p.MaxHoldDown == 0 {
		p.MaxHoldDown = max(DefaultMaxHoldDown, p.HoldDown)
	}
	if p.MaxFailovers == 0 {
		p.MaxFailovers = DefaultMaxFailovers
	}
	return p
}

// Validate reports the first value that makes no sense. It is meant for a
// policy with its defaults set.
func (p Policy) Validate() error {
	switch {
	case p.HoldDown < 0:
		return fmt.Errorf("failover: hold_down is negative: %v", p.HoldDown)
	case p.MaxHoldDown < p.HoldDown:
		return fmt.Errorf("failover: the longest hold-down (%v) is shorter than hold_down (%v)", p.MaxHoldDown, p.HoldDown)
	case p.MaxFailovers < 1 || p.MaxFailovers > failoverMemory:
		return fmt.Errorf("failover: automatic failovers an hour must be 1 to %d, not %d", failoverMemory, p.MaxFailovers)
	}
	return nil
}

// holdDown returns the length of the hold-down after the given number of
// relapses. The epoch varies it, so that a retry differs from the last one and
// a replay does not.
func (p Policy) holdDown(relapses int, epoch uint64) time.Duration {
	d := p.doubled(relapses)
	u := float64(mix(p.Seed^epoch)>>11) / (1 << 53) // [0, 1)
	return d + time.Duration(float64(d)*jitterShare*(2*u-1))
}

// doubled returns the hold-down after the given number of relapses, without
// jitter.
func (p Policy) doubled(relapses int) time.Duration {
	d := p.HoldDown
	for range relapses {
		if d >= p.MaxHoldDown {
			break
		}
		d *= 2
	}
	return min(d, p.MaxHoldDown)
}

// relapse lengthens the next hold-down. Beyond the longest one there is nothing
// to count: each count takes an hour to decay.
func (p Policy) relapse(s State, at time.Time) State {
	if p.doubled(s.Relapses) < p.MaxHoldDown {
		s.Relapses++
	}
	s.Decayed = at
	return s
}

// mix is the finalizer of splitmix64: near inputs give unrelated outputs.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// retryPause is the pause after the n-th failed attempt of a handover.
func retryPause(n int) time.Duration {
	d := 250 * time.Millisecond
	for i := 1; i < n && d < retryMax; i++ {
		d *= 2
	}
	return min(d, retryMax)
}

// Restore prepares a state that a previous process left for a new one. No job
// survives, and the world has to be read anew: [ClockJumped], which does the same
// without a restart, waits for the job that is under way. What was persisted as wall
// time is clamped, so that a clock that jumped can't hold a bot for longer than
// the guard's own length.
func (p Policy) Restore(s State, now time.Time) State {
	if s.Phase == ToWebhook {
		// Nobody heard the answer to that set: it may still happen.
		s.LateSetUntil = now.Add(lateWindow)
	}
	if s.Phase != Starting && s.Phase != Held { // Held keeps what was before it
		s.Resume = s.Phase
	}
	s.Epoch++ // what is still under way belongs to the past
	s.Phase, s.Since, s.Busy, s.Renews, s.Untried = Starting, now, false, false, false
	s.Fails, s.RetryAt = 0, time.Time{}
	return p.clamp(s, now)
}

// clamp bounds what is persisted as wall time by its guard's own length.
func (p Policy) clamp(s State, now time.Time) State {
	clamp := func(t time.Time, most time.Duration) time.Time {
		if t.After(now.Add(most)) {
			return now.Add(most)
		}
		return t
	}
	s.HoldUntil = clamp(s.HoldUntil, max(s.HoldDown, p.HoldDown))
	s.PinUntil = clamp(s.PinUntil, s.PinFor)
	s.PausedUntil = clamp(s.PausedUntil, s.PausedFor)
	s.LateSetUntil = clamp(s.LateSetUntil, lateWindow)
	s.Registered = clamp(s.Registered, 0)
	s.Passed = clamp(s.Passed, 0)
	s.LastFlush = clamp(s.LastFlush, 0)
	s.Reasserted = clamp(s.Reasserted, 0)
	s.Decayed = clamp(s.Decayed, 0)
	for i := range s.Failovers {
		s.Failovers[i] = clamp(s.Failovers[i], 0)
	}
	return s
}

// jumped reconciles after a jump of the wall clock. Who reads the world anyway,
// because nothing is decided yet or somebody else owns the updates, only has its
// times clamped.
func (p Policy) jumped(s State, now time.Time) State {
	switch {
	case s.Busy: // the job's result belongs to this epoch
		return s
	case s.Phase == Starting, s.Phase == Held:
		return p.clamp(s, now)
	}
	return p.Restore(s, now)
}
