package store

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// keepJournal is how many journal entries are kept.
	keepJournal = 20_000
	// maxStateKey is a limit of bbolt's.
	maxStateKey = bolt.MaxKeySize
)

// Entry is one line of the journal. The store doesn't look into it.
type Entry struct {
	Seq  uint64 // given by Save, increasing by one
	At   time.Time
	Kind string
	Data []byte // JSON
}

// Load returns a value that Save stored; nil if there is none.
func (l *Ledger) Load(key string) ([]byte, error) {
	var v []byte
	err := l.s.view(func(tx *bolt.Tx) error {
		v = slices.Clone(tx.Bucket(l.name).Bucket(bucketNames[bucketState]).Get([]byte(key)))
		return nil
	})
	return v, l.s.fail("load", err)
}

// Save stores all values and appends the entries to the journal, in one
// transaction. A nil value deletes its key. An entry's Seq is ignored, its zero
// time means now. The journal keeps the newest 20,000.
func (l *Ledger) Save(ctx context.Context, values map[string][]byte, entries ...Entry) error {
	t := &saveTask{l: l}
	size := 0
	for k, v := range values {
		if k == "" || len(k) > maxStateKey {
			return l.s.fail("save", because(ErrArgument, "a key is empty or too long", nil))
		}
		t.keys = append(t.keys, k)
		t.values = append(t.values, slices.Clone(v))
		size += len(k) + len(v)
	}
	encoded, more := encodeEntries(entries)
	t.entries = encoded
	if size += more; size > maxBatch {
		return l.s.fail("save", because(ErrArgument, "too much at once", nil))
	}
	return l.s.do(ctx, "save", t, size, true)
}

type saveTask struct {
	l       *Ledger
	keys    []string
	values  [][]byte
	entries [][]byte
}

func (t *saveTask) stage(g *group) error {
	st, err := g.of(t.l)
	if err != nil {
		return err
	}
	for i, k := range t.keys {
		if t.values[i] == nil {
			err = st.del(bucketState, []byte(k))
		} else {
			err = st.put(bucketState, []byte(k), t.values[i])
		}
		if err != nil {
			return err
		}
	}
	return st.journal(t.entries)
}

// journal appends entries, and drops what is more than the journal keeps.
func (st *stage) journal(entries [][]byte) error {
	h := &st.head
	for _, e := range entries {
		h.JournalN++
		if err := st.put(bucketJournal, seqKey(h.JournalN), e); err != nil {
			return err
		}
	}
	// A bounded number at a time, always more than were added.
	for n := len(entries) + 100; n > 0 && h.JournalN-h.JournalLow > keepJournal && len(entries) > 0; n-- {
		h.JournalLow++
		if err := st.del(bucketJournal, seqKey(h.JournalLow)); err != nil {
			return err
		}
	}
	return nil
}

// encodeEntries makes the stored forms; a zero time means now.
func encodeEntries(entries []Entry) (out [][]byte, size int) {
	now := time.Now()
	for _, e := range entries {
		if e.At.IsZero() {
			e.At = now
		}
		v := encodeEntry(e)
		out = append(out, v)
		size += len(v)
	}
	return out, size
}

func encodeEntry(e Entry) []byte {
	b := encodeTime(nanos(e.At))
	b = binary.AppendUvarint(b, uint64(len(e.Kind)))
	b = append(b, e.Kind...)
	return append(b, e.Data...)
}

func decodeEntry(seq uint64, v []byte) (Entry, error) {
	if len(v) < 9 {
		return Entry{}, damaged("journal entry %d can't be read", seq)
	}
	n, w := binary.Uvarint(v[8:])
	if w <= 0 || n > uint64(len(v)-8-w) {
		return Entry{}, damaged("journal entry %d can't be read", seq)
	}
	rest := v[8+w:]
	return Entry{seq, fromNanos(decodeTime(v)), string(rest[:n]), slices.Clone(rest[n:])}, nil
}

// Journal returns up to limit entries after the one with the given number,
// ascending.
func (l *Ledger) Journal(after uint64, limit int) ([]Entry, error) {
	var out []Entry
	err := l.scan(bucketJournal, seqKey(after), limit, func(k, v []byte) error {
		e, err := decodeEntry(parseSeq(k), v)
		out = append(out, e)
		return err
	})
	return out, l.s.fail("read the journal", err)
}

// JournalTail returns the last entries, up to limit, ascending.
func (l *Ledger) JournalTail(limit int) ([]Entry, error) {
	var out []Entry
	err := l.s.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(l.name).Bucket(bucketNames[bucketJournal]).Cursor()
		for k, v := c.Last(); k != nil && len(out) < limit; k, v = c.Prev() {
			e, err := decodeEntry(parseSeq(k), v)
			if err != nil {
				return err
			}
			out = append(out, e)
		}
		return nil
	})
	slices.Reverse(out)
	return out, l.s.fail("read the journal", err)
}
