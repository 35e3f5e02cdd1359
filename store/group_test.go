package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/transport"
)

// What doesn't fit must not fail what makes room, in the same group.
func TestFullGroupIsSplit(t *testing.T) {
	path := newPath(t)
	var on atomic.Bool
	gate := make(chan struct{})
	entered := make(chan struct{}, 100)
	hook1 := func(ctx context.Context, p string) error {
		if on.Load() && p == "commit" {
			entered <- struct{}{}
			<-gate
		}
		return nil
	}
	s := open(t, path, func(o *Options) { o.MaxSize = 512 << 10; o.Hook = hook1 })
	l := ledger(t, s)
	accept(t, l, hook(1000))
	rec, _ := next(t, l)
	on.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.Save(ctx, map[string][]byte{"a": nil}) }) // holds the writer
	<-entered
	big := hook(1001)
	big.Updates[0].Raw = make([]byte, 1<<20)
	var bigErr, doneErr error
	wg.Go(func() { _, bigErr = l.Accept(ctx, big) })
	wg.Go(func() { doneErr = l.Done(ctx, rec.Ref) })
	waitQueued(s, 2)
	close(gate)
	wg.Wait()
	if !errors.Is(bigErr, ErrDiskFull) || doneErr != nil {
		t.Fatalf("accept: %v, done: %v", bigErr, doneErr)
	}
}

// waitQueued waits until n ops wait for the writer.
func waitQueued(s *Store, n int) {
	for {
		s.queue.mu.Lock()
		have := len(s.queue.ops)
		s.queue.mu.Unlock()
		if have >= n {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// One call's fault is its own; copies in one group share its outcome.
func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hold atomic.Bool
		gate := make(chan error)
		s, err := Open(Options{Path: newPath(t), Hook: func(ctx context.Context, p string) error {
			if p != "commit" || !hold.Load() {
				return nil
			}
			select {
			case err := <-gate:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		l := ledger(t, s)
		hold.Store(true)
		first := make(chan error, 1)
		go func() { first <- l.Save(ctx, nil, Entry{Kind: "hold", Data: []byte("1")}) }()
		synctest.Wait()
		time.Sleep(7 * time.Second)
		if h := s.Health(); h.InProgress.IsZero() || time.Since(h.InProgress) != 7*time.Second {
			t.Fatalf("a hanging commit doesn't show: %+v", h)
		}
		// These wait together.
		type result struct {
			r   transport.Receipt
			err error
		}
		res := make(chan result, 3)
		for range 3 {
			go func() {
				r, err := l.Accept(ctx, hook(1000))
				res <- result{r, err}
			}()
		}
		bad := make(chan error, 2)
		go func() { bad <- l.Done(ctx, Ref{1, 999}) }()
		go func() { bad <- l.Revive(ctx, []Ref{{1, 999}}) }()
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := l.Accept(short, hook(1001)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("the caller's end: %v", err)
		}
		gate <- nil // the first
		synctest.Wait()
		if err := <-first; err != nil {
			t.Fatal(err)
		}
		boom := errors.New("boom")
		gate <- boom // the group
		for range 3 {
			if r := <-res; !errors.Is(r.err, boom) {
				t.Fatalf("%+v", r)
			}
		}
		if err := errors.Join(<-bad, <-bad); !errors.Is(err, ErrNotTaken) || !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		for range 3 {
			go func() {
				r, err := l.Accept(ctx, hook(1000))
				res <- result{r, err}
			}()
		}
		synctest.Wait()
		gate <- nil
		news := 0
		for range 3 {
			select {
			case r := <-res:
				if r.err != nil {
					t.Fatal(r.err)
				}
				news += r.r.Count(transport.StatusNew)
			case gate <- nil: // they came in two groups
				r := <-res
				news += r.r.Count(transport.StatusNew)
			}
		}
		if news != 1 {
			t.Fatalf("%d times new", news)
		}
		hold.Store(false)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Accept(ctx, hook(1)); !errors.Is(err, ErrClosed) {
			t.Fatalf("after Close: %v", err)
		}
		if _, err := l.Load("x"); !errors.Is(err, ErrClosed) {
			t.Fatalf("load after Close: %v", err)
		}
	})
}

// The caller may use its buffer again as soon as Accept has returned, even if
// that was because its context ended.
func TestRawIsCopied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var hold atomic.Bool
		s, err := Open(Options{Path: newPath(t), Hook: func(_ context.Context, p string) error {
			if hold.Load() {
				<-gate
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		l := ledger(t, s)
		hold.Store(true)
		go l.Save(ctx, nil, Entry{Kind: "hold"})
		synctest.Wait()
		b := hook(1000)
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := l.Accept(short, b); err == nil {
			t.Fatal("accepted")
		}
		clear(b.Updates[0].Raw)
		hold.Store(false)
		close(gate)
		accept(t, l, hook(1000)) // whichever copy is stored
		if got := drain(t, l); len(got) != 1 {
			t.Fatal(got)
		}
	})
}

// Many goroutines, the same ids: each is new once, and delivered once.
func TestConcurrent(t *testing.T) {
	s := open(t, newPath(t))
	l := ledger(t, s)
	const n, writers = 300, 8
	var news, done atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range n {
				id := int64(1000 + (i*7+w*31)%n)
				b := hook(id)
				b.Updates[0].Lane = fmt.Sprint("c", id%13)
				r, err := l.Accept(ctx, b)
				if err != nil {
					t.Error(err)
					return
				}
				news.Add(int64(r.Count(transport.StatusNew)))
			}
		})
	}
	for range 4 {
		wg.Go(func() {
			for done.Load() < n {
				r, ok, _, err := l.Next(time.Now())
				if err != nil {
					t.Error(err)
					return
				}
				if !ok {
					select {
					case <-l.Ready():
					case <-time.After(5 * time.Millisecond):
					}
					continue
				}
				if err := l.Done(ctx, r.Ref); err != nil {
					t.Error(err)
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	if news.Load() != n || done.Load() != n || l.Stats().Waiting != 0 {
		t.Fatalf("%d new, %d done, %+v", news.Load(), done.Load(), l.Stats())
	}
}
