package supervisor

import (
	"sync"
	"time"

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
