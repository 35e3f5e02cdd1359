package supervisor_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/telegramsim"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
)

var alice = console.Caller{User: "alice", UID: 1000, PID: 4711}

// order gives an order as the console does, and wants it to be taken.
func (h *host) order(t *testing.T, command string, change ...func(*console.Order)) console.Change {
	t.Helper()
	c, err := h.try(t, command, change...)
	must0(t, err)
	return c
}

func (h *host) try(t *testing.T, command string, change ...func(*console.Order)) (console.Change, error) {
	t.Helper()
	o := console.Order{Bot: "test", Command: command, Reason: "a test", By: alice}
	for _, f := range change {
		f(&o)
	}
	return h.sup.Operate(t.Context(), o)
}

func dry(o *console.Order)      { o.DryRun = true }
func takeOver(o *console.Order) { o.TakeOver = true }
func lasting(d time.Duration) func(*console.Order) {
	return func(o *console.Order) { o.For = d }
}

// state is the bot's part of the status.
func (h *host) state(t *testing.T) console.Bot {
	t.Helper()
	s, err := h.sup.Status(t.Context())
	must0(t, err)
	return s.Bots[0]
}

// restart stops the host as SIGTERM does and starts another on the same store.
func (h *host) restart(t *testing.T) *host {
	t.Helper()
	must0(t, h.stop())
	return h.w.start(nil)
}

// failure is the error as whoever asked sees it.
func failure(t *testing.T, err error, code string) *console.Failure {
	t.Helper()
	var f *console.Failure
	if !errors.As(err, &f) || f.Code != code || f.Fix == "" {
		t.Fatalf("error %v, want one of %s with a fix", err, code)
	}
	return f
}

// TestPinnedWebhookIsNotFailedOver: a pin to the webhook withholds the failover,
// also after a restart; what is withheld is told and warned about; lifting the pin
// brings the failover.
func TestPinnedWebhookIsNotFailedOver(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		stop() // what is withheld costs the updates that Telegram keeps for seconds only
		w.push(t, 3, 42)
		c := h.order(t, console.SwitchWebhook)
		if c.After.Pin != "webhook" || !c.Changed || c.Wants != "webhook" || c.Before.Pin != "" || !strings.Contains(c.Next, "whatever happens") {
			t.Errorf("%+v", c)
		}
		from := time.Now()
		lease, err := h.faults.Inject(chaos.Spec{Kind: "tls.expired", For: 15 * time.Minute})
		must0(t, err)
		time.Sleep(30 * time.Second)
		if m := w.moves(from); len(m) > 0 {
			t.Errorf("pinned, and moved: %v", m)
		}
		b := h.state(t)
		if !hasWarning(b.Warnings, "failover_withheld") || !hasWarning(b.Warnings, "pinned_webhook") || b.PinnedBy == nil || b.PinnedBy.By != alice || b.PinnedBy.Reason != "a test" {
			t.Errorf("%+v", b)
		}
		lease.End()
		h = h.restart(t)
		must0(t, h.await("webhook", false, 90*time.Second))
		if b := h.state(t); b.Pin != "webhook" || b.PinnedBy == nil || b.PinnedBy.By != alice {
			t.Errorf("after the restart: %+v", b)
		}
		from = time.Now()
		_, err = h.faults.Inject(chaos.Spec{Kind: "tls.expired", For: 15 * time.Minute})
		must0(t, err)
		time.Sleep(20 * time.Second)
		if m := w.moves(from); len(m) > 0 {
			t.Errorf("pinned before the restart, and moved: %v", m)
		}
		if c := h.order(t, console.HoldMode, dry); !hasWarning(c.Warnings, "failover_withheld") {
			t.Errorf("holding a broken webhook: %+v", c)
		}
		if c := h.order(t, console.SwitchAuto); !strings.Contains(c.Next, "broken (tls), so polling takes over now") || len(c.Warnings) != 0 {
			t.Errorf("%+v", c)
		}
		must0(t, h.await("polling", false, 10*time.Second))
		h.faults.Clear()
		must0(t, h.await("webhook", false, 3*time.Minute))
		w.settle(t, h, func() {}, time.Now())
	})
}

// TestHoldWithholds: a hold withholds failover and failback, outlives a restart,
// ends by itself, and is lifted by switch auto.
func TestHoldWithholds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		stop() // what is withheld costs the updates that Telegram keeps for seconds only
		w.push(t, 3, 42)
		h.order(t, console.HoldMode, lasting(4*time.Minute))
		h = h.restart(t)
		must0(t, h.await("webhook", false, 90*time.Second))
		lease, err := h.faults.Inject(chaos.Spec{Kind: "tls.expired", For: 15 * time.Minute})
		must0(t, err)
		from := time.Now()
		time.Sleep(20 * time.Second)
		b := h.state(t)
		if m := w.moves(from); len(m) > 0 || !b.Held || b.HeldUntil.IsZero() || b.HeldBy == nil || !hasWarning(b.Warnings, "automation_held") {
			t.Errorf("on hold: moves %v, %+v", m, b)
		}
		must0(t, h.await("polling", false, 4*time.Minute)) // it is over by itself
		lease.End()
		h.order(t, console.HoldMode)
		from = time.Now()
		time.Sleep(5 * time.Minute)
		if m := w.moves(from); len(m) > 0 {
			t.Errorf("a failback in spite of a hold: %v", m)
		}
		// Both at once, lifted at once.
		h.order(t, console.SwitchPolling)
		h.order(t, console.HoldMode)
		if c := h.order(t, console.SwitchAuto); c.After.Held || c.After.Pin != "" || !c.Before.Held || c.Before.Pin != "polling" || !c.Changed {
			t.Errorf("%+v", c)
		}
		must0(t, h.await("webhook", false, 3*time.Minute))
		w.settle(t, h, func() {}, time.Now())
	})
}

// TestAckEndsAFreeze: a freeze outlasts a restart and any time, an acknowledgement
// ends it and the failback comes; one of nothing changes nothing.
func TestAckEndsAFreeze(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		w.tune = func(o *supervisor.BotOptions) { o.Policy.MaxFailovers = 2 }
		h, stop := w.proven(t, 5)
		if c := h.order(t, console.AckFreeze); c.Changed {
			t.Errorf("acknowledged what was not frozen: %+v", c)
		}
		if n := len(w.told(t, h, supervisor.EventOperator)); n != 0 {
			t.Errorf("%d entries for a command that changed nothing", n)
		}
		for range 2 {
			must0(t, h.await("webhook", false, 3*time.Minute))
			lease, err := h.faults.Inject(chaos.Spec{Kind: "net.refuse", For: 15 * time.Minute})
			must0(t, err)
			must0(t, h.await("polling", false, 10*time.Second))
			lease.End()
		}
		stop()
		h = h.restart(t)
		must0(t, h.await("polling", false, 10*time.Second))
		time.Sleep(2 * time.Hour) // longer than what is counted
		b := h.state(t)
		if b.Phase != "polling" || !b.Frozen || !hasWarning(b.Warnings, "frozen") || hasWarning(b.Warnings, "on_standby") {
			t.Errorf("%+v", b)
		}
		if c := h.order(t, console.SwitchAuto); c.Changed || !strings.Contains(c.Next, "dualgram ack --bot test") {
			t.Errorf("switch auto of a frozen bot: %+v", c)
		}
		lease, err := h.faults.Inject(chaos.Spec{Kind: "net.refuse", For: 15 * time.Minute})
		must0(t, err)
		time.Sleep(time.Minute)
		if c := h.order(t, console.AckFreeze, dry); len(c.Warnings) != 1 || c.Warnings[0].Code != "webhook_not_seen" || !strings.Contains(c.Warnings[0].Text, "the next failback fails too: repair it first") {
			t.Errorf("of a webhook that is still broken: %+v", c.Warnings)
		}
		lease.End()
		time.Sleep(time.Minute)
		c := h.order(t, console.AckFreeze)
		if len(c.Warnings) != 0 {
			t.Errorf("of a webhook that was repaired: %+v", c.Warnings)
		}
		if !c.Changed || !c.Before.Frozen || c.After.Frozen || !strings.Contains(c.Next, "tried again now") {
			t.Errorf("%+v", c)
		}
		must0(t, h.await("webhook", false, 3*time.Minute))
		w.settle(t, h, func() {}, time.Now())
	})
}

// TestDryRunChangesNothing: what would be done is said from a copy of the state.
func TestDryRunChangesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, heal, stop := w.broken(t, 5)
		before, from := h.state(t), time.Now()
		c := h.order(t, console.SwitchWebhook, dry)
		if !c.DryRun || !c.Changed || c.Before.Mode != "polling" || c.After.Mode != "webhook" || c.After.Phase != "to_webhook" || c.After.Epoch != before.Epoch+1 {
			t.Errorf("%+v", c)
		}
		if c := h.order(t, console.SwitchPolling, dry); c.After.Pin != "polling" || c.After.Phase != "polling" || len(c.Warnings) != 0 {
			t.Errorf("%+v", c)
		}
		time.Sleep(time.Second)
		if m := w.moves(from); len(m) > 0 || h.state(t).Pin != "" || h.state(t).Epoch != before.Epoch {
			t.Errorf("a dry run did something: %v", m)
		}
		if n := len(w.told(t, h, supervisor.EventOperator)); n != 0 {
			t.Errorf("%d entries of a dry run", n)
		}
		heal()
		// A webhook that is not ready is said so, and no reason to refuse.
		must0(t, h.await("webhook", false, 3*time.Minute))
		h.order(t, console.SwitchPolling)
		must0(t, h.await("polling", false, 5*time.Second))
		lease, err := h.faults.Inject(chaos.Spec{Kind: "tls.expired", For: 15 * time.Minute})
		must0(t, err)
		time.Sleep(2 * time.Second)
		c = h.order(t, console.SwitchWebhook, dry)
		if !hasWarning(c.Warnings, "webhook_not_ready") || !strings.Contains(c.Warnings[0].Text, "expired") {
			t.Errorf("%+v", c.Warnings)
		}
		lease.End()
		h.order(t, console.SwitchAuto)
		must0(t, h.await("webhook", false, 3*time.Minute))
		w.settle(t, h, stop, time.Now())
	})
}

// TestTakeOverByOperator: somebody else's webhook is refused without take-over and
// with another one than was agreed to; taken over, nothing pending is lost, and
// the bot is automatic or pinned as was said.
func TestTakeOverByOperator(t *testing.T) {
	for to, want := range map[string]string{console.SwitchAuto: "webhook", console.SwitchWebhook: "webhook", console.SwitchPolling: "polling"} {
		t.Run(to, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *testWorld) {
				w.sim.SetHost("old.example.com", "5.45.72.99")
				_, _, err := w.sim.ForeignSetWebhook(w.botID, "https://old.example.com/hook-of-"+testToken)
				must0(t, err)
				w.push(t, 5, 42)
				h := w.start(nil)
				must0(t, h.await("held", false, 10*time.Second))
				seen := h.state(t).ForeignWebhook
				if !strings.HasPrefix(seen, "https://old.example.com/#") {
					t.Errorf("shown: %q", seen)
				}
				if to != console.SwitchAuto {
					_, err = h.try(t, to)
					failure(t, err, console.CodeRefused)
				}
				other := "https://other.example.com/#00000000"
				_, err = h.try(t, to, takeOver, func(o *console.Order) { o.Foreign = &other })
				failure(t, err, console.CodeRefused)
				none := ""
				_, err = h.try(t, to, takeOver, func(o *console.Order) { o.Foreign = &none })
				failure(t, err, console.CodeRefused)
				if n := w.calls(t, "setWebhook", time.Time{}) + w.calls(t, "deleteWebhook", time.Time{}); n != 1 {
					t.Errorf("%d sets and deletes; the one is the other's", n)
				}
				c := h.order(t, to, takeOver, func(o *console.Order) { o.Foreign = &seen })
				if c.Wants != want || c.Before.Phase != "held" || !c.Changed {
					t.Errorf("%+v", c)
				}
				must0(t, h.await(want, want == "webhook", 10*time.Second))
				pin := h.state(t).Pin
				if to == console.SwitchAuto && pin != "" || to != console.SwitchAuto && pin != want {
					t.Errorf("pinned to %q", pin)
				}
				said := w.told(t, h, supervisor.EventOperator)
				if len(said) != 1 || !strings.Contains(said[0].Evidence, "takes over from https://old.example.com/#") || strings.Contains(said[0].Evidence, "hook-of") {
					t.Errorf("journal: %+v", said)
				}
				w.settle(t, h, func() {}, time.Now())
			})
		})
	}
}

// TestRefusals: what could not come true is refused, and changes nothing.
func TestRefusals(t *testing.T) {
	t.Run("polling only", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *testWorld) {
			w.tune = func(o *supervisor.BotOptions) { o.Webhook = nil }
			h := w.start(nil)
			must0(t, h.await("polling", false, 10*time.Second))
			_, err := h.try(t, console.SwitchWebhook)
			failure(t, err, console.CodeRefused)
			if c := h.order(t, console.SwitchPolling); c.Wants != "polling" || c.After.Phase != "polling" {
				t.Errorf("%+v", c)
			}
			w.settle(t, h, func() {}, time.Now())
		})
	})
	t.Run("token refused", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *testWorld) {
			h, stop := w.proven(t, 5)
			w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultError, Code: 401, Description: "Unauthorized"})
			must0(t, h.await("held", false, 10*time.Second))
			for _, c := range []string{console.SwitchPolling, console.SwitchWebhook} {
				_, err := h.try(t, c, takeOver)
				failure(t, err, console.CodeRefused)
			}
			h.order(t, console.HoldMode)
			h.order(t, console.SwitchAuto)
			w.sim.ClearFaults()
			must0(t, h.await("webhook", true, 20*time.Second))
			w.settle(t, h, stop, time.Now())
		})
	})
	t.Run("no such bot", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *testWorld) {
			h := w.start(nil)
			must0(t, h.await("webhook", true, 10*time.Second))
			_, err := h.try(t, console.AckFreeze, func(o *console.Order) { o.Bot = "tets" })
			if f := failure(t, err, console.CodeUnknownBot); !strings.Contains(f.Fix, "test") {
				t.Errorf("%+v", f)
			}
			w.settle(t, h, func() {}, time.Now())
		})
	})
	t.Run("the store fails", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *testWorld) {
			h, stop := w.proven(t, 5)
			lease, err := h.faults.Inject(chaos.Spec{Kind: "store.fail", For: time.Minute})
			must0(t, err)
			time.Sleep(time.Second)
			_, err = h.try(t, console.SwitchPolling)
			failure(t, err, console.CodeNotSaved)
			if b := h.state(t); b.Pin != "" || b.Phase != "webhook" || b.PinnedBy != nil {
				t.Errorf("it is pinned all the same: %+v", b)
			}
			lease.End()
			h.faults.Clear()
			w.settle(t, h, stop, time.Now())
		})
	})
}
