package supervisor

import (
	"context"
	"time"

	"dualgram/supervisor/failover"
)

const (
	// wallJump is how far the wall clock may move against the monotonic one until
	// the world is read anew.
	wallJump = 5 * time.Second
	// skewNoise is what the Date header's resolution and the call's way may make
	// of two equal clocks.
	skewNoise = 2500 * time.Millisecond
)

// clockWatch is the loop's memory of the clocks.
type clockWatch struct {
	tick, wall time.Time     // of the last look, by either clock
	jump       time.Duration // of the wall clock, not reconciled yet

	skew  time.Duration // Telegram's clock minus ours
	heard time.Duration // the same, as the latest answer alone has it
	known bool          // there was one
}

// looked takes in one look at both clocks and returns by how much the wall clock
// has jumped, 0 if it has not.
func (c *clockWatch) looked(now, wall time.Time) (jump time.Duration) {
	if !c.tick.IsZero() {
		if d := wall.Sub(c.wall) - now.Sub(c.tick); d > wallJump || d < -wallJump {
			jump = d
			c.jump += d
			// If it was set, this is how far it is off now; if the host was suspended,
			// the next answer agrees with the one before that.
			c.skew -= d
		}
	}
	c.tick, c.wall = now, wall
	return jump
}

// answered takes in the Date of an answer that came at the given time. A Date that
// is far from what is known counts once the next one agrees: a single one may be
// a wrong server's, or a proxy's. It returns whether two answers in a row agree.
func (c *clockWatch) answered(date, got time.Time) (agreed bool) {
	d := date.Sub(got)
	if d.Abs() < skewNoise {
		d = 0
	}
	agreed = c.known && (d-c.heard).Abs() <= skewNoise
	if agreed || !c.known || (d-c.skew).Abs() <= skewNoise {
		c.skew = d
	}
	c.heard, c.known = d, true
	return agreed
}

// watchClock notices that the wall clock jumped, which happens when it is set and
// when the host was suspended. What was persisted is wall time, so everything is
// reconciled as at a start, once no job is under way.
func (b *Bot) watchClock(ctx context.Context, now time.Time) {
	if jump := b.clock.looked(now, b.opt.WallClock().Round(0)); jump != 0 {
		b.log.Warn().Dur("jump", jump).Msg("the wall clock jumped: everything is reconciled as at a start")
		b.info.soon = true
	}
	if b.clock.jump == 0 || b.state.Busy {
		return
	}
	if b.apply(ctx, failover.Event{Kind: failover.ClockJumped, At: now, Epoch: b.state.Epoch,
		Cause: failover.Cause{Name: failover.CauseClockJump, Evidence: b.clock.jump.Round(time.Second).String()}}, nil) == nil {
		b.clock.jump = 0
	}
}
