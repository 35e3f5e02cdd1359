package supervisor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"dualgram/supervisor/failover"
	"dualgram/transport"
	"dualgram/transport/webhook"
)

// arrivals is what the listener's goroutines tell the loop about authenticated
// deliveries.
type arrivals struct {
	mu       sync.Mutex
	taken    int               // acknowledged since the registration
	acked    time.Time         // when the last was
	refused  time.Time         // when we last answered one otherwise than by 2xx, or were down
	withheld time.Time         // the same, for reasons that are not the path's
	refusals refusals          // of the latter kind, without our downtime
	answered map[int]time.Time // when we last gave an answer other than 2xx, by status
	hole     hole
	redelivery
	first map[transport.Source]time.Time // first new update since the last handover began
}

// took notes the first new update of a transport since expect was called.
func (a *arrivals) took(s transport.Source, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.first != nil && a.first[s].IsZero() {
		a.first[s] = now
	}
}

// expect forgets what came first: a handover begins.
func (a *arrivals) expect() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.first = map[transport.Source]time.Time{}
}

func (a *arrivals) firstBy(s transport.Source) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.first[s]
}

func (a *arrivals) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken = 0
	a.hole.registered()
	a.redelivery = redelivery{t: a.redelivery.t}
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.taken
}

// refusedAt notes that Telegram found us away or refusing.
func (a *arrivals) refusedAt(t time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused, a.withheld = t, t
}

func (a *arrivals) lastRefused() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refused
}

// outcome takes in what became of one request to the listener. It is called on
// the request's goroutine.
func (b *Bot) outcome(o webhook.Outcome) {
	b.metrics.request(o)
	if o.Secret == webhook.SecretMissing && o.Cause.OK() {
		b.migration.taken.Add(1)
	}
	if !o.Authenticated {
		return // strangers are counted, and move nothing
	}
	b.mu.Lock()
	fail := b.fail
	b.mu.Unlock()
	now := time.Now()
	switch {
	case o.Cause.OK():
		fail.record(nil, "", now)
	case o.Cause.OnPath():
		fail.record(errOurFault, string(o.Cause), now)
	default:
		fail.record(errNotPath, string(o.Cause), now)
	}
	b.arrived.outcome(o, now)
}

// outcome notes what the answer to an authenticated delivery says.
func (a *arrivals) outcome(o webhook.Outcome, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.HasID {
		a.redelivery.arrived(o.UpdateID, o.Cause.OK() || a.redelivery.cut(o), now)
	}
	switch {
	case o.Cause.OK():
		a.taken++
		a.acked = now
		if !o.HasID {
			a.hole.taken(now)
		}
		return
	case o.Cause == webhook.CauseClientGone, o.Status == 0 && !o.Cause.OnPath():
		return // who leaves has no answer, and was refused nothing
	}
	a.refused = now
	if o.Status != 0 {
		if a.answered == nil {
			a.answered = make(map[int]time.Time)
		}
		a.answered[o.Status] = now
	}
	if !o.Cause.OnPath() {
		a.withheld = now
		a.refusals.note(now)
		if o.HasID {
			a.hole.refused(o.UpdateID, now)
		}
	}
}

// refusals is a row of refusals as Telegram takes it: the longer it has lasted, the
// later comes the next attempt.
type refusals struct{ first, last time.Time }

func (r *refusals) note(now time.Time) {
	if now.After(r.until()) {
		r.first = now
	}
	r.last = now
}

// until is the latest moment at which Telegram tries again, if it gets through: its
// pauses are 0, 2, 4, 8 s and so on, at most 120 s (WebhookActor.cpp:493-523), and
// without a delivery it dials once in 2 s.
func (r *refusals) until() time.Time {
	if r.last.IsZero() {
		return time.Time{}
	}
	return r.last.Add(min(r.last.Sub(r.first)+5*time.Second, skippedFor))
}

// backingOff tells whether what Telegram holds back may be waiting for its next
// attempt at what the disk or the content made us refuse.
func (a *arrivals) backingOff(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return now.Before(a.refusals.until())
}

// lastAnswered is when we last gave this answer to an authenticated delivery.
func (a *arrivals) lastAnswered(status int) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.answered[status]
}

func (a *arrivals) lastAcked() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.acked
}

func (a *arrivals) lastWithheld() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.withheld
}

// arrivals returns when the last authenticated delivery began, and whether one
// is in progress.
func (b *Bot) arrivals() (last time.Time, busy bool) {
	if b.server == nil {
		return time.Time{}, false
	}
	a := b.server.Arrivals(b.opt.Name)
	return a.Last, a.InProgress > 0
}

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
			tlsReading = b.uploaded(now, b.chain(now.Add(b.skew)))
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
		standby.Level, standby.Evidence = Tripped, "the Bot API does not answer"
		if err := errors.Join(b.info.lastErr, b.info.standbyErr); err != nil {
			standby.Evidence += ": " + err.Error()
		}
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
	if b.committing(now) {
		b.slowCommit = now
	}
	b.arrived.mu.Lock()
	again := b.arrived.redelivery.read(now)
	if away || !b.slowCommit.IsZero() && now.Sub(b.slowCommit) < slowAftermath {
		b.arrived.hole.wait()
	}
	hole := b.arrived.hole.read(now, holes, inFlight)
	b.arrived.mu.Unlock()
	hole.Excused = b.excused(now, b.arrived.lastWithheld())

	return []Reading{b.fail.read(), b.timeout(now), b.telegram.read(now, b.arrived.lastAcked(), b.state.Trial), again, stall, hole,
		b.drift.read(b.driftSince)}
}

// committing tells whether a commit takes so long that what waits behind it at
// Telegram, in the same chat, is missing for no other reason.
func (b *Bot) committing(now time.Time) bool {
	h := b.health()
	return !h.OK || !h.InProgress.IsZero() && now.Sub(h.InProgress) >= holeLate
}

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

// timeout judges the deliveries in progress by their age. One that waits for the
// ledger says something about the disk, not about the path.
func (b *Bot) timeout(now time.Time) Reading {
	r := Reading{Signal: SignalTimeout, Moves: true}
	limit := b.opt.Thresholds.Timeout
	var oldest time.Duration
	n := 0
	for _, f := range b.server.InFlight(b.opt.Name) {
		age := now.Sub(f.Started)
		if f.Stage == webhook.StageCommitting || age < limit/2 || f.Started.Before(b.state.Registered) {
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

// registered begins the watch over a webhook that has just been set or adopted.
func (b *Bot) registered(s failover.State) {
	b.mu.Lock()
	b.fail = newFailRate(b.opt.Thresholds)
	b.mu.Unlock()
	b.holeBrought(s.Registered)
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
