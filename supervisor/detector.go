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
	mu      sync.Mutex
	taken   int                            // acknowledged since the registration
	refused time.Time                      // when we last answered one otherwise than by 2xx, or were down
	first   map[transport.Source]time.Time // first new update since the last handover began
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
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.taken
}

func (a *arrivals) refusedAt(t time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused = t
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
	ok := o.Status >= 200 && o.Status < 300
	switch {
	case ok:
		fail.record(nil, "", now)
		b.arrived.mu.Lock()
		b.arrived.taken++
		b.arrived.mu.Unlock()
	case o.Cause.OnPath():
		fail.record(errOurFault, string(o.Cause), now)
		b.arrived.refusedAt(now)
	default:
		fail.record(errNotPath, string(o.Cause), now)
		if o.Status != 0 {
			b.arrived.refusedAt(now)
		}
	}
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
	t := b.opt.Thresholds
	var rs []Reading
	if b.opt.Webhook != nil {
		tlsReading := Reading{Signal: SignalTLS, Moves: true}
		if b.chain != nil {
			tlsReading = b.chain(now.Add(b.skew))
		}
		if b.state.Phase == failover.Webhook {
			arrived, busy := b.arrivals()
			stall := b.stall.read(arrived, busy)
			refused := b.arrived.lastRefused()
			stall.Excused = !refused.IsZero() && now.Sub(refused) < t.Excuse && !refused.Before(b.excuseFrom())
			rs = append(rs, tlsReading, b.fail.read(), b.timeout(now), stall)
		} else {
			rs = append(rs, tlsReading, Reading{Signal: SignalFailRate, Moves: true},
				Reading{Signal: SignalTimeout, Moves: true}, Reading{Signal: SignalStall, Moves: true})
		}
	}
	standby := Reading{Signal: SignalStandby}
	if b.blind() {
		standby.Level, standby.Evidence = Tripped, "the Bot API does not answer"
		if err := errors.Join(b.info.lastErr, b.info.standbyErr); err != nil {
			standby.Evidence += ": " + err.Error()
		}
	}
	return append(rs, standby, b.polls.read(), b.store(now))
}

// excuseFrom is the moment before which our refusals no longer matter, because a
// registration has made Telegram forget them. An adopted webhook forgot nothing.
func (b *Bot) excuseFrom() time.Time {
	if b.state.Cause.Name == failover.CauseStart || b.state.Cause.Name == failover.CauseTrialAtStart {
		return time.Time{}
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
			r.Signal == SignalStandby && r.Level == Tripped,
			r.Signal == SignalStore && r.Level == Tripped:
			return false, r.Evidence
		}
	}
	return true, ""
}

// registered begins the watch over a webhook that has just been set or adopted.
func (b *Bot) registered(s failover.State) {
	b.mu.Lock()
	b.fail = newFailRate(b.opt.Thresholds)
	b.mu.Unlock()
	b.arrived.reset()
	b.stall.clear()
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
