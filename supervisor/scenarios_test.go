package supervisor_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/telegramsim"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
	"dualgram/supervisor/failover"
	"dualgram/transport/botapi"
)

// broken starts a proven host and breaks its webhook; it is in polling then.
func (w *testWorld) broken(t *testing.T, rate float64) (h *host, heal, stop func()) {
	t.Helper()
	h, stop = w.proven(t, rate)
	lease, err := h.faults.Inject(chaos.Spec{Kind: "net.refuse", For: 15 * time.Minute})
	must0(t, err)
	must0(t, h.await("polling", false, 10*time.Second))
	return h, lease.End, stop
}

// sets counts the setWebhook calls that reached Telegram since the given time.
func (w *testWorld) calls(t *testing.T, method string, since time.Time) (n int) {
	t.Helper()
	b, err := w.sim.Bot(w.botID)
	must0(t, err)
	for _, c := range b.Calls {
		if strings.EqualFold(c.Method, method) && !c.At.Before(since) {
			n++
		}
	}
	return n
}

// TestSetNotAnswered: a setWebhook whose answer never comes may have happened,
// may happen later, or not at all; each ends on the webhook, and nothing is lost.
func TestSetNotAnswered(t *testing.T) {
	for name, f := range map[string]telegramsim.Fault{
		"happened":            {Kind: telegramsim.FaultLoseHang, Method: "setWebhook", Count: 1},
		"answer reset":        {Kind: telegramsim.FaultLose, Method: "setWebhook", Count: 1},
		"did not":             {Kind: telegramsim.FaultHang, Method: "setWebhook", Count: 1},
		"happens 8 s later":   {Kind: telegramsim.FaultLate, Method: "setWebhook", Count: 1, Delay: 8 * time.Second},
		"refused":             {Kind: telegramsim.FaultError, Method: "setWebhook", Count: 1, Code: 400, Description: "Bad Request: bad webhook: Failed to resolve host: Name or service not known"},
		"429":                 {Kind: telegramsim.FaultTooMany, Method: "setWebhook", Count: 1, RetryAfter: 1},
		"the front is broken": {Kind: telegramsim.FaultHTML, Method: "setWebhook", Count: 1},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *testWorld) {
				h, heal, stop := w.broken(t, 10)
				w.sim.SetFault(f)
				from := time.Now()
				heal()
				must0(t, h.await("webhook", false, 3*time.Minute))
				for _, e := range w.story() {
					if e.At.After(from) && e.Kind == supervisor.EventForeign {
						t.Errorf("a late effect of our own was taken for somebody else's: %+v", e)
					}
				}
				w.settle(t, h, stop, from)
			})
		})
	}
}

// TestDeleteNotAnswered: the same for deleteWebhook on the way to polling.
func TestDeleteNotAnswered(t *testing.T) {
	for name, f := range map[string]telegramsim.Fault{
		"happened":          {Kind: telegramsim.FaultLoseHang, Method: "deleteWebhook", Count: 2},
		"did not":           {Kind: telegramsim.FaultHang, Method: "deleteWebhook", Count: 2},
		"happens 2 s later": {Kind: telegramsim.FaultLate, Method: "deleteWebhook", Count: 2, Delay: 2 * time.Second},
		"429":               {Kind: telegramsim.FaultTooMany, Method: "deleteWebhook", Count: 2, RetryAfter: 1},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *testWorld) {
				h, stop := w.proven(t, 10)
				w.sim.SetFault(f)
				lease, err := h.faults.Inject(chaos.Spec{Kind: "tls.expired", For: 10 * time.Minute})
				must0(t, err)
				onset := time.Now()
				must0(t, h.await("polling", false, 15*time.Second))
				time.Sleep(30 * time.Second)
				if p, _ := h.phase(); p != "polling" {
					t.Errorf("half a minute later the phase is %s", p)
				}
				lease.End()
				must0(t, h.await("webhook", false, 3*time.Minute))
				if v := w.settle(t, h, stop, onset); v.Figures.Failover > 10*time.Second {
					t.Errorf("failover took %v", v.Figures.Failover)
				}
			})
		})
	}
}

// TestBackoffFlush: after our own downtime Telegram waits out its back-off; that
// is ended by a delete and a set, with no hold-down and not counted as an outage.
func TestBackoffFlush(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		stop()
		time.Sleep(5 * time.Second)
		must0(t, h.stop())
		w.push(t, 3, 42)
		time.Sleep(40 * time.Second) // the next retry is over 20 s away
		back := time.Now()
		h = w.start(nil)
		for i := 0; w.sim.Pending(w.botID) > 0; i++ {
			if i > 100 {
				t.Fatalf("%d updates still wait 10 s after the start", w.sim.Pending(w.botID))
			}
			time.Sleep(100 * time.Millisecond)
		}
		must0(t, h.await("webhook", true, 5*time.Second))
		if took := time.Since(back); took > 12*time.Second {
			t.Errorf("the round trip took %v", took)
		}
		flushed := false
		for _, m := range w.moves(back) {
			flushed = flushed || strings.Contains(m, failover.CauseFlush)
		}
		if !flushed {
			t.Errorf("not by a flush: %v", w.moves(back))
		}
		if n := w.calls(t, "deleteWebhook", back); n != 1 {
			t.Errorf("%d deletes, want 1", n)
		}
		w.settle(t, h, func() {}, back)
	})
}

// TestFlushOnce: what is still wrong after a flush is an outage. (A probe would
// see it before the webhook is set again; see TestFlushAgainstProbe.)
func TestFlushOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		w.tune = func(o *supervisor.BotOptions) { o.Webhook.Prober = nil }
		h, stop := w.proven(t, 5)
		must0(t, h.stop())
		w.net.Blackhole(testIP, true)
		time.Sleep(5 * time.Second)
		back := time.Now()
		h = w.start(nil)
		must0(t, h.await("polling", false, 30*time.Second))
		time.Sleep(8 * time.Second)
		must0(t, h.await("polling", false, 30*time.Second))
		moves := strings.Join(w.moves(back), "; ")
		if strings.Count(moves, "to_polling by "+failover.CauseFlush) != 1 || !strings.Contains(moves, "to_polling by "+supervisor.SignalStall) {
			t.Errorf("moves: %s", moves)
		}
		w.net.Blackhole(testIP, false)
		must0(t, h.await("webhook", false, 3*time.Minute))
		w.settle(t, h, stop, back)
	})
}

// TestFlushAgainstProbe: a flush doesn't go back to a webhook that the probe sees
// to be broken; it becomes a plain stay in polling, and ends by itself.
func TestFlushAgainstProbe(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		must0(t, h.stop())
		w.net.Blackhole(testIP, true)
		time.Sleep(5 * time.Second)
		back := time.Now()
		h = w.start(nil)
		must0(t, h.await("polling", false, 30*time.Second))
		time.Sleep(45 * time.Second)
		if moves := strings.Join(w.moves(back), "; "); strings.Contains(moves, "to_webhook") || strings.Count(moves, "to_polling") != 1 {
			t.Errorf("moves: %s", moves)
		}
		w.net.Blackhole(testIP, false)
		must0(t, h.await("webhook", false, 3*time.Minute))
		w.settle(t, h, stop, back)
	})
}

// TestBotAPIAwayAtStart: the listener accepts, what is stored is delivered, and
// the webhook is set once the Bot API answers.
func TestBotAPIAwayAtStart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultReset})
		h := w.start(nil)
		time.Sleep(20 * time.Second)
		if p, _ := h.phase(); p != "starting" {
			t.Errorf("phase %s", p)
		}
		s, err := h.sup.Status(t.Context())
		must0(t, err)
		if !hasWarning(s.Bots[0].Warnings, "bot_api_unreachable") || !s.Bots[0].Webhook.Listening {
			t.Errorf("%+v", s.Bots[0])
		}
		w.push(t, 3, 42)
		w.sim.ClearFaults()
		must0(t, h.await("webhook", true, 10*time.Second))
		w.settle(t, h, func() {}, time.Now())
	})
}

// TestPollStall: a poll whose connection died without a word is cut when updates
// are pending, long before its own deadline.
func TestPollStall(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		w.tune = func(o *supervisor.BotOptions) { o.Webhook = nil }
		h := w.start(nil)
		must0(t, h.await("polling", false, 10*time.Second))
		time.Sleep(3 * time.Minute) // polls last 25 s by now, and a call up to 35 s
		lease, err := h.faults.Inject(chaos.Spec{Kind: "botapi.hang", For: 10 * time.Minute, Count: 1, Params: map[string]string{"methods": "getUpdates"}})
		must0(t, err)
		for lease.Fired() == 0 {
			time.Sleep(100 * time.Millisecond)
		}
		began := time.Now()
		w.push(t, 1, 42)
		for w.sim.Pending(w.botID) > 0 {
			time.Sleep(100 * time.Millisecond)
			if time.Since(began) > 6*time.Second {
				t.Fatal("the update still waits")
			}
		}
		lease.End()
		w.settle(t, h, func() {}, began)
	})
}

// TestPollingOnly: a bot without a webhook polls, and deletes what it has
// registered itself once, nothing else.
func TestPollingOnly(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		w.tune = func(o *supervisor.BotOptions) { o.Webhook = nil }
		h := w.start(nil)
		must0(t, h.await("polling", false, 10*time.Second))
		first, err := h.sup.Status(t.Context())
		must0(t, err)
		if b := first.Bots[0]; b.HoldDownLeft != 0 || !b.NextFailbackAt.IsZero() {
			t.Errorf("a failback without a webhook: in %v s, at %v", b.HoldDownLeft, b.NextFailbackAt)
		}
		w.push(t, 5, 42)
		time.Sleep(10 * time.Minute)
		if n := w.calls(t, "setWebhook", time.Time{}) + w.calls(t, "deleteWebhook", time.Time{}); n != 0 {
			t.Errorf("%d sets and deletes", n)
		}
		s, err := h.sup.Status(t.Context())
		must0(t, err)
		if s.Bots[0].Webhook != nil || hasWarning(s.Bots[0].Warnings, "on_standby") {
			t.Errorf("%+v", s.Bots[0])
		}
		w.settle(t, h, func() {}, time.Now())
	})
}

// TestNewSeries: after Telegram starts a new series of ids, in either mode,
// everything arrives.
func TestNewSeries(t *testing.T) {
	for _, mode := range []string{"webhook", "polling"} {
		t.Run(mode, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *testWorld) {
				var h *host
				var stop func()
				heal := func() {}
				if mode == "polling" {
					h, heal, stop = w.broken(t, 5)
				} else {
					h, stop = w.proven(t, 5)
				}
				stop()
				for w.sim.Pending(w.botID) > 0 {
					time.Sleep(100 * time.Millisecond)
				}
				time.Sleep(time.Second)
				must0(t, w.sim.ResetSeries(w.botID, 3_000_001))
				w.push(t, 5, 42)
				time.Sleep(10 * time.Second)
				if n := w.sim.Pending(w.botID); n > 0 {
					t.Errorf("%d updates of the new series wait", n)
				}
				heal()
				must0(t, h.await("webhook", false, 3*time.Minute))
				w.settle(t, h, func() {}, time.Now())
			})
		})
	}
}

// TestSignalsInStatus: every signal is listed, and a tripped one says so.
func TestSignalsInStatus(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		s, err := h.sup.Status(t.Context())
		must0(t, err)
		got := map[string]string{}
		for _, x := range s.Bots[0].Signals {
			got[x.Name] = x.State
		}
		for _, name := range []string{supervisor.SignalFailRate, supervisor.SignalTimeout, supervisor.SignalTLS, supervisor.SignalStall,
			supervisor.SignalStandby, supervisor.SignalPollStall, supervisor.SignalStore} {
			if got[name] != console.SignalOK {
				t.Errorf("%s is %q", name, got[name])
			}
		}
		lease, err := h.faults.Inject(chaos.Spec{Kind: "store.fail", For: time.Minute})
		must0(t, err)
		time.Sleep(2 * time.Second)
		s, err = h.sup.Status(t.Context())
		must0(t, err)
		if !hasWarning(s.Bots[0].Warnings, "store_failing") || h.sup.Ready() == nil {
			t.Errorf("a failing store is not told: %+v", s.Bots[0].Warnings)
		}
		lease.End()
		w.settle(t, h, stop, time.Now())
	})
}

// TestPollerJoinedBeforeSet: no poll of ours is parked when the webhook is set.
func TestPollerJoinedBeforeSet(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		sets := 0
		var polls atomic.Int32
		w.tune = func(o *supervisor.BotOptions) { o.API = countingAPI{o.API, &polls} }
		h := w.start(func(_ *host, point string) error {
			if point != supervisor.StepSetSent {
				return nil
			}
			if n := polls.Load(); n != 0 {
				t.Errorf("set %d is sent while %d polls of ours are in progress", sets, n)
			}
			sets++
			return nil
		})
		must0(t, h.await("webhook", false, 2*time.Minute))
		lease, err := h.faults.Inject(chaos.Spec{Kind: "net.refuse", For: time.Minute})
		must0(t, err)
		w.push(t, 1, 42)
		must0(t, h.await("polling", false, 10*time.Second))
		time.Sleep(5 * time.Second)
		lease.End()
		must0(t, h.await("webhook", true, time.Minute))
		if sets != 2 {
			t.Errorf("%d sets, want 2", sets)
		}
		w.settle(t, h, func() {}, time.Now())
	})
}

// countingAPI counts the polls in progress.
type countingAPI struct {
	supervisor.API
	polls *atomic.Int32
}

func (c countingAPI) GetUpdates(ctx context.Context, p botapi.GetUpdates) (botapi.Page, error) {
	c.polls.Add(1)
	defer c.polls.Add(-1)
	return c.API.GetUpdates(ctx, p)
}

// TestBudgetRefused: options that can't keep the budget are refused.
func TestBudgetRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		w.tune = func(o *supervisor.BotOptions) {
			o.Thresholds.Stall = 6 * time.Second
			_, err := supervisor.New(t.Context(), supervisor.Options{
				Listeners: []supervisor.ListenerOptions{{Address: testIP + ":443", Listen: func(_ context.Context, a string) (net.Listener, error) { return w.net.Listen(a) }}},
				Bots:      []supervisor.BotOptions{*o},
			})
			if err == nil || !strings.Contains(err.Error(), "budget") {
				t.Errorf("err = %v", err)
			}
			o.Thresholds.Stall = 0
		}
		must0(t, w.start(nil).stop())
	})
}

// TestRestartKeepsWebhook: a restart with nothing changed sets and deletes
// nothing, and goes on as proven.
func TestRestartKeepsWebhook(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		stop()
		time.Sleep(2 * time.Second)
		must0(t, h.stop())
		from := time.Now()
		h = w.start(nil)
		must0(t, h.await("webhook", false, 5*time.Second))
		time.Sleep(3 * time.Minute)
		if n := w.calls(t, "setWebhook", from) + w.calls(t, "deleteWebhook", from); n != 0 {
			t.Errorf("%d sets and deletes", n)
		}
		w.settle(t, h, func() {}, from)
	})
}
