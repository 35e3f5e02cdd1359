package telegramsim

import (
	"slices"
	"sort"
	"time"
)

// Limits of one bot's queue (TQueue.cpp:86-88, TQueue.h).
const (
	maxEvents   = 100_000
	maxEvent    = 512 << 10
	maxBytes    = 128 << 20
	maxID       = 2_000_000_000
	firstIDLow  = 2_000_001
	firstIDHigh = 1_000_000_000
)

// event is one update in the queue.
type event struct {
	id      int64
	payload []byte // `"kind":{…}`
	expires int64  // Unix seconds
	extra   int64  // ordering queue; 0: none
	rec     *Record
	gone    bool
}

// queue is the durable queue of a bot: both transports consume it.
type queue struct {
	events []*event // by id, some gone
	byID   map[int64]*event
	tail   int64 // the next id; 0: none was given out yet
	bytes  int
}

func (q *queue) len() int { return len(q.byID) }

// head is the id of the first event, or the next id if there is none.
func (q *queue) head() int64 {
	q.trim()
	if len(q.events) == 0 {
		return q.tail
	}
	return q.events[0].id
}

func (q *queue) trim() {
	for len(q.events) > 0 && q.events[0].gone {
		q.events[0] = nil
		q.events = q.events[1:]
	}
}

func (q *queue) remove(e *event) {
	if e.gone {
		return
	}
	e.gone = true
	q.bytes -= len(e.payload)
	delete(q.byID, e.id)
}

// tidy lets go of what was removed. No loop over events may be under way.
func (q *queue) tidy() {
	q.trim()
	if len(q.events) > 64 && len(q.byID)*2 < len(q.events) {
		q.events = slices.DeleteFunc(q.events, func(e *event) bool { return e.gone })
	}
}

// insert puts an event back at its place.
func (q *queue) insert(e *event) {
	i := sort.Search(len(q.events), func(i int) bool { return q.events[i].id >= e.id })
	if i < len(q.events) && q.events[i].id == e.id {
		q.events[i] = e
	} else {
		q.events = append(q.events, nil)
		copy(q.events[i+1:], q.events[i:])
		q.events[i] = e
	}
	q.byID[e.id] = e
	q.bytes += len(e.payload)
}

// from is the index of the first event with id >= id.
func (q *queue) from(id int64) int {
	return sort.Search(len(q.events), func(i int) bool { return q.events[i].id >= id })
}

// inRange is the sanity check of an offset (TQueue.cpp:303-309).
func (q *queue) inRange(from int64) bool {
	return from <= q.tail+10 && from >= q.head()-maxEvents
}

// nextEventID gives out an id. A queue that has come to the end of the ids is
// wiped and starts again at random.
func (b *bot) nextEventID(now time.Time) int64 {
	q := &b.queue
	if q.tail != 0 && q.tail+1 >= maxID {
		b.clear(0, now)
		q.tail = 0
		b.series++
	}
	if q.tail == 0 {
		q.tail = firstIDLow + b.s.rng.Int64N(firstIDHigh-firstIDLow+1)
	}
	id := q.tail
	q.tail++
	return id
}

// forget removes an event and writes down why.
func (b *bot) forget(e *event, state State, by Transport, now time.Time) {
	if e.gone {
		return
	}
	b.queue.remove(e)
	b.end(e.rec, state, by, now)
}

// clear removes all but the last keep events.
func (b *bot) clear(keep int, now time.Time) {
	defer b.queue.tidy()
	n := b.queue.len() - keep
	for _, e := range b.queue.events {
		if n <= 0 {
			break
		}
		if !e.gone {
			b.forget(e, StateCleared, "", now)
			n--
		}
	}
}

// expire removes what is past its time.
func (b *bot) expire(now time.Time) {
	defer b.queue.tidy()
	unix := now.Unix()
	for _, e := range b.queue.events {
		if !e.gone && e.expires < unix {
			b.forget(e, StateExpired, "", now)
		}
	}
}

// fetch returns up to limit live events from id on; with confirm it forgets
// those before id. Expired events on the way are removed.
func (b *bot) fetch(from int64, confirm bool, limit int, now time.Time) []*event {
	q := &b.queue
	defer q.tidy()
	unix := now.Unix()
	if confirm {
		for _, e := range q.events[:q.from(from)] {
			if !e.gone && e.expires < unix {
				b.forget(e, StateExpired, "", now)
			} else {
				b.forget(e, StateAcknowledged, Polling, now)
			}
		}
	}
	var out []*event
	for _, e := range q.events[q.from(from):] {
		if len(out) == limit {
			break
		}
		switch {
		case e.gone:
		case e.expires < unix:
			b.forget(e, StateExpired, "", now)
		default:
			out = append(out, e)
		}
	}
	return out
}
