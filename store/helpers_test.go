package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"dualgram/transport"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const testBot = 42

var ctx = context.Background()

// open opens a store and, at the end of the test, checks its file.
func open(t testing.TB, path string, change ...func(*Options)) *Store {
	t.Helper()
	o := Options{Path: path, Holder: "test"}
	for _, f := range change {
		f(&o)
	}
	s, err := Open(o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		s.Abandon()
		check(t, path)
	})
	return s
}

// check runs bbolt's own consistency check and ours on a closed file.
func check(t testing.TB, path string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: 100 * time.Millisecond})
	if errors.Is(err, berrors.ErrTimeout) {
		return // a newer Store of the same test has it
	}
	if err != nil {
		t.Errorf("open for the check: %v", err)
		return
	}
	defer db.Close()
	_ = db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("consistency: %v", err)
		}
		return nil
	})
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "dualgram.db") }

func ledger(t testing.TB, s *Store) *Ledger {
	t.Helper()
	l, err := s.Ledger(testBot)
	if err != nil {
		t.Fatalf("ledger: %v", err)
	}
	return l
}

func upd(id int64, lane string) transport.Update {
	return transport.Update{ID: id, HasID: true, Kind: "message", Lane: lane, Raw: raw(id)}
}

func raw(id int64) []byte {
	return fmt.Appendf(nil, "{\"update_id\":%d,\n\"message\":{\"text\":\"x\"}}", id)
}

func hook(ids ...int64) transport.Batch {
	b := transport.Batch{Source: transport.SourceWebhook, ReceivedAt: time.Now()}
	for _, id := range ids {
		b.Updates = append(b.Updates, upd(id, "c1"))
	}
	return b
}

func page(offset int64, ids ...int64) transport.Batch {
	b := hook(ids...)
	b.Source = transport.SourcePolling
	b.Page = &transport.Page{Offset: offset}
	if len(ids) > 0 {
		b.Page.Next = ids[len(ids)-1] + 1
	}
	return b
}

func accept(t testing.TB, l *Ledger, b transport.Batch) transport.Receipt {
	t.Helper()
	r, err := l.Accept(ctx, b)
	if err != nil {
		t.Fatalf("accept: %v", err)
	}
	return r
}

func next(t testing.TB, l *Ledger) (Record, bool) {
	t.Helper()
	r, ok, _, err := l.Next(time.Now())
	if err != nil {
		t.Fatalf("next: %v", err)
	}
	return r, ok
}

// drain takes everything and returns the ids in order.
func drain(t testing.TB, l *Ledger) []int64 {
	t.Helper()
	var ids []int64
	for {
		r, ok := next(t, l)
		if !ok {
			return ids
		}
		if string(r.Raw) != string(raw(r.ID)) {
			t.Fatalf("id %d: raw is %q", r.ID, r.Raw)
		}
		ids = append(ids, r.ID)
		if err := l.Done(ctx, r.Ref); err != nil {
			t.Fatalf("done: %v", err)
		}
	}
}
