package supervisor_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/telegramsim"
)

// TestStuckFailoverIsWarnedAbout: the webhook is given up and polling doesn't begin.
// Then nothing comes in, and nothing else would say so.
func TestStuckFailoverIsWarnedAbout(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		stop() // what waits costs the updates that Telegram keeps for seconds only
		w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultError, Method: "getUpdates", Code: http.StatusInternalServerError, Description: "Internal Server Error"})
		lease, err := h.faults.Inject(chaos.Spec{Kind: "tls.expired", For: 15 * time.Minute})
		must0(t, err)
		must0(t, h.await("to_polling", false, 5*time.Second))
		if b := h.state(t); hasWarning(b.Warnings, "failover_withheld") {
			t.Errorf("at once: %+v", b.Warnings)
		}
		time.Sleep(12 * time.Second)
		b := h.state(t)
		if b.Phase != "to_polling" || !hasWarning(b.Warnings, "failover_withheld") {
			t.Errorf("phase %s, warnings %+v", b.Phase, b.Warnings)
		}
		for _, x := range b.Warnings {
			if x.Code == "failover_withheld" && (!strings.Contains(x.Text, "tls: ") || !strings.Contains(x.Text, "page-committed: ")) {
				t.Errorf("it doesn't say why: %s", x.Text)
			}
		}
		lease.End()
		w.sim.ClearFaults()
		must0(t, h.await("polling", false, 15*time.Second))
		if b := h.state(t); hasWarning(b.Warnings, "failover_withheld") {
			t.Errorf("polling: %+v", b.Warnings)
		}
		must0(t, h.await("webhook", false, 5*time.Minute))
		w.settle(t, h, func() {}, time.Now())
	})
}
