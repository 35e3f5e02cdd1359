package supervisor

import (
	"context"
	"time"

	"dualgram/supervisor/dispatch"
	"dualgram/transport"
)

// Accept implements [transport.Sink] for both of the bot's transports: what the
// ledger has committed is counted, and nothing else is in the way.
func (b *Bot) Accept(ctx context.Context, batch transport.Batch) (transport.Receipt, error) {
	r, err := b.ledger.Accept(ctx, batch)
	if err != nil {
		return r, err
	}
	now := time.Now()
	b.metrics.accepted(batch.Source, r, now)
	if fresh := len(r.Items) - r.Count(transport.StatusDuplicate); fresh > 0 {
		b.arrived.took(batch.Source, now)
		b.counts.add(batch.Source, fresh, now)
	}
	return r, nil
}

// delivered takes in what became of one delivery to the bot. It says nothing
// about the path to Telegram, so it moves nothing.
func (b *Bot) delivered(o dispatch.Outcome) {
	b.metrics.delivered(o)
	if o.Result == dispatch.Taken {
		return
	}
	b.log.Warn().Err(o.Err).Int64("update_id", o.Ref.ID).Int("attempt", o.Attempt).Str("result", string(o.Result)).
		Msg("the bot did not take an update")
}
