package supervisor

import (
	"context"
	"time"

	"dualgram/supervisor/failover"
)

// trip says that a signal calls for a failover. It is repeated while that is so.
func (b *Bot) trip(ctx context.Context, now time.Time, r Reading) {
	b.step(ctx, failover.Event{
		Kind: failover.Trip, At: now, Epoch: b.state.Epoch,
		Cause:        failover.Cause{Name: r.Signal, Evidence: r.Evidence},
		Excused:      r.Excused,
		StoreFailing: b.storeBehind(now, r),
		Blind:        b.blind(),
	}, r.Since)
}

// storeCalm is how long the ledger must have been well for a flush to make sense:
// a disk that is nearly full takes a commit now and then.
const storeCalm = 10 * time.Second

// storeBehind tells whether what an excused reading sees is the ledger's doing.
// Where it refuses deliveries again soon after a flush, another round trip would
// bring nothing, and no fault of the path is to be seen. One that is only slow, or
// that Telegram is not backing off from any more, is behind nothing.
func (b *Bot) storeBehind(now time.Time, r Reading) bool {
	switch {
	case !b.health().OK:
		return true
	case !r.Excused || !b.arrived.backingOff(now):
		return false
	}
	return !b.storeBad.IsZero() && now.Sub(b.storeBad) < storeCalm || now.Sub(b.state.LastFlush) < failover.FlushInterval
}
