package supervisor

import (
	"fmt"
	"time"

	"dualgram/store"
	"dualgram/supervisor/failover"
)

// hole sees an update_id that is missing for too long while later ones arrive. Ids
// are dense (TQueue.cpp:137-189), so what is missing is either still at Telegram
// and doesn't get through (half of a balancer is dead, one chat is stuck), or
// somebody else took it.
type hole struct {
	t Thresholds

	id    int64     // the oldest missing id that counts
	since time.Time // since when it has been that one
	chain time.Time // since when there has always been one that was late
	run   time.Time // when the first of the samples was sent that all showed updates pending
	last  sample

	series    uint32      // that accounted is of
	accounted int64       // missing ids up to here were found gone
	gone      []time.Time // when missing ids turned out to be no longer at Telegram

	skipped map[int64]time.Time // ids refused for reasons of the disk or the content
	unnamed []time.Time         // when something without an id was acknowledged

	factor int       // of the threshold; grows with each alarm that the drain did not bear out
	grown  time.Time // when it last grew
}

const (
	// skippedFor is how long a refused id counts as ours: Telegram's longest
	// back-off (WebhookActor.cpp:493-523) and a little more.
	skippedFor = 130 * time.Second
	// maxHoleFactor bounds the doubling of the threshold, holeDecay is how long it
	// lasts.
	maxHoleFactor = 8
	holeDecay     = time.Hour
	// goneWithin: an id that has been missing for longer may have expired, the
	// shortest life being the 30 s of an inline query (Client.cpp:17070-17075).
	goneWithin = 30 * time.Second
	// holeLate is how long an id must be missing to be late. In a burst, or behind a
	// slow dial, each waits for its turn; where all is well that takes less.
	holeLate = time.Second
	// sampleSlack is how old the latest sample may be: one call may be lost.
	sampleSlack = 1500 * time.Millisecond
	// unnamedNear: a hole that opened so long before or at any time after something
	// without an id was acknowledged may be that.
	unnamedNear = 5 * time.Second
)

// registered starts over for a new registration.
func (h *hole) registered() {
	*h = hole{t: h.t, factor: h.factor, grown: h.grown}
}

// notBrought doubles the threshold: a failover was made for a hole, and what was
// missing was not at Telegram.
func (h *hole) notBrought(now time.Time) {
	h.factor = min(max(h.factor, 1)*2, maxHoleFactor)
	h.grown = now
}

// refused notes an id that we refused because of the disk or the content; it is
// not the path that keeps it.
func (h *hole) refused(id int64, now time.Time) {
	if h.skipped == nil {
		h.skipped = make(map[int64]time.Time)
	}
	h.skipped[id] = now
}

// taken notes something acknowledged that had no id.
func (h *hole) taken(now time.Time) { h.unnamed = append(h.unnamed, now) }

// sampled takes in one answer of getWebhookInfo. What is missing while nothing
// is pending was answered 2xx by somebody.
func (h *hole) sampled(x sample, holes []store.Hole, busy func(id int64) bool) {
	h.follow(holes)
	h.last = x
	if x.Pending > 0 {
		if h.run.IsZero() {
			h.run = x.Sent
		}
		return
	}
	h.run = time.Time{}
	h.since = time.Time{} // it does not wait there
	counted, credited := h.counted(holes)
	defer h.spend(x.Sent, credited)
	for _, s := range counted {
		if !s.Since.Before(x.Sent) || s.To <= h.accounted {
			continue
		}
		from := max(s.From, h.accounted+1)
		if x.Got.Sub(s.Since) < goneWithin {
			for id := from; id <= s.To && id-from < 100; id++ {
				if _, ours := h.skipped[id]; !ours && !busy(id) {
					h.gone = append(h.gone, x.Got)
				}
			}
		}
		h.accounted = max(h.accounted, s.To)
	}
}

// follow forgets what was accounted for in another series, whose ids may be higher.
func (h *hole) follow(holes []store.Hole) {
	if len(holes) > 0 && holes[0].Series != h.series {
		h.series, h.accounted = holes[0].Series, 0
	}
}

// counted leaves out the holes that what we took without an id may have made.
func (h *hole) counted(holes []store.Hole) (out, credited []store.Hole) {
	credit := int64(len(h.unnamed))
	if credit == 0 {
		return holes, nil
	}
	out = make([]store.Hole, 0, len(holes))
	for _, s := range holes {
		n := s.To - s.From + 1
		if n <= credit && !s.Since.Before(h.unnamed[0].Add(-unnamedNear)) {
			credit -= n
			credited = append(credited, s)
			continue
		}
		out = append(out, s)
	}
	return out, credited
}

// spend takes the holes that were left out for what they are once Telegram has
// nothing more: what we took without an id explains no others.
func (h *hole) spend(sent time.Time, credited []store.Hole) {
	for _, s := range credited {
		if s.Since.Before(sent) && s.To > h.accounted {
			h.unnamed = h.unnamed[s.To-s.From+1:]
			h.accounted = s.To
		}
	}
}

// oldest is the smallest missing id that counts; 0 if there is none.
func (h *hole) oldest(holes []store.Hole, busy func(id int64) bool) int64 {
	counted, _ := h.counted(holes)
	for _, s := range counted {
		for id := max(s.From, h.accounted+1); id <= s.To; id++ {
			if _, ours := h.skipped[id]; !ours && !busy(id) {
				return id
			}
		}
	}
	return 0
}

// wait starts the time anew: what is missing now waits for something else.
func (h *hole) wait() { h.since, h.chain = time.Time{}, time.Time{} }

// unchain forgets that one late id has followed the other.
func (h *hole) unchain() { h.chain = time.Time{} }

// window is how long the oldest missing id must stay so.
func (h *hole) window(now time.Time) time.Duration {
	if h.factor > 1 && now.Sub(h.grown) < holeDecay {
		return h.t.Hole * time.Duration(h.factor)
	}
	return h.t.Hole
}

// read judges. busy tells that a delivery of the id is in progress.
func (h *hole) read(now time.Time, holes []store.Hole, busy func(id int64) bool) Reading {
	r := Reading{Signal: SignalHole, Moves: true}
	for id, at := range h.skipped {
		if now.Sub(at) > skippedFor {
			delete(h.skipped, id)
		}
	}
	for len(h.gone) > 0 && now.Sub(h.gone[0]) > h.t.HoleGoneWindow {
		h.gone = h.gone[1:]
	}
	h.follow(holes)
	id := h.oldest(holes, busy)
	switch {
	case id == 0:
		h.id, h.since, h.chain = 0, time.Time{}, time.Time{}
	case id != h.id || h.since.IsZero():
		if h.since.IsZero() || now.Sub(h.since) < holeLate {
			h.chain = now // what went before came in time, as in a burst
		}
		h.id, h.since = id, now
	}
	if n := len(h.gone); n > 0 {
		r.Level, r.Since = Suspect, h.gone[0]
		r.Evidence = fmt.Sprintf("%d updates never came and are no longer at Telegram: somebody else answers 2xx in our place", n)
		if n >= h.t.HoleGone {
			r.Level = Tripped
			return r
		}
	}
	if h.id == 0 || h.run.IsZero() {
		return r
	}
	// Both the id and the updates pending must have stayed for the whole time.
	from := h.since
	if h.run.After(from) {
		from = h.run
	}
	age, window := now.Sub(h.since), h.window(now)
	if age < holeLate {
		return r
	}
	if r.Level < Suspect {
		r.Level, r.Since = Suspect, h.since
	}
	r.Evidence = fmt.Sprintf("update %d has been missing for %.1f s while later ones arrived and %d are pending at Telegram", h.id, age.Seconds(), h.last.Pending)
	if now.Sub(from) >= window && h.last.Sent.Sub(from) >= window-sampleSlack {
		r.Level, r.Since = Tripped, h.since
		return r
	}
	// A line that loses much holds up one chat after another.
	if h.chain.IsZero() {
		h.chain = now
	}
	chain := h.chain
	if h.run.After(chain) {
		chain = h.run
	}
	if now.Sub(chain) >= window+holeLate && h.last.Sent.Sub(chain) >= window {
		r.Level, r.Since = Tripped, chain
		r.Evidence = fmt.Sprintf("for %.1f s there has always been an update missing for more than %v while later ones arrived", now.Sub(chain).Seconds(), holeLate)
	}
	return r
}

// holeTrip remembers what a failover for a hole was made on, to compare it with
// what the drain brought.
type holeTrip struct {
	at      time.Time
	missing uint64 // ids that the ledger had given up by then
}

// began notes what the failover is made on that begins with the event. One that is
// withheld brings nothing, so nothing is learnt from it.
func (t *holeTrip) began(e failover.Event, st store.Stats) {
	if e.Kind != failover.Trip {
		return // the way back, or another attempt
	}
	*t = holeTrip{}
	if e.Cause.Name == SignalHole {
		*t = holeTrip{at: e.At, missing: st.Lost + st.ExpiredSuspected}
	}
}

// holeBrought is called when the webhook is registered again: if the last
// failover was made for a hole, and polling found the updates gone, the next hole
// has to last longer.
func (b *Bot) holeBrought(now time.Time) {
	if b.holeTrip.at.IsZero() {
		return
	}
	st := b.ledger.Stats()
	if st.Lost+st.ExpiredSuspected > b.holeTrip.missing {
		b.arrived.mu.Lock()
		b.arrived.hole.notBrought(now)
		b.arrived.mu.Unlock()
	}
	b.holeTrip = holeTrip{}
}
