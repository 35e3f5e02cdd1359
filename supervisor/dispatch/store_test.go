package dispatch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/store"
	"dualgram/transport"
	"dualgram/transport/delivery"
)

// realStore opens a store in a file and returns its ledger.
func realStore(t testing.TB, path string) (*store.Store, *store.Ledger) {
	t.Helper()
	s, err := store.Open(store.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Ledger(42)
	if err != nil {
		t.Fatal(err)
	}
	return s, l
}

func accept(t testing.TB, l *store.Ledger, first, count int64, lane func(int64) string) {
	t.Helper()
	var us []transport.Update
	for id := first; id < first+count; id++ {
		us = append(us, transport.Update{ID: id, HasID: true, Kind: "message", Lane: lane(id), Raw: fmt.Appendf(nil, "{\"update_id\":%d,\n\"message\":{}}", id)})
	}
	if _, err := l.Accept(context.Background(), transport.Batch{Source: transport.SourceWebhook, ReceivedAt: time.Now(), Updates: us}); err != nil {
		t.Fatal(err)
	}
}

// The same as TestCrash, with the real store: a crash abandons it.
func TestStoreCrash(t *testing.T) {
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 4))
			var mu sync.Mutex
			roll := func(n int) int { mu.Lock(); defer mu.Unlock(); return r.IntN(n) }
			clean, lane, path := seed%4 == 0, lanes(8), filepath.Join(t.TempDir(), "ledger")
			b := newBook(t, lane, func(ctx context.Context, u delivery.Update) error {
				if want := fmt.Sprintf("{\"update_id\":%d,\n\"message\":{}}", u.ID); string(u.Raw) != want || u.Source != transport.SourceWebhook {
					t.Errorf("%q from %q", u.Raw, u.Source)
				}
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
			s, l := realStore(t, path)
			accept(t, l, 1000, 120, lane)
			deaths := 0
			for l.Stats().Waiting > 0 {
				_, stop := run(t, Options{Ledger: l, Handler: b, MaxLanes: 5, BuryAfter: 1000 * time.Hour})
				time.Sleep(time.Duration(roll(2000)) * time.Millisecond)
				if !clean {
					_ = s.Abandon()
				}
				_ = stop()
				if clean {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
				}
				s, l = realStore(t, path)
				deaths++
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			for lane, n := range b.checkOrder() {
				if clean || n > deaths {
					t.Errorf("seed %d: lane %s: %d repeats after %d deaths", seed, lane, n, deaths)
				}
			}
			if b.count() < 120 {
				t.Errorf("seed %d: %d taken", seed, b.count())
			}
		})
	}
}

// Poison is buried and an outage survived with the real store, too, and all
// held lanes go on at once when the outage is over.
func TestStorePoisonAndOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := realStore(t, filepath.Join(t.TempDir(), "ledger"))
		defer s.Close()
		var mu sync.Mutex
		up := true
		b := newBook(t, lanes(100), func(_ context.Context, u delivery.Update) error {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case !up:
				return &delivery.Error{Op: "forward", Kind: delivery.KindRefused}
			case u.ID == 1000:
				return errors.New("poison")
			}
			return nil
		})
		_, stop := run(t, Options{Ledger: l, Handler: b})
		id := int64(1000)
		traffic := func(d, every time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); id++ {
				accept(t, l, id, 1, b.lane)
				time.Sleep(every)
			}
		}
		traffic(5*time.Minute, 10*time.Second)
		mu.Lock()
		up = false
		mu.Unlock()
		traffic(2*time.Hour, 20*time.Second)
		if st := l.Stats(); st.Dead != 0 || st.Waiting < 360 {
			t.Errorf("in the outage: %+v", st)
		}
		mu.Lock()
		up = true
		mu.Unlock()
		time.Sleep(20 * time.Second)
		if st := l.Stats(); st.Waiting > int(id-1000)/100+1 {
			t.Errorf("20 s after the outage: %+v", st)
		}
		traffic(20*time.Minute, 10*time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if dead, err := l.Dead(store.Ref{}, 10); err != nil || len(dead) != 1 || dead[0].ID != 1000 {
			t.Errorf("%v, %+v", err, dead)
		}
		b.checkOrder()
		if b.count() != int(id-1000)-1 || l.Stats().Waiting != 0 {
			t.Errorf("%d of %d taken, %d wait", b.count(), id-1000, l.Stats().Waiting)
		}
	})
}

// BenchmarkDrain delivers a backlog of 1,000 chats from a real store.
func BenchmarkDrain(b *testing.B) {
	s, l := realStore(b, filepath.Join(b.TempDir(), "ledger"))
	defer s.Close()
	for first := int64(0); first < int64(b.N); first += 5000 {
		accept(b, l, 1000+first, min(5000, int64(b.N)-first), lanes(1000))
	}
	var wg sync.WaitGroup
	wg.Add(b.N)
	b.ReportAllocs()
	b.ResetTimer()
	_, stop := run(b, Options{Ledger: l, Handler: delivery.Func(func(context.Context, delivery.Update) error { return nil }),
		Observe: func(Outcome) { wg.Done() }})
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
	if err := stop(); err != nil {
		b.Fatal(err)
	}
}

// memory is the quickest ledger possible: every update has a lane of its own.
type memory struct {
	mu    sync.Mutex
	left  int
	next  int64
	ready chan struct{}
}

func (m *memory) Next(time.Time) (store.Record, bool, time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left == 0 {
		return store.Record{}, false, 0, nil
	}
	m.left--
	m.next++
	return store.Record{Ref: ref(m.next)}, true, 0, nil
}
func (m *memory) Ready() <-chan struct{}                                { return m.ready }
func (m *memory) Done(context.Context, store.Ref) error                 { return nil }
func (m *memory) Retry(context.Context, store.Ref, store.Attempt) error { return nil }
func (m *memory) Release(store.Ref)                                     {}
func (m *memory) Bury(context.Context, store.Ref, store.Burial) error   { return nil }

// BenchmarkDispatch is what the dispatcher itself costs.
func BenchmarkDispatch(b *testing.B) {
	m := &memory{left: b.N, ready: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Add(b.N)
	b.ReportAllocs()
	_, stop := run(b, Options{Ledger: m, Handler: delivery.Func(func(context.Context, delivery.Update) error { return nil }),
		Observe: func(Outcome) { wg.Done() }})
	wg.Wait()
	if err := stop(); err != nil {
		b.Fatal(err)
	}
}
