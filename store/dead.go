package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Burial is why a record is given up.
type Burial struct {
	Reason string // never content of the update
	At     time.Time
}

// DeadRecord is a record that was given up. Its bytes are kept.
type DeadRecord struct {
	Record
	Burial
	// LastCause is the cause of the last attempt that was told to Retry.
	LastCause string
}

// burialFormat is stored before the record itself, with its length.
type burialFormat struct {
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
	Attempts int       `json:"attempts"`
	First    int64     `json:"first,omitempty"`
	Cause    string    `json:"cause,omitempty"`
}

// Bury moves a record in delivery to the dead ones and frees its lane. On an
// error other than ErrNotTaken the record stays in delivery.
func (l *Ledger) Bury(ctx context.Context, r Ref, b Burial) error {
	return l.s.do(ctx, "bury", &recordTask{l: l, ref: r, op: opBury, burial: b}, 1024, false)
}

func (st *stage) bury(k, v []byte, b Burial) error {
	f := burialFormat{Reason: b.Reason, At: b.At.UTC()}
	if f.At.Year() < 1 || f.At.Year() > 9999 { // JSON can't say it
		f.At = time.Time{}
	}
	if t, err := decodeTrial(st.bucket(bucketTries).Get(k)); err == nil {
		f.Attempts, f.First, f.Cause = t.count, t.first, t.cause
	}
	j, err := json.Marshal(f)
	if err != nil {
		return err
	}
	d := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(j)+len(v)), uint32(len(j)))
	d = append(append(d, j...), v...)
	st.head.Dead++
	return st.put(bucketDead, k, d)
}

func splitDead(v []byte) (f burialFormat, record []byte, err error) {
	if len(v) < 4 || int(binary.BigEndian.Uint32(v)) > len(v)-4 {
		return f, nil, damaged("a dead record can't be read")
	}
	n := 4 + int(binary.BigEndian.Uint32(v))
	if err := json.Unmarshal(v[4:n], &f); err != nil {
		return f, nil, because(ErrCorrupt, "a dead record", err)
	}
	return f, v[n:], nil
}

// Dead returns up to limit dead records after the given one, ascending; the
// zero Ref is before all of Telegram's.
func (l *Ledger) Dead(after Ref, limit int) ([]DeadRecord, error) {
	var out []DeadRecord
	err := l.scan(bucketDead, after.key(), limit, func(k, v []byte) error {
		ref, _ := parseRef(k)
		d, err := deadOf(ref, v)
		out = append(out, d)
		return err
	})
	return out, l.s.fail("list the dead", err)
}

// deadOf copies a dead record out of a transaction.
func deadOf(ref Ref, v []byte) (DeadRecord, error) {
	f, rec, err := splitDead(v)
	if err != nil {
		return DeadRecord{}, err
	}
	r, ok := recordOf(ref, rec)
	if !ok {
		return DeadRecord{}, damaged("dead record %d can't be read", ref.ID)
	}
	r.Attempts, r.FirstFailed = f.Attempts, fromNanos(f.First)
	return DeadRecord{r, Burial{f.Reason, f.At}, f.Cause}, nil
}

// scan calls f for up to limit keys after the given one.
func (l *Ledger) scan(bucket int, after []byte, limit int, f func(k, v []byte) error) error {
	return l.s.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(l.name).Bucket(bucketNames[bucket]).Cursor()
		k, v := c.Seek(after)
		if k != nil && string(k) == string(after) {
			k, v = c.Next()
		}
		for ; k != nil && limit > 0; k, v = c.Next() {
			if err := f(k, v); err != nil {
				return err
			}
			limit--
		}
		return nil
	})
}

// Quarantine is an update without a readable update_id.
type Quarantine struct {
	Seq uint64 // increasing
	Record
}

// Quarantined returns up to limit updates without an id, after the one with the
// given number, ascending.
func (l *Ledger) Quarantined(after uint64, limit int) ([]Quarantine, error) {
	var out []Quarantine
	err := l.scan(bucketQuarantine, seqKey(after), limit, func(k, v []byte) error {
		r, ok := recordOf(Ref{}, v)
		if !ok {
			return damaged("quarantined update %d can't be read", parseSeq(k))
		}
		r.HasID = false
		out = append(out, Quarantine{parseSeq(k), r})
		return nil
	})
	return out, l.s.fail("list the quarantine", err)
}
