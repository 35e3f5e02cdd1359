package dispatch

import (
	"context"
	"errors"
	"time"

	"dualgram/store"
	"dualgram/transport/delivery"
)

const (
	// settleGrace is how long an outcome may take to become durable after Run's
	// context has ended.
	settleGrace = 2 * time.Second
	// The pauses between attempts to make an outcome durable.
	minSettlePause = 50 * time.Millisecond
	maxSettlePause = 2 * time.Second
)

// errExited stands in for the answer of a handler that has none.
var errExited = &delivery.Error{Op: "handle", Kind: delivery.KindPanic, Detail: "it ended its goroutine"}

// work delivers one record and settles it.
func (d *Dispatcher) work(ctx context.Context, rec store.Record, c class) {
	start := time.Now()
	err := error(errExited)
	// Deferred, so that a handler that calls runtime.Goexit is settled too.
	defer func() { d.settle(ctx, rec, c, start, err) }()
	err = d.deliver(ctx, rec)
}

func (d *Dispatcher) deliver(ctx context.Context, rec store.Record) error {
	ctx, cancel := context.WithTimeout(ctx, d.opts.Timeout)
	defer cancel()
	if err := d.opts.Hook.At(ctx, "delivery"); err != nil {
		return err
	}
	return delivery.Call(ctx, d.opts.Handler, delivery.Update{
		ID:         rec.Ref.ID,
		Source:     rec.Source,
		ReceivedAt: rec.ReceivedAt,
		Attempt:    rec.Attempts + 1,
		Kind:       rec.Kind,
		Raw:        rec.Raw,
	})
}

// settle makes the outcome of a delivery durable, which frees the lane.
func (d *Dispatcher) settle(ctx context.Context, rec store.Record, c class, start time.Time, err error) {
	now := time.Now()
	o := Outcome{
		Ref:      rec.Ref,
		Kind:     rec.Kind,
		Source:   rec.Source,
		Attempt:  rec.Attempts + 1,
		Result:   Taken,
		Duration: now.Sub(start),
		Waited:   now.Sub(rec.ReceivedAt),
	}
	defer d.forget(rec.Ref)
	if err == nil {
		d.took(rec, now)
		if !d.persist(ctx, "done", func(ctx context.Context) error { return d.opts.Ledger.Done(ctx, rec.Ref) }) {
			// Not released: it must not be delivered again in this process.
			d.mu.Lock()
			d.lost++
			d.mu.Unlock()
			return
		}
		d.opts.Observe(o)
		return
	}
	if ctx.Err() != nil {
		d.opts.Ledger.Release(rec.Ref)
		return
	}
	o.Result, o.ErrKind, o.Err = Failed, delivery.KindOf(err), err
	v := d.failed(rec, c, o.ErrKind, now)
	op, write := "retry", func(ctx context.Context) error {
		first := rec.FirstFailed
		if first.IsZero() {
			first = now
		}
		return d.opts.Ledger.Retry(ctx, rec.Ref, store.Attempt{
			Count:     rec.Attempts + 1,
			First:     first,
			NotBefore: now.Add(v.pause),
			Cause:     string(o.ErrKind),
		})
	}
	if v.bury {
		o.Result = Buried
		op, write = "bury", func(ctx context.Context) error {
			return d.opts.Ledger.Bury(ctx, rec.Ref, store.Burial{Reason: string(o.ErrKind), At: now})
		}
	}
	if !d.persist(ctx, op, write) {
		d.opts.Ledger.Release(rec.Ref)
		return
	}
	d.opts.Observe(o)
}

func (d *Dispatcher) took(rec store.Record, now time.Time) {
	d.mu.Lock()
	recovered := d.judge.took(rec.Ref, rec.Attempts, now)
	d.active[rec.Ref] = activity{since: now, settling: true}
	d.mu.Unlock()
	if recovered {
		select {
		case d.kick <- struct{}{}:
		default:
		}
	}
}

func (d *Dispatcher) failed(rec store.Record, c class, kind delivery.Kind, now time.Time) verdict {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.active[rec.Ref] = activity{since: now, settling: true}
	return d.judge.failed(rec.Ref, rec.Attempts, c, kind, now, d.opts.Random())
}

func (d *Dispatcher) forget(ref store.Ref) {
	d.mu.Lock()
	delete(d.active, ref)
	d.mu.Unlock()
}

// persist repeats an operation of the ledger until it succeeds, or until ctx
// has ended and the grace is over. A stop does not cancel it at once: an update
// that the bot took during the stop is removed all the same.
func (d *Dispatcher) persist(ctx context.Context, op string, write func(context.Context) error) bool {
	bound, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(settleGrace, cancel) })()
	for pause := minSettlePause; ; pause = min(2*pause, maxSettlePause) {
		err := write(bound)
		if err == nil {
			return true
		}
		d.opts.LedgerFailed(op, err)
		if errors.Is(err, store.ErrNotTaken) {
			return true // somebody else has settled it
		}
		select {
		case <-time.After(pause):
		case <-bound.Done():
			return false
		}
	}
}
