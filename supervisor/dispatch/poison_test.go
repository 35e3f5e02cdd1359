package dispatch

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/transport/delivery"
)

// One update that always fails is buried, after the attempts and the time that
// it is due; meanwhile others don't notice, and afterwards its lane goes on.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFake(t)
		b := newBook(t, func(id int64) string {
			if id < 10 {
				return "poisoned"
			}
			return lanes(20)(id)
		}, func(_ context.Context, u delivery.Update) error {
			time.Sleep(20 * time.Millisecond)
			if u.ID == 1 {
				return &delivery.Error{Op: "forward", Kind: delivery.KindStatus, Status: 500}
			}
			return nil
		})
		var seen outcomes
		_, stop := run(t, Options{Ledger: l, Handler: b, Observe: seen.observe})
		l.add(1, "poisoned")
		l.add(2, "poisoned")
		for id := int64(10); id < 1000; id++ {
			l.add(id, b.lane(id))
			time.Sleep(time.Second)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if len(l.buried) != 1 || l.buried[0].ID != 1 {
			t.Fatalf("buried: %v", l.buried)
		}
		mine := seen.of(1)
		last := mine[len(mine)-1]
		if last.Result != Buried || last.ErrKind != delivery.KindStatus || last.Attempt != len(mine) || len(mine) < 8 {
			t.Errorf("%d outcomes, last %+v", len(mine), last)
		}
		if last.Waited < 10*time.Minute || last.Waited > 12*time.Minute {
			t.Errorf("buried after %s", last.Waited)
		}
		if b.tries(2) != 1 || b.at[2][0].Before(b.at[1][len(b.at[1])-1]) {
			t.Error("the lane did not go on after the burial")
		}
		for id := int64(10); id < 1000; id++ {
			if o := seen.of(id); len(o) != 1 || o[0].Result != Taken || o[0].Waited > 30*time.Millisecond || o[0].Duration != 20*time.Millisecond {
				t.Fatalf("%d noticed: %+v", id, o)
			}
		}
	})
}

// A quiet bot with several poisoned lanes looks as if it were down. An update
// of another lane is delivered at once all the same.
func TestPoisonInQuietTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFake(t)
		b := newBook(t, lanes(1000), func(_ context.Context, u delivery.Update) error {
			if u.ID < 30 {
				return errBot
			}
			return nil
		})
		var seen outcomes
		_, stop := run(t, Options{Ledger: l, Handler: b, Observe: seen.observe})
		for id := range int64(30) {
			l.add(id, b.lane(id))
		}
		for id := int64(30); id < 100; id++ {
			time.Sleep(5 * time.Minute)
			l.add(id, b.lane(id))
		}
		time.Sleep(time.Minute)
		_ = stop()
		for id := int64(30); id < 100; id++ {
			if o := seen.of(id); len(o) != 1 || o[0].Waited > time.Second {
				t.Fatalf("%d: %+v", id, o)
			}
		}
	})
}

// A third of what a busy bot gets fails for its content, in lanes of its own.
// The others don't notice, and the bot never counts as down.
func TestMuchPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFake(t)
		bad := func(id int64) bool { return id*2654435761%100 < 33 }
		b := newBook(t, lanes(1e6), func(_ context.Context, u delivery.Update) error {
			time.Sleep(5 * time.Millisecond)
			if bad(u.ID) {
				return &delivery.Error{Op: "forward", Kind: delivery.KindStatus, Status: 500}
			}
			return nil
		})
		var seen outcomes
		d, stop := run(t, Options{Ledger: l, Handler: b, Observe: seen.observe})
		for id := range int64(1500) {
			l.add(id, b.lane(id))
			time.Sleep(2 * time.Millisecond)
			if s := d.Snapshot(); !s.BotDownSince.IsZero() {
				t.Fatalf("down at %d: %+v", id, s)
			}
		}
		time.Sleep(time.Second)
		_ = stop()
		for id := range int64(1500) {
			if o := seen.of(id); !bad(id) && (len(o) != 1 || o[0].Waited > 50*time.Millisecond) {
				t.Fatalf("%d: %+v", id, o)
			}
		}
	})
}

// A bot that turns down most of everything is broken as a whole.
func TestFlappingBuriesNothing(t *testing.T) {
	for seed, share := range []float64{0.95, 0.9, 0.9, 0.8, 0.7, 0.6, 0.4} {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(seed), 2))
			var mu sync.Mutex
			l := newFake(t)
			b := newBook(t, lanes(100), func(context.Context, delivery.Update) error {
				mu.Lock()
				defer mu.Unlock()
				if r.Float64() < share {
					return errBot
				}
				return nil
			})
			_, stop := run(t, Options{Ledger: l, Handler: b})
			for id := range int64(3000) {
				l.add(id, b.lane(id))
				time.Sleep(2 * time.Second)
			}
			_ = stop()
			if len(l.buried) > 0 {
				t.Errorf("share %v: %d buried", share, len(l.buried))
			}
			b.checkOrder()
		})
	}
}
