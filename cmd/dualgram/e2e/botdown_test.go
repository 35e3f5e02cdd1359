package e2e_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// The bot does not answer, refuses, or is not there: updates are taken in all
// the same, wait in the store, and come in order once it is back. Nothing is
// buried, and the mode doesn't move.
func TestBotDown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		down, back func(w *world, bot *relay)
	}{
		{"hangs", func(w *world, _ *relay) { w.bot.become(botHangs) }, func(w *world, _ *relay) { w.bot.become(botTakes) }},
		{"refuses", func(w *world, _ *relay) { w.bot.become(botRefuses) }, func(w *world, _ *relay) { w.bot.become(botTakes) }},
		{"is not there", func(_ *world, bot *relay) { bot.set(pathRefused) }, func(_ *world, bot *relay) { bot.set(pathOpen) }},
		{"swallows everything", func(_ *world, bot *relay) { bot.set(pathSilent) }, func(_ *world, bot *relay) { bot.set(pathOpen) }},
		{"resets", func(_ *world, bot *relay) { bot.set(pathReset) }, func(_ *world, bot *relay) { bot.set(pathOpen) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			bot := newRelay(t, hostOf(w.bot.url))
			w.conf.Deliver = "{forward: {url: \"http://" + bot.addr + "/updates\", timeout: 1500ms}, max_attempts: 1, bury_after: 1s}"
			p := w.run()
			w.steady(p)
			epoch := must(p.first()).Epoch

			c.down(w, bot)
			b := p.until(30*time.Second, "bot_down and a backlog", func(b botStatus) bool { return b.warning("bot_down") && b.Waiting >= 100 })
			if b.Phase != "webhook" || b.Epoch != epoch || b.Dead != 0 {
				t.Errorf("phase %s (%s), dead %d", b.Phase, b.Reason, b.Dead)
			}
			// Telegram is rid of them: at most what is on its way just now is left.
			eventually(t, 5*time.Second, "nothing pending at Telegram", func() error {
				if n := w.sim.Pending(w.botID); n > 5 {
					return fmt.Errorf("%d pending", n)
				}
				return nil
			})
			c.back(w, bot)
			// A bot that takes an update just as it is given up on, or cut off, gets
			// it again: at most once in each lane.
			deaths := 1
			if c.name == "refuses" {
				deaths = 0
			}
			w.settle(40*time.Second, deaths)
			b = p.until(10*time.Second, "nothing waiting, no warning", func(b botStatus) bool { return b.Waiting == 0 && !b.warning("bot_down") })
			if b.Dead != 0 || b.Epoch != epoch {
				t.Errorf("dead %d, epoch %d, was %d", b.Dead, b.Epoch, epoch)
			}
			p.stop()
		})
	}
}

func hostOf(url string) string {
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	return host
}

// One update that the bot never takes holds its own chat and no other; given up,
// it is kept as a dead letter, and its chat goes on.
func TestPoison(t *testing.T) {
	w := newWorld(t)
	w.conf.Deliver = "{forward: {url: " + w.bot.url + ", timeout: 3s}, max_attempts: 3, bury_after: 2s}"
	p := w.run()
	p.phase("webhook", 15*time.Second)
	poison := w.push(666)
	behind := w.push(666)
	w.bot.refusing(func(id int64) bool { return id == poison })
	w.flowing(20)
	w.flows(p, "webhook")
	if b := must(p.first()); !w.bot.has(behind) && (b.Dead != 0 || b.Waiting < 2) {
		t.Errorf("dead %d, waiting %d while the poison holds its chat", b.Dead, b.Waiting)
	}
	p.until(30*time.Second, "a dead letter", func(b botStatus) bool { return b.Dead == 1 })
	eventually(t, 10*time.Second, "the one behind it", func() error {
		if !w.bot.has(behind) {
			return fmt.Errorf("not delivered")
		}
		return nil
	})
	w.traffic()
	w.flow.Wait()
	eventually(t, 20*time.Second, "all others", func() error {
		missing := []int64{}
		for _, r := range must(w.sim.Bot(w.botID)).Updates {
			if !w.bot.has(r.ID) {
				missing = append(missing, r.ID)
			}
		}
		if len(missing) != 1 || missing[0] != poison {
			return fmt.Errorf("missing %d, and only %d should be", missing, poison)
		}
		return nil
	})
	p.logged(time.Second, `"result":"buried"`, fmt.Sprint(poison))
	p.stop()
}

// SIGTERM while the bot is slow: what waits is delivered first, Telegram's
// deliveries are taken until the end, the exit is clean.
func TestGracefulStop(t *testing.T) {
	w := newWorld(t)
	w.conf.More = "shutdown_timeout: 15s"
	p := w.run()
	w.steady(p)
	w.bot.become(botHangs) // each lane has one in flight, and more behind it
	p.until(20*time.Second, "a backlog", func(b botStatus) bool { return b.Waiting >= 20 })
	during := 0
	p.term()
	// The listener still takes updates.
	before := acknowledged(w)
	eventually(t, 5*time.Second, "intake while draining", func() error {
		if during = acknowledged(w) - before; during < 5 {
			return fmt.Errorf("%d", during)
		}
		return p.running()
	})
	w.bot.become(botTakes)
	if code := p.wait(20 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if c, err := net.Dial("tcp", w.conf.Listen); err == nil {
		c.Close()
		t.Error("somebody still listens")
	}
	if truth := must(w.sim.Bot(w.botID)); truth.URL != w.conf.PublicURL {
		t.Errorf("the webhook at Telegram is %q", truth.URL)
	}
	p = w.run()
	p.phase("webhook", 15*time.Second)
	// The drained lanes left nothing in flight: not one repeat, but for what hung
	// when the timeout of the forward ended it.
	w.settle(60*time.Second, 0)
	p.stop()
}

func acknowledged(w *world) int {
	return must(w.sim.Bot(w.botID)).Counters.Acknowledged
}

// A drain that can't be done in time is given up: exit 0, and what waits is
// delivered by the next process.
func TestStopWithBotDown(t *testing.T) {
	w := newWorld(t)
	w.conf.More = "shutdown_timeout: 1s"
	p := w.run()
	w.steady(p)
	w.bot.become(botHangs)
	p.until(20*time.Second, "a backlog", func(b botStatus) bool { return b.Waiting >= 20 })
	began := time.Now()
	p.stop()
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the stop took %v", took)
	}
	p.logged(time.Second, "kept for the next start")
	w.bot.become(botTakes)
	p = w.run()
	p.phase("webhook", 15*time.Second)
	w.settle(60*time.Second, 0)
	p.stop()
}

// on_stop: delete takes the webhook away at the end, and the next start sets it
// again. What Telegram has kept meanwhile comes then.
func TestDeleteOnStop(t *testing.T) {
	w := newWorld(t)
	w.conf.More = "on_stop: delete"
	p := w.run()
	w.steady(p)
	p.stop()
	if truth := must(w.sim.Bot(w.botID)); truth.URL != "" {
		t.Errorf("the webhook at Telegram is %q", truth.URL)
	}
	w.push(4)
	p = w.run()
	p.phase("webhook", 15*time.Second)
	w.settle(20*time.Second, 0)
	p.stop()
}
