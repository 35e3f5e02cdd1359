package supervisor_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/telegramsim"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
	"dualgram/supervisor/failover"
)

// TestFlowing: what takes updates in says so, in either mode and through a failover;
// what doesn't says why.
func TestFlowing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		flows := func(when string) {
			t.Helper()
			if err := h.sup.Flowing(time.Now()); err != nil {
				t.Errorf("%s: %v", when, err)
			}
		}
		flows("by webhook")
		lease, err := h.faults.Inject(chaos.Spec{Kind: "net.refuse", For: 5 * time.Minute})
		must0(t, err)
		for range 3 * 60 {
			time.Sleep(time.Second)
			flows("while the webhook is refused")
		}
		must0(t, h.await("polling", false, time.Second))
		lease.End()
		must0(t, h.await("webhook", false, 5*time.Minute))
		flows("again by webhook")
		w.settle(t, h, stop, time.Now())
	})
	for name, x := range map[string]struct {
		during func(t *testing.T, w *testWorld, h *host)
		want   string
	}{
		"held": {func(t *testing.T, w *testWorld, h *host) {
			w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultError, Code: http.StatusUnauthorized, Description: "Unauthorized"})
			must0(t, h.await("held", false, 10*time.Second))
		}, "held"},
		"a broken webhook, and automation on hold": {func(t *testing.T, _ *testWorld, h *host) {
			must0(t, h.sup.Command(t.Context(), "test", failover.Event{Command: failover.Hold, Cause: failover.Cause{Name: failover.CauseOperator}}))
			_, err := h.faults.Inject(chaos.Spec{Kind: "net.refuse", For: 5 * time.Minute})
			must0(t, err)
			time.Sleep(90 * time.Second)
		}, "automation is on hold"},
		"polling, and the Bot API away": {func(t *testing.T, w *testWorld, h *host) {
			must0(t, h.sup.Command(t.Context(), "test", failover.Event{Command: failover.SwitchPolling, Cause: failover.Cause{Name: failover.CauseOperator}}))
			must0(t, h.await("polling", false, 10*time.Second))
			w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultError, Code: http.StatusBadGateway, Description: "Bad Gateway"})
			time.Sleep(2 * time.Minute)
		}, "no poll has completed"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *testWorld) {
				h, stop := w.proven(t, 5)
				x.during(t, w, h)
				if err := h.sup.Flowing(time.Now()); err == nil || !strings.Contains(err.Error(), x.want) {
					t.Errorf("says %v, want %s", err, x.want)
				}
				stop()
				must0(t, h.stop())
			})
		})
	}
}

// TestNoteNotice: what people were told is in the journal, without a token.
func TestNoteNotice(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		from := time.Now()
		h.sup.NoteNotice(t.Context(), supervisor.Notice{Channel: "webhook", Bots: []string{"test"}, Summary: "raised frozen", Count: 1})
		h.sup.NoteNotice(t.Context(), supervisor.Notice{Channel: "telegram", Summary: "raised store_failing", Count: 1, Err: errors.New("no way for " + testToken)})
		h.sup.NoteNotice(t.Context(), supervisor.Notice{Channel: "webhook", Bots: []string{"another"}, Summary: "raised blind"})
		got, err := h.sup.Events(t.Context(), console.EventsQuery{Kinds: []string{supervisor.EventNotice}, Tail: true, Limit: 10})
		must0(t, err)
		if len(got.Events) != 2 {
			t.Fatalf("%+v", got.Events)
		}
		for i, want := range []supervisor.Event{{Name: "webhook", Level: supervisor.NoticeSent}, {Name: "telegram", Level: supervisor.NoticeFailed}} {
			var e supervisor.Event
			must0(t, json.Unmarshal(got.Events[i].Data, &e))
			if e.Name != want.Name || e.Level != want.Level || (e.Error != "") != (want.Level == supervisor.NoticeFailed) || strings.Contains(string(got.Events[i].Data), testToken) {
				t.Errorf("%+v", e)
			}
		}
		w.settle(t, h, stop, from)
	})
}
