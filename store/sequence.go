package store

import "sort"

// sequence is one of Telegram's own ordering queues whose updates are spread over
// several lanes, such as the button presses of a user in different chats. Of its
// records only the smallest may be handed out, and only while no other is in
// delivery; so a record that has a queue must be the first of its lane and of its
// queue. The smallest record of all is always both, so nothing waits for ever.
type sequence struct {
	name  string
	items []queued // ascending; those in delivery stay until they are removed
	busy  bool     // one of them is in delivery
}

// queued is a record in a queue, and the lane it is in.
type queued struct {
	ref  Ref
	lane *lane
}

func (x *index) queue(name string) *sequence {
	q := x.queues[name]
	if q == nil {
		q = &sequence{name: name}
		x.queues[name] = q
	}
	return q
}

func (q *sequence) find(r Ref) (int, bool) {
	return sort.Find(len(q.items), func(i int) int { return r.Compare(q.items[i].ref) })
}

// insert adds a record and returns the lane of the record that was first until
// now, if it is no longer.
func (q *sequence) insert(r Ref, l *lane) *lane {
	i, found := q.find(r)
	if found {
		return nil
	}
	var was *lane
	if i == 0 && len(q.items) > 0 {
		was = q.items[0].lane
	}
	q.items = append(q.items, queued{})
	copy(q.items[i+1:], q.items[i:])
	q.items[i] = queued{r, l}
	return was
}

func (q *sequence) delete(r Ref) {
	i, found := q.find(r)
	switch {
	case !found:
	case i == 0: // as a rule; and it costs nothing
		q.items[0] = queued{}
		q.items = q.items[1:]
	default:
		q.items = append(q.items[:i], q.items[i+1:]...)
	}
}

// admits reports whether the record may be handed out as far as its queue goes.
func (q *sequence) admits(r Ref) bool {
	return q == nil || !q.busy && len(q.items) > 0 && q.items[0].ref == r
}

// release lets the first record of a queue go on, now that another was removed or
// put back, and forgets a queue that is empty.
func (x *index) release(q *sequence) {
	q.busy = false
	if len(q.items) == 0 {
		delete(x.queues, q.name)
		return
	}
	x.place(q.items[0].lane)
}
