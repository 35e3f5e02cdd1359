package telegramsim

import (
	"bytes"
	"time"
)

// Constants of getUpdates (Client.h:1610-1612, Client.cpp:15714-15719, 16305).
const (
	maxPoll      = 50
	wakeAfter    = time.Millisecond
	wakeAtMost   = 2 * time.Millisecond
	maxPageBytes = 4 << 20
	sameOffset   = 3 * time.Second
	hurried      = 500 * time.Millisecond
)

// parked is the one getUpdates that waits.
type parked struct {
	c      *call
	offset int64
	limit  int
	timer  *time.Timer
	until  time.Time
	woken  bool
}

const (
	conflictWebhook = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
	conflictPoll    = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
	conflictSet     = "Conflict: terminated by setWebhook request"
	conflictOther   = "Conflict: terminated by other setWebhook"
)

func (b *bot) getUpdates(c *call) {
	if b.hook != nil || b.setting != nil {
		b.conflict(c, conflictWebhook)
		return
	}
	offset := integer(c.args, "offset", 0)
	limit := int(clamp(integer(c.args, "limit", 100), 1, 100))
	timeout := clamp(integer(c.args, "timeout", 0), 0, maxPoll)
	if m, ok := parseMask(c.args["allowed_updates"]); ok {
		b.allowed = m
	}
	now := time.Now()
	if !b.lastGet.at.IsZero() && offset == b.lastGet.offset {
		since := now.Sub(b.lastGet.at)
		if since < sameOffset {
			timeout = max(timeout, int64(sameOffset/time.Second))
		}
		if since < hurried {
			limit = 1
		}
	}
	b.lastGet.offset, b.lastGet.at = offset, now
	b.poll(c, offset, limit, time.Duration(timeout)*time.Second)
}

// poll answers a getUpdates, or parks it (Client.cpp:16321-16431).
func (b *bot) poll(c *call, offset int64, limit int, timeout time.Duration) {
	now := time.Now()
	if offset < 0 {
		b.expire(now)
		b.clear(int(-offset), now)
	}
	confirm := offset > 0 && offset < maxID && b.queue.inRange(offset)
	if !confirm {
		offset = b.queue.head()
	}
	if offset > 0 {
		foreign(b, offset, c.foreign)
	}
	page := b.fetch(offset, confirm, limit, now)
	if len(page) == 0 && timeout > 0 {
		if p := b.parked; p != nil {
			p.timer.Stop()
			b.parked = nil
			b.conflict(p.c, conflictPoll)
		}
		p := &parked{c: c, offset: offset, limit: limit, until: now.Add(timeout)}
		p.timer = b.s.timer(timeout, func() { b.unpark(p) })
		b.parked = p
		return
	}
	var out bytes.Buffer
	out.WriteByte('[')
	for i, e := range page {
		body := e.body()
		if i > 0 && out.Len()+len(body) > maxPageBytes {
			break
		}
		if i > 0 {
			out.WriteString(",\n")
		}
		out.Write(body)
		e.rec.Returned = append(e.rec.Returned, now)
		e.rec.Foreign = c.foreign
		if e.rec.FirstTry.IsZero() {
			e.rec.FirstTry = now
		}
	}
	out.WriteByte(']')
	b.answer(c, &answer{code: 200, result: out.Bytes()})
}

// foreign marks what a confirmation by the foreign poller takes away.
func foreign(b *bot, offset int64, is bool) {
	if !is {
		return
	}
	for _, e := range b.queue.events[:b.queue.from(offset)] {
		if !e.gone {
			e.rec.Foreign = true
		}
	}
}

// unpark serves the parked call with what there is.
func (b *bot) unpark(p *parked) {
	if b.parked != p {
		return
	}
	p.timer.Stop()
	b.parked = nil
	b.poll(p.c, p.offset, p.limit, 0)
}

// wakePoll lets a parked call go 1 ms after the newest update, 2 ms after the
// first at most.
func (b *bot) wakePoll() {
	p := b.parked
	if p == nil {
		return
	}
	now := time.Now()
	if !p.woken {
		p.woken = true
		if at := now.Add(wakeAtMost); at.Before(p.until) {
			p.until = at
		}
	}
	p.timer.Stop()
	p.timer = b.s.timer(min(wakeAfter, time.Until(p.until)), func() { b.unpark(p) })
}

// drop ends the parked call with an answer; nil drops its connection.
func (b *bot) drop(a *answer) {
	p := b.parked
	if p == nil {
		return
	}
	p.timer.Stop()
	b.parked = nil
	b.answer(p.c, a)
}
