package store

import "time"

// item is a waiting record as the index knows it: 40 bytes.
type item struct {
	id       int64
	received int64
	series   uint32
	size     uint32
	queue    *sequence // nil: the lane's order is all there is
}

func (a item) ref() Ref { return Ref{a.series, a.id} }

func (a item) before(b item) bool {
	return a.series < b.series || a.series == b.series && a.id < b.id
}

// lane is one delivery queue. It is in index.ready if it has something to take,
// in index.held while it waits for a time, in neither while it is busy or while
// its first record waits for another of the same queue.
type lane struct {
	name  string
	items []item // min-heap
	taken *item  // in delivery; the lane is busy
	until int64  // Unix nanoseconds; held back until then
	pos   int32  // in ready or held, else -1
	held  bool
}

// index is the memory of what waits: which record comes next. It does not lock.
type index struct {
	lanes  map[string]*lane
	queues map[string]*sequence
	ready  laneHeap // free lanes by their smallest record
	held   laneHeap // free lanes that wait, by time
	taken  map[Ref]*lane
	count  int   // records, those in delivery included
	bytes  int64 // of their stored form
	// oldest is the smallest received time, if it is known.
	oldest      int64
	oldestKnown bool
}

func newIndex() *index {
	return &index{
		lanes:  make(map[string]*lane),
		queues: make(map[string]*sequence),
		taken:  make(map[Ref]*lane),
		ready:  laneHeap{less: func(a, b *lane) bool { return a.items[0].before(b.items[0]) }},
		held:   laneHeap{less: func(a, b *lane) bool { return a.until < b.until }},
	}
}

func (x *index) lane(name string) *lane {
	l := x.lanes[name]
	if l == nil {
		l = &lane{name: name, pos: -1}
		x.lanes[name] = l
	}
	return l
}

// add puts a new record into its lane, and into its queue if it has one.
func (x *index) add(name, queue string, it item) {
	l := x.lane(name)
	if queue != "" {
		it.queue = x.queue(queue)
		if was := it.queue.insert(it.ref(), l); was != nil {
			defer x.place(was)
		}
	}
	l.push(it)
	x.count++
	x.bytes += int64(it.size)
	if x.count == 1 {
		x.oldest, x.oldestKnown = it.received, true
	} else if x.oldestKnown && it.received < x.oldest {
		x.oldest = it.received
	}
	x.place(l)
}

// place puts a lane where it belongs after a change.
func (x *index) place(l *lane) {
	if l.taken != nil || len(l.items) == 0 {
		x.unlist(l)
		if l.taken == nil {
			delete(x.lanes, l.name)
		}
		return
	}
	held := l.until != 0
	if first := l.items[0]; !held && !first.queue.admits(first.ref()) {
		x.unlist(l)
		return
	}
	if l.pos >= 0 && l.held == held {
		x.list(l).fix(int(l.pos))
		return
	}
	x.unlist(l)
	l.held = held
	x.list(l).push(l)
}

func (x *index) list(l *lane) *laneHeap {
	if l.held {
		return &x.held
	}
	return &x.ready
}

func (x *index) unlist(l *lane) {
	if l.pos >= 0 {
		x.list(l).remove(int(l.pos))
	}
}

// take hands out the smallest record of a free lane. If there is none, wait
// tells when the first held lane is free; 0 if none is held.
func (x *index) take(now int64) (l *lane, wait time.Duration) {
	for len(x.held.lanes) > 0 && x.held.lanes[0].until <= now {
		l := x.held.lanes[0]
		l.until = 0
		x.place(l)
	}
	if len(x.ready.lanes) == 0 {
		if len(x.held.lanes) > 0 {
			wait = time.Duration(x.held.lanes[0].until - now)
		}
		return nil, wait
	}
	l = x.ready.lanes[0]
	x.unlist(l)
	it := l.pop()
	l.taken = &it
	x.taken[it.ref()] = l
	if it.queue != nil {
		it.queue.busy = true
	}
	return l, 0
}

// putBack returns a record in delivery to its lane, held until the given time.
func (x *index) putBack(r Ref, until int64) bool {
	l := x.taken[r]
	if l == nil {
		return false
	}
	delete(x.taken, r)
	q := l.taken.queue
	l.push(*l.taken)
	l.taken = nil
	l.until = until
	if q != nil {
		x.release(q)
	}
	x.place(l)
	return true
}

// remove forgets a record in delivery and frees its lane.
func (x *index) remove(r Ref) {
	l := x.taken[r]
	if l == nil {
		return
	}
	delete(x.taken, r)
	x.count--
	x.bytes -= int64(l.taken.size)
	if x.oldestKnown && l.taken.received <= x.oldest {
		x.oldestKnown = false
	}
	q := l.taken.queue
	l.taken = nil
	l.until = 0
	if q != nil {
		q.delete(r)
		x.release(q)
	}
	x.place(l)
}

// oldestReceived returns the smallest received time, 0 if nothing waits. It
// looks at everything that waits, but only if the oldest has gone since.
func (x *index) oldestReceived() int64 {
	if x.count == 0 {
		return 0
	}
	if !x.oldestKnown {
		first := true
		see := func(it item) {
			if first || it.received < x.oldest {
				x.oldest, first = it.received, false
			}
		}
		for _, l := range x.lanes {
			if l.taken != nil {
				see(*l.taken)
			}
			for _, it := range l.items {
				see(it)
			}
		}
		x.oldestKnown = true
	}
	return x.oldest
}

func (l *lane) push(it item) {
	if len(l.items) == cap(l.items) && cap(l.items) == 0 {
		l.items = make([]item, 0, 1) // most lanes never hold a second one
	}
	l.items = append(l.items, it)
	h := l.items
	for i := len(h) - 1; i > 0; {
		p := (i - 1) / 2
		if !h[i].before(h[p]) {
			break
		}
		h[i], h[p] = h[p], h[i]
		i = p
	}
}

func (l *lane) pop() item {
	h := l.items
	top := h[0]
	n := len(h) - 1
	h[0] = h[n]
	h = h[:n]
	for i := 0; ; {
		c := 2*i + 1
		if c >= n {
			break
		}
		if c+1 < n && h[c+1].before(h[c]) {
			c++
		}
		if !h[c].before(h[i]) {
			break
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
	if cap(h) > 64 && n < cap(h)/4 { // give back what a backlog took
		h = append(make([]item, 0, n+n/2), h...)
	}
	l.items = h
	return top
}

// laneHeap is a min-heap of lanes that know their place in it.
type laneHeap struct {
	lanes []*lane
	less  func(a, b *lane) bool
}

func (h *laneHeap) push(l *lane) {
	l.pos = int32(len(h.lanes))
	h.lanes = append(h.lanes, l)
	h.up(int(l.pos))
}

func (h *laneHeap) remove(i int) {
	l := h.lanes[i]
	n := len(h.lanes) - 1
	h.swap(i, n)
	h.lanes[n] = nil
	h.lanes = h.lanes[:n]
	l.pos = -1
	if i < n {
		h.fix(i)
	}
}

func (h *laneHeap) fix(i int) {
	if !h.down(i) {
		h.up(i)
	}
}

func (h *laneHeap) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if !h.less(h.lanes[i], h.lanes[p]) {
			return
		}
		h.swap(i, p)
		i = p
	}
}

func (h *laneHeap) down(i int) (moved bool) {
	for {
		c := 2*i + 1
		if c >= len(h.lanes) {
			return moved
		}
		if c+1 < len(h.lanes) && h.less(h.lanes[c+1], h.lanes[c]) {
			c++
		}
		if !h.less(h.lanes[c], h.lanes[i]) {
			return moved
		}
		h.swap(i, c)
		i, moved = c, true
	}
}

func (h *laneHeap) swap(i, j int) {
	h.lanes[i], h.lanes[j] = h.lanes[j], h.lanes[i]
	h.lanes[i].pos, h.lanes[j].pos = int32(i), int32(j)
}
