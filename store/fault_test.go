package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/transport"

	berrors "go.etcd.io/bbolt/errors"
)

// failing returns a hook that fails at the point while on is set.
func failing(point string, on *atomic.Bool, err error) transport.Hook {
	return func(_ context.Context, p string) error {
		if p == point && on.Load() {
			return err
		}
		return nil
	}
}

func TestFailedCommit(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		name string
		err  error
		is   error
		full bool
	}{
		{"an error", boom, boom, false},
		{"no space", syscall.ENOSPC, ErrDiskFull, true},
		{"a limit", berrors.ErrMaxSizeReached, ErrDiskFull, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var on atomic.Bool
			path := newPath(t)
			s := open(t, path, func(o *Options) { o.Hook = failing("commit", &on, c.err) })
			l := ledger(t, s)
			accept(t, l, page(0, 1000))
			before := l.Stats()
			taken, _ := next(t, l)

			on.Store(true)
			_, err := l.Accept(ctx, page(0, 1000, 1003))
			var e *Error
			if !errors.Is(err, c.is) || !errors.As(err, &e) || e.Op != "accept" {
				t.Fatalf("accept: %v", err)
			}
			// Memory is not ahead of the disk.
			st := l.Stats()
			st.InDelivery = before.InDelivery
			if st != before {
				t.Fatalf("stats: %+v, before %+v", st, before)
			}
			if off, _ := l.PollOffset(); off != 1001 || len(l.Holes()) != 0 {
				t.Fatalf("offset %d, holes %v", off, l.Holes())
			}
			// A duplicate is not acknowledged either.
			if _, err := l.Accept(ctx, hook(1000)); err == nil {
				t.Fatal("a duplicate was acknowledged after a failed commit")
			}
			if err := l.Done(ctx, taken.Ref); err == nil {
				t.Fatal("done")
			}
			if h := s.Health(); h.OK || !errors.Is(h.Err, c.is) || h.Full != c.full || h.Since.IsZero() || h.Failures != 3 {
				t.Fatalf("health: %+v", h)
			}
			on.Store(false)
			commits := s.Health().Commits
			if r := accept(t, l, hook(1000)); r.Count(transport.StatusDuplicate) != 1 {
				t.Fatalf("%+v", r)
			}
			if h := s.Health(); !h.OK || h.Err != nil || h.Full || h.Commits != commits+1 {
				t.Fatalf("the duplicate was acknowledged without a fresh commit: %+v", h)
			}
			accept(t, l, hook(1000))
			if h := s.Health(); h.Commits != commits+1 {
				t.Fatal("a duplicate cost a commit")
			}
			if err := l.Done(ctx, taken.Ref); err != nil {
				t.Fatal(err)
			}
			if r := accept(t, l, hook(1003)); r.Count(transport.StatusNew) != 1 {
				t.Fatalf("%+v", r)
			}
		})
	}
}

func TestMaxSize(t *testing.T) {
	path := newPath(t)
	s := open(t, path, func(o *Options) { o.MaxSize = 512 << 10 })
	l := ledger(t, s)
	var acked []int64
	var full error
	for id := int64(1000); id < 3000; id++ {
		b := hook(id)
		b.Updates[0].Raw = make([]byte, 2000)
		if _, err := l.Accept(ctx, b); err != nil {
			full = err
			break
		}
		acked = append(acked, id)
	}
	if !errors.Is(full, ErrDiskFull) || !s.Health().Full || len(acked) == 0 {
		t.Fatalf("%v after %d", full, len(acked))
	}
	if st := l.Stats(); st.Waiting != len(acked) || st.LastID != acked[len(acked)-1] {
		t.Fatalf("%+v", st)
	}
	// What removes goes through, and makes room.
	for range acked {
		r, ok := next(t, l)
		if !ok {
			t.Fatal("nothing to take")
		}
		if err := l.Done(ctx, r.Ref); err != nil {
			t.Fatal(err)
		}
	}
	accept(t, l, hook(acked[len(acked)-1]+1))
	if h := s.Health(); !h.OK || h.Full {
		t.Fatalf("%+v", h)
	}
	s.Abandon()
	l = ledger(t, open(t, path))
	for _, id := range acked {
		if r := accept(t, l, hook(id)); r.Count(transport.StatusDuplicate) != 1 {
			t.Fatalf("id %d was acknowledged and is not there", id)
		}
	}
}

// An I/O error: the handle under bbolt is cut. The store opens the file again,
// and what was in delivery stays so.
func TestIOError(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	l := ledger(t, s)
	accept(t, l, page(0, 1000, 1001, 1005))
	a, _ := next(t, l)
	s.file.Close()
	if _, err := l.Accept(ctx, hook(1006)); err == nil {
		t.Fatal("accepted without a file")
	}
	if h := s.Health(); h.OK || h.Full {
		t.Fatalf("%+v", h)
	}
	r := accept(t, l, hook(1000, 1006))
	if r.Items[0].Status != transport.StatusDuplicate {
		t.Fatalf("%+v", r)
	}
	if h := s.Health(); !h.OK {
		t.Fatalf("%+v", h)
	}
	if _, ok := l.PollOffset(); ok {
		t.Fatal("the offset is trusted after an I/O error")
	}
	if st := l.Stats(); st.InDelivery != 1 || st.Waiting != 4 {
		t.Fatalf("%+v", st)
	}
	wantHoles(t, l) // 1002 to 1004: the page had proved them gone
	if _, ok := next(t, l); ok {
		t.Fatal("the lane is free while its record is in delivery")
	}
	if err := l.Done(ctx, a.Ref); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(drain(t, l)); got != "[1001 1005 1006]" {
		t.Fatal(got)
	}
}

// As long as the file can't be opened again nothing is acknowledged.
func TestReopenFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var on atomic.Bool
		boom := errors.New("boom")
		s, err := Open(Options{Path: newPath(t), Hook: failing("reopen", &on, boom)})
		if err != nil {
			t.Fatal(err)
		}
		l := ledger(t, s)
		accept(t, l, hook(1000))
		on.Store(true)
		s.file.Close()
		if _, err := l.Accept(ctx, hook(1001)); err == nil {
			t.Fatal("accepted")
		}
		for range 3 {
			if _, err := l.Accept(ctx, hook(1000)); !errors.Is(err, ErrUnhealthy) {
				t.Fatalf("a duplicate: %v", err)
			}
			if s.Health().OK {
				t.Fatal("healthy")
			}
		}
		on.Store(false)
		if _, err := l.Accept(ctx, hook(1000)); !errors.Is(err, ErrUnhealthy) {
			t.Fatalf("it was tried again within a second: %v", err)
		}
		time.Sleep(time.Second)
		if r := accept(t, l, hook(1000)); r.Count(transport.StatusDuplicate) != 1 {
			t.Fatalf("%+v", r)
		}
		s.Close()
	})
}

// A commit that reported an error may be on disk all the same: Done of what is
// gone then just frees the lane.
func TestDoneOfWhatIsGone(t *testing.T) {
	s := open(t, newPath(t))
	l := ledger(t, s)
	accept(t, l, hook(1000, 1001))
	r, _ := next(t, l)
	ghost := &recordTask{l: l, ref: r.Ref, op: opDone}
	if err := s.do(ctx, "done", ghost, 0, false); err != nil {
		t.Fatal(err)
	}
	// As after a rebuild: gone from the disk, in delivery in memory.
	l.mu.Lock()
	ln := l.index.lane("c1")
	l.index.unlist(ln)
	ln.taken = &item{id: 1000, series: 1}
	l.index.taken[r.Ref] = ln
	l.index.count++
	l.mu.Unlock()
	if err := l.Done(ctx, r.Ref); err != nil {
		t.Fatal(err)
	}
	if got := drain(t, l); len(got) != 1 {
		t.Fatal(got)
	}
	if err := l.Done(ctx, r.Ref); !errors.Is(err, ErrNotTaken) {
		t.Fatal(err)
	}
}

// A store whose last commit failed doesn't claim a clean end.
func TestNoCleanEndAfterFailure(t *testing.T) {
	path := newPath(t)
	var on atomic.Bool
	s := open(t, path, func(o *Options) { o.Hook = failing("commit", &on, errors.New("boom")) })
	l := ledger(t, s)
	accept(t, l, page(0, 1000))
	on.Store(true)
	if _, err := l.Accept(ctx, hook(1001)); err == nil {
		t.Fatal("accepted")
	}
	s.Close()
	s = open(t, path)
	if _, ok := ledger(t, s).PollOffset(); ok || s.Clean() {
		t.Fatal("a clean end after a failed commit")
	}
}
