package supervisor_test

import (
	"strings"
	"testing"
	"time"

	"dualgram/chaos"
	"dualgram/supervisor/console"
)

// At each moment of an outage the status says what comes next by itself, and what was
// taken in is counted by its transport.
func TestStatusSaysWhatComesNext(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		says := func(h *host, want string) {
			t.Helper()
			if b := h.state(t); !strings.Contains(b.Next, want) {
				t.Errorf("%s (trial %v): %q, want %q", b.Phase, b.Trial, b.Next, want)
			}
		}
		h, stop := w.proven(t, 5)
		says(h, "If the webhook breaks, polling takes over.")
		h.order(t, console.HoldMode)
		says(h, "The mode stays as it is, whatever happens")
		h.order(t, console.SwitchAuto)
		lease, err := h.faults.Inject(chaos.Spec{Kind: "tls.expired", For: 15 * time.Minute})
		must0(t, err)
		must0(t, h.await("polling", false, 10*time.Second))
		time.Sleep(3 * time.Second)
		says(h, "The webhook is tried again in ")
		says(h, "if it is ready by then")
		lease.End()
		time.Sleep(3 * time.Second)
		must0(t, h.await("webhook", true, 3*time.Minute))
		says(h, "The webhook is on trial")
		must0(t, h.await("webhook", false, 2*time.Minute))
		sum := func(counts []uint32) (n int) {
			for _, c := range counts {
				n += int(c)
			}
			return n
		}
		in := h.sup.Intake("test").Minutes
		if sum(in.Webhook) == 0 || sum(in.Polling) == 0 || len(h.sup.Intake("nobody").Minutes.Webhook) > 0 {
			t.Errorf("counted %d by webhook and %d by polling", sum(in.Webhook), sum(in.Polling))
		}
		w.settle(t, h, stop, time.Now())
	})
}
