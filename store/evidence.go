package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Evidence is a record that is kept apart from the journal, for longer, and byte
// for byte. The store doesn't look into it.
type Evidence struct {
	Seq  uint64 // the caller's; the first is 1, each further one more
	At   time.Time
	Data []byte
}

// AppendEvidence adds a record behind the last one, and deletes those that are
// older than keep, but never the last. What is old is judged by the time of the new
// record or of the one before, whichever is earlier, so that a clock that was wrong
// once deletes nothing. It returns [ErrSequence] if Seq does not
// follow.
func (l *Ledger) AppendEvidence(ctx context.Context, e Evidence, keep time.Duration) error {
	if len(e.Data) > maxBatch || keep <= 0 {
		return l.s.fail("append evidence", because(ErrArgument, "too large, or not to be kept", nil))
	}
	v := append(encodeTime(nanos(e.At)), e.Data...)
	return l.s.do(ctx, "append evidence", &evidenceTask{l, e.Seq, v, e.At, keep}, len(v), true)
}

type evidenceTask struct {
	l     *Ledger
	seq   uint64
	value []byte
	at    time.Time
	keep  time.Duration
}

func (t *evidenceTask) stage(g *group) error {
	st, err := g.of(t.l)
	if err != nil {
		return err
	}
	b := st.bucket(bucketEvidence)
	last, now := uint64(0), t.at
	if k, v := b.Cursor().Last(); k != nil {
		last = parseSeq(k)
		if len(v) >= 8 {
			if before := fromNanos(decodeTime(v)); before.Before(now) {
				now = before
			}
		}
	}
	if t.seq != last+1 {
		return because(ErrSequence, fmt.Sprintf("%d after %d", t.seq, last), nil)
	}
	var gone [][]byte
	old := now.Add(-t.keep)
	c := b.Cursor()
	for k, v := c.First(); k != nil && len(v) >= 8 && fromNanos(decodeTime(v)).Before(old); k, v = c.Next() {
		gone = append(gone, slices.Clone(k))
	}
	for _, k := range gone {
		if err := st.del(bucketEvidence, k); err != nil {
			return err
		}
	}
	return st.put(bucketEvidence, seqKey(t.seq), t.value)
}

// Evidence returns the records that are kept, ascending.
func (l *Ledger) Evidence() ([]Evidence, error) {
	var out []Evidence
	err := l.s.view(func(tx *bolt.Tx) error {
		return tx.Bucket(l.name).Bucket(bucketNames[bucketEvidence]).ForEach(func(k, v []byte) error {
			if len(v) < 8 {
				return damaged("evidence %d can't be read", parseSeq(k))
			}
			out = append(out, Evidence{parseSeq(k), fromNanos(decodeTime(v)), slices.Clone(v[8:])})
			return nil
		})
	})
	return out, l.s.fail("read the evidence", err)
}
