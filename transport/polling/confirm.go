package polling

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dualgram/transport"
	"dualgram/transport/botapi"
)

// ConfirmResult says what Confirm did.
type ConfirmResult struct {
	// Offset was sent, or would have been; 0 if there was none.
	Offset int64
	// Skipped says why no call was made: "nothing committed", "already
	// confirmed", "offset in doubt"; empty if one was made.
	Skipped string
	// Confirmed: the Bot API answered a call with this offset, now or before.
	// If it is false after an error, the call may have confirmed all the same;
	// what it didn't comes again.
	Confirmed bool
	// Committed: the page that the call returned is held by the sink. It is not
	// confirmed and comes again.
	Committed bool
	Elements  int
	New       int
	Duration  time.Duration
	// Date is the Bot API's clock at the answer; zero if there was none.
	Date time.Time
}

// Confirm makes one last call after Run has returned, so that what was
// committed but not yet confirmed doesn't come again by the webhook. It takes
// at most 4 s, and is skipped if there is nothing to confirm. An error means
// duplicates, nothing worse.
func (p *Poller) Confirm(ctx context.Context) (ConfirmResult, error) {
	p.mu.Lock()
	if p.busy {
		p.mu.Unlock()
		return ConfirmResult{}, ErrRunning
	}
	pos := p.pos
	res := ConfirmResult{Offset: pos.next}
	switch {
	case pos.next == 0:
		res.Skipped = "nothing committed"
	case pos.proven:
		res.Skipped, res.Confirmed = "already confirmed", true
	case pos.doubt:
		res.Skipped = "offset in doubt"
	}
	if res.Skipped != "" {
		p.mu.Unlock()
		return res, nil
	}
	p.busy = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.busy = false
		p.pos.proven = res.Confirmed
		p.mu.Unlock()
	}()

	ctx, cancel := context.WithTimeout(ctx, confirmDeadline)
	defer cancel()
	if err := p.o.Hook.At(ctx, "confirm-sent"); err != nil {
		return res, err
	}
	start := time.Now()
	q := botapi.GetUpdates{Offset: pos.next, Limit: pos.limit, AllowedUpdates: p.o.AllowedUpdates}
	got, err := p.o.API.GetUpdates(ctx, q)
	res.Duration, res.Date = time.Since(start), got.Date
	e := Event{Offset: q.Offset, Limit: q.Limit, Duration: res.Duration, Date: got.Date}
	if err != nil {
		p.emitFailed(e, err)
		return res, fmt.Errorf("polling: confirm: %w", err)
	}
	res.Confirmed, res.Elements = true, len(got.Elements)
	e.At, e.Kind = time.Now(), EventConfirmed
	p.o.Observe(e)
	if res.Elements == 0 {
		return res, nil
	}
	receipt, err := p.take(ctx, EventCommitted, e, got)
	if err != nil {
		return res, fmt.Errorf("polling: confirm: commit: %w", err)
	}
	res.Committed, res.New = true, receipt.Count(transport.StatusNew)
	return res, nil
}

// Standby checks, while the webhook is in charge, that polling would work: it
// polls without an offset over the poller's own connections and expects to be
// refused because a webhook is active. A refused call confirms nothing. It
// returns nil for that refusal, [ErrNoWebhook] if it was answered with a page
// after all (which is committed, not confirmed, and reported), [ErrRunning] if
// Run runs or begins meanwhile, or the call's error.
func (p *Poller) Standby(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.mu.Lock()
	if p.busy || p.cancelStandby != nil {
		p.mu.Unlock()
		return ErrRunning
	}
	p.cancelStandby = cancel
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.cancelStandby = nil
		p.mu.Unlock()
	}()

	limited, stop := context.WithTimeout(ctx, p.o.DrainDeadline)
	defer stop()
	start := time.Now()
	q := botapi.GetUpdates{Limit: maxLimit}
	got, err := p.o.API.GetUpdates(limited, q)
	if err != nil {
		var api *botapi.Error
		switch {
		case errors.As(err, &api) && api.Conflict == botapi.ConflictWebhookActive:
			return nil
		case errors.Is(context.Cause(ctx), ErrRunning):
			return ErrRunning
		}
		return fmt.Errorf("polling: standby: %w", err)
	}
	e := Event{Limit: q.Limit, Duration: time.Since(start), Date: got.Date}
	if _, err := p.take(ctx, EventStandbyPage, e, got); err != nil {
		return fmt.Errorf("polling: standby: %w: commit: %w", ErrNoWebhook, err)
	}
	return fmt.Errorf("polling: standby: %w", ErrNoWebhook)
}

// take commits a page outside of Run and reports it as kind.
func (p *Poller) take(ctx context.Context, kind EventKind, e Event, got botapi.Page) (transport.Receipt, error) {
	pg := scanPage(got, e.Offset, time.Now(), nil)
	e.Elements, e.Size, e.Next = len(got.Elements), got.Size, pg.batch.Page.Next
	start := time.Now()
	var receipt transport.Receipt
	var err error
	if e.Elements > 0 {
		receipt, err = p.accept(ctx, pg.batch)
		e.Duration = time.Since(start)
	}
	e.Kind, e.At = kind, time.Now()
	if err != nil {
		e.Kind, e.Err = EventStoreFailed, err
	} else {
		e.count(receipt)
	}
	p.o.Observe(e)
	return receipt, err
}

func (p *Poller) emitFailed(e Event, err error) {
	e.Kind, e.At, e.Err, e.ErrorKind = EventError, time.Now(), err, botapi.KindOf(err)
	var api *botapi.Error
	if errors.As(err, &api) && api.Conflict != "" {
		e.Kind, e.Conflict = EventConflict, api.Conflict
	}
	p.o.Observe(e)
}
