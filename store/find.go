package store

import (
	"cmp"
	"math"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// LaneState is one delivery queue with something in it.
type LaneState struct {
	Lane string
	// Waiting counts its records, the one in delivery included.
	Waiting int
	// Head is the record that comes next, or that is in delivery; Kind is that of the
	// update, ReceivedAt when it was taken in.
	Head       Ref
	Kind       string
	ReceivedAt time.Time
	InDelivery bool
	// Attempts counts the failed deliveries of Head, Cause is that of the last one, and
	// NotBefore when the next is due; zero if that is now.
	Attempts    int
	FirstFailed time.Time
	NotBefore   time.Time
	Cause       string
}

// Lanes returns up to limit lanes, those first whose next record has waited longest.
func (l *Ledger) Lanes(limit int) ([]LaneState, error) {
	l.mu.Lock()
	out := make([]LaneState, 0, len(l.index.lanes))
	for name, x := range l.index.lanes {
		s := LaneState{Lane: name, Waiting: len(x.items)}
		if x.taken == nil && len(x.items) == 0 {
			continue
		}
		first := x.taken
		if first != nil {
			s.InDelivery = true
			s.Waiting++
		} else {
			first = &x.items[0]
		}
		s.Head, s.ReceivedAt = first.ref(), fromNanos(first.received)
		if !s.InDelivery {
			s.NotBefore = fromNanos(x.until)
		}
		out = append(out, s)
	}
	l.mu.Unlock()
	slices.SortFunc(out, func(a, b LaneState) int {
		return cmp.Or(a.ReceivedAt.Compare(b.ReceivedAt), cmp.Compare(a.Lane, b.Lane))
	})
	out = slices.Clip(out[:min(len(out), max(limit, 0))])
	err := l.s.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(l.name)
		for i := range out {
			s := &out[i]
			k := s.Head.key()
			if h, _, ok := decodeRecord(b.Bucket(bucketNames[bucketInbox]).Get(k)); ok { // it may be gone by now
				s.Kind = string(h.kind)
			}
			if t, err := decodeTrial(b.Bucket(bucketNames[bucketTries]).Get(k)); err == nil {
				s.Attempts, s.FirstFailed, s.Cause = t.count, fromNanos(t.first), t.cause
			}
		}
		return nil
	})
	return out, l.s.fail("list the lanes", err)
}

// Found is a record and where it is.
type Found struct {
	DeadRecord // Burial is zero if it is not dead
	Dead       bool
	InDelivery bool
	// NotBefore is when its lane is free again; zero if it is, or if it is dead.
	NotBefore time.Time
}

// Find returns what the ledger holds under an update_id: waiting or dead, in any
// series, the newest series first. What the bot has taken is gone.
func (l *Ledger) Find(id int64) ([]Found, error) {
	var out []Found
	err := l.s.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(l.name)
		tries := b.Bucket(bucketNames[bucketTries])
		for _, series := range seriesOf(b) {
			ref := Ref{series, id}
			k := ref.key()
			if v := b.Bucket(bucketNames[bucketInbox]).Get(k); v != nil {
				r, ok := recordOf(ref, v)
				if !ok {
					return damaged("record %d of series %d can't be read", ref.ID, ref.Series)
				}
				f := Found{DeadRecord: DeadRecord{Record: r}}
				if t, err := decodeTrial(tries.Get(k)); err == nil {
					f.Attempts, f.FirstFailed, f.LastCause = t.count, fromNanos(t.first), t.cause
				}
				out = append(out, f)
			}
			if v := b.Bucket(bucketNames[bucketDead]).Get(k); v != nil {
				d, err := deadOf(ref, v)
				if err != nil {
					return err
				}
				out = append(out, Found{DeadRecord: d, Dead: true})
			}
		}
		return nil
	})
	l.mu.Lock()
	for i := range out {
		f := &out[i]
		if f.Dead {
			continue
		}
		if x := l.index.lanes[f.Lane]; x != nil {
			f.InDelivery = l.index.taken[f.Ref] != nil
			f.NotBefore = fromNanos(x.until)
		}
	}
	l.mu.Unlock()
	return out, l.s.fail("find", err)
}

// seriesOf lists the numbers of the series that have records in the inbox or among
// the dead, the newest first.
func seriesOf(b *bolt.Bucket) []uint32 {
	var out []uint32
	for _, bucket := range []int{bucketInbox, bucketDead} {
		c := b.Bucket(bucketNames[bucket]).Cursor()
		for k, _ := c.First(); k != nil; {
			ref, ok := parseRef(k)
			if !ok {
				break
			}
			out = append(out, ref.Series)
			if ref.Series == math.MaxUint32 {
				break
			}
			k, _ = c.Seek(Ref{ref.Series + 1, math.MinInt64}.key())
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	slices.Reverse(out)
	return out
}
