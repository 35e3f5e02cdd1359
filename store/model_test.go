package store

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"dualgram/transport"
)

// model is a ledger as plain maps.
type model struct {
	seen    map[int64]bool
	waiting map[int64]string // id → lane
	dead    map[int64]string
	tries   map[int64]int
	first   int64
	max     int64
}

func (m *model) holes() [][2]int64 {
	var r [][2]int64
	for id := m.first; id <= m.max; id++ {
		if m.seen[id] {
			continue
		}
		if n := len(r); n > 0 && r[n-1][1] == id-1 {
			r[n-1][1] = id
		} else {
			r = append(r, [2]int64{id, id})
		}
	}
	return r
}

// next is the smallest id of the lanes that are not busy.
func (m *model) next(taken map[int64]bool) (int64, bool) {
	busy := map[string]bool{}
	for id := range taken {
		busy[m.waiting[id]] = true
	}
	best, ok := int64(0), false
	for id, lane := range m.waiting {
		if !busy[lane] && (!ok || id < best) {
			best, ok = id, true
		}
	}
	return best, ok
}

// TestModel runs random calls, ends and crashes against the model.
func TestModel(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 7))
			path := newPath(t)
			s := open(t, path)
			l := ledger(t, s)
			m := model{seen: map[int64]bool{}, waiting: map[int64]string{}, dead: map[int64]string{}, tries: map[int64]int{}}
			taken := map[int64]bool{}
			offset, trusted := int64(0), false
			for range 300 {
				switch rnd.IntN(12) {
				case 0, 1, 2, 3:
					n := 1 + rnd.IntN(4)
					b := transport.Batch{Source: transport.SourceWebhook, ReceivedAt: time.Now()}
					for range n {
						id := 3_000_000 + rnd.Int64N(300)
						b.Updates = append(b.Updates, upd(id, fmt.Sprint("c", id%7)))
					}
					if rnd.IntN(4) == 0 {
						b.Page = &transport.Page{Offset: -1, Next: b.Updates[n-1].ID + 1}
						offset, trusted = b.Page.Next, true
					}
					r := accept(t, l, b)
					for i, u := range b.Updates {
						if (r.Items[i].Status == transport.StatusDuplicate) != m.seen[u.ID] {
							t.Fatalf("id %d: %+v, seen %v", u.ID, r.Items[i], m.seen[u.ID])
						}
						if !m.seen[u.ID] {
							m.waiting[u.ID] = u.Lane
							if len(m.seen) == 0 {
								m.first = u.ID
							}
							m.max = max(m.max, u.ID)
						}
						m.seen[u.ID] = true
					}
				case 4, 5, 6:
					want, ok := m.next(taken)
					rec, got := next(t, l)
					if ok != got || ok && rec.ID != want {
						t.Fatalf("next: %d %v, want %d %v", rec.ID, got, want, ok)
					}
					if ok {
						if rec.Attempts != m.tries[want] || rec.Lane != m.waiting[want] || string(rec.Raw) != string(raw(want)) {
							t.Fatalf("record: %+v, tries %d", rec, m.tries[want])
						}
						taken[want] = true
					}
				case 7, 8, 9:
					for id := range taken {
						ref := Ref{1, id}
						var err error
						switch rnd.IntN(5) {
						case 0:
							m.tries[id]++
							err = l.Retry(ctx, ref, Attempt{Count: m.tries[id], First: time.Now(), Cause: "x"})
						case 1:
							l.Release(ref)
						case 2:
							err = l.Bury(ctx, ref, Burial{"no", time.Now()})
							m.dead[id] = m.waiting[id]
							delete(m.waiting, id)
							delete(m.tries, id)
						default:
							err = l.Done(ctx, ref)
							delete(m.waiting, id)
							delete(m.tries, id)
						}
						if err != nil {
							t.Fatal(err)
						}
						delete(taken, id)
						break
					}
				case 10:
					for id, lane := range m.dead {
						if err := l.Revive(ctx, []Ref{{1, id}}); err != nil {
							t.Fatal(err)
						}
						m.waiting[id] = lane
						delete(m.dead, id)
						break
					}
				case 11:
					if rnd.IntN(3) > 0 {
						break
					}
					end := rnd.IntN(2) == 0
					// Without a commit since a clean end it is still one.
					clean := end || s.Clean() && s.Health().Commits == 0
					if end {
						if err := s.Close(); err != nil {
							t.Fatal(err)
						}
					} else {
						s.Abandon()
					}
					s = open(t, path)
					l = ledger(t, s)
					clear(taken)
					trusted = clean && offset != 0
					if s.Clean() != clean {
						t.Fatalf("clean: %v, want %v", s.Clean(), clean)
					}
				}
				st := l.Stats()
				if st.Waiting != len(m.waiting) || st.Dead != len(m.dead) || st.Seen != len(m.seen) || st.InDelivery != len(taken) {
					t.Fatalf("stats %+v, model %d waiting %d dead %d seen", st, len(m.waiting), len(m.dead), len(m.seen))
				}
				if got, ok := l.PollOffset(); ok != trusted || ok && got != offset {
					t.Fatalf("offset %d %v, want %d %v", got, ok, offset, trusted)
				}
				if got := ranges(l); len(m.seen) > 0 && !reflect.DeepEqual(got, m.holes()) {
					t.Fatalf("holes %v, want %v", got, m.holes())
				}
			}
			dead, err := l.Dead(Ref{}, 1000)
			if err != nil || len(dead) != len(m.dead) || !slices.IsSortedFunc(dead, func(a, b DeadRecord) int { return a.Ref.Compare(b.Ref) }) {
				t.Fatalf("dead: %v %v", dead, err)
			}
		})
	}
}
