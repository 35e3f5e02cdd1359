package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"dualgram/store"
	"dualgram/transport"
	"dualgram/transport/delivery"
)

var errDisk = errors.New("no disk today")

// fakeLedger is a ledger in memory that checks how it is used. What is "on
// disk" is disk; the rest is lost in reopen.
type fakeLedger struct {
	t     testing.TB
	ready chan struct{}

	mu     sync.Mutex
	disk   map[store.Ref]store.Record
	lanes  map[string]*fakeLane
	taken  map[store.Ref]bool
	buried []store.Ref
	tries  map[store.Ref]store.Attempt
	commit time.Duration         // how long a commit takes
	fail   func(op string) error // asked before each operation
	closed bool
	unread store.Ref // Next can't read this one
	nexts  int
	writes int
}

type fakeLane struct {
	ids   []store.Ref // sorted
	busy  bool
	until time.Time
}

func newFake(t testing.TB) *fakeLedger {
	return &fakeLedger{
		t: t, ready: make(chan struct{}, 1), disk: map[store.Ref]store.Record{}, lanes: map[string]*fakeLane{},
		taken: map[store.Ref]bool{}, tries: map[store.Ref]store.Attempt{}, fail: func(string) error { return nil },
	}
}

func ref(id int64) store.Ref { return store.Ref{Series: 1, ID: id} }

func compare(a, b store.Ref) int { return int(a.ID - b.ID) }

// add accepts an update.
func (l *fakeLedger) add(id int64, lane string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.disk[ref(id)] = store.Record{
		Ref: ref(id), Lane: lane, Kind: "message", Source: transport.SourceWebhook, ReceivedAt: time.Now(), HasID: true,
		Raw: fmt.Appendf(nil, `{"update_id":%d}`, id),
	}
	l.enter(ref(id), lane)
	l.signal()
}

func (l *fakeLedger) enter(r store.Ref, lane string) {
	ln := l.lanes[lane]
	if ln == nil {
		ln = &fakeLane{}
		l.lanes[lane] = ln
	}
	i, _ := slices.BinarySearchFunc(ln.ids, r, compare)
	ln.ids = slices.Insert(ln.ids, i, r)
}

func (l *fakeLedger) signal() {
	select {
	case l.ready <- struct{}{}:
	default:
	}
}

// crash makes every operation fail from now on.
func (l *fakeLedger) crash() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
}

// reopen returns a ledger with what was on disk.
func (l *fakeLedger) reopen() *fakeLedger {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := newFake(l.t)
	n.disk, n.tries, n.buried, n.commit = l.disk, l.tries, l.buried, l.commit
	for r, rec := range n.disk {
		n.enter(r, rec.Lane)
		if a, ok := n.tries[r]; ok {
			n.lanes[rec.Lane].until = a.NotBefore
		}
	}
	n.signal()
	return n
}

func (l *fakeLedger) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.disk)
}

func (l *fakeLedger) Ready() <-chan struct{} { return l.ready }

func (l *fakeLedger) Next(now time.Time) (store.Record, bool, time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nexts++
	if l.closed {
		return store.Record{}, false, 0, store.ErrClosed
	}
	if err := l.fail("next"); err != nil {
		return store.Record{}, false, 0, err
	}
	var best *fakeLane
	var wait time.Duration
	for _, ln := range l.lanes {
		if ln.busy || len(ln.ids) == 0 {
			continue
		}
		if !ln.until.IsZero() && ln.until.After(now) {
			if d := ln.until.Sub(now); wait == 0 || d < wait {
				wait = d
			}
			continue
		}
		ln.until = time.Time{}
		if best == nil || compare(ln.ids[0], best.ids[0]) < 0 {
			best = ln
		}
	}
	if best == nil {
		return store.Record{}, false, wait, nil
	}
	r := best.ids[0]
	if r == l.unread { // as the store does it
		best.until = now.Add(time.Minute)
		return store.Record{}, false, 0, errDisk
	}
	best.busy = true
	l.taken[r] = true
	rec := l.disk[r]
	if a, ok := l.tries[r]; ok {
		rec.Attempts, rec.FirstFailed = a.Count, a.First
	}
	return rec, true, 0, nil
}

// write is a commit; after it, effect runs on memory.
func (l *fakeLedger) write(ctx context.Context, op string, r store.Ref, effect func(ln *fakeLane)) error {
	if l.commit > 0 {
		time.Sleep(l.commit)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes++
	if l.closed {
		return store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.fail(op); err != nil {
		return err
	}
	if !l.taken[r] {
		l.t.Errorf("%s of %d, which is not in delivery", op, r.ID)
		return store.ErrNotTaken
	}
	delete(l.taken, r)
	ln := l.lanes[l.disk[r].Lane]
	ln.busy = false
	effect(ln)
	l.signal()
	return nil
}

func (l *fakeLedger) drop(r store.Ref, ln *fakeLane) {
	delete(l.disk, r)
	delete(l.tries, r)
	ln.ids = slices.DeleteFunc(ln.ids, func(x store.Ref) bool { return x == r })
}

func (l *fakeLedger) Done(ctx context.Context, r store.Ref) error {
	return l.write(ctx, "done", r, func(ln *fakeLane) { l.drop(r, ln) })
}

func (l *fakeLedger) Retry(ctx context.Context, r store.Ref, a store.Attempt) error {
	return l.write(ctx, "retry", r, func(ln *fakeLane) {
		if want := l.tries[r].Count + 1; a.Count != want {
			l.t.Errorf("attempt %d of %d, want %d", a.Count, r.ID, want)
		}
		l.tries[r] = a
		ln.until = a.NotBefore
	})
}

func (l *fakeLedger) Bury(ctx context.Context, r store.Ref, b store.Burial) error {
	return l.write(ctx, "bury", r, func(ln *fakeLane) {
		l.buried = append(l.buried, r)
		l.drop(r, ln)
	})
}

func (l *fakeLedger) Release(r store.Ref) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.taken[r] {
		l.t.Errorf("release of %d, which is not in delivery", r.ID)
		return
	}
	delete(l.taken, r)
	l.lanes[l.disk[r].Lane].busy = false
	l.signal()
}

// book is the bot's own record, from which the verdicts come.
type book struct {
	t      testing.TB
	lane   func(id int64) string
	handle func(ctx context.Context, u delivery.Update) error

	mu       sync.Mutex
	now      map[string]int64 // in delivery, by lane
	high     int
	taken    map[string][]int64 // by lane, in order
	attempts map[int64][]int
	at       map[int64][]time.Time // starts
}

func newBook(t testing.TB, lane func(int64) string, handle func(context.Context, delivery.Update) error) *book {
	return &book{t: t, lane: lane, handle: handle, now: map[string]int64{}, taken: map[string][]int64{},
		attempts: map[int64][]int{}, at: map[int64][]time.Time{}}
}

func (b *book) Deliver(ctx context.Context, u delivery.Update) error {
	lane := b.lane(u.ID)
	b.mu.Lock()
	if other, busy := b.now[lane]; busy {
		b.t.Errorf("lane %s has %d and %d in delivery", lane, other, u.ID)
	}
	b.now[lane] = u.ID
	b.high = max(b.high, len(b.now))
	b.attempts[u.ID] = append(b.attempts[u.ID], u.Attempt)
	b.at[u.ID] = append(b.at[u.ID], time.Now())
	b.mu.Unlock()

	err := error(nil)
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.now, lane)
		if err == nil {
			b.taken[lane] = append(b.taken[lane], u.ID)
		}
	}()
	if b.handle != nil {
		err = errors.New("it did not return") // a panic or an exit
		err = b.handle(ctx, u)
	}
	return err
}

func (b *book) count() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ids := range b.taken {
		n += len(ids)
	}
	return n
}

func (b *book) tries(id int64) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.attempts[id])
}

func (b *book) total() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.attempts {
		n += len(a)
	}
	return n
}

// checkOrder verifies that every lane was taken in order; it returns how many
// updates of each lane came twice in a row.
func (b *book) checkOrder() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	repeats := map[string]int{}
	for lane, ids := range b.taken {
		for i := 1; i < len(ids); i++ {
			switch {
			case ids[i] == ids[i-1]:
				repeats[lane]++
			case ids[i] < ids[i-1]:
				b.t.Errorf("lane %s: %d after %d", lane, ids[i], ids[i-1])
			}
		}
	}
	return repeats
}

// run starts a dispatcher; stop ends it as a hard stop does.
func run(t testing.TB, o Options) (d *Dispatcher, stop func() error) {
	t.Helper()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	var once sync.Once
	var result error
	return d, func() error {
		once.Do(func() { cancel(); result = <-done })
		return result
	}
}
