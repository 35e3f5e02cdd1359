package store

import (
	"math"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

func ranges(l *Ledger) [][2]int64 {
	var r [][2]int64
	for _, h := range l.Holes() {
		r = append(r, [2]int64{h.From, h.To})
	}
	return r
}

func wantHoles(t *testing.T, l *Ledger, want ...[2]int64) {
	t.Helper()
	if got := ranges(l); !reflect.DeepEqual(got, want) {
		t.Fatalf("holes: %v, want %v", got, want)
	}
}

func TestHoles(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	l := ledger(t, s)
	reopen := func() {
		t.Helper()
		before := l.Holes()
		s.Abandon()
		s = open(t, path)
		l = ledger(t, s)
		if after := l.Holes(); !reflect.DeepEqual(ranges(l), func() (r [][2]int64) {
			for _, h := range before {
				r = append(r, [2]int64{h.From, h.To})
			}
			return r
		}()) {
			t.Fatalf("holes after reopening: %v, before %v", after, before)
		}
	}
	accept(t, l, hook(1000))
	wantHoles(t, l)
	accept(t, l, hook(998)) // below the first one: not a hole
	wantHoles(t, l)
	accept(t, l, hook(1010))
	wantHoles(t, l, [2]int64{1001, 1009})
	accept(t, l, hook(1005))
	wantHoles(t, l, [2]int64{1001, 1004}, [2]int64{1006, 1009})
	reopen()
	accept(t, l, hook(1001, 1009))
	wantHoles(t, l, [2]int64{1002, 1004}, [2]int64{1006, 1008})

	// From the end of the queue: proves nothing.
	accept(t, l, page(-1, 1010))
	wantHoles(t, l, [2]int64{1002, 1004}, [2]int64{1006, 1008})
	// From 1004 on to 1007: 1004 and 1006 are gone; 1002, 1003 are below the
	// offset, 1008 is above the page.
	accept(t, l, page(1004, 1005, 1007))
	wantHoles(t, l, [2]int64{1002, 1003}, [2]int64{1008, 1008})
	if st := l.Stats(); st.Lost != 2 || st.ExpiredSuspected != 0 || st.OpenHoles != 3 {
		t.Fatalf("stats: %+v", st)
	}
	reopen()
	accept(t, l, hook(1004)) // gone, but here it is: taken
	wantHoles(t, l, [2]int64{1002, 1003}, [2]int64{1008, 1008})
	// An empty page from an offset: all above it.
	accept(t, l, page(1005))
	wantHoles(t, l, [2]int64{1002, 1003})
	// An empty page from the head: all.
	accept(t, l, page(0))
	wantHoles(t, l)
	reopen()
	if st := l.Stats(); st.Lost != 5 || st.OpenHoles != 0 {
		t.Fatalf("stats: %+v", st)
	}
	// A gap of a million is one range.
	accept(t, l, hook(1010+1_000_000))
	wantHoles(t, l, [2]int64{1011, 1010 + 999_999})
	reopen()
	if st := l.Stats(); st.OpenHoles != 999_999 {
		t.Fatalf("stats: %+v", st)
	}
}

func TestSettleHoles(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		l := ledger(t, s)
		accept(t, l, hook(1000, 1002)) // 1001 at 0 s
		time.Sleep(25 * time.Second)
		accept(t, l, hook(1004)) // 1003 at 25 s
		time.Sleep(5 * time.Second)
		before := time.Now()
		time.Sleep(time.Second)
		accept(t, l, hook(1006)) // 1005 at 31 s
		got, err := l.SettleHoles(ctx, before)
		if err != nil || got != (Settled{Lost: 1, ExpiredSuspected: 1}) {
			t.Fatalf("%+v %v", got, err)
		}
		wantHoles(t, l, [2]int64{1005, 1005})
		if got, err := l.SettleHoles(ctx, before); err != nil || got != (Settled{}) {
			t.Fatalf("again: %+v %v", got, err)
		}
	})
}

// FuzzHoles compares the spans with a plain set of missing ids.
func FuzzHoles(f *testing.F) {
	f.Add([]byte{1, 30, 0, 5, 0, 7, 2, 3, 9, 1, 60, 0, 40})
	f.Add([]byte{1, 255, 2, 0, 255})
	f.Fuzz(func(t *testing.T, ops []byte) {
		var h holes
		naive := map[int64]bool{}
		top, n := int64(0), int64(0)
		for len(ops) >= 3 {
			a, b := int64(ops[1]), int64(ops[2])
			switch ops[0] % 3 {
			case 0:
				h = h.fill(a)
				delete(naive, a)
			case 1: // a new id above all
				id := top + 1 + a%16
				if id > top+1 {
					h = append(h, span{top + 1, id - 1, n})
					for i := top + 1; i < id; i++ {
						naive[i] = true
					}
				}
				top = id
			case 2:
				var gone []span
				h, gone = h.cut(min(a, b), max(a, b), anyTime)
				cut := int64(0)
				for _, s := range gone {
					cut += s.to - s.from + 1
				}
				for i := min(a, b); i <= max(a, b); i++ {
					if naive[i] {
						cut--
						delete(naive, i)
					}
				}
				if cut != 0 {
					t.Fatalf("cut counts %d too many", cut)
				}
			}
			n++
			ops = ops[3:]
		}
		last := int64(math.MinInt64)
		for _, s := range h {
			if s.from > s.to || s.from <= last {
				t.Fatalf("not ascending: %v", h)
			}
			last = s.to
		}
		if h.count() != int64(len(naive)) {
			t.Fatalf("%d missing, want %d", h.count(), len(naive))
		}
		for id := range naive {
			if !h.has(id) {
				t.Fatalf("%d is missing and not known to be", id)
			}
		}
	})
}
