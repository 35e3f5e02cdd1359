package supervisor

import (
	"fmt"
	"time"

	"dualgram/transport/webhook"
)

// redelivery sees that our answers don't get back: Telegram delivers again what
// we acknowledged a while ago. What was never acknowledged, or was in flight when
// a registration changed, is Telegram's right to send again; and so is what was on
// its way when its own server restarted, all of it in one burst. So it takes one
// that was acknowledged after the first of them came. Telegram's back-off then spaces
// them out: what has been found lasts until none has come for a whole window.
type redelivery struct {
	t     Thresholds
	acked map[int64]time.Time // the latest acknowledgement
	order []int64             // of acked, the oldest first
	again []again             // in the order in which they came
	found bool                // answers don't get back
}

// again is a delivery of what had been acknowledged long enough before.
type again struct {
	id    int64
	at    time.Time
	acked time.Time // when it had been, last
}

// redeliveryMemory bounds how many acknowledgements are remembered. Telegram
// repeats after 60 s at the latest if nothing of an answer arrives; at a higher
// rate than that of so many a minute there are enough others to see.
const redeliveryMemory = 8192

// arrived takes in one authenticated delivery; acked tells that it was answered
// 2xx.
func (r *redelivery) arrived(id int64, acked bool, now time.Time) {
	at, known := r.acked[id]
	if known && now.Sub(at) >= r.t.RedeliveryAfter {
		r.again = append(r.again, again{id, now, at})
		if len(r.again) > redeliveryMemory { // between two looks
			r.again = r.again[1:]
		}
	}
	if !acked {
		return
	}
	if r.acked == nil {
		r.acked = make(map[int64]time.Time)
	}
	r.acked[id] = now
	if known {
		return
	}
	r.order = append(r.order, id)
	if len(r.order) > redeliveryMemory {
		delete(r.acked, r.order[0])
		r.order = r.order[1:]
	}
}

// cut tells whether Telegram's side ended the connection before our answer to what
// we took, although we were quick: then the answer is lost as well. Where we were
// slow, somebody on the way lost patience, and that is no fault of the way back.
func (r *redelivery) cut(o webhook.Outcome) bool {
	return o.Cause == webhook.CauseClientGone && o.Status/100 == 2 && o.Duration < r.t.RedeliveryAfter
}

func (r *redelivery) read(now time.Time) Reading {
	out := Reading{Signal: SignalRedelivery, Moves: true}
	for len(r.again) > 0 && now.Sub(r.again[0].at) > r.t.RedeliveryWindow {
		r.again = r.again[1:]
	}
	n := len(r.again)
	if n == 0 {
		r.found = false
		return out
	}
	first, last := r.again[0], r.again[n-1]
	out.Level, out.Since = Suspect, first.at
	out.Evidence = fmt.Sprintf("Telegram delivered %d times what we had acknowledged, the last time update %d: our answers don't get back", n, last.id)
	for _, a := range r.again {
		if n >= r.t.RedeliveryMin && !a.acked.Before(first.at) {
			r.found = true
		}
	}
	if r.found {
		out.Level = Tripped
	}
	return out
}
