package store

import (
	"math"
	"testing"
	"time"

	"dualgram/transport"
)

// TestSeries runs ids through Accept; each step says in which series its id
// ends up and whether that is news.
func TestSeries(t *testing.T) {
	const day = 24 * time.Hour
	type step struct {
		after  time.Duration // since the step before
		id     int64
		series uint32
		status transport.Status
		fresh  bool
		why    string
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"dense, out of order", []step{
			{0, 700, 1, transport.StatusNew, false, "the first series has no older one"},
			{0, 702, 1, transport.StatusNew, false, ""},
			{0, 701, 1, transport.StatusNew, false, "late"},
			{0, 699, 1, transport.StatusNew, false, "below the first one seen"},
			{0, 701, 1, transport.StatusDuplicate, false, ""},
		}},
		{"the jump that was seen in production", []step{
			{0, 727334707, 1, transport.StatusNew, false, ""},
			{0, 727334708, 1, transport.StatusNew, false, ""},
			{8 * day, 117314199, 2, transport.StatusNew, true, "lower and far"},
			{0, 117314200, 2, transport.StatusNew, false, ""},
			{0, 727334708, 1, transport.StatusDuplicate, false, "a late copy of the old series"},
			{0, 117314199, 2, transport.StatusDuplicate, false, ""},
		}},
		{"edges of nearness", []step{
			{0, 5_000_000, 1, transport.StatusNew, false, ""},
			{0, 6_000_000, 1, transport.StatusNew, false, "1,000,000 above"},
			{0, 7_000_001, 2, transport.StatusNew, true, "1,000,001 above"},
			{0, 4_800_000, 1, transport.StatusNew, false, "200,000 below the lowest of the first"},
			{0, 4_599_999, 3, transport.StatusNew, true, "200,001 below the lowest"},
		}},
		{"a quiet week, near and lower", []step{
			{0, 5_000_000, 1, transport.StatusNew, false, ""},
			{0, 5_000_500, 1, transport.StatusNew, false, ""},
			{6 * day, 5_000_100, 2, transport.StatusNew, true, "lower after six days"},
			{0, 5_000_101, 2, transport.StatusNew, false, ""},
		}},
		{"a quiet week, the next id", []step{
			{0, 5_000_000, 1, transport.StatusNew, false, ""},
			{7 * day, 5_000_001, 1, transport.StatusNew, false, "exactly the next one"},
			{7 * day, 5_000_900, 1, transport.StatusNew, false, "higher and near"},
		}},
		{"nearly a quiet week", []step{
			{0, 5_000_500, 1, transport.StatusNew, false, ""},
			{6*day - time.Minute, 5_000_100, 1, transport.StatusNew, false, "still the same"},
		}},
		{"a copy after a quiet week", []step{
			{0, 5_000_000, 1, transport.StatusNew, false, ""},
			{0, 5_000_001, 1, transport.StatusNew, false, ""},
			{9 * day, 5_000_000, 1, transport.StatusDuplicate, false, "the seen set decides"},
		}},
		{"an old series goes on", []step{
			{0, 900_000_000, 1, transport.StatusNew, false, ""},
			{0, 100_000_000, 2, transport.StatusNew, true, ""},
			{0, 900_000_001, 1, transport.StatusNew, true, "it is the current one again"},
			{0, 900_000_002, 1, transport.StatusNew, false, ""},
			{0, 100_000_000, 2, transport.StatusDuplicate, false, ""},
		}},
		{"ids that Telegram can't assign", []step{
			{0, 5_000_000, 1, transport.StatusNew, false, ""},
			{0, 0, 0, transport.StatusNew, false, ""},
			{0, -1, 0, transport.StatusNew, false, ""},
			{0, math.MinInt64, 0, transport.StatusNew, false, ""},
			{0, math.MaxInt64, 0, transport.StatusNew, false, ""},
			{0, 1 << 31, 0, transport.StatusNew, false, ""},
			{0, -1, 0, transport.StatusDuplicate, false, ""},
			{0, math.MaxInt32, 2, transport.StatusNew, true, ""},
			{0, 5_000_001, 1, transport.StatusNew, true, ""},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := newPath(t)
			s := open(t, path)
			l := ledger(t, s)
			total := time.Duration(0)
			for _, st := range c.steps {
				total += st.after
			}
			now := time.Now().Add(-total - time.Hour)
			want := map[Ref]bool{}
			for i, st := range c.steps {
				now = now.Add(st.after)
				b := hook(st.id)
				b.ReceivedAt = now
				r := accept(t, l, b)
				if r.Items[0].Status != st.status || r.NewSeries != st.fresh {
					t.Fatalf("step %d (%d, %s): %+v", i, st.id, st.why, r)
				}
				want[Ref{st.series, st.id}] = true
				if st.series != 0 && st.status == transport.StatusNew {
					if got := l.Stats().Series; got != st.series && (st.fresh || i == 0) {
						t.Fatalf("step %d (%s): current series %d", i, st.why, got)
					}
				}
				if i == len(c.steps)/2 { // what decides is on disk
					s.Abandon()
					s = open(t, path)
					l = ledger(t, s)
				}
			}
			for len(want) > 0 {
				rec, ok := next(t, l)
				if !ok || !want[rec.Ref] {
					t.Fatalf("got %v %v, left %v", rec.Ref, ok, want)
				}
				delete(want, rec.Ref)
				if err := l.Done(ctx, rec.Ref); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// The Bot API's clock decides over the local one if both ends know it.
func TestQuietByServerClock(t *testing.T) {
	l := ledger(t, open(t, newPath(t)))
	server := time.Now().Add(-100 * 24 * time.Hour)
	if err := l.Tick(ctx, server); err != nil {
		t.Fatal(err)
	}
	old := hook(5_000_500)
	old.ReceivedAt = time.Now().Add(-30 * 24 * time.Hour) // the local clock was wrong
	accept(t, l, old)
	if r := accept(t, l, hook(5_000_100)); r.NewSeries {
		t.Fatal("the local clock opened a series")
	}
	for i, fresh := range []bool{false, true} { // a leap counts once it is confirmed
		if err := l.Tick(ctx, server.Add(6*24*time.Hour+time.Duration(i+1)*time.Minute)); err != nil {
			t.Fatal(err)
		}
		if fresh {
			break
		}
		l.head.Series[0].Local = time.Now().UnixNano() // out of the way
		if r := accept(t, l, hook(5_000_103)); r.NewSeries {
			t.Fatal("one leap of the Date opened a series")
		}
		l.head.Series[0].Server = server.UnixNano()
	}
	if r := accept(t, l, hook(5_000_101)); !r.NewSeries {
		t.Fatal("the Bot API's clock did not")
	}
}

// FuzzSeries: whatever the ids, only a seen one is called a duplicate, the next
// copy of one is, and the series stay in order.
func FuzzSeries(f *testing.F) {
	f.Add(int64(727334708), int64(117314199), int64(-1), int64(0), int64(1<<40))
	f.Add(int64(1), int64(2), int64(3), int64(math.MaxInt64), int64(math.MinInt64))
	f.Add(int64(5_000_000), int64(6_000_001), int64(5_000_000), int64(4_000_000), int64(6_000_001))
	f.Fuzz(func(t *testing.T, a, b, c, d, e int64) {
		h := head{}
		seen := map[Ref]bool{}
		for _, id := range []int64{a, b, c, d, e, a, b, c, d, e} {
			if !plausible(id) {
				continue
			}
			look := func(num uint32) bool { return seen[Ref{num, id}] }
			w := h.locate(id, 1, 0, look)
			if w.duplicate && !seen[Ref{h.Series[w.index].Num, id}] {
				t.Fatalf("id %d is called a duplicate", id)
			}
			if w.duplicate {
				continue
			}
			if w.index < 0 {
				w.index = h.open(id)
			}
			s := &h.Series[w.index]
			s.Low, s.Max, s.Local = min(s.Low, id), max(s.Max, id), 1
			seen[Ref{s.Num, id}] = true
			if s.Num > h.Current || w.index == len(h.Series)-1 {
				h.Current = s.Num
			}
			if again := h.locate(id, 1, 0, look); !again.duplicate && s.Num == h.Current {
				t.Fatalf("id %d: its next copy is not a duplicate: %+v in %+v", id, again, h)
			}
			for i := range h.Series {
				if i > 0 && h.Series[i].Num <= h.Series[i-1].Num || h.Series[i].Low > h.Series[i].Max {
					t.Fatalf("series out of order: %+v", h.Series)
				}
			}
		}
	})
}
