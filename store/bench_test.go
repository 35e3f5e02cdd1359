package store

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dualgram/transport"

	bolt "go.etcd.io/bbolt"
)

var benchRaw = make([]byte, 700)

// bare is the least that a durable group commit over bbolt takes: one writer,
// one put of the same size for each call, no ids, no memory.
type bare struct {
	db   *bolt.DB
	mu   sync.Mutex
	q    []chan error
	wake chan struct{}
	done chan struct{}
	n    uint64
}

func newBare(b *testing.B) *bare {
	db, err := bolt.Open(newPath(b), 0o600, boltOptions(time.Second))
	if err != nil {
		b.Fatal(err)
	}
	_ = db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("b")); return err })
	x := &bare{db: db, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go x.run()
	b.Cleanup(func() { close(x.wake); <-x.done; db.Close() })
	return x
}

func (x *bare) put() error {
	c := make(chan error, 1)
	x.mu.Lock()
	x.q = append(x.q, c)
	x.mu.Unlock()
	select {
	case x.wake <- struct{}{}:
	default:
	}
	return <-c
}

func (x *bare) run() {
	defer close(x.done)
	for range x.wake {
		for {
			x.mu.Lock()
			q := x.q
			x.q = nil
			x.mu.Unlock()
			if len(q) == 0 {
				break
			}
			err := x.db.Update(func(tx *bolt.Tx) error {
				b := tx.Bucket([]byte("b"))
				for range q {
					x.n++
					v := append(make([]byte, 0, 740), benchRaw...)
					if err := b.Put(binary.BigEndian.AppendUint64(nil, x.n), v); err != nil {
						return err
					}
				}
				return nil
			})
			for _, c := range q {
				c <- err
			}
		}
	}
}

// parallel runs n goroutines that share b.N calls.
func parallel(b *testing.B, n int, f func(i int64)) {
	b.ResetTimer()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				f(i)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
}

// BenchmarkAccept compares Accept with a bare group commit of values of the same
// size: the ratio of the two "updates/s" is what dedup, series and lanes cost.
func BenchmarkAccept(b *testing.B) {
	for _, n := range []int{1, 40, 100} {
		b.Run(fmt.Sprintf("bare/%d", n), func(b *testing.B) {
			x := newBare(b)
			parallel(b, n, func(int64) {
				if err := x.put(); err != nil {
					b.Error(err)
				}
			})
		})
		b.Run(fmt.Sprintf("store/%d", n), func(b *testing.B) {
			s := open(b, newPath(b))
			l := ledger(b, s)
			parallel(b, n, func(i int64) {
				_, err := l.Accept(ctx, transport.Batch{Source: transport.SourceWebhook, ReceivedAt: time.Now(), Updates: []transport.Update{
					{ID: 5_000_000 + i, HasID: true, Kind: "message", Lane: lanesOf40[i%40], Raw: benchRaw},
				}})
				if err != nil {
					b.Error(err)
				}
			})
		})
	}
}

var lanesOf40 = func() (l [40]string) {
	for i := range l {
		l[i] = fmt.Sprintf("c%d", 100000+i)
	}
	return l
}()

func fill(b testing.TB, l *Ledger, n int, lane func(i int) string) {
	for i := 0; i < n; {
		batch := transport.Batch{Source: transport.SourcePolling, ReceivedAt: time.Now()}
		for range 1000 {
			u := upd(int64(5_000_000+i), lane(i))
			u.Raw = benchRaw
			batch.Updates = append(batch.Updates, u)
			i++
		}
		accept(b, l, batch)
	}
}

// BenchmarkDrain takes a backlog of 100,000, Next and Done, with 40 deliveries
// at a time.
func BenchmarkDrain(b *testing.B) {
	const backlog = 100_000
	for _, c := range []struct {
		name string
		lane func(i int) string
		par  int
	}{
		{"40lanes", func(i int) string { return lanesOf40[i%40] }, 40},
		{"100000lanes", func(i int) string { return fmt.Sprintf("c%d", i) }, 40},
		{"1lane", func(int) string { return "c1" }, 1},
	} {
		b.Run(c.name, func(b *testing.B) {
			n := backlog
			if c.par == 1 {
				n /= 10 // each waits for a commit of its own
			}
			for range b.N {
				b.StopTimer()
				s := open(b, newPath(b))
				l := ledger(b, s)
				fill(b, l, n, c.lane)
				b.StartTimer()
				var left atomic.Int64
				left.Store(int64(n))
				var wg sync.WaitGroup
				for range c.par {
					wg.Go(func() {
						for left.Load() > 0 {
							r, ok, _, err := l.Next(time.Now())
							if err != nil {
								b.Error(err)
								return
							}
							if !ok {
								runtime.Gosched()
								continue
							}
							if err := l.Done(ctx, r.Ref); err != nil {
								b.Error(err)
							}
							left.Add(-1)
						}
					})
				}
				wg.Wait()
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "updates/s")
		})
	}
}

// BenchmarkNext shows that finding the next record doesn't depend on how many
// wait.
func BenchmarkNext(b *testing.B) {
	for _, c := range []struct {
		name string
		lane func(i int) string
	}{
		{"100000lanes", func(i int) string { return fmt.Sprintf("c%d", i) }},
		{"1lane", func(int) string { return "c1" }},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := open(b, newPath(b))
			l := ledger(b, s)
			var m0, m1 runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m0)
			fill(b, l, 100_000, c.lane)
			runtime.GC()
			runtime.ReadMemStats(&m1)
			b.ResetTimer()
			for range b.N {
				r, ok, _, err := l.Next(time.Now())
				if !ok || err != nil {
					b.Fatal(ok, err)
				}
				l.Release(r.Ref)
			}
			b.ReportMetric(float64(int64(m1.HeapAlloc)-int64(m0.HeapAlloc))/100_000, "B/record")
		})
	}
}

// BenchmarkOpen opens a store with a backlog of 100,000.
func BenchmarkOpen(b *testing.B) {
	path := newPath(b)
	s := open(b, path)
	fill(b, ledger(b, s), 100_000, func(i int) string { return lanesOf40[i%40] })
	s.Close()
	b.ResetTimer()
	for range b.N {
		s, err := Open(Options{Path: path})
		if err != nil {
			b.Fatal(err)
		}
		ledger(b, s)
		s.Close()
	}
}
