package dispatch

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/store"
	"dualgram/transport/delivery"
)

// Drain waits for what is ready while intake goes on, and not for what fails.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFake(t)
		b := newBook(t, lanes(10), func(_ context.Context, u delivery.Update) error {
			time.Sleep(100 * time.Millisecond)
			if u.ID%10 == 0 {
				return errBot
			}
			return nil
		})
		for id := range int64(100) {
			l.add(id, b.lane(id))
		}
		d, stop := run(t, Options{Ledger: l, Handler: b})
		time.Sleep(10 * time.Millisecond)
		go func() { // intake goes on for half a second
			for id := int64(100); id < 150; id++ {
				l.add(id, b.lane(id))
				time.Sleep(10 * time.Millisecond)
			}
		}()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		s, ok := d.Drain(ctx)
		if !ok || s.InFlight != 0 || s.Settling != 0 || s.Failing != 1 || time.Since(start) > 3*time.Second {
			t.Errorf("%v after %s, %+v", ok, time.Since(start), s)
		}
		if b.count() != 135 || l.waiting() != 15 {
			t.Errorf("%d taken, %d left", b.count(), l.waiting())
		}
		// Nothing to do: at once.
		start = time.Now()
		if _, ok := d.Drain(ctx); !ok || time.Since(start) > time.Second {
			t.Error("a second time")
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if _, ok := d.Drain(ctx); ok {
			t.Error("drained although Run has ended")
		}
	})
}

// While the bot is down, what waits for its turn is still ready; what has
// failed is not.
func TestDrainOfBotThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFake(t)
		b := newBook(t, lanes(100), func(context.Context, delivery.Update) error {
			return &delivery.Error{Op: "forward", Kind: delivery.KindRefused}
		})
		d, stop := run(t, Options{Ledger: l, Handler: b, MaxLanes: 5})
		for id := range int64(20) {
			l.add(id, b.lane(id))
		}
		time.Sleep(10 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		if s, ok := d.Drain(ctx); ok || s.BotDownSince.IsZero() {
			t.Errorf("drained with updates that were never tried: %+v", s)
		}
		time.Sleep(10 * time.Minute)
		ctx, cancel = context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		if s, ok := d.Drain(ctx); !ok || s.Failing != 20 {
			t.Errorf("not drained although all have failed: %+v", s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A stop cuts what hangs. That is no attempt; and what the bot takes in that
// very moment is removed.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFake(t)
		l.commit = time.Second
		b := newBook(t, lanes(10), func(ctx context.Context, u delivery.Update) error {
			<-ctx.Done()
			time.Sleep(time.Duration(u.ID) * time.Second)
			if u.ID%2 == 0 {
				return nil
			}
			return ctx.Err()
		})
		for id := range int64(8) {
			l.add(id, b.lane(id))
		}
		var seen outcomes
		d, stop := run(t, Options{Ledger: l, Handler: b, Observe: seen.observe})
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		if s, ok := d.Drain(ctx); ok || s.InFlight != 8 || time.Since(start) != 5*time.Second {
			t.Errorf("%v, %+v after %s", ok, s, time.Since(start))
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if s := d.Snapshot(); s.InFlight != 0 || s.Settling != 0 || len(b.now) != 0 {
			t.Errorf("Run did not wait: %+v", s)
		}
		if l.waiting() != 4 || seen.count(Taken) != 4 || seen.count(Failed) != 0 || len(l.tries) != 0 || len(l.taken) != 0 {
			t.Errorf("%d left, %+v", l.waiting(), seen.all)
		}
	})
}

// After a crash at any moment at most one update per lane comes twice, nothing
// is lost, the order holds. After a clean stop nothing comes twice.
func TestCrash(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			var mu sync.Mutex
			roll := func(n int) int { mu.Lock(); defer mu.Unlock(); return r.IntN(n) }
			clean := seed%4 == 0
			lane := lanes(8)
			b := newBook(t, lane, func(ctx context.Context, u delivery.Update) error {
				select {
				case <-time.After(time.Duration(roll(50)) * time.Millisecond):
				case <-ctx.Done():
					return ctx.Err()
				}
				if roll(10) == 0 {
					return errBot
				}
				return nil
			})
			l := newFake(t)
			l.commit = 5 * time.Millisecond
			for id := range int64(300) {
				l.add(id, lane(id))
			}
			deaths := 0
			for l.waiting() > 0 {
				_, stop := run(t, Options{Ledger: l, Handler: b, MaxLanes: 5})
				time.Sleep(time.Duration(roll(2000)) * time.Millisecond)
				if !clean {
					l.crash()
				}
				_ = stop()
				l = l.reopen()
				deaths++
			}
			repeats, most := b.checkOrder(), 0
			for _, n := range repeats {
				most = max(most, n)
			}
			if clean && most > 0 || most > deaths {
				t.Errorf("seed %d: %d deaths, repeats %v", seed, deaths, repeats)
			}
			if b.count() < 300 {
				t.Errorf("seed %d: %d taken", seed, b.count())
			}
		})
	}
}

// An update that was taken and can't be removed is not delivered again, its
// lane waits, and the failure shows.
func TestDoneFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFake(t)
		broken := true
		l.fail = func(op string) error { // called with the ledger's lock
			if broken && op == "done" {
				return errDisk
			}
			return nil
		}
		mend := func(v bool) { l.mu.Lock(); broken = !v; l.mu.Unlock() }
		failed := map[string]int{}
		var mu sync.Mutex
		b := newBook(t, lanes(2), nil)
		for id := range int64(4) {
			l.add(id, b.lane(id))
		}
		d, stop := run(t, Options{Ledger: l, Handler: b, LedgerFailed: func(op string, err error) {
			mu.Lock()
			failed[op]++
			mu.Unlock()
		}})
		start := time.Now()
		time.Sleep(time.Minute)
		if s := d.Snapshot(); s.Settling != 2 || !s.OldestSettling.Equal(start) || s.InFlight != 0 || b.total() != 2 {
			t.Errorf("%d deliveries, %+v", b.total(), s)
		}
		mu.Lock()
		if n := failed["done"]; n < 50 || n > 80 {
			t.Errorf("%d tries to remove", n)
		}
		mu.Unlock()
		mend(true)
		time.Sleep(3 * time.Second)
		if l.waiting() != 0 || b.total() != 4 {
			t.Errorf("%d left, %d deliveries", l.waiting(), b.total())
		}
		mend(false)
		l.add(4, "c0")
		time.Sleep(time.Second)
		start = time.Now()
		if err := stop(); err == nil || !strings.Contains(err.Error(), "1 updates") {
			t.Errorf("Run: %v", err)
		}
		if time.Since(start) != settleGrace || d.Snapshot().Unsettled != 1 || !l.taken[ref(4)] {
			t.Errorf("stopped after %s, %+v", time.Since(start), d.Snapshot())
		}
	})
}

// Failing reads of the ledger are tried again, ever more slowly; failing writes
// of attempts hold their lane.
func TestLedgerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFake(t)
		broken := map[string]bool{"next": true}
		l.fail = func(op string) error {
			if broken[op] {
				return errDisk
			}
			return nil
		}
		set := func(op string, v bool) { l.mu.Lock(); broken[op] = v; l.mu.Unlock() }
		b := newBook(t, lanes(2), func(_ context.Context, u delivery.Update) error {
			if u.Attempt == 1 {
				return errBot
			}
			return nil
		})
		l.add(0, "c0")
		d, stop := run(t, Options{Ledger: l, Handler: b})
		time.Sleep(time.Minute)
		l.mu.Lock()
		if l.nexts < 10 || l.nexts > 25 || b.total() != 0 {
			t.Errorf("asked %d times", l.nexts)
		}
		l.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), 2*maxNextPause)
		defer cancel()
		if _, ok := d.Drain(ctx); ok {
			t.Error("drained although the ledger can't be read")
		}
		set("next", false)
		set("retry", true)
		time.Sleep(time.Minute)
		if s := d.Snapshot(); b.total() != 1 || s.Settling != 1 {
			t.Errorf("%d deliveries, %+v", b.total(), s)
		}
		set("retry", false)
		time.Sleep(5 * time.Second)
		if b.total() != 2 || b.count() != 1 {
			t.Errorf("%d deliveries, %d taken", b.total(), b.count())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Attempts go on counting across a restart, and what was held back is tried at
// once: the bot may have been the reason.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFake(t)
		b := newBook(t, lanes(1), func(context.Context, delivery.Update) error { return errBot })
		l.add(1, "c0")
		_, stop := run(t, Options{Ledger: l, Handler: b})
		time.Sleep(40 * time.Second)
		_ = stop()
		n := b.tries(1)
		if n < 5 || l.tries[ref(1)].Count != n || !l.tries[ref(1)].First.Equal(b.at[1][0]) || l.tries[ref(1)].Cause != "handler" {
			t.Fatalf("%d tries, %+v", n, l.tries[ref(1)])
		}
		b.handle = nil
		l = l.reopen()
		var seen outcomes
		_, stop = run(t, Options{Ledger: l, Handler: b, Observe: seen.observe})
		time.Sleep(time.Second)
		_ = stop()
		if o := seen.of(1); len(o) != 1 || o[0].Result != Taken || o[0].Attempt != n+1 {
			t.Errorf("%+v", o)
		}
	})
}

// A record that can't be read for a while is not held back for hours because it
// was asked for when held lanes were freed.
func TestUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFake(t)
		b := newBook(t, lanes(2), nil)
		l.unread = ref(0)
		l.add(0, "c0")
		l.add(1, "c1")
		_, stop := run(t, Options{Ledger: l, Handler: b})
		time.Sleep(time.Second)
		if b.count() != 1 {
			t.Errorf("%d taken: the others must go on", b.count())
		}
		l.mu.Lock()
		l.unread = store.Ref{}
		l.mu.Unlock()
		l.add(3, "c1")
		time.Sleep(liftAgain)
		l.add(5, "c1")
		time.Sleep(time.Second)
		_ = stop()
		if b.count() != 4 {
			t.Errorf("%d of 4 taken", b.count())
		}
	})
}

// A record that somebody else has settled holds nothing up.
func TestNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFake(t)
		l.fail = func(op string) error {
			if op == "done" {
				return &store.Error{Op: "done", Err: store.ErrNotTaken}
			}
			return nil
		}
		l.add(1, "c0")
		_, stop := run(t, Options{Ledger: l, Handler: newBook(t, lanes(1), nil)})
		time.Sleep(time.Second)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
