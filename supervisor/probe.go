package supervisor

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"dualgram/supervisor/failover"
	"dualgram/transport/probe"
)

// Prober looks at the webhook from outside; *probe.Prober is one.
type Prober interface {
	// Probe makes one probe of the webhook at the address that Telegram uses; an
	// invalid one means that it is not known.
	Probe(ctx context.Context, telegram netip.Addr) probe.Result
}

// keyProbe is the ledger's key for what is remembered of probes.
const keyProbe = "probe"

// probeMemory is what outlives the process: whether the webhook was ever seen
// from here. From some networks it never can be, and then a bad probe says nothing.
type probeMemory struct {
	EverGood bool `json:"ever_good"`
}

// probeWatch is the loop's memory of the probes.
type probeWatch struct {
	prober  Prober // nil: there are no probes
	judge   probe.Judge
	flying  bool
	sent    time.Time
	sentFor uint64 // the epoch that it was sent in
	last    probe.Result
	lastFor uint64 // the epoch that last was sent in
	memory  probeMemory
	address netip.Addr // that Telegram uses; invalid if that isn't known
	pinned  netip.Addr // that the webhook is set with
}

// probeHurry is how long a probe that fails makes everything look closer. If
// nothing else has come of it by then, it is the probe's own way that is broken.
const probeHurry = time.Minute

// probePatience is how long a bad probe alone holds up a failback.
const probePatience = 30 * time.Minute

// askProbe sends a probe if one is due. One is under way at a time.
func (b *Bot) askProbe(ctx context.Context, now time.Time) {
	w := &b.probe
	if w.prober == nil || w.flying || b.state.Phase != failover.Webhook && b.state.Phase != failover.Polling {
		return
	}
	if w.sentFor == b.state.Epoch && now.Sub(w.sent) < b.probeInterval(now) {
		return
	}
	w.flying, w.sent, w.sentFor = true, now, b.state.Epoch
	epoch, address := b.state.Epoch, w.address
	b.calls.Go(func() {
		r := w.prober.Probe(ctx, address)
		b.post(ctx, func() { b.gotProbe(ctx, epoch, r) })
	})
}

// probeInterval is the present pause between two probes. Where the webhook can't
// be seen from here there is no hurry.
func (b *Bot) probeInterval(now time.Time) time.Duration {
	t := b.opt.Thresholds
	if b.state.Phase != failover.Webhook || b.probe.judge.Verdict() == probe.Unproven {
		return t.ProbeInterval
	}
	if failing := b.probe.judge.FailingSince(); !failing.IsZero() {
		if now.Sub(failing) < probeHurry {
			return t.ProbeSuspect
		}
		return t.ProbeInterval
	}
	for _, r := range b.readings {
		if r.Moves && r.Level != Clear {
			return t.ProbeSuspect
		}
	}
	return t.ProbeInterval
}

// gotProbe takes in a result. One that another epoch asked for is history.
func (b *Bot) gotProbe(ctx context.Context, epoch uint64, r probe.Result) {
	w := &b.probe
	w.flying = false
	if epoch != b.state.Epoch || !r.OK && !r.Reason.Judged() {
		return
	}
	b.metrics.probed(r)
	w.last, w.lastFor = r, epoch
	w.judge.Add(r)
	if r.OK && !w.memory.EverGood {
		w.memory.EverGood = true
		b.calls.Go(func() { b.rememberProbe(ctx) })
	}
}

func (b *Bot) rememberProbe(ctx context.Context) {
	c, cancel := context.WithTimeout(ctx, saveDeadline)
	defer cancel()
	if err := save(c, b.ledger, keyProbe, probeMemory{EverGood: true}); err != nil && c.Err() == nil {
		b.log.Warn().Err(err).Msg("it could not be stored that the probe works from here")
	}
}

// readProbe reads the two signals that probes give. A bad probe moves nothing by
// itself: the way from here may be broken alone. Somebody else's answer under our
// name does, unless deliveries come through and no probe was ever good: then the
// probe's way leads elsewhere than Telegram's.
func (b *Bot) readProbe() []Reading {
	impostor := Reading{Signal: SignalImpostor, Moves: true}
	bad := Reading{Signal: SignalProbe}
	w := &b.probe
	if w.prober == nil {
		bad.Evidence = "no probes are made"
		return []Reading{impostor, bad}
	}
	switch v := w.judge.Verdict(); {
	case b.state.Phase != failover.Webhook:
		if w.lastFor == b.state.Epoch && !w.last.OK {
			bad.Evidence = w.words()
		}
	case v == probe.Impostor && (!w.judge.FailingSince().IsZero() || b.arrived.count() == 0):
		impostor.Level, impostor.Since = Tripped, w.judge.FailingSince()
		impostor.Evidence = w.words()
	case v == probe.Bad:
		bad.Level, bad.Since = Tripped, w.judge.BadSince()
		bad.Evidence = w.words()
	case v == probe.Good && !w.last.OK:
		bad.Level, bad.Since = Suspect, w.judge.FailingSince()
		bad.Evidence = w.words()
	case v != probe.Good && w.lastFor == b.state.Epoch && !w.last.OK:
		bad.Evidence = "the webhook was never seen from here: " + w.words()
	}
	return []Reading{impostor, bad}
}

// probeDefinite tells that the probe, good before in this registration, has just
// turned bad, and not for want of time: a line that has become slow is no outage. One
// that has been bad for long says more about its own way.
func (b *Bot) probeDefinite(now time.Time) bool {
	w := &b.probe
	if w.prober == nil || w.judge.Verdict() != probe.Bad && w.judge.Verdict() != probe.Impostor ||
		w.judge.FailingSince().IsZero() || now.Sub(w.judge.FailingSince()) >= probeHurry {
		return false
	}
	switch w.last.Reason {
	case probe.ReasonConnectTimeout, probe.ReasonTLSTimeout, probe.ReasonHTTPTimeout, probe.ReasonDNSTimeout:
		return false
	}
	return true
}

func (w *probeWatch) words() string {
	return fmt.Sprintf("%s: %s", w.last.Reason, strings.TrimSuffix(w.last.Detail, "."))
}

// What status says of the probe.
const (
	probeOK       = "ok"
	probeBad      = "bad"
	probeUnproven = "unproven" // never worked from here
	probeDisabled = "disabled"
)

// probeState is the word for status, and what the last probe said if it was bad.
func (b *Bot) probeState() (word, says string) {
	w := &b.probe
	if w.prober == nil {
		return probeDisabled, ""
	}
	bad := w.lastFor == b.state.Epoch && !w.last.OK
	if bad {
		says = w.words()
	}
	switch {
	case !w.memory.EverGood:
		return probeUnproven, says
	case bad:
		return probeBad, says
	}
	return probeOK, ""
}

// probeReady tells whether a failback may go ahead as far as the probe is
// concerned. Where no probe was ever good, the trial decides; and one that stays
// bad holds up the way back for probePatience only, since a trial that fails costs
// less than a webhook given up for want of a probe.
func (b *Bot) probeReady(now time.Time) (bool, string) {
	w := &b.probe
	switch {
	case w.prober == nil, !w.memory.EverGood:
		return true, ""
	case w.lastFor == b.state.Epoch && w.last.OK:
		return true, ""
	case b.state.Phase == failover.Polling && now.Sub(b.state.Since) >= probePatience:
		return true, ""
	case w.lastFor != b.state.Epoch:
		return false, "the webhook has not been probed yet"
	}
	return false, "the probe is bad: " + w.words()
}

// noteAddress remembers where Telegram delivers to. Without a webhook it delivers
// nowhere: where it last did may be what broke it, and the next set looks the name
// up anew, as the probe does then.
func (w *probeWatch) noteAddress(s string, registered bool) {
	if !registered {
		w.address = w.pinned
		return
	}
	if a, err := netip.ParseAddr(s); err == nil {
		w.address = a
	}
}
