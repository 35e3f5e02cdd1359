package supervisor

import (
	"context"
	"fmt"
	"math"
	"time"

	"dualgram/supervisor/failover"
	"dualgram/transport/webhook"
)

// detect reads all signals anew and reports the changes.
func (b *Bot) detect(now time.Time) {
	old := b.readings
	b.readings = b.read(now)
	for i := range b.readings {
		r := &b.readings[i]
		was := Clear
		for _, o := range old {
			if o.Signal == r.Signal {
				was = o.Level
				if o.Level == r.Level && !o.Since.IsZero() {
					r.Since = o.Since
				}
			}
		}
		if r.Level != Clear && r.Since.IsZero() {
			r.Since = now
		}
		if was != r.Level {
			b.metrics.signal(*r)
			b.emit(Event{At: now, Bot: b.opt.Name, Kind: EventSignal, Epoch: b.state.Epoch,
				Name: r.Signal, Level: r.Level.String(), Evidence: r.Evidence, Seconds: since(now, r.Since)})
		}
	}
}

func since(now, t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return now.Sub(t).Seconds()
}

// read takes one reading of each signal. Those of the webhook are read only
// while it is registered.
func (b *Bot) read(now time.Time) []Reading {
	store := b.store(now)
	if store.Level == Tripped {
		b.storeBad = now
	}
	var rs []Reading
	if b.opt.Webhook != nil {
		tlsReading := Reading{Signal: SignalTLS, Moves: true}
		if b.chain != nil {
			tlsReading = b.uploaded(now, b.chain(now.Add(b.clock.skew)))
		}
		rs = append(rs, tlsReading, b.listening(now))
		if b.state.Phase == failover.Webhook {
			rs = append(rs, b.readWebhook(now)...)
		} else {
			for _, s := range []string{SignalFailRate, SignalTimeout, SignalTelegramError, SignalRedelivery, SignalStall, SignalHole} {
				rs = append(rs, Reading{Signal: s, Moves: true})
			}
			rs = append(rs, Reading{Signal: SignalDrift})
		}
		rs = append(rs, b.readProbe()...)
	}
	standby := Reading{Signal: SignalStandby}
	if b.blind() {
		standby.Level, standby.Evidence = Tripped, b.silence()
	}
	return append(rs, standby, b.polls.read(), store)
}

// readWebhook reads the signals that make sense only while the webhook is
// registered.
func (b *Bot) readWebhook(now time.Time) []Reading {
	arrived, busy := b.arrivals()
	b.stall.window = b.opt.Thresholds.Stall
	if b.doubted(now) {
		b.stall.window = min(b.stall.window, b.opt.Thresholds.StallProbe)
	}
	away := !b.info.away.IsZero() && now.Sub(b.info.away) < awayAftermath
	if away {
		b.stall.clear() // Telegram itself was away
	}
	stall := b.stall.read(arrived, busy)
	// What the probe sees now is not explained by what we did before.
	stall.Excused = b.excused(now, b.arrived.lastRefused()) && !b.probeDefinite(now)

	holes := b.ledger.Holes()
	inFlight := b.busyWith()
	switch took := b.committing(now); {
	case took >= holeLate:
		b.slowCommit = now
	case took >= holeLate/2:
		b.tardyCommit = now
	}
	b.arrived.mu.Lock()
	again := b.arrived.redelivery.read(now)
	lately := func(t time.Time) bool { return !t.IsZero() && now.Sub(t) < slowAftermath }
	switch {
	case away, lately(b.slowCommit):
		b.arrived.hole.wait()
	case lately(b.tardyCommit):
		b.arrived.hole.unchain()
	}
	hole := b.arrived.hole.read(now, holes, inFlight)
	b.arrived.mu.Unlock()
	hole.Excused = b.excused(now, b.arrived.lastWithheld())

	late := overdue(b.server.InFlight(b.opt.Name), b.state.Registered, now, b.opt.Thresholds.Timeout)
	return []Reading{b.fail.read(), late, b.telegram.read(now, b.arrived.lastAcked(), b.state.Trial), again, stall, hole,
		b.drift.read(b.driftSince)}
}

// committing is how long commits take now: the one in progress, or one that has just
// ended, which a look at each tick would else miss. What waits behind it at Telegram,
// in the same chat, is missing for no other reason: behind one of holeLate whatever
// it is, behind one of half of that, which an update may have to wait for twice, for
// holeLate. A store that fails takes for ever.
func (b *Bot) committing(now time.Time) (took time.Duration) {
	h := b.health()
	switch {
	case !h.OK:
		return time.Duration(math.MaxInt64)
	case !h.InProgress.IsZero():
		took = now.Sub(h.InProgress)
	}
	if !h.LastCommitAt.IsZero() && now.Sub(h.LastCommitAt) < justEnded {
		took = max(took, h.LastCommit)
	}
	return took
}

// justEnded is longer than a tick, so that each commit is seen.
const justEnded = time.Second

// slowAftermath is how long a slow commit explains what is missing.
const slowAftermath = 5 * time.Second

// excused tells whether what Telegram holds back is explained by its back-off
// after we last refused a delivery, or were away.
func (b *Bot) excused(now, refused time.Time) bool {
	return !refused.IsZero() && now.Sub(refused) < b.opt.Thresholds.Excuse && !refused.Before(b.excuseFrom())
}

// doubted tells that there is other evidence against the path, which does not
// suffice alone.
func (b *Bot) doubted(now time.Time) bool {
	for _, r := range b.readings {
		if r.Level != Clear && r.Signal == SignalListener {
			return true
		}
	}
	return b.probeDefinite(now)
}

// busyWith returns a function that tells whether a delivery of an update is in
// progress.
func (b *Bot) busyWith() func(id int64) bool {
	var ids map[int64]bool
	for _, f := range b.server.InFlight(b.opt.Name) {
		if f.HasID {
			if ids == nil {
				ids = make(map[int64]bool)
			}
			ids[f.UpdateID] = true
		}
	}
	return func(id int64) bool { return ids[id] }
}

// listening judges our own socket: one that is lost at once, one that takes no
// more connections only together with a stall.
func (b *Bot) listening(now time.Time) Reading {
	r := Reading{Signal: SignalListener, Moves: true}
	if !b.server.Serving() {
		b.accepting = time.Time{}
		r.Level, r.Evidence = Tripped, fmt.Sprintf("the listener on %s is lost and is being reopened", b.opt.Webhook.Listener)
		return r
	}
	if b.accepting.IsZero() {
		b.accepting = now
	}
	if t := b.server.refusing(); !t.IsZero() && now.Sub(t) < refusingFor {
		r.Level, r.Since = Suspect, t
		r.Evidence = "the listener takes no more connections: the process has no file descriptors or memory left"
	}
	return r
}

// refusingFor is how long a failed accept casts doubt.
const refusingFor = 5 * time.Second

// tripped picks the reading to act on: one that stands by itself before one that
// Telegram's back-off may explain.
func tripped(rs []Reading) (Reading, bool) {
	var best Reading
	found := false
	for _, r := range rs {
		if r.Level != Tripped || !r.Moves {
			continue
		}
		if !found || best.Excused && !r.Excused {
			best, found = r, true
		}
	}
	return best, found
}

// excuseFrom is the moment before which our refusals no longer matter, because a
// registration has made Telegram forget them. An adopted webhook forgot nothing.
func (b *Bot) excuseFrom() time.Time {
	if b.state.Cause.Name == failover.CauseStart || b.state.Cause.Name == failover.CauseTrialAtStart {
		return time.Time{}
	}
	return b.state.Registered
}

// setAt is the earliest moment at which the present registration can have been made;
// one that was not answered may have been under way for a while.
func (b *Bot) setAt() time.Time {
	if b.state.Cause.Name == failover.CauseLateSet {
		return b.state.Registered.Add(-time.Minute)
	}
	return b.state.Registered
}

// overdue judges the deliveries in progress by their age, if they began after a
// registration. The wait for the ledger says something about the disk and not about
// the path, be it over or not.
func overdue(flights []webhook.InFlight, registered, now time.Time, limit time.Duration) Reading {
	r := Reading{Signal: SignalTimeout, Moves: true}
	var oldest time.Duration
	n := 0
	for _, f := range flights {
		age := now.Sub(f.Started) - f.Commit
		if f.Stage == webhook.StageCommitting || age < limit/2 || f.Started.Before(registered) {
			continue
		}
		n++
		oldest = max(oldest, age)
	}
	switch {
	case oldest >= limit:
		r.Level = Tripped
	case n > 0:
		r.Level = Suspect
	default:
		return r
	}
	r.Since = now.Add(-oldest)
	r.Evidence = fmt.Sprintf("%d deliveries in progress for up to %.1f s", n, oldest.Seconds())
	return r
}

func (b *Bot) store(now time.Time) Reading {
	r := Reading{Signal: SignalStore}
	h := b.health()
	switch {
	case !h.OK:
		r.Level, r.Since = Tripped, h.Since
		r.Evidence = "the last commit failed"
		if h.Err != nil {
			r.Evidence += ": " + h.Err.Error()
		}
	case !h.InProgress.IsZero() && now.Sub(h.InProgress) >= b.opt.Thresholds.SlowCommit:
		r.Level, r.Since = Tripped, h.InProgress
		r.Evidence = fmt.Sprintf("a commit has been in progress for %.1f s", now.Sub(h.InProgress).Seconds())
	}
	return r
}

// ready tells whether a failback would find everything in order.
func (b *Bot) ready() (bool, string) {
	if b.server == nil {
		return false, "no webhook is configured"
	}
	if !b.server.Serving() {
		return false, "the listener is not accepting"
	}
	for _, r := range b.readings {
		switch {
		case r.Signal == SignalTLS && r.Level == Tripped,
			r.Signal == SignalListener && r.Level == Tripped,
			r.Signal == SignalStandby && r.Level == Tripped,
			r.Signal == SignalStore && r.Level == Tripped:
			return false, r.Evidence
		}
	}
	return b.probeReady(time.Now())
}

// unfit is the signal that a webhook which was set now would be broken from the
// first; zero if nothing is known against it. It looks at what is this host's own,
// anew: a reading may be older than what is known of Telegram's clock.
func (b *Bot) unfit(now time.Time) failover.Cause {
	if b.server == nil {
		return failover.Cause{}
	}
	if !b.server.Serving() {
		return failover.Cause{Name: SignalListener, Evidence: "the listener is not accepting"}
	}
	if b.chain != nil {
		if r := b.chain(now.Add(b.clock.skew)); r.Level == Tripped {
			return failover.Cause{Name: r.Signal, Evidence: r.Evidence}
		}
	}
	return failover.Cause{}
}

// registered begins the watch over a webhook that has just been set or adopted.
func (b *Bot) registered(s failover.State) {
	b.mu.Lock()
	b.fail = newFailRate(b.opt.Thresholds)
	b.mu.Unlock()
	b.holeBrought(s.Registered)
	b.rivalOut()
	b.arrived.reset()
	b.stall.clear()
	fresh := s.Cause.Name != failover.CauseStart && s.Cause.Name != failover.CauseTrialAtStart
	b.telegram.registered(fresh)
	b.probe.judge.Reset()
	b.drift = drift{}
	b.info.quiet = time.Time{}
	b.info.standbySent, b.info.standbyErr = s.Registered, nil
}

// doubtAfter is how long a suspicion must last to count against a trial: a sample
// that sees an update on its way is suspect for a moment, and says nothing.
const doubtAfter = time.Second

// judgeTrial looks whether the webhook has proven itself.
func (b *Bot) judgeTrial(ctx context.Context, now time.Time) {
	if !b.state.Trial {
		return
	}
	v := failover.TrialView{
		Deliveries: b.arrived.count(),
		Pending:    b.info.last.PendingUpdateCount,
		Sampled:    b.info.lastAt,
		ClearSince: b.clearSince,
	}
	for _, r := range b.readings {
		if r.Moves && (r.Level == Tripped || r.Level == Suspect && now.Sub(r.Since) >= doubtAfter) {
			v.Doubt = true
			b.clearSince = now
		}
	}
	if failover.TrialPassed(b.state.Registered, now, v) {
		b.step(ctx, failover.Event{Kind: failover.Proven, At: now, Epoch: b.state.Epoch})
	}
}
