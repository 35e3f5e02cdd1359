package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/transport"
)

func TestBuryAndRevive(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	l := ledger(t, s)
	accept(t, l, hook(1000, 1001))
	r, _ := next(t, l)
	first := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	if err := l.Retry(ctx, r.Ref, Attempt{Count: 3, First: first, Cause: "500"}); err != nil {
		t.Fatal(err)
	}
	s.Abandon()
	s = open(t, path)
	l = ledger(t, s)
	r, _ = next(t, l)
	if r.ID != 1000 || r.Attempts != 3 || !r.FirstFailed.Equal(first) {
		t.Fatalf("%+v", r)
	}
	at := time.Now().Truncate(time.Millisecond)
	if err := l.Bury(ctx, r.Ref, Burial{"8 attempts", at}); err != nil {
		t.Fatal(err)
	}
	s.Abandon()
	s = open(t, path)
	l = ledger(t, s)
	dead, err := l.Dead(Ref{}, 10)
	if err != nil || len(dead) != 1 {
		t.Fatalf("%v %v", dead, err)
	}
	d := dead[0]
	if d.ID != 1000 || d.Reason != "8 attempts" || !d.At.Equal(at) || d.Attempts != 3 || d.LastCause != "500" ||
		!d.FirstFailed.Equal(first) || string(d.Raw) != string(raw(1000)) || d.Lane != "c1" || d.Kind != "message" {
		t.Fatalf("%+v", d)
	}
	if more, _ := l.Dead(d.Ref, 10); len(more) != 0 {
		t.Fatalf("after the last: %v", more)
	}
	if r := accept(t, l, hook(1000)); r.Count(transport.StatusDuplicate) != 1 {
		t.Fatal("a dead one came again as new")
	}
	if err := l.Revive(ctx, []Ref{d.Ref}); err != nil {
		t.Fatal(err)
	}
	if err := l.Revive(ctx, []Ref{d.Ref}); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if r, _ := next(t, l); r.ID != 1000 || r.Attempts != 0 || string(r.Raw) != string(raw(1000)) {
		t.Fatalf("%+v", r)
	}
	if st := l.Stats(); st.Dead != 0 || st.Waiting != 2 {
		t.Fatalf("%+v", st)
	}
}

func TestRetryHoldsTheLane(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		l := ledger(t, s)
		b := hook(1000, 1001, 1002)
		b.Updates[2].Lane = "c2"
		accept(t, l, b)
		r, _ := next(t, l)
		hold := time.Now().Add(20 * time.Second)
		if err := l.Retry(ctx, r.Ref, Attempt{Count: 1, First: time.Now(), NotBefore: hold}); err != nil {
			t.Fatal(err)
		}
		if r, _ := next(t, l); r.ID != 1002 {
			t.Fatalf("the other lane: %+v", r)
		}
		time.Sleep(5 * time.Second)
		if _, ok, wait, _ := l.Next(time.Now()); ok || wait != 15*time.Second {
			t.Fatalf("%v %v", ok, wait)
		}
		// A smaller id doesn't end the hold, but is the first after it.
		accept(t, l, hook(999))
		if _, ok, _, _ := l.Next(time.Now()); ok {
			t.Fatal("the hold is over")
		}
		s.Abandon()
		if s, err = Open(Options{Path: path}); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		l = ledger(t, s)
		if r, _ := next(t, l); r.ID != 1002 {
			t.Fatalf("after a crash: %+v", r)
		}
		if _, ok, wait, _ := l.Next(time.Now()); ok || wait != 15*time.Second {
			t.Fatalf("after a crash: %v %v", ok, wait)
		}
		time.Sleep(15 * time.Second)
		if got := drain(t, l); !slices.Equal(got, []int64{999, 1000, 1001}) {
			t.Fatal(got)
		}
	})
}

// A hold is never longer than it was meant to be, even if the clock was set
// back meanwhile.
func TestHoldIsClamped(t *testing.T) {
	now := time.Now().UnixNano()
	min := int64(time.Minute)
	tr := trial{written: now + 100*min, notBefore: now + 101*min}
	if got := tr.heldUntil(now); got != now+min {
		t.Fatalf("%v", time.Duration(got-now))
	}
	if got := (trial{written: now - 3*min, notBefore: now - 2*min}).heldUntil(now); got != 0 {
		t.Fatal(got)
	}
}

func TestLanelessAndQuarantine(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	l := ledger(t, s)
	b := hook(1000, 1001, 7, 8)
	for i := range b.Updates {
		b.Updates[i].Lane = ""
	}
	b.Updates[2].HasID, b.Updates[3].HasID = false, false
	b.Updates[2].Raw = []byte("{broken \x00\xff")
	r := accept(t, l, b)
	if r.Count(transport.StatusQuarantined) != 2 || r.Count(transport.StatusNew) != 2 {
		t.Fatalf("%+v", r)
	}
	if r := accept(t, l, b); r.Count(transport.StatusQuarantined) != 2 || r.Count(transport.StatusDuplicate) != 2 {
		t.Fatalf("%+v", r)
	}
	s.Abandon()
	l = ledger(t, open(t, path))
	a, _ := next(t, l)
	c, _ := next(t, l)
	if a.Lane != "i1/1000" || c.Lane != "i1/1001" {
		t.Fatalf("%q %q", a.Lane, c.Lane)
	}
	q, err := l.Quarantined(0, 10)
	if err != nil || len(q) != 4 || string(q[0].Raw) != "{broken \x00\xff" || q[0].HasID || q[0].Source != transport.SourceWebhook {
		t.Fatalf("%+v %v", q, err)
	}
	if q, _ := l.Quarantined(q[2].Seq, 10); len(q) != 1 {
		t.Fatalf("%+v", q)
	}
	if st := l.Stats(); st.Quarantined != 4 || st.Waiting != 2 {
		t.Fatalf("%+v", st)
	}
}

func TestJournal(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	l := ledger(t, s)
	const n = keepJournal + 1500
	for i := 0; i < n; {
		var es []Entry
		for range 500 {
			i++
			es = append(es, Entry{Kind: "k", Data: fmt.Appendf(nil, "%d", i)})
		}
		if err := l.Save(ctx, nil, es...); err != nil {
			t.Fatal(err)
		}
	}
	s.Abandon()
	l = ledger(t, open(t, path))
	if st := l.Stats(); st.Journal != keepJournal {
		t.Fatalf("%d kept", st.Journal)
	}
	first, err := l.Journal(0, 2)
	if err != nil || len(first) != 2 || first[0].Seq != n-keepJournal+1 || string(first[0].Data) != fmt.Sprint(n-keepJournal+1) || first[0].At.IsZero() {
		t.Fatalf("%+v %v", first, err)
	}
	tail, err := l.JournalTail(3)
	if err != nil || len(tail) != 3 || tail[2].Seq != n || tail[0].Seq != n-2 {
		t.Fatalf("%+v %v", tail, err)
	}
	if all, _ := l.Journal(0, n); len(all) != keepJournal {
		t.Fatalf("%d kept", len(all))
	}
	if rest, _ := l.Journal(n-1, 10); len(rest) != 1 || rest[0].Kind != "k" {
		t.Fatalf("%+v", rest)
	}
}

func TestState(t *testing.T) {
	l := ledger(t, open(t, newPath(t)))
	if v, err := l.Load("x"); v != nil || err != nil {
		t.Fatal(v, err)
	}
	if err := l.Save(ctx, map[string][]byte{"x": []byte("1"), "y": {}}); err != nil {
		t.Fatal(err)
	}
	if v, _ := l.Load("x"); string(v) != "1" {
		t.Fatal(v)
	}
	if v, _ := l.Load("y"); v == nil || len(v) != 0 {
		t.Fatalf("an empty value is not an absent one: %v", v)
	}
	if err := l.Save(ctx, map[string][]byte{"x": nil}); err != nil {
		t.Fatal(err)
	}
	if v, _ := l.Load("x"); v != nil {
		t.Fatal(v)
	}
	if err := l.Save(ctx, map[string][]byte{"": nil}); !errors.Is(err, ErrArgument) {
		t.Fatal(err)
	}
}

func TestTwoBots(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	a := ledger(t, s)
	b, err := s.Ledger(7)
	if err != nil {
		t.Fatal(err)
	}
	if same, _ := s.Ledger(7); same != b {
		t.Fatal("two ledgers for one bot")
	}
	accept(t, a, hook(1000))
	accept(t, b, hook(1000, 1002))
	s.Abandon()
	s = open(t, path)
	if ids, err := s.Bots(); err != nil || !slices.Equal(ids, []int64{7, testBot}) {
		t.Fatal(ids, err)
	}
	a = ledger(t, s)
	b, _ = s.Ledger(7)
	if got := drain(t, a); !slices.Equal(got, []int64{1000}) {
		t.Fatal(got)
	}
	if got := drain(t, b); !slices.Equal(got, []int64{1000, 1002}) {
		t.Fatal(got)
	}
	if len(a.Holes()) != 0 || len(b.Holes()) != 1 {
		t.Fatal(a.Holes(), b.Holes())
	}
}

func TestPollOffset(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	l := ledger(t, s)
	again := func(clean bool) {
		if clean {
			s.Close()
		} else {
			s.Abandon()
		}
		s = open(t, path)
		l = ledger(t, s)
	}
	want := func(next int64, ok bool) {
		t.Helper()
		if n, o := l.PollOffset(); n != next || o != ok {
			t.Fatalf("%d %v, want %d %v", n, o, next, ok)
		}
	}
	want(0, false)
	accept(t, l, page(0, 5_000_000, 5_000_001))
	want(5_000_002, true)
	again(true)
	want(5_000_002, true)
	accept(t, l, hook(5_000_009)) // a webhook's id moves no offset
	want(5_000_002, true)
	again(false)
	want(0, false)
	accept(t, l, page(0, 5_000_000, 5_000_001)) // duplicates, but a page
	want(5_000_002, true)
	again(true)
	accept(t, l, hook(900_000_000)) // a new series
	want(0, false)
	again(true)
	want(0, false)
	accept(t, l, page(0, 900_000_001))
	want(900_000_002, true)
	accept(t, l, page(0, -5)) // not an id that confirms anything
	want(900_000_002, true)
}

func TestReady(t *testing.T) {
	l := ledger(t, open(t, newPath(t)))
	select {
	case <-l.Ready():
	default:
	}
	accept(t, l, hook(1000, 1001))
	<-l.Ready()
	r, _ := next(t, l)
	l.Release(r.Ref)
	<-l.Ready()
	r, _ = next(t, l)
	if err := l.Done(ctx, r.Ref); err != nil {
		t.Fatal(err)
	}
	<-l.Ready()
}

func TestSweep(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		l := ledger(t, s)
		skew := -30 * 24 * time.Hour // the local clock is far ahead
		tick := func() {
			t.Helper()
			if err := l.Tick(ctx, time.Now().Add(skew)); err != nil {
				t.Fatal(err)
			}
		}
		var b transport.Batch
		for id := int64(10_001); id <= 12_500; id++ {
			b.Updates = append(b.Updates, upd(id, "c1"))
		}
		accept(t, l, b)
		accept(t, l, hook(12_600)) // 12,501..12,599 are missing
		tick()
		time.Sleep(time.Hour)
		accept(t, l, hook(12_601))
		tick()
		time.Sleep(10 * time.Hour)
		// A Date that leaps ahead empties nothing.
		if err := l.Tick(ctx, time.Now().Add(1000*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if st := l.Stats(); st.Seen != 2502 {
			t.Fatalf("a leap swept: %+v", st)
		}
		tick()
		time.Sleep(60 * time.Hour)
		tick()
		if st := l.Stats(); st.Seen != 2502 {
			t.Fatalf("swept too early: %+v", st)
		}
		time.Sleep(time.Hour)
		tick()
		st := l.Stats()
		if st.Seen != 1 || st.OpenHoles != 0 || st.ExpiredSuspected != 99 || st.Waiting != 2502 {
			t.Fatalf("%+v", st)
		}
		// What still waits is not taken twice, even if Telegram could send it.
		if r := accept(t, l, hook(10_500)); r.Count(transport.StatusDuplicate) != 1 {
			t.Fatalf("%+v", r)
		}
		if r := accept(t, l, hook(12_602)); r.Count(transport.StatusNew) != 1 || r.NewSeries {
			t.Fatalf("%+v", r)
		}
		s.Abandon()
		if s, err = Open(Options{Path: path}); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		l = ledger(t, s)
		wantHoles(t, l)
		time.Sleep(100 * time.Hour)
		tick() // marks of the process before, by the Bot API's clock alone
		if st := l.Stats(); st.Seen != 1 {
			t.Fatalf("%+v", st)
		}
		if err := l.Tick(ctx, time.Time{}); !errors.Is(err, ErrArgument) {
			t.Fatal(err)
		}
	})
}
