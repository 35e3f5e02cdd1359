package drill

import (
	"context"
	"slices"
	"testing"
	"time"
)

// TestOwed: evidence that the store did not take when the drill ended is written
// when it does, in its place in the chain, and an append that failed only in name
// is no end of the history.
func TestOwed(t *testing.T) {
	bubble(t, "the store fails at the end", func(t *testing.T, h *fakeHost) {
		s := &memStore{}
		d := office(t, h, s, nil)
		time.AfterFunc(30*time.Second, func() { s.mu.Lock(); s.err = errTest; s.mu.Unlock() })
		j, err := d.Do(t.Context(), Request{Experiment: plan(t, expectPolling)})
		if err == nil || j.Outcome != Held {
			t.Fatalf("%v %s", err, j.Outcome)
		}
		if err := d.Halt(t.Context(), Who{User: "ann"}); err == nil {
			t.Error("a halt was written before what it follows")
		}
		s.mu.Lock()
		s.err = nil
		s.mu.Unlock()
		if err := d.Resume(t.Context(), Who{User: "ann"}); err != nil {
			t.Fatal(err)
		}
		var kinds []RecordKind
		for _, r := range s.records {
			kinds = append(kinds, r.Kind)
		}
		if want := []RecordKind{RecordBegin, RecordRun, RecordResume}; !slices.Equal(kinds, want) {
			t.Errorf("%v, want %v", kinds, want)
		}
		again := office(t, h, s, nil)
		if js, err := again.Journals(t.Context()); err != nil || len(js) != 1 || js[0].Outcome != Held {
			t.Errorf("%v %+v", err, js)
		}
	})
	bubble(t, "an append that happened although it failed", func(t *testing.T, h *fakeHost) {
		s := &lyingStore{memStore: &memStore{}, lies: 1}
		d := office(t, h, s, nil)
		if err := d.Halt(t.Context(), Who{User: "ann"}); err == nil {
			t.Fatal("it should fail")
		}
		if err := d.Resume(t.Context(), Who{User: "ann"}); err != nil {
			t.Fatal(err)
		}
		s.lies = 2 // the begin is refused, and the end is owed
		if j, err := d.Do(t.Context(), Request{Experiment: plan(t, expectPolling)}); err == nil || j.Outcome != NotStarted {
			t.Errorf("%v %s", err, j.Outcome)
		}
		do(t, d, Request{Experiment: plan(t, expectPolling)}, Held)
		records, _ := s.List(t.Context())
		if _, err := Verify(records, ""); err != nil {
			t.Error(err)
		}
		if js, err := office(t, h, s, nil).Journals(t.Context()); err != nil || len(js) != 2 || js[0].Outcome != NotStarted || js[1].Outcome != Held {
			t.Errorf("%v %+v", err, js)
		}
	})
}

// lyingStore says so many times that it failed, and did not.
type lyingStore struct {
	*memStore
	lies int
}

func (s *lyingStore) Append(ctx context.Context, r Record) error {
	err := s.memStore.Append(ctx, r)
	if err == nil && s.lies > 0 {
		s.lies--
		return errTest
	}
	return err
}
