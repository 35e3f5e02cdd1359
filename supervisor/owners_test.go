package supervisor_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/telegramsim"
	"dualgram/supervisor"
	"dualgram/supervisor/failover"
)

// TestTokenRefused: nothing is tried again in a hurry, what is stored is still
// delivered, and a token that is valid again needs nobody.
func TestTokenRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultError, Code: http.StatusUnauthorized, Description: "Unauthorized"})
		must0(t, h.await("held", false, 10*time.Second))
		s, err := h.sup.Status(t.Context())
		must0(t, err)
		if !hasWarning(s.Bots[0].Warnings, "token_refused") {
			t.Errorf("%+v", s.Bots[0].Warnings)
		}
		time.Sleep(time.Minute)
		w.sim.ClearFaults()
		must0(t, h.await("webhook", true, 20*time.Second))
		w.settle(t, h, stop, time.Now())
	})
}

// TestTakeOver: a foreign webhook found at the start is held, and replaced on
// request with nothing dropped.
func TestTakeOver(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		w.sim.SetHost("old.example.com", "5.45.72.99")
		_, _, err := w.sim.ForeignSetWebhook(w.botID, "https://old.example.com/hook")
		must0(t, err)
		w.push(t, 5, 42)
		h := w.start(nil)
		must0(t, h.await("held", false, 10*time.Second))
		if n := w.calls(t, "setWebhook", time.Time{}); n != 1 {
			t.Errorf("%d sets", n)
		}
		must0(t, h.stop())
		w.tune = func(o *supervisor.BotOptions) { o.TakeOver = true }
		h = w.start(nil)
		must0(t, h.await("webhook", true, 10*time.Second))
		w.settle(t, h, func() {}, time.Now())
	})
}

// TestOperator: pins and holds overrule everything automatic, until lifted or
// until their time is over, and survive a restart.
func TestOperator(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		say := func(c failover.Command, d time.Duration) {
			t.Helper()
			must0(t, h.sup.Command(t.Context(), "test", failover.Event{Command: c, For: d,
				Cause: failover.Cause{Name: failover.CauseOperator, Evidence: "a test"}}))
		}
		say(failover.SwitchPolling, 0)
		must0(t, h.await("polling", false, 5*time.Second))
		time.Sleep(2 * time.Minute)
		must0(t, h.await("polling", false, time.Second))
		must0(t, h.stop())
		h = w.start(nil)
		must0(t, h.await("polling", false, 10*time.Second))
		time.Sleep(time.Minute)
		must0(t, h.await("polling", false, time.Second))
		say(failover.SwitchAuto, 0)
		must0(t, h.await("webhook", false, 2*time.Minute))

		say(failover.Hold, 30*time.Second)
		from := time.Now()
		lease, err := h.faults.Inject(chaos.Spec{Kind: "tls.expired", For: 10 * time.Minute})
		must0(t, err)
		time.Sleep(25 * time.Second)
		if m := w.moves(from); len(m) > 0 {
			t.Errorf("held, and moved: %v", m)
		}
		must0(t, h.await("polling", false, 15*time.Second))
		say(failover.SwitchWebhook, 0) // although it is broken
		must0(t, h.await("webhook", true, 10*time.Second))
		time.Sleep(30 * time.Second)
		must0(t, h.await("webhook", true, time.Second))
		lease.End()
		say(failover.SwitchAuto, 0)
		must0(t, h.await("webhook", false, 3*time.Minute))
		if err := h.sup.Command(t.Context(), "nobody", failover.Event{Command: failover.Ack}); err == nil {
			t.Error("a bot that does not exist took a command")
		}
		w.settle(t, h, stop, time.Now())
	})
}

// TestDryRunAndVeto: decisions are told and not carried out.
func TestDryRunAndVeto(t *testing.T) {
	for _, c := range []struct {
		why  string
		tune func(*supervisor.BotOptions)
	}{
		{failover.WhyDryRun, func(o *supervisor.BotOptions) { o.Policy.DryRun = true }},
		{supervisor.WhyVetoed, func(o *supervisor.BotOptions) {
			var last time.Time
			o.Veto = func(context.Context, supervisor.Handover) error {
				if !last.IsZero() && time.Since(last) < 4*time.Second {
					t.Error("the hook is asked again at once")
				}
				last = time.Now()
				return errors.New("not now")
			}
		}},
	} {
		t.Run(c.why, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *testWorld) {
				w.tune = c.tune
				h, stop := w.proven(t, 5)
				from := time.Now()
				lease, err := h.faults.Inject(chaos.Spec{Kind: "tls.expired", For: 10 * time.Minute})
				must0(t, err)
				time.Sleep(20 * time.Second)
				if m := w.moves(from); len(m) > 0 {
					t.Errorf("moved: %v", m)
				}
				told := 0
				for _, e := range w.story() {
					if e.Kind == supervisor.EventWould && e.Level == c.why {
						told++
					}
				}
				if told != 1 {
					t.Errorf("told %d times, want once", told)
				}
				lease.End()
				w.settle(t, h, stop, from)
			})
		})
	}
	for name, veto := range map[string]func(context.Context, supervisor.Handover) error{
		"a veto that hangs": func(ctx context.Context, _ supervisor.Handover) error {
			<-ctx.Done()
			return ctx.Err()
		},
		"a veto that hangs and does not heed its deadline": func(context.Context, supervisor.Handover) error {
			time.Sleep(20 * time.Second)
			return errors.New("too late")
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *testWorld) {
				var asked, begun atomic.Int64
				w.tune = func(o *supervisor.BotOptions) {
					o.Veto = func(ctx context.Context, h supervisor.Handover) error {
						asked.CompareAndSwap(0, time.Now().UnixNano())
						return veto(ctx, h)
					}
					o.Hook = func(_ context.Context, point string) error {
						if point == supervisor.StepDeleteSent {
							begun.CompareAndSwap(0, time.Now().UnixNano())
						}
						return nil
					}
				}
				h, heal, stop := w.broken(t, 5)
				if cost := time.Duration(begun.Load() - asked.Load()); cost < 0 || cost > 500*time.Millisecond {
					t.Errorf("it cost %v", cost)
				}
				heal()
				must0(t, h.await("webhook", false, 2*time.Minute))
				w.settle(t, h, stop, time.Now())
			})
		})
	}
}

// TestWebhookDeletedByOthers: it is set again once; the second time within the
// hour updates come by polling.
func TestWebhookDeletedByOthers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		_, _, err := w.sim.ForeignDeleteWebhook(w.botID)
		must0(t, err)
		must0(t, h.await("webhook", true, 10*time.Second))
		must0(t, h.await("webhook", false, 90*time.Second))
		from := time.Now()
		_, _, err = w.sim.ForeignDeleteWebhook(w.botID)
		must0(t, err)
		must0(t, h.await("polling", false, 10*time.Second))
		if m := strings.Join(w.moves(from), "; "); !strings.Contains(m, failover.CauseURLGone) {
			t.Errorf("moves: %s", m)
		}
		w.settle(t, h, stop, from)
	})
}

// TestOwnURLRemembered: a webhook that was sent by a process which died before it
// had the answer is ours, even if the URL has changed meanwhile.
func TestOwnURLRemembered(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h := w.start(func(h *host, point string) error {
			if point == supervisor.StepSetAcked {
				h.crash()
				return errCrashed
			}
			return nil
		})
		h.bury()
		w.tune = func(o *supervisor.BotOptions) { o.Webhook.Params.URL = "https://" + testHost + "/moved" }
		h = w.start(nil)
		must0(t, h.await("webhook", true, 20*time.Second))
		w.push(t, 2, 42)
		time.Sleep(5 * time.Second)
		b, err := w.sim.Bot(w.botID)
		must0(t, err)
		if b.URL != "https://"+testHost+"/moved" {
			t.Errorf("registered: %s", b.URL)
		}
		w.settle(t, h, func() {}, time.Now())
	})
}

// TestForeignSetMeanwhile: a webhook that somebody else sets while ours is being
// given up is not deleted.
func TestForeignSetMeanwhile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		w.sim.SetHost("other.example.com", "5.45.72.99")
		armed := false
		h := w.start(func(_ *host, point string) error {
			if armed && point == supervisor.StepDeleteAcked {
				armed = false
				if _, _, err := w.sim.ForeignSetWebhook(w.botID, "https://other.example.com/x"); err != nil {
					t.Error(err)
				}
			}
			return nil
		})
		must0(t, h.await("webhook", false, 2*time.Minute))
		armed = true
		lease, err := h.faults.Inject(chaos.Spec{Kind: "tls.expired", For: time.Minute})
		must0(t, err)
		must0(t, h.await("held", false, 20*time.Second))
		time.Sleep(30 * time.Second)
		b, err := w.sim.Bot(w.botID)
		must0(t, err)
		if b.URL != "https://other.example.com/x" {
			t.Errorf("registered: %q", b.URL)
		}
		lease.End()
		must0(t, h.stop())
	})
}
