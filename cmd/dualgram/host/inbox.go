package host

import (
	"context"

	"dualgram/supervisor/console"
)

// inboxOf answers once the supervisor is there.
type inboxOf struct{ h *Host }

func inbox[T any](h *Host, f func(console.Inbox) (T, error)) (T, error) {
	if h.sup == nil {
		var none T
		return none, errStarting
	}
	return f(h.sup.Inbox())
}

func (i inboxOf) Lanes(ctx context.Context, bot string, limit int) (console.InboxLanes, error) {
	return inbox(i.h, func(x console.Inbox) (console.InboxLanes, error) { return x.Lanes(ctx, bot, limit) })
}

func (i inboxOf) Find(ctx context.Context, bot, id string) (console.Updates, error) {
	return inbox(i.h, func(x console.Inbox) (console.Updates, error) { return x.Find(ctx, bot, id) })
}

func (i inboxOf) Dead(ctx context.Context, bot, after string, limit int) (console.DeadLetters, error) {
	return inbox(i.h, func(x console.Inbox) (console.DeadLetters, error) { return x.Dead(ctx, bot, after, limit) })
}

func (i inboxOf) Quarantine(ctx context.Context, bot string, after uint64, limit int) (console.Quarantined, error) {
	return inbox(i.h, func(x console.Inbox) (console.Quarantined, error) { return x.Quarantine(ctx, bot, after, limit) })
}

func (i inboxOf) Settle(ctx context.Context, o console.SettleOrder) (console.Settled, error) {
	return inbox(i.h, func(x console.Inbox) (console.Settled, error) { return x.Settle(ctx, o) })
}

func (i inboxOf) Reveal(ctx context.Context, bot, id string, quarantine bool, by console.Caller, reason string) ([]byte, error) {
	return inbox(i.h, func(x console.Inbox) ([]byte, error) { return x.Reveal(ctx, bot, id, quarantine, by, reason) })
}
