package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"dualgram/store"
	"dualgram/supervisor/failover"
)

// saveDeadline bounds how long a decision waits for its own commit.
const saveDeadline = 2 * time.Second

// step applies an event that comes again by itself if its decision could not be
// saved; apply has logged that.
func (b *Bot) step(ctx context.Context, e failover.Event, onset ...time.Time) {
	_ = b.apply(ctx, e, nil, onset...)
}

// apply steps the state and does what comes of it. What a is not nil for is
// saved with the state, or alone if that stays as it is. onset is when what caused
// the event began, if that is known.
func (b *Bot) apply(ctx context.Context, e failover.Event, a *audit, onset ...time.Time) error {
	switch e.Kind {
	case failover.Trip, failover.SetFailed, failover.SetUnknown:
		e.Drill = b.drilled(e.At)
	}
	n, f := b.opt.Policy.Step(b.state, e)
	if f.Would != failover.NoJob {
		b.noteWould(ctx, e.At, f)
	}
	if f.Automatic && !b.asked(ctx, n, f) {
		return nil
	}
	var moved *Event
	if f.Moved {
		cause := n.Cause
		if e.Kind == failover.ClockJumped { // the state keeps what the boot table asks for
			cause = e.Cause
		}
		moved = &Event{At: e.At, Bot: b.opt.Name, Kind: EventPhase, Epoch: n.Epoch,
			From: b.state.Phase.String(), To: n.Phase.String(), Cause: cause.Name, Evidence: cause.Evidence, Drill: n.Drill}
	}
	if f.Persist || a != nil {
		err := b.save(ctx, n, a, moved)
		switch {
		case err == nil:
			b.dirty = false
		case result(e.Kind):
			// What has happened can't be undone by a full disk.
			b.dirty = true
		case a != nil:
			return err // whoever said it says it again
		case errors.Is(err, context.DeadlineExceeded) && n.Phase != failover.ToWebhook:
			// The disk is slow, not broken: what was handed to the ledger is written
			// before anything later is. A restart that does not know of it yet finds
			// the webhook as it was, or deleted, and makes the best of either.
			b.dirty = true
		default:
			// Nothing is begun that a restart would not know of. Whatever called
			// for it calls again.
			b.log.Warn().Err(err).Str("phase", n.Phase.String()).Msg("a decision could not be saved and waits")
			return err
		}
	}
	if a != nil {
		b.orders = a.orders
		b.emit(a.event)
	}
	b.enter(ctx, e, n, f, moved, onset)
	return nil
}

// result tells which events report what has already happened.
func result(k failover.Kind) bool {
	switch k {
	case failover.Polled, failover.PollFailed, failover.SetAcked, failover.SetFailed, failover.SetUnsent, failover.SetUnknown,
		failover.Refused, failover.PollerLost, failover.Proven:
		return true
	}
	return false
}

// enter makes n the state and starts what it calls for.
func (b *Bot) enter(ctx context.Context, e failover.Event, n failover.State, f failover.Effects, moved *Event, onset []time.Time) {
	old := b.state
	b.state = n
	if f.Persist {
		b.metrics.phase(n)
	}
	if moved != nil {
		b.emit(*moved)
	}
	switch {
	case n.Registered != old.Registered && n.Phase == failover.Webhook:
		b.registered(n)
	case e.Kind == failover.Proven && old.Trial && !n.Trial:
		b.record(ctx, Event{At: e.At, Bot: b.opt.Name, Kind: EventTrial, Epoch: n.Epoch,
			Count: b.arrived.count(), Seconds: e.At.Sub(n.Registered).Seconds()})
	}
	if n.Phase == failover.Held && old.Phase != failover.Held {
		b.record(ctx, Event{At: e.At, Bot: b.opt.Name, Kind: EventForeign, Epoch: n.Epoch, Cause: n.Cause.Name, Evidence: n.Cause.Evidence})
	}
	switch {
	case f.Job != failover.NoJob:
		if n.Epoch != old.Epoch {
			b.begin(e, old, n, onset)
			b.holeTrip.began(e, b.ledger.Stats())
		}
		if b.current != nil {
			b.current.Attempts++
		}
		b.order(ctx, b.job(f, n, old))
	case !n.Polls() && old.Polls():
		b.order(ctx, job{stop: true, epoch: n.Epoch})
	}
	b.finish(ctx, e, old, n)
	if moved != nil {
		b.info.soon = true // a new phase looks at the world anew
	}
	b.publish(e.At)
}

// job is the order for what a step asked for. Only a start that finds everything
// as a clean end left it may go on from a stored offset; after a change of mode or
// any doubt the first poll goes from the head.
func (b *Bot) job(f failover.Effects, n, old failover.State) job {
	j := job{kind: f.Job, epoch: n.Epoch, del: f.Delete}
	if old.Phase == failover.Starting && old.Resume == failover.Polling && f.Job == failover.JobToPolling && !f.Delete {
		if offset, ok := b.ledger.PollOffset(); ok {
			j.offset = offset
		}
	}
	return j
}

// persist writes the state.
func (b *Bot) persist(ctx context.Context, s failover.State) error {
	return b.save(ctx, s, nil, nil)
}

// save writes the state, the operator's word and the move that led to it, in one
// transaction.
func (b *Bot) save(ctx context.Context, s failover.State, a *audit, moved *Event) error {
	raw, err := encode(s)
	if err != nil {
		return err
	}
	values := map[string][]byte{keyState: raw}
	var events []Event
	if a != nil {
		if values[keyOrders], err = json.Marshal(a.orders); err != nil {
			return err
		}
		events = append(events, a.event)
	}
	if moved != nil {
		events = append(events, *moved)
	}
	var entries []store.Entry
	for _, e := range events {
		entry, err := e.entry()
		if err != nil {
			return err
		}
		entries = append(entries, entry)
	}
	ctx, cancel := context.WithTimeout(ctx, saveDeadline)
	defer cancel()
	return b.ledger.Save(ctx, values, entries...)
}
