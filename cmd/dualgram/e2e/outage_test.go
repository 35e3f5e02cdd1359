package e2e_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dualgram/chaos/pki"
	"dualgram/chaos/telegramsim"
)

// outage is one way in which the webhook breaks and heals.
type outage struct {
	name    string
	prepare func(w *world) (front *front)
	begin   func(w *world, f *front)
	heal    func(w *world, f *front)
	// cause is the signal that has to be named as the reason.
	cause string // the signals that may be the first to see it
}

var outages = []outage{
	{name: "connection refused, at the default pace", cause: "telegram_error stall",
		prepare: func(w *world) *front { w.conf.Failover = "hold_down: 1s"; return nil },
		begin:   func(w *world, _ *front) { w.path.set(pathRefused) },
		heal:    func(w *world, _ *front) { w.path.set(pathOpen) }},
	{name: "every byte vanishes", cause: "stall hole",
		begin: func(w *world, _ *front) { w.path.set(pathSilent) },
		heal:  func(w *world, _ *front) { w.path.set(pathOpen) }},
	{name: "connections are reset", cause: "telegram_error stall",
		begin: func(w *world, _ *front) { w.path.set(pathReset) },
		heal:  func(w *world, _ *front) { w.path.set(pathOpen) }},
	{name: "a proxy answers 502", cause: "telegram_error stall", prepare: (*world).newFront,
		begin: func(_ *world, f *front) { f.mood.Store(int32(proxyBadGate)) },
		heal:  func(_ *world, f *front) { f.mood.Store(int32(proxyPasses)) }},
	{name: "bodies never arrive", cause: "timeout", prepare: (*world).newFront,
		begin: func(_ *world, f *front) { f.mood.Store(int32(proxyHalf)) },
		heal:  func(_ *world, f *front) { f.mood.Store(int32(proxyPasses)) }},
	{name: "a proxy no longer names the client", cause: "fail_rate", prepare: (*world).newFront,
		begin: func(_ *world, f *front) { f.mood.Store(int32(proxyNameless)) },
		heal:  func(_ *world, f *front) { f.mood.Store(int32(proxyPasses)) }},
	{name: "refused, and one call to the Bot API is lost", cause: "telegram_error stall",
		begin: func(w *world, _ *front) {
			w.path.set(pathRefused)
			w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultLoseHang, Method: "deleteWebhook", Count: 1})
		},
		heal: func(w *world, _ *front) {
			w.path.set(pathOpen)
			w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultLoseHang, Method: "setWebhook", Count: 1})
		}},
}

// Webhook → fault → polling → heal → webhook, with updates flowing throughout:
// nothing is lost, doubled or reordered, and the first update comes by polling
// within ten seconds.
func TestOutage(t *testing.T) {
	t.Parallel()
	for _, o := range outages {
		t.Run(o.name, func(t *testing.T) {
			w := newWorld(t)
			var f *front
			if o.prepare != nil {
				f = o.prepare(w)
			}
			p := w.run()
			w.steady(p)

			onset := time.Now()
			o.begin(w, f)
			b := p.phase("polling", 15*time.Second)
			if h := b.LastHandover; h == nil || !slices.Contains(strings.Fields(o.cause), h.Reason) || !h.OK || h.From != "webhook" {
				t.Errorf("last handover: %+v, want a failover because of %s", h, o.cause)
			}
			w.flows(p, "polling")
			o.heal(w, f)
			p.phase("webhook", 30*time.Second)
			w.flows(p, "webhook")

			w.settle(30*time.Second, 0)
			w.inBudget(onset)
			w.quietly(p)
		})
	}
}

// Before all breaks, one chat is stuck while the others go on: its updates are
// older than what the webhook brought last, and must not be confirmed away by an
// offset taken from that.
func TestOutageWithStuckChat(t *testing.T) {
	w := newWorld(t)
	f := w.newFront()
	p := w.run()
	w.steady(p)
	stuck := func(body []byte) bool { return bytes.Contains(body, []byte(`"id":424242,`)) }
	f.stuck.Store(&stuck)
	first := w.push(424242)
	w.push(424242)
	w.flows(p, "webhook")
	onset := time.Now()
	f.mood.Store(int32(proxyBadGate))
	p.phase("polling", 15*time.Second)
	w.flows(p, "polling")
	eventually(t, 3*time.Second, "the one that was stuck, by polling", func() error {
		if !w.bot.has(first) {
			return fmt.Errorf("only newer ones came")
		}
		return nil
	})
	f.stuck.Store(nil)
	f.mood.Store(int32(proxyPasses))
	p.phase("webhook", 20*time.Second)
	w.flows(p, "webhook")
	w.settle(20*time.Second, 0)
	w.inBudget(onset)
	w.quietly(p)
}

// steady waits until the webhook is registered and has brought updates, with
// traffic running.
func (w *world) steady(p *process) {
	w.t.Helper()
	p.phase("webhook", 15*time.Second)
	w.flowing(20)
	w.flows(p, "webhook")
}

// flows waits until new updates come by the transport.
func (w *world) flows(p *process, source string) {
	w.t.Helper()
	before := w.bot.bySource(source)
	eventually(w.t, 20*time.Second, "updates by "+source, func() error {
		if n := w.bot.bySource(source) - before; n < 15 {
			return fmt.Errorf("only %d came", n)
		}
		return p.running()
	})
}

// quietly stops the process, and wants the webhook to stay registered.
func (w *world) quietly(p *process) {
	w.t.Helper()
	p.scrape()
	p.stop()
	if truth := must(w.sim.Bot(w.botID)); truth.URL != w.conf.PublicURL {
		w.t.Errorf("after SIGTERM the webhook at Telegram is %q", truth.URL)
	}
}

// A slow line is no outage.
func TestSlowPath(t *testing.T) {
	w := newWorld(t)
	p := w.run()
	w.steady(p)
	epoch := must(p.first()).Epoch
	w.path.slow(150 * time.Millisecond)
	holds(t, 8*time.Second, "slow, and still by webhook", func() error {
		b, err := p.first()
		if err == nil && (b.Epoch != epoch || b.Phase != "webhook") {
			err = fmt.Errorf("phase %s because of %s: %s", b.Phase, b.Reason, b.Evidence)
		}
		return err
	})
	w.path.slow(0)
	w.settle(30*time.Second, 0)
}

// A duration of zero is what it says, and not the default.
func TestZeroDurations(t *testing.T) {
	w := newWorld(t)
	w.conf.Failover = "hold_down: 0s, tls_lead: 0s, info_interval: 500ms"
	w.conf.Deliver = "{forward: {url: " + w.bot.url + "}, max_attempts: 2, bury_after: 0s}"
	w.certificate(pki.Leaf{NotAfter: time.Now().Add(90 * time.Second)}) // within the default lead
	p := w.run()
	w.steady(p)
	w.path.set(pathRefused)
	if b := p.phase("polling", 15*time.Second); b.Reason != "telegram_error" && b.Reason != "stall" {
		t.Errorf("polling because of %s: %s", b.Reason, b.Evidence)
	}
	w.path.set(pathOpen)
	p.phase("webhook", 10*time.Second)
	w.flows(p, "webhook")
	poison := w.push(666)
	w.bot.refusing(func(id int64) bool { return id == poison })
	p.until(20*time.Second, "buried at once", func(b botStatus) bool { return b.Dead == 1 })
	p.stop()
}
