package telegramsim

import (
	"container/heap"
	"crypto/x509"
	"net/netip"
	"slices"
	"time"
)

// Constants of the webhook actor (WebhookActor.cpp, WebhookActor.h).
const (
	activeFor      = 10 * time.Second // after a 2xx new connections may come quickly
	connectionLife = 60 * time.Second // one timer for connecting, TLS, request, answer and idling
	resendTimeout  = 60               // seconds; doubled at random for the cap of the backoff
	maxRetryAfter  = 3600             // seconds
	goneTimeout    = 23 * time.Hour
	resolveEvery   = 30 * time.Minute
)

// actor delivers a bot's updates to its webhook. It has no goroutine: whoever
// brings news runs loop under the lock of Sim, and a timer does so when
// something falls due.
type actor struct {
	s      *Sim
	b      *bot
	hook   *hook
	roots  *x509.CertPool // of an uploaded certificate; nil: the server's
	reg    int            // index in the bot's history
	ip     netip.Addr
	ipGen  int
	fixed  bool
	closed bool

	checked   bool // the first connection was started: setWebhook is answered
	verified  func()
	failed    func(text string)
	resolving bool
	resolveAt time.Time

	loaded map[int64]*outgoing
	queues map[int64][]*outgoing // FIFO by ordering queue
	heads  headHeap              // queues whose head is not in flight
	offset int64
	empty  bool // nothing was left to load
	unique int64

	conns   map[int]*hookConn
	ready   []*hookConn // first in, first out
	made    int
	lastOK  time.Time
	pending flood
	active  flood
	gone    time.Time // first 410 in a row

	timer  *time.Timer
	wakeAt time.Time
}

// outgoing is a loaded update: it is delivered even if it expires meanwhile.
type outgoing struct {
	ev    *event
	queue int64
	delay int // seconds
	fails int
	wake  time.Time
}

// headHeap orders queues by when their head may be sent, then by queue id
// (WebhookActor.h:125).
type headHeap []*outgoing

func (h headHeap) Len() int { return len(h) }
func (h headHeap) Less(i, j int) bool {
	if !h[i].wake.Equal(h[j].wake) {
		return h[i].wake.Before(h[j].wake)
	}
	return h[i].queue < h[j].queue
}
func (h headHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *headHeap) Push(x any)   { *h = append(*h, x.(*outgoing)) }
func (h *headHeap) Pop() any {
	o := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = nil
	*h = (*h)[:len(*h)-1]
	return o
}

// start brings up the actor of b.hook. restored is true after a server restart:
// nothing is checked again. verified or failed is called, under the lock, when
// it is known whether the webhook stands; at once unless a name is resolved.
func (b *bot) start(restored bool, verified func(), failed func(text string)) {
	s, now := b.s, time.Now()
	a := &actor{
		s: s, b: b, hook: b.hook, verified: verified, failed: failed,
		loaded: map[int64]*outgoing{}, queues: map[int64][]*outgoing{}, conns: map[int]*hookConn{},
		unique: 1 << 60, lastOK: now.Add(-time.Hour),
		pending: flood{interval: 2 * time.Second, burst: 1},
		active:  flood{interval: 50 * time.Millisecond, burst: 10},
	}
	b.actor = a
	b.history = append(b.history, Registration{
		URL: b.hook.raw, MaxConnections: b.hook.maxc, IP: b.hook.ip,
		Secret: b.hook.secret != "", Certificate: b.hook.cert != nil, From: now,
	})
	a.reg = len(b.history) - 1
	if b.hook.ip != "" {
		a.fixed = true
		a.ip, _ = netip.ParseAddr(b.hook.ip)
		a.ip = a.ip.Unmap()
		b.hook.last = a.ip
	}
	if restored {
		a.checked = true
		a.ip = b.hook.last
	} else if text := a.check(); text != "" {
		a.refuse(text)
		return
	}
	if b.hook.cert != nil {
		pool, ok := parseCertificate(b.hook.cert)
		if !ok {
			a.refuse("Failed to set custom certificate file{error:0480006C:PEM routines::no start line}")
			return
		}
		a.roots = pool
	}
	a.loop()
}

// check is what can be wrong with the URL and a given address.
func (a *actor) check() string {
	if !a.s.knobs.Local {
		if !a.hook.url.https {
			return "An HTTPS URL must be provided for webhook"
		}
		if !slices.Contains([]uint16{443, 80, 88, 8443}, a.hook.url.port) {
			return "Webhook can be set up only on ports 80, 88, 443 or 8443"
		}
	}
	if a.fixed {
		return a.s.checkIP(a.ip)
	}
	return ""
}

// refuse ends a webhook that could not be set up.
func (a *actor) refuse(text string) {
	if a.checked || a.closed {
		return
	}
	a.end("refused: " + text)
	a.failed(text)
}

// close destroys all connections at once; what is in flight stays in the queue.
func (a *actor) close() { a.end("closed") }

func (a *actor) end(why string) {
	if a.closed {
		return
	}
	a.closed = true
	if a.timer != nil {
		a.timer.Stop()
	}
	r := &a.b.history[a.reg]
	r.To, r.Why = time.Now(), why
	for _, c := range a.conns {
		a.finish(c, 0, "cut")
		c.kill()
	}
	clear(a.conns)
	if a.b.actor == a {
		a.b.actor = nil
	}
}

// news is called when the queue got a new event.
func (a *actor) news() {
	a.empty = false
	a.loop()
}

// loop does all that can be done now and sets the timer for the rest
// (WebhookActor.cpp:326-350).
func (a *actor) loop() {
	if a.closed {
		return
	}
	a.wakeAt = time.Time{}
	a.load()
	a.resolveIP()
	if !a.closed {
		a.connect()
	}
	if a.closed {
		return
	}
	a.send()
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
	if !a.wakeAt.IsZero() {
		a.timer = a.s.timer(time.Until(a.wakeAt), a.loop)
	}
}

func (a *actor) relax(at time.Time) {
	if a.wakeAt.IsZero() || at.Before(a.wakeAt) {
		a.wakeAt = at
	}
}

// load reads on in the queue until updates of 2*max_connections ordering queues
// are in memory (WebhookActor.cpp:358-425).
func (a *actor) load() {
	limit := 2*a.hook.maxc - len(a.queues)
	if a.empty || limit <= 0 {
		return
	}
	now := time.Now()
	if a.offset == 0 || !a.b.queue.inRange(a.offset) {
		a.offset = a.b.queue.head()
	}
	events := a.b.fetch(a.offset, false, limit, now)
	a.empty = len(events) == 0
	for _, e := range events {
		a.offset = e.id + 1
		if a.loaded[e.id] != nil {
			continue
		}
		o := &outgoing{ev: e, queue: e.extra, delay: 1, wake: now}
		if o.queue == 0 {
			a.unique++
			o.queue = a.unique
		}
		a.loaded[e.id] = o
		a.queues[o.queue] = append(a.queues[o.queue], o)
		if len(a.queues[o.queue]) == 1 {
			heap.Push(&a.heads, o)
		}
	}
}

// resolveIP looks the host up again every 30 to 33 minutes.
func (a *actor) resolveIP() {
	if a.fixed || a.resolving {
		return
	}
	if now := time.Now(); now.Before(a.resolveAt) {
		a.relax(a.resolveAt)
		return
	}
	a.resolving = true
	sync := true
	a.s.resolve(a.hook.url.host, func(r resolved) {
		if a.closed {
			return
		}
		a.resolving = false
		a.resolveAt = time.Now().Add(a.s.between(resolveEvery, resolveEvery+resolveEvery/10))
		a.relax(a.resolveAt)
		var text string
		if r.err != nil {
			text = "Failed to resolve host: " + r.err.Error()
		} else {
			text = a.s.checkIP(r.ip)
		}
		if text != "" {
			a.refuse(text) // silently ignored once the webhook stands
		} else if r.ip != a.ip {
			a.ip = r.ip
			a.hook.last = r.ip
			a.ipGen++
		}
		if !sync {
			a.loop()
		}
	})
	sync = false
}

// connect opens as many connections as are wanted and allowed
// (WebhookActor.cpp:260-310).
func (a *actor) connect() {
	if !a.ip.IsValid() {
		return
	}
	now := time.Now()
	need := min(len(a.queues), a.hook.maxc)
	if !a.checked {
		need = 1 // the initial probe
	}
	limit := &a.active
	if a.lastOK.Add(activeFor).Before(now) {
		limit = &a.pending
		need = min(need, 1)
	} else {
		need = max(need, 1)
	}
	for len(a.conns) < need {
		if at := limit.wake(); now.Before(at) {
			a.relax(at)
			return
		}
		limit.add(now)
		a.dial()
		if !a.checked {
			a.checked = true
			a.verified()
		}
	}
}
