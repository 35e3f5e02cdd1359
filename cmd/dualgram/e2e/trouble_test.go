package e2e_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"dualgram/chaos/pki"
)

// A token that is revoked while dualgram runs: the process stays up and says so,
// and what is in its store still reaches the bot. With the new token it goes on.
func TestTokenRevoked(t *testing.T) {
	w := newWorld(t)
	w.bot.become(botRefuses)
	p := w.run()
	p.phase("webhook", 15*time.Second)
	for user := range int64(10) {
		w.push(user + 1)
	}
	p.until(15*time.Second, "ten in the store", func(b botStatus) bool { return b.Waiting == 10 })
	// BotFather's revoke: another token, the same bot.
	fresh := strings.SplitN(w.token, ":", 2)[0] + strings.TrimLeft(newToken(), "0123456789")
	w.vault.token(fresh)
	must(w.sim.AddBot(fresh))
	b := p.until(15*time.Second, "token refused", func(b botStatus) bool { return b.warning("token_refused") })
	if b.Phase != "held" || b.Mode != "none" {
		t.Errorf("phase %s, mode %s", b.Phase, b.Mode)
	}
	w.bot.become(botTakes)
	p.until(30*time.Second, "the store delivered", func(b botStatus) bool { return b.Waiting == 0 && b.warning("token_refused") })
	code, table, _ := w.cli("status", "--config", w.file("dualgram.yaml"))
	if code != 1 || !strings.Contains(table, "Telegram refuses the token") || !strings.Contains(table, "@BotFather") {
		t.Errorf("status: exit code %d\n%s", code, table)
	}
	p.stop()

	w.write("token", fresh+"\n")
	p = w.run()
	w.steady(p)
	w.settle(20*time.Second, 0)
	p.stop()
}

// The same at the start: it is no reason to end.
func TestTokenRefusedAtStart(t *testing.T) {
	w := newWorld(t)
	wrong := strings.SplitN(w.token, ":", 2)[0] + strings.TrimLeft(newToken(), "0123456789")
	w.vault.token(wrong)
	w.write("token", wrong)
	p := w.run()
	p.until(15*time.Second, "token refused", func(b botStatus) bool { return b.Phase == "held" && b.warning("token_refused") })
	p.logged(5*time.Second, "token_refused", "401")
	if code, _, err := p.observe("/livez"); code != 200 || err != nil {
		t.Errorf("livez: %d %v", code, err)
	}
	// Telegram's word counts again as soon as it changes.
	must(w.sim.AddBot(wrong))
	w.steady(p)
	w.settle(20*time.Second, 0)
	p.stop()
}

// The Bot API can't be reached at the start: dualgram listens, delivers what is
// stored, and registers when it can.
func TestBotAPIUnreachableAtStart(t *testing.T) {
	w := newWorld(t)
	api := newRelay(t, w.api.addr)
	w.conf.API = "http://" + api.addr
	w.bot.become(botRefuses)
	p := w.run()
	p.phase("webhook", 15*time.Second)
	for user := range int64(10) {
		w.push(user + 1)
	}
	p.until(15*time.Second, "ten in the store", func(b botStatus) bool { return b.Waiting == 10 })
	p.stop()

	w.bot.become(botTakes)
	api.set(pathRefused)
	p = w.run()
	p.until(15*time.Second, "unreachable", func(b botStatus) bool {
		return b.Phase == "starting" && b.warning("bot_api_unreachable") && b.Waiting == 0
	})
	id := w.push(11) // the webhook is still set, and the listener listens
	eventually(t, 10*time.Second, "an update while the Bot API is away", func() error {
		if !w.bot.has(id) {
			return fmt.Errorf("not delivered")
		}
		return p.running()
	})
	for _, path := range []string{"/livez", "/readyz"} {
		if code, body, err := p.observe(path); code != 200 || err != nil {
			t.Errorf("%s: %d %v %s", path, code, err, body)
		}
	}
	api.set(pathOpen)
	w.steady(p)
	w.settle(20*time.Second, 0)
	p.stop()
}

// The Bot API goes away and comes back, in either mode. That alone moves nothing.
func TestBotAPIAway(t *testing.T) {
	w := newWorld(t)
	api := newRelay(t, w.api.addr)
	w.conf.API = "http://" + api.addr
	p := w.run()
	w.steady(p)
	epoch := must(p.first()).Epoch
	api.set(pathSilent)
	p.until(20*time.Second, "blind", func(b botStatus) bool { return b.warning("blind") && !b.StandbyReady })
	// With the webhook broken as well there is nowhere to go; nothing is tried.
	w.path.set(pathRefused)
	holds(t, 3*time.Second, "staying", func() error {
		if b := must(p.first()); b.Phase != "webhook" || b.Epoch != epoch {
			return fmt.Errorf("phase %s, epoch %d", b.Phase, b.Epoch)
		}
		return nil
	})
	onset := time.Now()
	api.set(pathOpen)
	p.phase("polling", 15*time.Second)
	w.flows(p, "polling")
	w.inBudgetFrom(onset)
	// And in polling mode.
	api.set(pathReset)
	before := w.sim.Pending(w.botID)
	eventually(t, 10*time.Second, "updates waiting", func() error {
		if w.sim.Pending(w.botID) < before+30 {
			return fmt.Errorf("%d pending", w.sim.Pending(w.botID))
		}
		return nil
	})
	api.set(pathOpen)
	w.flows(p, "polling")
	w.path.set(pathOpen)
	p.phase("webhook", 30*time.Second)
	w.flows(p, "webhook")
	w.settle(30*time.Second, 0)
	p.stop()
}

// inBudgetFrom is inBudget before all has settled.
func (w *world) inBudgetFrom(onset time.Time) {
	w.t.Helper()
	truth := must(w.sim.Bot(w.botID))
	for _, r := range truth.Updates {
		for _, at := range r.Returned {
			if at.After(onset) {
				if d := at.Sub(onset); d > budget {
					w.t.Errorf("the first poll came after %v", d)
				}
				return
			}
		}
	}
	w.t.Error("nothing was polled")
}

// Somebody else's webhook is named and left alone; with --take-over it is taken,
// and nothing that is pending is dropped.
func TestForeignWebhook(t *testing.T) {
	w := newWorld(t)
	const path = "very-private-path-of-somebody"
	w.vault.add("a foreign URL's path", path)
	w.sim.SetHost("other.example.test", "127.0.0.1")
	_, port, _ := strings.Cut(freeAddr(t), ":")
	foreign := "https://other.example.test:" + port + "/" + path
	w.foreignSet(foreign)
	for user := range int64(7) {
		w.push(user + 1)
	}
	p := w.run()
	b := p.until(15*time.Second, "held", func(b botStatus) bool { return b.Phase == "held" && b.warning("foreign_webhook") })
	if b.PendingAtTelegram == nil || *b.PendingAtTelegram != 7 {
		t.Errorf("pending: %v", b.PendingAtTelegram)
	}
	code, table, _ := w.cli("status", "--config", w.file("dualgram.yaml"))
	if code != 1 || !strings.Contains(table, "https://other.example.test") || !strings.Contains(table, "7 pending") || !strings.Contains(table, "dualgram run --take-over") {
		t.Errorf("status: exit code %d\n%s", code, table)
	}
	holds(t, 3*time.Second, "left alone", func() error {
		if truth := must(w.sim.Bot(w.botID)); truth.URL != foreign || len(truth.Calls) != 1 || !truth.Calls[0].Foreign {
			return fmt.Errorf("url %q, calls %+v", truth.URL, truth.Calls)
		}
		return p.running()
	})
	p.stop()
	if got := must(w.sim.Bot(w.botID)); got.URL != foreign || w.bot.requests() != 0 {
		t.Errorf("after the stop: url %q, %d requests to the bot", got.URL, w.bot.requests())
	}

	p = w.run("--take-over")
	p.phase("webhook", 15*time.Second)
	p.logged(5*time.Second, "take-over", "https://other.example.test", "7 pending")
	w.steady(p)
	v := w.settle(20*time.Second, 0)
	if v.Delivered < 7 {
		t.Error("what was pending did not come")
	}
	// It is taken once: a later thief is named again, not fought, whatever the flag.
	w.foreignSet(foreign)
	p.until(15*time.Second, "held again", func(b botStatus) bool { return b.Phase == "held" && b.warning("foreign_webhook") })
	w.foreignSet("")
	w.steady(p)
	w.settle(20*time.Second, 0)
	p.stop()
}

// Another poller is named, polled against gently, and done without when it is
// gone. What it took away is its own.
func TestForeignPoller(t *testing.T) {
	w := newWorld(t)
	w.conf.Webhook = "off"
	p := w.run()
	p.phase("polling", 15*time.Second)
	stop, err := w.sim.ForeignPoller(w.botID, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	p.until(30*time.Second, "foreign poller", func(b botStatus) bool { return b.warning("foreign_poller") && b.Phase == "polling" })
	p.logged(5*time.Second, "another getUpdates displaced ours", `"level":"error"`)
	stop()
	w.flowing(20)
	w.flows(p, "polling")
	if calls := must(w.sim.Bot(w.botID)).Calls; len(calls) != 0 {
		t.Errorf("it was fought: %+v", calls)
	}
	w.settle(20*time.Second, 0)
	p.stop()
}

// Our clock and Telegram's differ. A certificate is judged by theirs, and nothing
// else minds.
func TestClockOff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		skew time.Duration // of Telegram's clock, seen from here
		pair pki.Leaf
		bad  string // what the tls signal says of it; empty: nothing
	}{
		{"ours is hours behind", 5 * time.Hour, pki.Leaf{}, ""},
		{"ours is a little ahead", -20 * time.Minute, pki.Leaf{}, ""},
		{"expired by theirs alone", 3 * time.Hour, pki.Leaf{NotAfter: time.Now().Add(2 * time.Hour)}, "expired on"},
		{"not valid yet by theirs alone", -3 * time.Hour, pki.Leaf{NotBefore: time.Now().Add(-2 * time.Hour)}, "not valid before"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.api.skew.Store(int64(c.skew))
			w.certificate(c.pair)
			p := w.run()
			if c.bad != "" {
				w.flowing(20)
				b := p.phase("polling", 15*time.Second)
				if b.Reason != "tls" || !strings.Contains(b.Evidence, c.bad) {
					t.Errorf("because of %s: %s", b.Reason, b.Evidence)
				}
				w.flows(p, "polling")
				w.certificate(pki.Leaf{NotBefore: time.Now().Add(-10 * time.Hour)})
				p.signal(syscall.SIGHUP)
				p.phase("webhook", 15*time.Second)
				w.flows(p, "webhook")
			} else {
				w.steady(p)
				epoch := must(p.first()).Epoch
				w.path.set(pathRefused)
				p.phase("polling", 15*time.Second)
				w.path.set(pathOpen)
				p.phase("webhook", 15*time.Second)
				if b := must(p.first()); b.Epoch != epoch+2 {
					t.Errorf("%d handovers, because of %s: %s", b.Epoch-epoch, b.Reason, b.Evidence)
				}
			}
			w.settle(20*time.Second, 0)
			p.stop()
		})
	}
}

// foreignSet sets a webhook as somebody else would, "" deletes it.
func (w *world) foreignSet(url string) {
	w.t.Helper()
	eventually(w.t, 5*time.Second, "somebody else's set", func() error {
		code, text, err := w.sim.ForeignSetWebhook(w.botID, url)
		if err == nil && code != 200 { // 429 within a second of another set
			err = fmt.Errorf("%d %s", code, text)
		}
		return err
	})
}
