package supervisor_test

import (
	"sync"
	"testing"
	"time"

	"dualgram/store"
	"dualgram/supervisor"
)

// TestJournalAtStop: what happens just as dualgram is told to stop is in the
// journal all the same.
func TestJournalAtStop(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		started, seen := make(chan *host, 1), make(chan struct{})
		stop := sync.OnceFunc(func() {
			(<-started).cancel()
			close(seen)
		})
		w.tune = func(o *supervisor.BotOptions) {
			o.Observe = func(e supervisor.Event) {
				if e.Kind == supervisor.EventTrial {
					stop()
				}
			}
		}
		h := w.start(nil)
		started <- h
		select {
		case <-seen:
		case <-time.After(2 * time.Minute):
			t.Fatal("the webhook was not proven")
		}
		must0(t, h.stop())
		s, err := store.Open(store.Options{Path: w.path})
		must0(t, err)
		defer s.Close()
		l, err := s.Ledger(w.botID)
		must0(t, err)
		tail, err := l.JournalTail(10)
		must0(t, err)
		for _, e := range tail {
			if e.Kind == supervisor.EventTrial {
				return
			}
		}
		t.Errorf("the journal ends with %d entries, none of them %s", len(tail), supervisor.EventTrial)
	})
}
