package supervisor_test

import (
	"context"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/telegramsim"
	"dualgram/supervisor"
	"dualgram/supervisor/failover"
	"dualgram/transport/probe"
)

// TestRestartsThenOutage: a second restart soon after a flush excuses no outage:
// what we were away for was flushed, and there is no flush to be had again.
func TestRestartsThenOutage(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		w.tune = func(o *supervisor.BotOptions) { o.Webhook.Prober = nil }
		h, stop := w.proven(t, 5)
		stop()
		time.Sleep(5 * time.Second)
		must0(t, h.stop())
		w.push(t, 3, 42)
		time.Sleep(40 * time.Second)
		back := time.Now()
		h = w.start(nil)
		waitFor(t, "flush", 10*time.Second, func() bool {
			return w.sim.Pending(w.botID) == 0 && strings.Contains(strings.Join(w.moves(back), "; "), failover.CauseFlush)
		})
		must0(t, h.await("webhook", true, 5*time.Second))
		must0(t, h.stop())
		h = w.start(nil)
		must0(t, h.await("webhook", true, 10*time.Second))
		time.Sleep(5 * time.Second)
		w.net.Blackhole(testIP, true)
		onset := time.Now()
		w.push(t, 3, 42)
		if err := h.await("polling", false, 10*time.Second); err != nil {
			t.Errorf("%v; moves: %v", err, w.moves(onset))
		}
		w.net.Blackhole(testIP, false)
		must0(t, h.await("webhook", false, 3*time.Minute))
		w.settle(t, h, func() {}, onset)
	})
}

// drifted lets another program change allowed_updates.
func (w *testWorld) drifted(t *testing.T) {
	t.Helper()
	r := &matrixRun{testWorld: w}
	r.stranger("setWebhook", url.Values{"url": {testURL}, "secret_token": {secret}, "max_connections": {"40"}, "allowed_updates": {`["poll"]`}})
	for _, p := range r.problems {
		t.Fatal(p)
	}
}

// TestDriftPutRight: allowed_updates that another program changed are put right in
// place, once; nothing that is in flight is cut, and no delivery is missed.
func TestDriftPutRight(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		w.tune = func(o *supervisor.BotOptions) { o.Webhook.Params.AllowedUpdates = []string{} }
		h, stop := w.proven(t, 5)
		from := time.Now()
		w.drifted(t)
		waitFor(t, "set of ours", 10*time.Second, func() bool {
			info, err := w.sim.Info(w.botID)
			return err == nil && len(info.AllowedUpdates) == 0
		})
		must0(t, h.await("webhook", false, 2*time.Minute))
		sets := w.calls(t, "setWebhook", from)
		w.drifted(t)
		time.Sleep(time.Minute)
		if n := w.calls(t, "setWebhook", from) - sets; n != 1 {
			t.Errorf("%d sets, want only that of the stranger", n)
		}
		for _, m := range w.moves(from) {
			if strings.Contains(m, "polling") {
				t.Errorf("moved: %s", m)
			}
		}
		w.settle(t, h, stop, from)
	})
}

// TestDriftUnsent: a set that was refused with a 429 is sent again soon, since the
// types that are missing don't even wait at Telegram.
func TestDriftUnsent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		w.tune = func(o *supervisor.BotOptions) { o.Webhook.Params.AllowedUpdates = []string{} }
		h, stop := w.proven(t, 5)
		from := time.Now()
		w.drifted(t)
		w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultTooMany, Method: "setWebhook", Count: 1, RetryAfter: 10})
		waitFor(t, "set of ours", time.Minute, func() bool {
			info, err := w.sim.Info(w.botID)
			return err == nil && len(info.AllowedUpdates) == 0
		})
		if hits := w.sim.ClearFaults(); hits[0] != 1 {
			t.Fatal("no set was refused")
		}
		must0(t, h.await("webhook", false, 2*time.Minute))
		w.settle(t, h, stop, from)
	})
}

// TestDriftUnanswered: the set that puts allowed_updates right is not answered and
// happens late, while the webhook breaks. It neither holds up the failover nor is
// it taken for somebody else's set.
func TestDriftUnanswered(t *testing.T) {
	for name, late := range map[string]time.Duration{"while deleting": 4 * time.Second, "while polling": 15 * time.Second} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *testWorld) {
				w.tune = func(o *supervisor.BotOptions) { o.Webhook.Params.AllowedUpdates = []string{} }
				h, stop := w.proven(t, 5)
				w.drifted(t)
				w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultLate, Method: "setWebhook", Count: 1, Delay: late})
				time.Sleep(2500 * time.Millisecond) // it is on its way
				lease, err := h.faults.Inject(chaos.Spec{Kind: "net.refuse", For: 10 * time.Minute})
				must0(t, err)
				onset := time.Now()
				if hits := w.sim.ClearFaults(); hits[0] != 1 {
					t.Fatal("no set was on its way")
				}
				time.Sleep(30 * time.Second)
				for _, e := range w.story() {
					if e.At.After(onset) && e.Kind == supervisor.EventForeign {
						t.Errorf("a late set of our own was taken for somebody else's: %+v", e)
					}
				}
				waitFor(t, "polling", 10*time.Second, func() bool { p, _ := h.phase(); return p == "polling" })
				lease.End()
				must0(t, h.await("webhook", false, 5*time.Minute))
				if v := w.settle(t, h, stop, onset); v.Figures.Failover > 10*time.Second {
					t.Errorf("failover took %v", v.Figures.Failover)
				}
			})
		})
	}
}

// TestRenewalUnsentWithOldError: a renewal that is refused with a 429 leaves the
// old registration, and what Telegram last reported of that is no news.
func TestRenewalUnsentWithOldError(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		f := w.secretFrom()
		h, stop := w.proven(t, 5)
		w.net.Refuse(testIP, true)
		w.net.Cut(testIP)
		time.Sleep(600 * time.Millisecond)
		w.net.Refuse(testIP, false)
		time.Sleep(90 * time.Second)
		if info, err := w.sim.Info(w.botID); err != nil || info.LastErrorMessage == "" {
			t.Fatalf("no old error: %+v %v", info, err)
		}
		stop() // no delivery speaks against it
		time.Sleep(time.Second)
		from := time.Now()
		w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultTooMany, Method: "setWebhook", Count: 1, RetryAfter: 10})
		f.Store(secondSecret)
		time.Sleep(20 * time.Second)
		moves := strings.Join(w.moves(from), "; ")
		if !strings.Contains(moves, failover.CauseSetUnsent) || strings.Contains(moves, "polling") {
			t.Errorf("moves: %s", moves)
		}
		must0(t, h.await("webhook", false, 2*time.Minute))
		w.settle(t, h, func() {}, from)
	})
}

// TestPollerEndsEarly: the poller ends between its first page and the decision that
// polling has begun, and what made it end is gone: it is started again.
func TestPollerEndsEarly(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		var armed atomic.Bool
		committed := make(chan struct{}, 1)
		h := w.start(func(_ *host, point string) error {
			if point == supervisor.StepPageFetched && armed.Load() {
				select {
				case committed <- struct{}{}:
				default: // the second page
					armed.Store(false)
					return errCrashed
				}
			}
			if point == supervisor.StepPageCommitted && armed.Load() && strings.Contains(string(debug.Stack()), "(*worker).at") {
				time.Sleep(500 * time.Millisecond) // the loop learns of the end first
			}
			return nil
		})
		must0(t, h.await("webhook", true, 10*time.Second))
		must0(t, h.await("webhook", false, 90*time.Second))
		lease, err := h.faults.Inject(chaos.Spec{Kind: "net.refuse", For: 10 * time.Minute})
		must0(t, err)
		onset := time.Now()
		for i := range 150 {
			w.push(t, 1, int64(100+i))
		}
		armed.Store(true)
		must0(t, h.await("polling", false, 20*time.Second))
		w.push(t, 3, 42)
		time.Sleep(15 * time.Second)
		if n := w.sim.Pending(w.botID); n > 0 {
			t.Errorf("%d updates still wait; moves %v", n, w.moves(onset))
		}
		lease.End()
		must0(t, h.await("webhook", false, 3*time.Minute))
		w.settle(t, h, func() {}, onset)
	})
}

// localProber is a prober on a host that can't dial.
type localProber struct{ n *atomic.Int64 }

func (p localProber) Probe(context.Context, netip.Addr) probe.Result {
	p.n.Add(1)
	return probe.Result{At: time.Now(), Stage: probe.StageConnect, Reason: probe.ReasonLocal}
}

// TestProbePace: a probe that says nothing is no reason to probe in a hurry.
func TestProbePace(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		var n atomic.Int64
		w.tune = func(o *supervisor.BotOptions) {
			o.Webhook.Prober = func(func() time.Time) (supervisor.Prober, error) { return localProber{&n}, nil }
		}
		h := w.start(nil)
		must0(t, h.await("webhook", true, 10*time.Second))
		before := n.Load()
		time.Sleep(time.Minute)
		if got := n.Load() - before; got < 10 || got > 17 {
			t.Errorf("%d probes in a minute, want one in 4 s", got)
		}
		must0(t, h.stop())
	})
}

// TestOutageOnSlowDisk: a disk whose commits take longer than a decision waits for its
// own can still take updates, so an outage of the path is acted on.
func TestOutageOnSlowDisk(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		slow, err := h.faults.Inject(chaos.Spec{Kind: "store.slow", For: 10 * time.Minute, Delay: 3 * time.Second})
		must0(t, err)
		time.Sleep(10 * time.Second)
		lease, err := h.faults.Inject(chaos.Spec{Kind: "net.refuse", For: 10 * time.Minute})
		must0(t, err)
		onset := time.Now()
		waitFor(t, "failover", 20*time.Second, func() bool { p, _ := h.phase(); return p != "webhook" })
		before := len(w.bot.record())
		time.Sleep(15 * time.Second)
		if len(w.bot.record()) == before {
			t.Errorf("no update came by polling: %v", w.moves(onset))
		}
		slow.End()
		time.Sleep(10 * time.Second)
		lease.End()
		must0(t, h.await("webhook", false, 3*time.Minute))
		w.settle(t, h, stop, onset)
	})
}

// TestPollerAwayWithoutInfo: a webhook that somebody set ends the poller; while
// getWebhookInfo is rate limited nobody says whose it is, and when it is gone again
// polling goes on all the same.
func TestPollerAwayWithoutInfo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, heal, stop := w.broken(t, 5)
		stop()
		time.Sleep(3 * time.Second)
		w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultTooMany, Method: "getWebhookInfo", RetryAfter: 50, Count: 1})
		time.Sleep(3 * time.Second)
		from := time.Now()
		w.sim.SetHost("other.example.com", "5.45.72.99")
		_, _, err := w.sim.ForeignSetWebhook(w.botID, "https://other.example.com/x")
		must0(t, err)
		time.Sleep(2 * time.Second)
		_, _, err = w.sim.ForeignDeleteWebhook(w.botID)
		must0(t, err)
		w.push(t, 3, 42)
		time.Sleep(9 * time.Second)
		if n := w.sim.Pending(w.botID); n > 0 {
			t.Errorf("%d updates wait; moves: %v", n, w.moves(from))
		}
		heal()
		must0(t, h.await("webhook", false, 5*time.Minute))
		w.settle(t, h, func() {}, from)
	})
}

// TestRefusalThenOutageOnSlowDisk: one delivery that was refused, on a disk that is
// slow but commits, excuses an outage of the path only while Telegram may be backing
// off from that.
func TestRefusalThenOutageOnSlowDisk(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		w.tune = func(o *supervisor.BotOptions) { o.Webhook.Prober = nil }
		h, stop := w.proven(t, 5)
		fail, err := h.faults.Inject(chaos.Spec{Kind: "store.fail", For: 10 * time.Minute})
		must0(t, err)
		time.Sleep(time.Second)
		fail.End()
		time.Sleep(15 * time.Second)
		slow, err := h.faults.Inject(chaos.Spec{Kind: "store.slow", For: 10 * time.Minute, Delay: 2500 * time.Millisecond})
		must0(t, err)
		time.Sleep(15 * time.Second)
		w.net.Blackhole(testIP, true)
		onset := time.Now()
		waitFor(t, "way to polling", 20*time.Second, func() bool { p, _ := h.phase(); return p == "to_polling" || p == "polling" })
		slow.End()
		w.net.Blackhole(testIP, false)
		must0(t, h.await("webhook", false, 5*time.Minute))
		w.settle(t, h, stop, onset)
	})
}

// TestFirstPollLost: the one call that may be lost is the first poll.
func TestFirstPollLost(t *testing.T) {
	for _, kind := range []telegramsim.FaultKind{telegramsim.FaultHang, telegramsim.FaultLoseHang} {
		t.Run(string(kind), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *testWorld) {
				w.tune = func(o *supervisor.BotOptions) { o.Webhook.Prober = nil }
				h, stop := w.proven(t, 5)
				stop()
				w.net.Blackhole(testIP, true)
				onset := time.Now()
				w.push(t, 3, 42)
				waitFor(t, "way to polling", 10*time.Second, func() bool { p, _ := h.phase(); return p == "to_polling" })
				w.sim.SetFault(telegramsim.Fault{Kind: kind, Method: "getUpdates", Count: 1})
				must0(t, h.await("polling", false, 20*time.Second))
				if hits := w.sim.ClearFaults(); hits[0] != 1 {
					t.Fatal("no poll was lost")
				}
				w.net.Blackhole(testIP, false)
				must0(t, h.await("webhook", false, 3*time.Minute))
				if v := w.settle(t, h, func() {}, onset); v.Figures.Failover > 10*time.Second {
					t.Errorf("the first update came after %v", v.Figures.Failover)
				} else {
					t.Log(v.Figures.Failover)
				}
			})
		})
	}
}
