package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestIndex compares the index with a plain search over everything.
func TestIndex(t *testing.T) {
	type rec struct {
		lane  string
		queue string
		ref   Ref
		taken bool
		got   int64
	}
	for seed := range uint64(8) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		x := newIndex()
		all := map[Ref]*rec{}
		until := map[string]int64{}
		now := int64(1000)
		smallest := func() (best *rec, wait int64) {
			busy := map[string]bool{}
			first := map[string]*rec{} // of each lane and queue
			for _, r := range all {
				for _, k := range []string{r.lane, r.queue} {
					busy[k] = busy[k] || r.taken
					if f := first[k]; !r.taken && (f == nil || r.ref.Compare(f.ref) < 0) {
						first[k] = r
					}
				}
			}
			for _, r := range all {
				if busy[r.lane] {
					continue
				}
				if u := until[r.lane]; u > now {
					if wait == 0 || u-now < wait {
						wait = u - now
					}
					continue
				}
				if first[r.lane] != r || r.queue != "" && (busy[r.queue] || first[r.queue] != r) {
					continue
				}
				if best == nil || r.ref.Compare(best.ref) < 0 {
					best = r
				}
			}
			return best, wait
		}
		anyTaken := func() *rec {
			for _, r := range all {
				if r.taken {
					return r
				}
			}
			return nil
		}
		for range 1500 {
			switch rnd.IntN(6) {
			case 0, 1:
				r := &rec{lane: fmt.Sprint("c", rnd.IntN(8)), ref: Ref{1 + uint32(rnd.IntN(2)), int64(rnd.IntN(100000))}, got: rnd.Int64N(1000) + 1}
				if rnd.IntN(2) == 0 {
					r.queue = fmt.Sprint("b", rnd.IntN(4))
				}
				if all[r.ref] == nil {
					all[r.ref] = r
					x.add(r.lane, r.queue, item{id: r.ref.ID, received: r.got, series: r.ref.Series, size: 10})
				}
			case 2:
				want, wait := smallest()
				l, w := x.take(now)
				if (l == nil) != (want == nil) || l != nil && l.taken.ref() != want.ref || l == nil && int64(w) != wait {
					t.Fatalf("seed %d: took %+v wait %d, want %+v wait %d", seed, l, w, want, wait)
				}
				if want != nil {
					want.taken = true
					delete(until, want.lane)
				}
			case 3:
				if r := anyTaken(); r != nil {
					x.remove(r.ref)
					delete(all, r.ref)
				}
			case 4:
				if r := anyTaken(); r != nil {
					u := now + int64(rnd.IntN(50))
					x.putBack(r.ref, u)
					r.taken = false
					until[r.lane] = u
				}
			case 5:
				now += int64(rnd.IntN(20))
			}
			oldest := int64(0)
			for _, r := range all {
				if oldest == 0 || r.got < oldest {
					oldest = r.got
				}
			}
			if x.count != len(all) || x.bytes != int64(10*len(all)) || x.oldestReceived() != oldest {
				t.Fatalf("seed %d: %d records, %d bytes, oldest %d; want %d, oldest %d", seed, x.count, x.bytes, x.oldestReceived(), len(all), oldest)
			}
		}
		for len(all) > 0 {
			now += 1000
			if l, _ := x.take(now); l != nil {
				r := l.taken.ref()
				delete(all, r)
				x.remove(r)
			} else if r := anyTaken(); r != nil {
				x.remove(r.ref)
				delete(all, r.ref)
			} else {
				t.Fatalf("seed %d: nothing to take of %d", seed, len(all))
			}
		}
		if len(x.lanes) != 0 || len(x.queues) != 0 || len(x.taken) != 0 || len(x.ready.lanes)+len(x.held.lanes) != 0 {
			t.Fatalf("seed %d: left over: %+v", seed, x)
		}
	}
}
