package supervisor

import (
	"fmt"
	"time"

	"dualgram/transport/webhook"
)

// redelivery sees that our answers don't get back: Telegram delivers again what
// we acknowledged a while ago. What was never acknowledged, or was in flight when
// a registration changed, is Telegram's right to send again.
type redelivery struct {
	t     Thresholds
	acked map[int64]time.Time
	order []int64     // of acked, the oldest first
	again []time.Time // deliveries of what was acknowledged long enough before
	last  int64       // the id of the latest
}

// redeliveryMemory bounds how many acknowledgements are remembered. Telegram
// repeats after 60 s at the latest if nothing of an answer arrives; at a higher
// rate than that of so many a minute there are enough others to see.
const redeliveryMemory = 8192

// redeliverySpan: what was in flight when Telegram's own server restarted comes
// again in one burst, and is no outage.
const redeliverySpan = 1500 * time.Millisecond

// arrived takes in one authenticated delivery; acked tells that it was answered
// 2xx.
func (r *redelivery) arrived(id int64, acked bool, now time.Time) {
	if at, ok := r.acked[id]; ok && now.Sub(at) >= r.t.RedeliveryAfter {
		r.again = append(r.again, now)
		r.last = id
	}
	if !acked {
		return
	}
	if r.acked == nil {
		r.acked = make(map[int64]time.Time)
	}
	if _, ok := r.acked[id]; ok {
		return // the first acknowledgement counts
	}
	r.acked[id] = now
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
	for len(r.again) > 0 && now.Sub(r.again[0]) > r.t.RedeliveryWindow {
		r.again = r.again[1:]
	}
	n := len(r.again)
	if n == 0 {
		return out
	}
	out.Level, out.Since = Suspect, r.again[0]
	out.Evidence = fmt.Sprintf("Telegram delivered %d times what we had acknowledged, the last time update %d: our answers don't get back", n, r.last)
	if n >= r.t.RedeliveryMin && r.again[n-1].Sub(r.again[0]) >= redeliverySpan {
		out.Level = Tripped
	}
	return out
}
