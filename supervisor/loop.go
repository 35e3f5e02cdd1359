package supervisor

import (
	"context"
	"fmt"
	"time"

	"dualgram/supervisor/failover"
)

// tickEvery is how often everything is judged, traffic or not.
const tickEvery = 250 * time.Millisecond

// run supervises until the context ends. The webhook stays registered.
func (b *Bot) run(ctx context.Context) error {
	// The worker and the calls end with this context; a handover under way is
	// broken off at its next step and reconciled by the next start.
	ctx, cancel := context.WithCancel(ctx)
	worker := make(chan struct{})
	go func() {
		defer close(worker)
		b.worker(ctx)
	}()
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	b.tick(ctx, time.Now())
	for ctx.Err() == nil {
		select {
		case f := <-b.posts:
			f()
		case <-ticker.C:
			// Not the tick's own time: the loop may have waited for the disk.
			b.tick(ctx, time.Now())
		case <-ctx.Done():
		}
	}
	cancel()
	<-worker
	b.calls.Wait()
	if b.opt.DeleteOnStop && b.state.Phase == failover.Webhook {
		b.deleteOnStop(context.WithoutCancel(ctx))
	}
	if b.dirty {
		last, done := context.WithTimeout(context.WithoutCancel(ctx), saveDeadline)
		defer done()
		if err := b.persist(last, b.state); err != nil {
			return fmt.Errorf("supervisor: bot %s: the last state could not be saved: %w", b.opt.Name, err)
		}
	}
	return nil
}

// deleteOnStop takes the webhook away for an operator who wants that. The next
// start is then like the first one.
func (b *Bot) deleteOnStop(ctx context.Context) {
	c, cancel := context.WithTimeout(ctx, 2*deleteDeadline)
	defer cancel()
	if _, err := b.opt.API.DeleteWebhook(c, false); err != nil {
		b.log.Error().Err(err).Msg("the webhook could not be deleted at the stop and stays registered")
		return
	}
	b.state.Phase, b.state.Resume, b.state.Intent = failover.Starting, failover.Starting, failover.ModeNone
	b.dirty = true
}

// tick judges everything once.
func (b *Bot) tick(ctx context.Context, now time.Time) {
	b.watchClock(ctx, now)
	b.withheld = false
	b.askInfo(ctx, now)
	b.askStandby(ctx, now)
	b.askProbe(ctx, now)
	b.detect(now)
	b.watchPoll(ctx, now)
	if b.state.Phase == failover.Webhook {
		b.judgeTrial(ctx, now)
		if r, ok := tripped(b.readings); ok {
			b.trip(ctx, now, r)
		}
	}
	b.firstUpdates(ctx)
	b.watchMigration(ctx, now)
	b.watchSecret(ctx, now)
	ready, why := b.ready()
	b.step(ctx, failover.Event{Kind: failover.Tick, At: now, Ready: ready, NotReady: why, Drained: b.drained()})
	if b.dirty {
		if err := b.persist(ctx, b.state); err == nil {
			b.dirty = false
		}
	}
	if !b.withheld {
		b.would = "" // what comes again later is news again
	}
	b.watchLoss(ctx, now)
	b.metrics.standby(!b.blind() && b.info.standbyErr == nil)
	b.publish(now)
}
