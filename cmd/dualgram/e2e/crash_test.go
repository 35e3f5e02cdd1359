package e2e_test

import (
	"fmt"
	"testing"
	"time"
)

// The named steps of a handover, in the order of the two directions.
var (
	failoverSteps = []string{"intent-persisted", "delete-sent", "delete-acked", "page-fetched", "page-committed", "confirm-sent", "mode-persisted"}
	failbackSteps = []string{"intent-persisted", "poller-joined", "set-sent", "set-acked", "mode-persisted"}
	firstSteps    = []string{"intent-persisted", "set-sent", "set-acked", "mode-persisted"}
)

// Kill -9 at each named step of a failover. The next process finds the fault
// still there, goes on by polling, and comes back once it is healed. Nothing is
// lost or reordered, and each lane repeats at most what was in flight.
func TestKilledInFailover(t *testing.T) {
	t.Parallel()
	for _, step := range failoverSteps {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			p := w.host()
			w.steady(p)
			p.arm(step)
			w.path.set(pathRefused)
			p.died(20 * time.Second)
			sets := w.sets()

			p = w.run()
			p.phase("polling", 15*time.Second)
			w.flows(p, "polling")
			if again := w.sets(); again != sets {
				t.Errorf("it set the webhook %d times before it polled, although it had decided to poll", again-sets)
			}
			w.path.set(pathOpen)
			w.recovered(p)
		})
	}
}

// sets is how often setWebhook was called.
func (w *world) sets() (n int) {
	for _, c := range must(w.sim.Bot(w.botID)).Calls {
		if c.Method == "setwebhook" {
			n++
		}
	}
	return n
}

// Kill -9 at each named step of a failback.
func TestKilledInFailback(t *testing.T) {
	t.Parallel()
	for _, step := range failbackSteps {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			w.conf.Failover = "hold_down: 1500ms, info_interval: 500ms"
			p := w.host()
			w.steady(p)
			w.path.set(pathRefused)
			p.phase("polling", 20*time.Second)
			p.arm(step)
			w.path.set(pathOpen)
			p.died(20 * time.Second)
			w.recovered(w.run())
		})
	}
}

// Kill -9 before the one call that confirms, at a failback, what polling took
// last: the poller has handed in a page, and nothing has confirmed it yet.
func TestKilledConfirming(t *testing.T) {
	w := newWorld(t)
	// Twice that, because the trial is not passed: long enough for what follows,
	// and shorter than the poll of 5 s by whose end all would be confirmed.
	w.conf.Failover = "hold_down: 1500ms, info_interval: 500ms"
	p := w.host()
	p.phase("webhook", 15*time.Second)
	w.path.set(pathRefused)
	w.push(1)
	p.phase("polling", 20*time.Second)
	w.path.set(pathOpen)
	eventually(t, 5*time.Second, "a parked poll", func() error {
		if truth := must(w.sim.Bot(w.botID)); !truth.Parked || truth.Pending > 0 {
			return fmt.Errorf("parked %v, %d pending", truth.Parked, truth.Pending)
		}
		return nil
	})
	id := w.push(2) // its page is committed, and confirmed by the next call only
	eventually(t, 5*time.Second, "the update", func() error {
		if !w.bot.has(id) || !must(w.sim.Bot(w.botID)).Parked {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	p.arm("confirm-sent")
	p.died(10 * time.Second)
	if got := must(w.sim.Bot(w.botID)); got.URL != "" {
		t.Errorf("it died after the webhook was set")
	}
	w.flowing(20)
	w.recovered(w.run())
}

// Kill -9 at each named step of the first registration of all.
func TestKilledInFirstStart(t *testing.T) {
	t.Parallel()
	for _, step := range firstSteps {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			w.flowing(20)
			w.api.hold(true) // nothing happens until the fault is armed
			p := w.host()
			p.arm(step)
			w.api.hold(false)
			p.died(20 * time.Second)
			w.recovered(w.run())
		})
	}
}

// Kill -9 outside of any handover, with updates on their way through: right
// before a commit, and right before a delivery to the bot.
func TestKilledInFlight(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"store:commit", "delivery:delivery"} {
		for _, mode := range []string{"webhook", "polling"} {
			t.Run(mode+" "+point, func(t *testing.T) {
				w := newWorld(t)
				w.conf.Failover = "hold_down: 3s, info_interval: 500ms"
				p := w.host()
				w.steady(p)
				if mode == "polling" {
					w.path.set(pathRefused)
					p.phase("polling", 20*time.Second)
					w.flows(p, "polling")
				}
				p.arm(point)
				p.died(10 * time.Second)
				w.path.set(pathOpen)
				w.recovered(w.run())
			})
		}
	}
}

// The real binary is killed again and again under load, whatever it does.
func TestKilledAgainAndAgain(t *testing.T) {
	w := newWorld(t)
	w.flowing(60)
	const deaths = 6
	for i := range deaths {
		p := w.run()
		before := w.bot.count()
		eventually(t, 20*time.Second, "updates", func() error {
			if w.bot.count() < before+40 {
				return fmt.Errorf("%d after %d", w.bot.count(), before)
			}
			return p.running()
		})
		switch i % 3 { // the second finds the way closed, the third open again
		case 1:
			w.path.set(pathRefused)
		case 2:
			w.path.set(pathOpen)
		}
		p.kill()
	}
	w.path.set(pathOpen)
	p := w.run()
	p.phase("webhook", 30*time.Second)
	w.settle(40*time.Second, deaths)
	p.stop()
}

// recovered wants a process that took over from a killed one to end in webhook
// mode, with everything delivered and nothing repeated but what was in flight.
func (w *world) recovered(p *process) {
	w.t.Helper()
	p.phase("webhook", 30*time.Second)
	w.flows(p, "webhook")
	w.settle(30*time.Second, 1)
	if b := must(p.first()); b.Dead+b.Quarantined+b.Lost != 0 {
		w.t.Errorf("dead %d, quarantined %d, lost %d", b.Dead, b.Quarantined, b.Lost)
	}
	w.quietly(p)
}
