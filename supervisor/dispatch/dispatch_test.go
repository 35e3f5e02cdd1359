package dispatch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/store"
	"dualgram/transport/delivery"
)

var errBot = errors.New("not today")

func lanes(n int64) func(int64) string {
	return func(id int64) string { return fmt.Sprintf("c%d", id%n) }
}

// outcomes collects what Observe is told.
type outcomes struct {
	mu  sync.Mutex
	all []Outcome
}

func (o *outcomes) observe(x Outcome) {
	o.mu.Lock()
	o.all = append(o.all, x)
	o.mu.Unlock()
}

func (o *outcomes) of(id int64) (found []Outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, x := range o.all {
		if x.Ref.ID == id {
			found = append(found, x)
		}
	}
	return found
}

func (o *outcomes) count(r Result) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, x := range o.all {
		if x.Result == r {
			n++
		}
	}
	return n
}

// Whatever fails, each lane is taken completely, in order, one at a time, each
// update once, with attempts that count from 1.
func TestOrderUnderFailures(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			var mu sync.Mutex
			chance := func(p float64) bool {
				mu.Lock()
				defer mu.Unlock()
				return r.Float64() < p
			}
			total, lane := int64(100+r.IntN(200)), lanes(1+r.Int64N(15))
			botFails, ledgerFails, maxLanes := r.Float64()*0.6, r.Float64()*0.3, 1+r.IntN(8)
			l := newFake(t)
			l.commit = time.Duration(r.IntN(20)) * time.Millisecond
			l.fail = func(op string) error {
				if chance(ledgerFails) {
					return errDisk
				}
				return nil
			}
			b := newBook(t, lane, func(context.Context, delivery.Update) error {
				mu.Lock()
				d := time.Duration(r.IntN(200)) * time.Millisecond
				mu.Unlock()
				time.Sleep(d)
				if chance(botFails) {
					return errBot
				}
				return nil
			})
			var seen outcomes
			_, stop := run(t, Options{Ledger: l, Handler: b, MaxLanes: maxLanes, BuryAfter: 1000 * time.Hour, Observe: seen.observe})
			for id := range total {
				l.add(id, lane(id))
				if chance(0.3) {
					time.Sleep(50 * time.Millisecond)
				}
			}
			for i := 0; l.waiting() > 0; i++ {
				if i > 1000 {
					t.Fatalf("seed %d: %d left", seed, l.waiting())
				}
				time.Sleep(10 * time.Second)
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			if len(b.checkOrder()) > 0 || b.count() != int(total) {
				t.Errorf("seed %d: %d taken of %d, repeats %v", seed, b.count(), total, b.checkOrder())
			}
			if b.high > maxLanes {
				t.Errorf("seed %d: %d in delivery at once", seed, b.high)
			}
			for id, attempts := range b.attempts {
				for i, n := range attempts {
					if n != i+1 {
						t.Errorf("seed %d: attempts %v of %d", seed, attempts, id)
						break
					}
				}
			}
			if seen.count(Taken) != int(total) || seen.count(Failed) != b.total()-int(total) {
				t.Errorf("seed %d: observed %d taken, %d failed", seed, seen.count(Taken), seen.count(Failed))
			}
		})
	}
}

// A smaller id that comes while its lane is held back goes first.
func TestSmallestPresentFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFake(t)
		fails := 1
		b := newBook(t, lanes(1), func(_ context.Context, u delivery.Update) error {
			if u.ID == 5 && fails > 0 {
				fails--
				return errBot
			}
			return nil
		})
		l.add(5, "c0")
		_, stop := run(t, Options{Ledger: l, Handler: b})
		time.Sleep(100 * time.Millisecond)
		l.add(4, "c0")
		time.Sleep(time.Minute)
		_ = stop()
		if got := b.taken["c0"]; len(got) != 2 || got[0] != 4 {
			t.Errorf("%v", got)
		}
	})
}

// Lanes are delivered at the same time, up to the limit, and the limit is used.
func TestParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFake(t)
		b := newBook(t, lanes(1000), func(context.Context, delivery.Update) error { time.Sleep(time.Second); return nil })
		for id := range int64(640) {
			l.add(id, b.lane(id))
		}
		d, stop := run(t, Options{Ledger: l, Handler: b})
		time.Sleep(500 * time.Millisecond)
		start := time.Now().Add(-500 * time.Millisecond)
		if s := d.Snapshot(); s.InFlight != 64 || !s.OldestInFlight.Equal(start) || s.Settling != 0 {
			t.Errorf("%+v", s)
		}
		time.Sleep(9600 * time.Millisecond)
		if b.count() != 640 || b.high != 64 {
			t.Errorf("%d taken, %d at once", b.count(), b.high)
		}
		_ = stop()
	})
}

// An outage of a day buries nothing, doesn't hammer the bot, is noticed to be
// over within a few pauses, and all lanes go on in order. Poison at the front of
// what waits can't hide that the bot is back.
func TestOutage(t *testing.T) {
	for _, kind := range []delivery.Kind{delivery.KindRefused, delivery.KindStatus, delivery.KindTimeout} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const poison = 10
				bad := func(id int64) bool { return id >= 20 && id < 20+poison }
				day := 24 * time.Hour
				if kind != delivery.KindRefused {
					day = 6 * time.Hour
				}
				up := true
				var mu sync.Mutex
				set := func(v bool) { mu.Lock(); up = v; mu.Unlock() }
				l := newFake(t)
				b := newBook(t, lanes(150), func(ctx context.Context, u delivery.Update) error {
					mu.Lock()
					ok := up
					mu.Unlock()
					switch {
					case ok && !bad(u.ID):
						return nil
					case ok:
						return &delivery.Error{Op: "forward", Kind: delivery.KindStatus}
					}
					if kind == delivery.KindTimeout {
						<-ctx.Done()
					}
					return &delivery.Error{Op: "forward", Kind: kind}
				})
				var seen outcomes
				d, stop := run(t, Options{Ledger: l, Handler: b, Observe: seen.observe})
				id := int64(0)
				traffic := func(span, every time.Duration) {
					for end := time.Now().Add(span); time.Now().Before(end); id++ {
						l.add(id, b.lane(id))
						time.Sleep(every)
					}
				}
				traffic(time.Minute, time.Second)
				set(false)
				began := time.Now()
				traffic(10*time.Minute, time.Second)
				before := b.total()
				traffic(day-10*time.Minute, 20*time.Second)
				if s := d.Snapshot(); s.BotDownSince.Sub(began) > time.Minute || s.BotDownSince.IsZero() || s.ConsecutiveFailures < 100 {
					t.Errorf("%+v", s)
				}
				if probes := b.total() - before; probes > 2*int(day/(12*time.Second)) {
					t.Errorf("%d probes in a day", probes)
				}
				if len(l.buried) > 0 {
					t.Fatalf("buried in the outage: %v", l.buried)
				}
				set(true)
				waits := l.waiting()
				time.Sleep(2 * time.Minute) // a hung probe, pauses, probes that hit poison
				if left := l.waiting(); left > 2*poison*int(id)/150 {
					t.Errorf("%d of %d left after two minutes", left, waits)
				}
				if s := d.Snapshot(); !s.BotDownSince.IsZero() {
					t.Errorf("still down: %+v", s)
				}
				b.checkOrder()
				traffic(30*time.Minute, time.Second)
				time.Sleep(30 * time.Minute)
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				b.checkOrder()
				for _, r := range l.buried {
					if !bad(r.ID) {
						t.Errorf("%d buried", r.ID)
					}
				}
				if b.count() < int(id)-poison-poison*int(id)/150 {
					t.Errorf("%d of %d taken", b.count(), id)
				}
				if len(l.buried) < poison {
					t.Errorf("%d buried of %d that fail alone", len(l.buried), poison)
				}
			})
		})
	}
}

// A short restart of the bot costs little, even with all lanes in flight.
func TestShortOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		l := newFake(t)
		b := newBook(t, lanes(200), func(context.Context, delivery.Update) error {
			if d := time.Since(start); d > time.Second && d < 3*time.Second {
				return &delivery.Error{Op: "forward", Kind: delivery.KindRefused}
			}
			return nil
		})
		var seen outcomes
		_, stop := run(t, Options{Ledger: l, Handler: b, Observe: seen.observe})
		for id := range int64(1000) {
			l.add(id, b.lane(id))
			time.Sleep(5 * time.Millisecond)
		}
		_ = stop()
		if b.count() != 1000 {
			t.Errorf("%d taken", b.count())
		}
		for _, o := range seen.all {
			if o.Result == Taken && o.Waited > 4*time.Second {
				t.Fatalf("%d waited %s", o.Ref.ID, o.Waited)
			}
		}
		if n := seen.count(Failed); n > 20 {
			t.Errorf("%d attempts in two seconds without a bot", n)
		}
	})
}

// Handlers that hang are cut; those that panic or exit fail.
func TestBadHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFake(t)
		b := newBook(t, lanes(100), func(ctx context.Context, u delivery.Update) error {
			if u.Attempt > 1 {
				return nil
			}
			switch u.ID {
			case 0:
				<-ctx.Done()
				return ctx.Err()
			case 1:
				panic("at the disco")
			case 2:
				runtime.Goexit()
			case 3:
				return &delivery.Error{Op: "forward", Kind: delivery.KindDNS}
			}
			return nil
		})
		var seen outcomes
		_, stop := run(t, Options{Ledger: l, Handler: b, Observe: seen.observe})
		for id := range int64(5) {
			l.add(id, b.lane(id))
		}
		time.Sleep(time.Minute)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		for id, want := range []delivery.Kind{delivery.KindTimeout, delivery.KindPanic, delivery.KindPanic, delivery.KindDNS, ""} {
			o := seen.of(int64(id))
			if o[0].ErrKind != want || o[len(o)-1].Result != Taken || want != "" && len(o) != 2 || want != "" && o[0].Err == nil {
				t.Errorf("%d: %+v", id, o)
			}
			if want == delivery.KindTimeout && o[0].Duration != 35*time.Second {
				t.Errorf("cut after %s", o[0].Duration)
			}
		}
	})
}

func TestHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFake(t)
		b := newBook(t, lanes(1), nil)
		var seen outcomes
		n := 0
		_, stop := run(t, Options{Ledger: l, Handler: b, Observe: seen.observe, Hook: func(ctx context.Context, point string) error {
			if point != "delivery" {
				t.Errorf("point %q", point)
			}
			if n++; n == 1 {
				return &delivery.Error{Op: "forward", Kind: delivery.KindReset}
			}
			if n == 2 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}})
		l.add(1, "c0")
		time.Sleep(time.Minute)
		_ = stop()
		o := seen.of(1)
		if len(o) != 3 || o[0].ErrKind != delivery.KindReset || o[1].ErrKind != delivery.KindTimeout || o[2].Attempt != 3 || b.tries(1) != 1 {
			t.Errorf("%+v", o)
		}
	})
}

func TestOptions(t *testing.T) {
	l, h := newFake(t), delivery.Func(nil)
	for want, o := range map[string]Options{
		"Ledger":       {Handler: h},
		"Handler":      {Ledger: l},
		"MaxLanes":     {Ledger: l, Handler: h, MaxLanes: -1},
		"max_attempts": {Ledger: l, Handler: h, MaxAttempts: -1},
		"bury_after":   {Ledger: l, Handler: h, BuryAfter: -1},
		"Timeout":      {Ledger: l, Handler: h, Timeout: -1},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	d, err := New(Options{Ledger: l, Handler: h})
	if err != nil || d.opts.MaxLanes != 64 || d.opts.MaxAttempts != 8 || d.opts.BuryAfter != 10*time.Minute || d.opts.Timeout != 35*time.Second {
		t.Errorf("%v, %+v", err, d.opts)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := d.Run(ctx); err == nil {
		t.Error("Run twice")
	}
}

var _ Ledger = (*store.Ledger)(nil)
