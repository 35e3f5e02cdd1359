package telegramsim

import (
	"container/heap"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxHeader is what the request line and headers must fit in.
const maxHeader = 4096

// body is one update as it goes over the wire in both transports.
func (e *event) body() []byte {
	b := make([]byte, 0, len(e.payload)+32)
	b = append(b, `{"update_id":`...)
	b = strconv.AppendInt(b, e.id, 10)
	b = append(b, ",\n"...)
	b = append(b, e.payload...)
	return append(b, '}')
}

// request is the delivery on the wire (WebhookActor.cpp:552-577).
func (h *hook) request(e *event) ([]byte, bool) {
	body := e.body()
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\n", h.url.target, h.url.hostHeader())
	if h.url.userinfo != "" {
		fmt.Fprintf(&b, "Authorization: Basic %s\r\n", base64.StdEncoding.EncodeToString([]byte(h.url.userinfo)))
	}
	if h.secret != "" {
		fmt.Fprintf(&b, "X-Telegram-Bot-Api-Secret-Token: %s\r\n", h.secret)
	}
	fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\nAccept-Encoding: gzip, deflate\r\n\r\n", len(body))
	if b.Len() > maxHeader {
		return nil, false
	}
	return append([]byte(b.String()), body...), true
}

// send hands updates that are due to free connections, one each.
func (a *actor) send() {
	for len(a.ready) > 0 && len(a.heads) > 0 {
		now := time.Now()
		if o := a.heads[0]; o.wake.After(now) {
			a.relax(o.wake)
			return
		}
		o := heap.Pop(&a.heads).(*outgoing)
		req, ok := a.hook.request(o.ev)
		if !ok {
			continue // "URL is too long": the queue is stuck
		}
		c := a.ready[0]
		a.ready = a.ready[1:]
		c.ev, c.started = o, now
		r := o.ev.rec
		r.Attempts = append(r.Attempts, Attempt{Start: now, Connection: c.id, Registration: a.reg})
		c.attempt = len(r.Attempts) - 1
		if r.FirstTry.IsZero() {
			r.FirstTry = now
		}
		a.b.counters.Attempts++
		c.arm()
		c.give(req)
	}
	if len(a.heads) > 0 {
		if o := a.heads[0]; o.wake.After(time.Now()) {
			a.relax(o.wake)
		}
	}
}

// finish writes down how an attempt ended.
func (a *actor) finish(c *hookConn, status int, result string) {
	if c.ev == nil {
		return
	}
	t := &c.ev.ev.rec.Attempts[c.attempt]
	t.End, t.Status, t.Result = time.Now(), status, result
}

// handle takes an answer from a connection (WebhookActor.cpp:585-690).
func (a *actor) handle(c *hookConn, r *response) {
	if a.closed || c.dead {
		return
	}
	if c.ev == nil { // an answer that nobody asked for
		a.lose(c)
		a.loop()
		return
	}
	now := time.Now()
	drop := r.request || !r.keepAlive || c.gen != a.ipGen
	fault := ""
	switch {
	case r.request:
		fault = "Wrong response from the webhook: " + r.dump
	case r.code >= 200 && r.code <= 299:
		a.gone = time.Time{}
		a.reply(r)
	default:
		fault = fmt.Sprintf("Wrong response from the webhook: %d %s", r.code, r.reason)
		if r.code != 410 {
			a.gone = time.Time{}
		} else if a.gone.IsZero() {
			a.gone = now
		}
	}
	removed := r.code == 410 && !r.request && now.After(a.gone.Add(goneTimeout))
	a.finish(c, r.code, fmt.Sprintf("%d %s", r.code, r.reason))
	c.ev.ev.rec.Attempts[c.attempt].RetryAfter = r.retryAfter
	o := c.ev
	c.ev = nil
	if fault == "" {
		a.lastOK = now
		a.done(o, StateAcknowledged, now)
	} else {
		a.b.setError(fault)
		a.retry(o, r.retryAfter, now)
	}
	if drop {
		a.lose(c)
	} else {
		a.ready = append(a.ready, c)
	}
	if removed {
		a.b.removeHook("removed: 23 hours of 410")
		return
	}
	a.loop()
}

// hangup takes the end of a connection. text is the error to report; empty for
// a clean end, which nobody is told of (WebhookActor.cpp:658-662).
func (a *actor) hangup(c *hookConn, text string) {
	if a.closed || c.dead {
		return
	}
	if text != "" && a.checked {
		a.b.setError(text)
	}
	result := text
	if result == "" {
		result = "closed"
	}
	a.finish(c, 0, result)
	o := c.ev
	c.ev = nil
	a.lose(c)
	if o != nil {
		a.retry(o, 0, time.Now())
	}
	a.loop()
}

// lose closes a connection and takes it off the books.
func (a *actor) lose(c *hookConn) {
	delete(a.conns, c.id)
	a.ready = slices.DeleteFunc(a.ready, func(r *hookConn) bool { return r == c })
	c.kill()
}

// done takes an update off its queue and lets the next one go.
func (a *actor) done(o *outgoing, state State, now time.Time) {
	delete(a.loaded, o.ev.id)
	q := a.queues[o.queue][1:]
	if len(q) == 0 {
		delete(a.queues, o.queue)
	} else {
		a.queues[o.queue] = q
		heap.Push(&a.heads, q[0])
	}
	by := Transport("")
	if state == StateAcknowledged {
		by = Webhook
	}
	if !o.ev.gone {
		a.b.forget(o.ev, state, by, now)
		a.b.queue.tidy()
	} else {
		a.b.end(o.ev.rec, state, by, now)
	}
}

// retry puts a failed update back, or gives it up if the next attempt would
// come after its expiry (WebhookActor.cpp:493-523).
func (a *actor) retry(o *outgoing, retryAfter int, now time.Time) {
	wait := min(max(retryAfter, 0), maxRetryAfter)
	delay := o.delay
	if wait == 0 && o.fails > 0 {
		delay = min(resendTimeout+a.s.rng.IntN(resendTimeout+1), delay*2)
		wait = delay
	}
	if now.Unix()+int64(wait) > o.ev.expires {
		a.done(o, StateDropped, now)
		return
	}
	o.delay = delay
	o.fails++
	o.wake = now.Add(time.Duration(wait) * time.Second)
	heap.Push(&a.heads, o)
}

// reply executes a Bot API call found in a 2xx answer.
func (a *actor) reply(r *response) {
	method := strings.ToLower(r.args["method"])
	switch {
	case method == "", strings.HasPrefix(method, "get"):
		return
	case method == "deletewebhook", method == "setwebhook", method == "close", method == "logout":
		return
	}
	a.b.replies = append(a.b.replies, Reply{At: time.Now(), Method: r.args["method"], Args: r.args})
	a.b.counters.Methods[method]++
}
