package store

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"dualgram/transport"
)

// bury makes records of the ids dead.
func bury(t testing.TB, l *Ledger, n int) (refs []Ref) {
	t.Helper()
	for range n {
		r, ok := next(t, l)
		if !ok {
			t.Fatal("nothing to bury")
		}
		if err := l.Bury(ctx, r.Ref, Burial{"refused", time.Now()}); err != nil {
			t.Fatal(err)
		}
		refs = append(refs, r.Ref)
	}
	return refs
}

// What is asked for is done as a whole, with its line in the journal, or not at all.
func TestDeadAreSettledTogether(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	l := ledger(t, s)
	accept(t, l, hook(1000, 1001, 1002, 1003))
	refs := bury(t, l, 3)
	entry := Entry{Kind: "operator", Data: []byte(`{"name":"dead_retry"}`)}
	for _, bad := range [][]Ref{{refs[0], {1, 999}}, {refs[0], refs[0]}, {{2, 1000}}} {
		if err := l.Revive(ctx, bad, entry); !errors.Is(err, ErrNotFound) {
			t.Errorf("revive %v: %v", bad, err)
		}
		if err := l.Discard(ctx, bad, entry); !errors.Is(err, ErrNotFound) {
			t.Errorf("discard %v: %v", bad, err)
		}
	}
	if st := l.Stats(); st.Dead != 3 || st.Waiting != 1 || st.Journal != 0 {
		t.Fatalf("a refused order changed something: %+v", st)
	}
	if err := l.Revive(ctx, refs[:2], entry); err != nil {
		t.Fatal(err)
	}
	if err := l.Discard(ctx, refs[2:], entry); err != nil {
		t.Fatal(err)
	}
	s.Abandon()
	s = open(t, path)
	l = ledger(t, s)
	if st := l.Stats(); st.Dead != 0 || st.Waiting != 3 || st.Journal != 2 {
		t.Errorf("%+v", st)
	}
	if got := drain(t, l); !slices.Equal(got, []int64{1000, 1001, 1003}) {
		t.Errorf("%v", got)
	}
}

// A dead record of which Telegram sent another copy after its id was forgotten is
// not delivered twice.
func TestReviveWhatWaitsAlready(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	l := ledger(t, s)
	accept(t, l, hook(1000))
	refs := bury(t, l, 1)
	if err := l.s.do(ctx, "forget", forget{l, refs[0]}, 0, false); err != nil {
		t.Fatal(err)
	}
	accept(t, l, hook(1000))
	if err := l.Revive(ctx, refs); err != nil {
		t.Fatal(err)
	}
	if st := l.Stats(); st.Waiting != 1 || st.Dead != 0 {
		t.Errorf("%+v", st)
	}
	if got := drain(t, l); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

// forget is what the sweep does.
type forget struct {
	l   *Ledger
	ref Ref
}

func (f forget) stage(g *group) error {
	st, err := g.of(f.l)
	if err != nil {
		return err
	}
	return st.del(bucketSeen, f.ref.key())
}

func TestDiscardQuarantined(t *testing.T) {
	s := open(t, newPath(t))
	l := ledger(t, s)
	for range 3 {
		accept(t, l, transport.Batch{Source: transport.SourceWebhook, Updates: []transport.Update{{Raw: []byte("junk")}}})
	}
	q, err := l.Quarantined(0, 10)
	if err != nil || len(q) != 3 {
		t.Fatal(q, err)
	}
	if err := l.DiscardQuarantined(ctx, []uint64{q[0].Seq, 99}); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if err := l.DiscardQuarantined(ctx, []uint64{q[0].Seq, q[2].Seq}, Entry{Kind: "operator"}); err != nil {
		t.Fatal(err)
	}
	left, _ := l.Quarantined(0, 10)
	if st := l.Stats(); len(left) != 1 || left[0].Seq != q[1].Seq || st.Quarantined != 1 || st.Journal != 1 {
		t.Errorf("%v %+v", left, st)
	}
}

func TestLanesAndFind(t *testing.T) {
	s := open(t, newPath(t))
	l := ledger(t, s)
	now := time.Now()
	for i, lane := range []string{"c1", "c2", "c1", "c3"} {
		accept(t, l, transport.Batch{Source: transport.SourceWebhook, ReceivedAt: now.Add(time.Duration(i-10) * time.Minute), Updates: []transport.Update{upd(int64(1000+i), lane)}})
	}
	r, _ := next(t, l)
	until := now.Add(time.Hour).Truncate(time.Millisecond)
	if err := l.Retry(ctx, r.Ref, Attempt{Count: 2, First: now, NotBefore: until, Cause: "status"}); err != nil {
		t.Fatal(err)
	}
	second, _ := next(t, l) // of c2, and it stays in delivery
	all, err := l.Lanes(10)
	if err != nil || len(all) != 3 {
		t.Fatal(all, err)
	}
	if a := all[0]; a.Lane != "c1" || a.Waiting != 2 || a.Head.ID != 1000 || a.Attempts != 2 || a.Cause != "status" || !a.NotBefore.Equal(until) || a.InDelivery || a.Kind != "message" {
		t.Errorf("%+v", a)
	}
	if b := all[1]; b.Lane != "c2" || b.Waiting != 1 || !b.InDelivery || b.Head != second.Ref || b.Attempts != 0 {
		t.Errorf("%+v", b)
	}
	if two, _ := l.Lanes(2); len(two) != 2 || two[0].Lane != "c1" {
		t.Errorf("%+v", two)
	}
	f, err := l.Find(1000)
	if err != nil || len(f) != 1 || f[0].Dead || f[0].Attempts != 2 || f[0].LastCause != "status" || !f[0].NotBefore.Equal(until) || string(f[0].Raw) != string(raw(1000)) {
		t.Errorf("%+v %v", f, err)
	}
	if f, _ := l.Find(1001); len(f) != 1 || !f[0].InDelivery {
		t.Errorf("%+v", f)
	}
	if err := l.Bury(ctx, second.Ref, Burial{"refused", now}); err != nil {
		t.Fatal(err)
	}
	if f, _ := l.Find(1001); len(f) != 1 || !f[0].Dead || f[0].Reason != "refused" || f[0].InDelivery {
		t.Errorf("%+v", f)
	}
	if f, err := l.Find(7); len(f) != 0 || err != nil {
		t.Errorf("%+v %v", f, err)
	}
}

const deadRecords = 40

// deadChild buries and revives its records over and over, until it is killed.
func deadChild(path string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	s, err := Open(Options{Path: path, Holder: "child"})
	if err != nil {
		fail(err)
	}
	l, err := s.Ledger(testBot)
	if err != nil {
		fail(err)
	}
	for {
		for {
			r, ok, _, err := l.Next(time.Now())
			if err != nil {
				fail(err)
			}
			if !ok {
				break
			}
			if err := l.Bury(ctx, r.Ref, Burial{"again", time.Now()}); err != nil {
				fail(err)
			}
			fmt.Println("buried", r.ID)
		}
		dead, err := l.Dead(Ref{}, deadRecords)
		if err != nil {
			fail(err)
		}
		for len(dead) > 0 {
			n := min(len(dead), 3)
			refs := make([]Ref, n)
			for i := range refs {
				refs[i] = dead[i].Ref
			}
			dead = dead[n:]
			if err := l.Revive(ctx, refs, Entry{Kind: "operator", Data: []byte("{}")}); err != nil {
				fail(err)
			}
			fmt.Println("revived", n)
		}
	}
}

// TestKillWhileReviving kills a process with SIGKILL while it buries and revives:
// every record is then waiting or dead, and none is both.
func TestKillWhileReviving(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	path := newPath(t)
	s := open(t, path)
	l := ledger(t, s)
	for id := int64(1000); id < 1000+deadRecords; id++ {
		accept(t, l, hook(id))
	}
	s.Abandon()
	for round := range 6 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+path, childEnv+"_DEAD=1")
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		sc := bufio.NewScanner(out)
		for n := 0; sc.Scan(); n++ {
			if n == 50+7*round { // in the middle of the second reviving
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait()
		s := open(t, path)
		l := ledger(t, s)
		dead, err := l.Dead(Ref{}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[int64]bool{}
		for _, d := range dead {
			seen[d.ID] = true
			if string(d.Raw) != string(raw(d.ID)) {
				t.Fatalf("dead %d: %q", d.ID, d.Raw)
			}
		}
		if st := l.Stats(); st.Dead != len(dead) || st.Waiting+st.Dead != deadRecords {
			t.Fatalf("round %d: %+v", round, st)
		}
		for id := int64(1000); id < 1000+deadRecords; id++ {
			f, err := l.Find(id)
			if err != nil || len(f) != 1 || f[0].Dead != seen[id] {
				t.Fatalf("round %d: %d is %d times there, %v", round, id, len(f), err)
			}
		}
		s.Abandon()
	}
}
