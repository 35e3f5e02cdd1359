// Package polling takes in updates by getUpdates.
//
// The guarantee: nothing is confirmed to Telegram that the [transport.Sink]
// does not hold. getUpdates has one way to confirm: a call with offset N deletes
// everything below N when it is processed, whatever becomes of the answer. So
// an offset is only ever the last update_id of a page that was returned and
// committed, plus one; never the highest id known, which after a new series of
// ids would poll the same page for ever, and with webhook deliveries counted in
// would delete what Telegram still holds back.
//
// # From the head
//
// A poll without an offset confirms nothing and starts with the oldest update.
// It costs a page of duplicates at most, so it is what follows whenever the
// offset could be wrong: at the start unless the caller vouches for one, after
// a page by which the sink saw a new series of ids begin, and after an error that
// the Bot API itself answered (its server may be another one, or have lost its
// queue). The offset of a page from the head that is committed is sound again.
//
// # Elements without an id
//
// The sink holds a page as a whole, those elements that carry no readable
// update_id in quarantine. If such elements end a page, it is confirmed up to
// the last readable id, and they come again at the head of the next page. If a
// page has no readable id at all, the offset is raised by one for each such
// page: Telegram returned the element for offset N, so its id is at least N, and
// N+1 deletes nothing but it. From the head there is no such N; then the poller
// waits, at most [Options.StoreMaxWait] between two polls, until an update with
// an id follows. The element itself is handed to the sink once, not each time.
//
// # Errors
//
// A failing store confirms nothing and changes nothing but the pace. A page that
// fails to arrive twice is asked for in halves. Another poller is named and
// polled against gently, never fought. Only a wrong token, an active webhook,
// a failing hook and the caller's context end [Poller.Run].
package polling

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"dualgram/transport"
	"dualgram/transport/botapi"
)

// Errors by which [Poller.Run] and [Poller.Standby] end. They wrap the
// [*botapi.Error] if there is one.
var (
	// ErrWebhookActive: a webhook is set, or being set. Nothing was confirmed by
	// the call that found it out.
	ErrWebhookActive = errors.New("a webhook is active; delete it before polling")
	// ErrUnauthorized: Telegram refuses the token.
	ErrUnauthorized = errors.New("the bot token is refused; check it with @BotFather")
	// ErrRunning: the poller runs already.
	ErrRunning = errors.New("the poller is running")
	// ErrNoWebhook: a standby check found that no webhook is set.
	ErrNoWebhook = errors.New("no webhook is set: getUpdates was answered with a page")
)

// API is the part of the Bot API that the poller needs; *[botapi.Client] is one.
type API interface {
	// GetUpdates polls once. The elements of the page must be exactly those
	// that the Bot API returned, in order.
	GetUpdates(ctx context.Context, p botapi.GetUpdates) (botapi.Page, error)
	// ResetPool makes later calls use new connections.
	ResetPool(p botapi.Pool)
}

// Options configures a [Poller]. API and Sink are required.
type Options struct {
	API  API
	Sink transport.Sink
	// AllowedUpdates is sent with each poll but a standby check. Nil: not sent.
	AllowedUpdates []string
	// Hook is called at "page-fetched", "page-committed" and "confirm-sent"
	// (before the call whose offset confirms). An error ends Run with it.
	Hook transport.Hook
	// Observe is told of each step, in the goroutine of Run, Confirm or
	// Standby. It must not block.
	Observe func(Event)

	// LongPoll is the timeout of a poll in the steady state. Default 25 s, at
	// most 50 s.
	LongPoll time.Duration
	// EarlyPoll is the timeout during EarlyFor after the start, or after a
	// Kick: a shorter proof of life. Defaults 5 s and 2 min.
	EarlyPoll, EarlyFor time.Duration
	// Slack is what a call may take beyond its timeout. Default 10 s.
	Slack time.Duration
	// DrainDeadline is for a call with no timeout. Default, and least, 5 s: a
	// second 409 within 3 s is held back for 3 s, and a second call with the
	// same offset within 3 s may be parked for 3 s (Client.cpp:15714, 16238). The
	// first call of a Run has 1.5 s.
	DrainDeadline time.Duration
	// MaxWait bounds the pause after a failed call. Default 10 s.
	MaxWait time.Duration
	// StoreMaxWait bounds the pause after the sink refused a page. Default 5 s.
	StoreMaxWait time.Duration
}

const (
	maxLimit   = 100
	maxTimeout = 50 * time.Second
	firstWait  = 200 * time.Millisecond
	// firstDeadline is for the first call of a Run: a handover waits for it, and if it
	// is lost the next one has to come soon. What made a conflict come 3 s late then
	// does so for the next.
	firstDeadline = 1500 * time.Millisecond
	// confirmDeadline bounds Confirm: a handover waits for it.
	confirmDeadline = 4 * time.Second
	// acceptGrace is what the sink gets to finish a page after the poller was
	// told to stop; given up, the page comes again.
	acceptGrace = 2 * time.Second
)

func (o *Options) defaults() error {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&o.LongPoll, 25*time.Second)
	set(&o.EarlyPoll, 5*time.Second)
	set(&o.EarlyFor, 2*time.Minute)
	set(&o.Slack, 10*time.Second)
	set(&o.DrainDeadline, 5*time.Second)
	set(&o.MaxWait, 10*time.Second)
	set(&o.StoreMaxWait, 5*time.Second)
	switch {
	case o.API == nil || o.Sink == nil:
		return errors.New("polling: API and Sink are required")
	case o.LongPoll < time.Second || o.LongPoll > maxTimeout, o.EarlyPoll < time.Second || o.EarlyPoll > maxTimeout:
		return errors.New("polling: a poll's timeout must be 1 s to 50 s")
	case o.Slack < 5*time.Second || o.DrainDeadline < 5*time.Second:
		return errors.New("polling: a call needs 5 s beyond its timeout")
	case o.EarlyFor < 0 || o.MaxWait < firstWait || o.StoreMaxWait < firstWait:
		return errors.New("polling: a pause must be 200 ms or more")
	}
	if o.Observe == nil {
		o.Observe = func(Event) {}
	}
	return nil
}

// Poller polls for one bot. Its methods may be called from any goroutine.
type Poller struct {
	o    Options
	kick chan struct{} // cap 1: skip the pause

	mu            sync.Mutex
	busy          bool // Run or Confirm
	prog          Progress
	cancelCall    context.CancelCauseFunc // of Run's call in progress
	cancelStandby context.CancelCauseFunc
	pos           position // where the last Run ended
}

// position is what a Run knows about its end of the queue.
type position struct {
	// next is the offset that confirms all that was committed; 0 if nothing was.
	next int64
	// proven: a call with that offset was answered.
	proven bool
	// doubt: the next poll should go from the head.
	doubt bool
	limit int
}

// Progress is a snapshot for a watchdog.
type Progress struct {
	Running bool
	// Started is when Run began.
	Started time.Time
	// CallStarted is when the call in progress was sent; zero if none is.
	CallStarted time.Time
	// CallTimeout is how long Telegram may hold that call.
	CallTimeout time.Duration
	// Calls counts the calls of this Run; the same number means the same call.
	Calls uint64
	// LastCompleted is when a call was last answered with a page, empty or not.
	LastCompleted time.Time
	// LastUpdate is when an update was last committed.
	LastUpdate time.Time
	// Offset is what the next call carries; 0 is the head.
	Offset int64
	// Pages counts the committed pages of this Run.
	Pages uint64
	// Draining: no empty page has come yet since the start or the last trouble.
	Draining bool
	// ForeignSince is when another poller was first seen; zero if none is.
	ForeignSince time.Time
	// Err is the error of the last call or commit; nil after a success.
	Err error
}

// Start says where a run begins.
type Start struct {
	// Offset is the offset of the first call: the last update_id of a committed
	// page plus one, and only if nothing is in doubt. 0: from the head.
	Offset int64
}

// New makes a poller. It makes no call.
func New(o Options) (*Poller, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	return &Poller{o: o, kick: make(chan struct{}, 1)}, nil
}

// Progress returns a snapshot.
func (p *Poller) Progress() Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.prog
}

var errKicked = errors.New("polling: kicked")

// Kick cancels the call in progress, throws its connections away and lets the
// next call go out at once. It doesn't shorten a pause that Telegram asked for,
// nor the commit of a page. Without a Run it does nothing.
func (p *Poller) Kick() {
	if !p.Progress().Running {
		return
	}
	// First the connections, then the call: one that starts in between is on a
	// new connection.
	p.o.API.ResetPool(botapi.PoolPoll)
	p.mu.Lock()
	cancel := p.cancelCall
	p.mu.Unlock()
	if cancel != nil {
		cancel(errKicked)
		return
	}
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// Run polls until ctx ends, which it returns as ctx.Err(), or until one of the
// package's errors or a failing hook. When it has returned, no call to the sink
// is in progress: the return is the fence. Run can be called again.
func (p *Poller) Run(ctx context.Context, s Start) error {
	if s.Offset < 0 {
		return fmt.Errorf("polling: start offset %d: must not be negative", s.Offset)
	}
	now := time.Now()
	p.mu.Lock()
	if p.busy {
		p.mu.Unlock()
		return ErrRunning
	}
	p.busy = true
	p.pos = position{}
	p.prog = Progress{Running: true, Started: now, Draining: true, Offset: s.Offset, LastUpdate: p.prog.LastUpdate}
	if p.cancelStandby != nil {
		// It would take up the slot for a parked poll.
		p.cancelStandby(ErrRunning)
	}
	p.mu.Unlock()
	r := &run{p: p, ctx: ctx, early: now, offset: s.Offset, draining: true, limit: maxLimit, first: true}
	err := r.loop()

	p.mu.Lock()
	p.pos = position{next: r.last, proven: r.proven, doubt: r.doubt, limit: r.limit}
	p.prog.Running, p.busy = false, false
	p.prog.CallStarted, p.prog.CallTimeout = time.Time{}, 0
	p.prog.Err = err
	p.mu.Unlock()
	return err
}

func (p *Poller) update(f func(*Progress)) {
	p.mu.Lock()
	f(&p.prog)
	p.mu.Unlock()
}

// accept hands a page to the sink. A stop is held back for a moment: what was
// fetched is better committed than fetched again.
func (p *Poller) accept(ctx context.Context, b transport.Batch) (transport.Receipt, error) {
	hold, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		t := time.NewTimer(acceptGrace)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-hold.Done():
		}
	})
	defer func() {
		cancel()
		if !stop() {
			<-ended
		}
	}()
	return p.o.Sink.Accept(hold, b)
}
