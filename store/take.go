package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dualgram/transport"

	bolt "go.etcd.io/bbolt"
)

// Record is an update that waits for the bot.
type Record struct {
	Ref
	// Lane is the delivery queue; an update without one has its own.
	Lane string
	Kind string
	// Source is the transport that brought it first, ReceivedAt when that was.
	Source     transport.Source
	ReceivedAt time.Time
	// Attempts counts deliveries that failed, FirstFailed is when the first of
	// them did.
	Attempts    int
	FirstFailed time.Time
	// Raw is the update exactly as Telegram sent it.
	Raw []byte
	// HasID is false for a record of the quarantine.
	HasID bool
}

// damagedHold is how long a lane waits whose record can't be read, so that it
// doesn't keep the others from theirs.
const damagedHold = time.Minute

// Next hands out the smallest record, by series and id, among the smallest of
// each lane that is neither busy nor held back at now. The record's lane is
// busy until Done, Bury, Retry or Release. If ok is false, wait tells how long
// the first lane is still held back; 0 if none is.
func (l *Ledger) Next(now time.Time) (rec Record, ok bool, wait time.Duration, err error) {
	l.mu.Lock()
	ln, wait := l.index.take(now.UnixNano())
	if ln == nil {
		l.mu.Unlock()
		return Record{}, false, wait, nil
	}
	ref, name := ln.taken.ref(), ln.name
	more := len(l.index.ready.lanes) > 0
	l.mu.Unlock()
	if more {
		l.signal() // for another one who waits
	}
	rec, err = l.read(ref)
	if err != nil {
		l.mu.Lock()
		l.index.putBack(ref, now.Add(damagedHold).UnixNano())
		l.mu.Unlock()
		return Record{}, false, 0, l.s.fail("next", err)
	}
	rec.Lane = name
	return rec, true, 0, nil
}

func (l *Ledger) read(ref Ref) (rec Record, err error) {
	err = l.s.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(l.name)
		k := ref.key()
		v := b.Bucket(bucketNames[bucketInbox]).Get(k)
		if v == nil {
			return damaged("record %d of series %d is missing", ref.ID, ref.Series)
		}
		var ok bool
		if rec, ok = recordOf(ref, v); !ok {
			return damaged("record %d of series %d can't be read", ref.ID, ref.Series)
		}
		if t, err := decodeTrial(b.Bucket(bucketNames[bucketTries]).Get(k)); err == nil {
			rec.Attempts, rec.FirstFailed = t.count, fromNanos(t.first)
		}
		return nil
	})
	return rec, err
}

// recordOf copies a stored record out of a transaction.
func recordOf(ref Ref, v []byte) (Record, bool) {
	h, raw, ok := decodeRecord(v)
	if !ok {
		return Record{}, false
	}
	return Record{
		Ref: ref, Lane: laneName(string(h.lane), ref), Kind: string(h.kind), Source: sourceOf(h.source),
		ReceivedAt: fromNanos(h.received), Raw: slices.Clone(raw), HasID: true,
	}, true
}

func sourceOf(b []byte) transport.Source {
	switch string(b) {
	case string(transport.SourceWebhook):
		return transport.SourceWebhook
	case string(transport.SourcePolling):
		return transport.SourcePolling
	}
	return transport.Source(b)
}

// settleOp is what can become of a record in delivery.
type settleOp uint8

const (
	opDone settleOp = iota
	opRetry
	opBury
)

type recordTask struct {
	l      *Ledger
	ref    Ref
	op     settleOp
	trial  trial
	burial Burial
}

// Done removes a record in delivery for good and then frees its lane. On an
// error other than ErrNotTaken the record stays in delivery: call Done again.
func (l *Ledger) Done(ctx context.Context, r Ref) error {
	return l.s.do(ctx, "done", &recordTask{l: l, ref: r, op: opDone}, refLen, false)
}

// Attempt is a delivery that failed.
type Attempt struct {
	Count     int       // attempts so far, this one included
	First     time.Time // when the first one failed
	NotBefore time.Time // the lane is held back until then
	Cause     string    // never content of the update
}

// Retry keeps what is known of a failed attempt and returns the record to its
// lane, which is held back until NotBefore. On an error other than ErrNotTaken
// the record stays in delivery.
func (l *Ledger) Retry(ctx context.Context, r Ref, a Attempt) error {
	t := trial{a.Count, nanos(a.First), nanos(a.NotBefore), time.Now().UnixNano(), a.Cause}
	return l.s.do(ctx, "retry", &recordTask{l: l, ref: r, op: opRetry, trial: t}, 64+len(a.Cause), false)
}

// Release returns a record to its lane as if it had not been handed out.
func (l *Ledger) Release(r Ref) {
	l.mu.Lock()
	ok := l.index.putBack(r, 0)
	l.mu.Unlock()
	if ok {
		l.signal()
	}
}

// inDelivery reports whether Next handed the record out.
func (l *Ledger) inDelivery(r Ref) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.taken[r] != nil
}

func (t *recordTask) stage(g *group) error {
	if !t.l.inDelivery(t.ref) {
		return because(ErrNotTaken, fmt.Sprintf("record %d of series %d", t.ref.ID, t.ref.Series), nil)
	}
	st, err := g.of(t.l)
	if err != nil {
		return err
	}
	k := t.ref.key()
	v := st.bucket(bucketInbox).Get(k)
	if v == nil {
		// Removed by a commit that reported an error, or twice in this group.
		ref := t.ref
		st.after = append(st.after, func(x *index) { x.remove(ref) })
		return nil
	}
	switch t.op {
	case opRetry:
		if err := st.put(bucketTries, k, t.trial.encode()); err != nil {
			return err
		}
		ref, until := t.ref, t.trial.notBefore
		st.after = append(st.after, func(x *index) { x.putBack(ref, until) })
		return nil
	case opBury:
		if err := st.bury(k, v, t.burial); err != nil {
			return err
		}
	}
	if err := st.del(bucketInbox, k); err != nil {
		return err
	}
	if st.bucket(bucketTries).Get(k) != nil {
		if err := st.del(bucketTries, k); err != nil {
			return err
		}
	}
	ref := t.ref
	st.after = append(st.after, func(x *index) { x.remove(ref) })
	return nil
}
