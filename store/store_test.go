package store

import (
	"slices"
	"testing"

	"dualgram/transport"
)

func TestAcceptNextDone(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	l := ledger(t, s)
	r := accept(t, l, hook(102, 101, 103, 101))
	if got := r.Count(transport.StatusNew); got != 3 {
		t.Fatalf("new: %d", got)
	}
	if r.Items[3].Status != transport.StatusDuplicate || r.Items[3].FirstSeen.IsZero() {
		t.Fatalf("the second copy: %+v", r.Items[3])
	}
	rec, ok := next(t, l)
	if !ok || rec.ID != 101 || rec.Lane != "c1" || rec.Kind != "message" || rec.Source != transport.SourceWebhook || !rec.HasID {
		t.Fatalf("next: %+v", rec)
	}
	if _, ok := next(t, l); ok {
		t.Fatal("a busy lane gave another record")
	}
	l.Release(rec.Ref)
	if got := drain(t, l); !slices.Equal(got, []int64{101, 102, 103}) {
		t.Fatalf("drained %v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	l = ledger(t, s)
	if r := accept(t, l, hook(101, 102, 103)); r.Count(transport.StatusDuplicate) != 3 {
		t.Fatalf("after reopening: %+v", r)
	}
	if err := l.Save(ctx, map[string][]byte{"mode": []byte("webhook")}, Entry{Kind: "x", Data: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if v, err := l.Load("mode"); err != nil || string(v) != "webhook" {
		t.Fatalf("load: %q %v", v, err)
	}
}
