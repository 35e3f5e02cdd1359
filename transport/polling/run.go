package polling

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"dualgram/transport"
	"dualgram/transport/botapi"
)

const (
	// resetAfter network errors in a row the connections are thrown away.
	resetAfter = 2
	// shrinkAfter pages that didn't arrive the limit is halved.
	shrinkAfter = 2
	// growAfter good pages a lowered limit is doubled.
	growAfter = 2
	// foreignQuiet without a conflict, another poller counts as gone; a poll
	// that stayed parked for foreignParked proves it sooner.
	foreignQuiet  = time.Minute
	foreignParked = 3 * time.Second
	// maxSteps pages without a readable id are stepped over one by one before
	// the queue is looked at from the head again.
	maxSteps = 10
)

// run is the state of one Run. It belongs to Run's goroutine.
type run struct {
	p     *Poller
	ctx   context.Context
	early time.Time // EarlyPoll counts from here

	offset   int64 // of the next call; 0: from the head
	last     int64 // confirms the last committed page; 0: none yet
	proven   bool  // a call with offset last was answered
	doubt    bool  // last may be wrong
	hooked   int64 // the offset for which confirm-sent was called
	steps    int
	draining bool
	called   bool // a call was made
	first    bool
	held     map[[sha256.Size]byte]bool

	limit     int
	badPages  int
	goodPages int

	errs, netErrs, timeouts, storeErrs, conflicts, stuck int

	foreignFirst, foreignLast time.Time
}

func (r *run) loop() error {
	for {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if err := r.step(); err != nil {
			return err
		}
	}
}

// step is one call and what follows from it, including the pause.
func (r *run) step() error {
	if r.offset > 0 && r.offset != r.hooked {
		if err := r.p.o.Hook.At(r.ctx, "confirm-sent"); err != nil {
			return err
		}
		r.hooked = r.offset
	}
	q := botapi.GetUpdates{Offset: r.offset, Limit: r.limit, Timeout: r.timeout(), AllowedUpdates: r.p.o.AllowedUpdates}
	e := Event{Offset: q.Offset, Timeout: q.Timeout, Limit: q.Limit}
	got, took, kicked, err := r.call(q)
	e.Duration, e.Date, e.Elements, e.Size = took, got.Date, len(got.Elements), got.Size
	if err != nil {
		if r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		if kicked {
			r.early = time.Now()
			return nil
		}
		return r.failed(e, err)
	}
	r.answered(q, e)
	if len(got.Elements) == 0 {
		r.good()
		if r.draining {
			r.draining = false
			r.p.update(func(g *Progress) { g.Draining = false })
			r.emit(EventDrained, e)
		}
		return nil
	}
	pg := scanPage(got, q.Offset, time.Now(), r.held)
	e.Next, e.First = pg.batch.Page.Next, r.first
	r.emit(EventFetched, e)
	if err := r.p.o.Hook.At(r.ctx, "page-fetched"); err != nil {
		return err
	}
	return r.commit(e, pg)
}

// timeout of the next call.
func (r *run) timeout() time.Duration {
	switch {
	case r.draining:
		return 0
	case time.Since(r.early) < r.p.o.EarlyFor:
		return r.p.o.EarlyPoll
	}
	return r.p.o.LongPoll
}

func (r *run) call(q botapi.GetUpdates) (page botapi.Page, took time.Duration, kicked bool, err error) {
	ctx, cancel := context.WithCancelCause(r.ctx)
	defer cancel(nil)
	deadline := q.Timeout + r.p.o.Slack
	if q.Timeout == 0 && r.timeouts < resetAfter {
		// After timeouts in a row it may be a slow line: then the full slack.
		deadline = r.p.o.DrainDeadline
		if !r.called {
			deadline = firstDeadline
		}
	}
	r.called = true
	select {
	case <-r.p.kick: // it came outside a pause; this call is what it wants
	default:
	}
	start := time.Now()
	r.p.mu.Lock()
	r.p.cancelCall = cancel
	r.p.prog.Calls++
	r.p.prog.CallStarted, r.p.prog.CallTimeout, r.p.prog.Offset = start, q.Timeout, q.Offset
	r.p.mu.Unlock()

	limited, stop := context.WithTimeout(ctx, deadline)
	page, err = r.p.o.API.GetUpdates(limited, q)
	stop()

	end := time.Now()
	r.p.mu.Lock()
	r.p.cancelCall = nil
	r.p.prog.CallStarted, r.p.prog.CallTimeout = time.Time{}, 0
	r.p.prog.Err = err
	if err == nil {
		r.p.prog.LastCompleted = end
	}
	r.p.mu.Unlock()
	return page, end.Sub(start), errors.Is(context.Cause(ctx), errKicked), err
}

// answered is for every page, empty or not.
func (r *run) answered(q botapi.GetUpdates, e Event) {
	r.netErrs, r.timeouts = 0, 0
	if q.Offset > 0 || e.Elements == 0 {
		// Not for a page from the head: if it is each confirming call that
		// fails, such pages come in between for ever.
		r.errs = 0
	}
	if q.Offset > 0 && q.Offset == r.last && !r.proven {
		r.proven = true
		r.emit(EventConfirmed, e)
	}
	if r.foreignFirst.IsZero() {
		r.conflicts = 0
	} else if q.Timeout > 0 && e.Duration >= foreignParked || time.Since(r.foreignLast) >= foreignQuiet {
		e.ForeignFirst, e.ForeignLast = r.foreignFirst, r.foreignLast
		r.foreignFirst, r.conflicts = time.Time{}, 0
		r.p.update(func(g *Progress) { g.ForeignSince = time.Time{} })
		r.emit(EventForeignGone, e)
	}
}

// commit hands the page to the sink and moves the offset. Until the sink has
// returned nil nothing of r changes that an offset is made of.
func (r *run) commit(e Event, pg page) error {
	start := time.Now()
	var receipt transport.Receipt
	if len(pg.batch.Updates) > 0 {
		var err error
		if receipt, err = r.p.accept(r.ctx, pg.batch); err != nil {
			if r.ctx.Err() != nil {
				return r.ctx.Err()
			}
			b := backoff{firstWait, r.p.o.StoreMaxWait, r.storeErrs}
			e.Err, e.Wait, e.Duration = err, b.next(), time.Since(start)
			r.storeErrs++
			r.p.update(func(g *Progress) { g.Err = err })
			r.emit(EventStoreFailed, e)
			return r.pause(e.Wait, true)
		}
	}
	now := time.Now()
	e.Duration = now.Sub(start)
	e.count(receipt)
	if e.New > 0 {
		r.errs = 0
	}
	r.storeErrs, r.first, r.held = 0, false, pg.nameless
	moved := r.move(e.Offset, pg, receipt)
	r.p.update(func(g *Progress) { g.Pages, g.LastUpdate, g.Offset = g.Pages+1, now, r.offset })
	r.good()
	r.emit(EventCommitted, e)
	if err := r.p.o.Hook.At(r.ctx, "page-committed"); err != nil {
		return err
	}
	if moved {
		r.stuck = 0
		return nil
	}
	b := backoff{firstWait, r.p.o.StoreMaxWait, r.stuck}
	r.stuck++
	e.Wait = b.next()
	r.emit(EventStuck, e)
	return r.pause(e.Wait, true)
}

// move sets the offset of the next call after a committed page that was asked
// for with offset sent. It returns false if polling on at once could spin.
func (r *run) move(sent int64, pg page, receipt transport.Receipt) bool {
	switch {
	case pg.next == 0 && sent > 0 && r.steps < maxSteps:
		// What came for offset N has ids of at least N. See the package doc.
		r.steps++
		r.offset = sent + 1
		r.last, r.proven, r.doubt = r.offset, false, false
		return r.steps == 1
	case pg.next == 0:
		r.steps, r.offset, r.doubt = 0, 0, true
		return false
	}
	r.steps = 0
	r.last, r.proven = pg.next, false
	r.doubt = receipt.NewSeries && sent > 0
	r.offset = r.last
	if r.doubt {
		r.offset = 0
	}
	// An offset that doesn't rise wasn't heeded: another series, or a front that
	// answers from a cache. The first page of a series is no reason to wait.
	return pg.next > sent || receipt.Count(transport.StatusNew) > 0
}

// good counts a page that arrived, and raises a lowered limit.
func (r *run) good() {
	r.badPages = 0
	if r.limit == maxLimit {
		return
	}
	if r.goodPages++; r.goodPages >= growAfter {
		r.goodPages = 0
		r.limit = min(r.limit*2, maxLimit)
		r.emit(EventLimit, Event{Limit: r.limit})
	}
}

// failed decides what follows a failed call, and pauses.
func (r *run) failed(e Event, err error) error {
	var api *botapi.Error
	if !errors.As(err, &api) {
		api = &botapi.Error{Kind: botapi.KindNetwork}
	}
	e.Err, e.ErrorKind, e.Conflict = err, api.Kind, api.Conflict
	if e.Date.IsZero() {
		e.Date = api.Date
	}
	switch api.Kind {
	case botapi.KindUnauthorized:
		r.doubt = true
		r.emit(EventError, e)
		return fmt.Errorf("polling: %w: %w", ErrUnauthorized, err)
	case botapi.KindConflict:
		return r.conflict(e, err)
	}
	r.errs++
	b := backoff{firstWait, r.p.o.MaxWait, r.errs - 1}
	e.Wait = b.next()
	kickable := true
	if api.RetryAfter > 0 {
		e.Wait, kickable = max(e.Wait, api.RetryAfter), false
	}
	if answeredBy(api) {
		// Its server may be another one, or have lost its queue.
		r.fromHead()
	}
	if lostPage(api) && r.shrink() {
		e.Wait = min(e.Wait, time.Second)
	}
	r.draining = true
	r.p.update(func(g *Progress) { g.Draining = true })
	r.emit(EventError, e)
	r.countNetwork(api.Kind)
	return r.pause(e.Wait, kickable)
}

// fromHead gives up the offset until a page from the head is committed.
func (r *run) fromHead() {
	r.offset, r.doubt, r.steps = 0, true, 0
	r.p.update(func(g *Progress) { g.Offset = 0 })
}

// answeredBy reports whether the error is the Bot API's own answer, or that of
// its front in its place. A 429 refuses a call without looking at it.
func answeredBy(e *botapi.Error) bool {
	switch e.Kind {
	case botapi.KindServer, botapi.KindNotFound, botapi.KindMisdirected, botapi.KindBadRequest:
		return true
	}
	return false
}

// lostPage reports whether the call failed on the page itself, so that a
// smaller one may arrive.
func lostPage(e *botapi.Error) bool {
	switch e.Kind {
	case botapi.KindTooLarge, botapi.KindProtocol:
		return true
	}
	return e.Kind.Network() && e.Phase == botapi.PhaseBody
}

// shrink halves the limit at the second page that is lost, and at each further
// one until the limit is whole again.
func (r *run) shrink() bool {
	r.badPages++
	r.goodPages = 0
	if r.limit == 1 || r.limit == maxLimit && r.badPages < shrinkAfter {
		return false
	}
	r.limit /= 2
	r.emit(EventLimit, Event{Limit: r.limit})
	return true
}

func (r *run) countNetwork(k botapi.Kind) {
	if k == botapi.KindTimeout {
		r.timeouts++
	} else {
		r.timeouts = 0
	}
	if !k.Network() {
		r.netErrs = 0
		return
	}
	if r.netErrs++; r.netErrs%resetAfter == 0 {
		r.p.o.API.ResetPool(botapi.PoolPoll)
		r.emit(EventPoolReset, Event{})
	}
}

// conflict is for the 409s, of which each means something else.
func (r *run) conflict(e Event, err error) error {
	r.netErrs, r.timeouts = 0, 0
	now := time.Now()
	r.fromHead()
	switch e.Conflict {
	case botapi.ConflictWebhookActive:
		r.emit(EventConflict, e)
		return fmt.Errorf("polling: %w: %w", ErrWebhookActive, err)
	case botapi.ConflictSetWebhook:
		// The set may have failed; the next call tells.
		r.errs++
		b := backoff{firstWait, r.p.o.MaxWait, r.errs - 1}
		e.Wait = b.next()
	case botapi.ConflictOtherGetUpdates:
		if r.foreignFirst.IsZero() {
			r.foreignFirst = now
			r.p.update(func(g *Progress) { g.ForeignSince = now })
		}
		r.foreignLast = now
		e.ForeignFirst, e.ForeignLast = r.foreignFirst, r.foreignLast
		e.Wait = gently(r.conflicts)
		r.conflicts++
	default:
		e.Wait = gently(r.conflicts)
		r.conflicts++
	}
	r.emit(EventConflict, e)
	return r.pause(e.Wait, true)
}

// pause waits; a Kick ends it if kickable. The error is the context's.
func (r *run) pause(d time.Duration, kickable bool) error {
	var kick <-chan struct{}
	if kickable {
		kick = r.p.kick
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-kick:
		r.early = time.Now()
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
	return nil
}

func (r *run) emit(k EventKind, e Event) {
	e.Kind, e.At = k, time.Now()
	r.p.o.Observe(e)
}
