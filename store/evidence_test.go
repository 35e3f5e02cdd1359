package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// TestEvidence: records come back byte for byte and in order, none can be put in
// between or twice, and what is older than it is kept for goes, but never the last.
func TestEvidence(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	l := ledger(t, s)
	const keep = 400 * 24 * time.Hour
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	add := func(seq uint64, at time.Time) error {
		return l.AppendEvidence(ctx, Evidence{seq, at, fmt.Appendf(nil, "{ \"n\" : %d }", seq)}, keep)
	}
	for seq, want := range map[uint64]error{0: ErrSequence, 2: ErrSequence} {
		if err := add(seq, at); !errors.Is(err, want) {
			t.Errorf("%d into an empty one: %v", seq, err)
		}
	}
	for i := range uint64(5) {
		if err := add(i+1, at.Add(time.Duration(i)*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if err := add(5, at); !errors.Is(err, ErrSequence) {
		t.Errorf("twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	l = ledger(t, s)
	got, err := l.Evidence()
	if err != nil || len(got) != 5 || got[0].Seq != 1 || string(got[4].Data) != `{ "n" : 5 }` || !got[4].At.Equal(at.Add(96*time.Hour)) {
		t.Fatalf("%+v %v", got, err)
	}
	later := at.Add(keep + 36*time.Hour)
	if err := add(6, later); err != nil {
		t.Fatal(err)
	}
	if got, _ = l.Evidence(); len(got) != 6 {
		t.Errorf("a clock that was wrong once: %d records are left", len(got))
	}
	if err := add(7, later); err != nil {
		t.Fatal(err)
	}
	if got, _ = l.Evidence(); len(got) != 5 || got[0].Seq != 3 {
		t.Errorf("400 days later: %+v", got)
	}
	if err := errors.Join(add(8, at.Add(10*keep)), add(9, at.Add(10*keep))); err != nil {
		t.Fatal(err)
	}
	if got, _ = l.Evidence(); len(got) != 2 || got[0].Seq != 8 {
		t.Errorf("years later: %+v", got)
	}
	// One that was put back deletes nothing either.
	if err := errors.Join(add(10, at), add(11, at.Add(10*keep))); err != nil {
		t.Fatal(err)
	}
	if got, _ = l.Evidence(); len(got) != 4 {
		t.Errorf("after a clock that was put back: %+v", got)
	}
	if err := add(12, at.Add(10*keep)); err != nil {
		t.Errorf("the number goes on: %v", err)
	}
}

// TestEvidenceOfAnOlderFile: a file from before there was evidence gets its bucket.
func TestEvidenceOfAnOlderFile(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	ledger(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte("42")).DeleteBucket([]byte("evidence")) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	l := ledger(t, s)
	if err := l.AppendEvidence(ctx, Evidence{1, time.Now(), []byte("x")}, time.Hour); err != nil {
		t.Error(err)
	}
}
