package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"dualgram/store"
	"dualgram/supervisor/dispatch"
	"dualgram/supervisor/failover"
	"dualgram/transport/polling"
	"dualgram/transport/probe"

	"github.com/rs/zerolog"
	"github.com/sony/gobreaker/v2"
)

const (
	// tickEvery is how often everything is judged, traffic or not.
	tickEvery = 250 * time.Millisecond
	// saveDeadline bounds how long a decision waits for its own commit.
	saveDeadline = 2 * time.Second
	// wallJump is how far the wall clock may move against the monotonic one until
	// the world is read anew.
	wallJump = 5 * time.Second
)

// Bot supervises one bot. All its decisions are taken on one goroutine, the
// loop; calls and handovers run beside it and report back by [Bot.post].
type Bot struct {
	opt     BotOptions
	host    string // of the webhook's URL
	ledger  Ledger
	health  func() store.Health
	server  *listener // nil for a bot that only polls
	chain   func(now time.Time) Reading
	log     zerolog.Logger
	metrics *botMetrics
	lanes   *dispatch.Dispatcher
	faults  func() []Fault // injected on purpose; nil: never any

	poller *polling.Poller

	posts chan func()    // run on the loop
	calls sync.WaitGroup // calls beside the loop
	work  chan job       // to the worker

	breaker *gobreaker.CircuitBreaker[struct{}] // guards the Bot API
	fail    *failRate                           // of the present registration; changed under mu
	arrived arrivals
	counts  *intakeCounts

	secrets   secrets    // that the listener takes besides the wanted one
	migration *migration // nil for a bot that only polls

	mu   sync.Mutex // guards view, the loop's state for readers, and fail
	view view

	pollMu    sync.Mutex
	completed chan struct{} // closed when a poll completes; nil if nobody waits

	// What follows belongs to the loop.
	state      failover.State
	identity   identity
	dirty      bool // the state in memory is ahead of the disk
	stall      stall
	telegram   telegramErrors
	drift      drift
	driftSince time.Time
	reasserted time.Time // when allowed_updates were last put right
	accepting  time.Time // since when the listener has accepted without a gap
	storeBad   time.Time // when the ledger was last in trouble
	slowCommit time.Time // when a commit last took long
	holeTrip   holeTrip
	probe      probeWatch
	info       infoWatch
	readings   []Reading
	polls      pollWatch
	current    *Handover // the handover under way or just done
	would      string    // the last thing that was decided and not done
	withheld   bool      // in this tick
	vetoed     time.Time // when a veto hook last forbade something
	lost       lossWatch
	orders     orders
	lastTick   time.Time
	lastWall   time.Time
	jump       time.Duration // of the wall clock, not reconciled yet
	rotation   rotation
	skew       time.Duration // Telegram's clock minus ours
	tookOver   bool
	clearSince time.Time // since when no signal has been in doubt
}

func newBot(o BotOptions, server *listener, chain func(time.Time) Reading, health func() store.Health, log zerolog.Logger, m *metrics) (*Bot, error) {
	b := &Bot{
		opt: o, ledger: o.Ledger, health: health, server: server, chain: chain,
		log:      log.With().Str("bot", o.Name).Logger(),
		metrics:  m.bot(o.Name),
		posts:    make(chan func(), 64),
		work:     make(chan job, 16),
		stall:    stall{window: o.Thresholds.Stall},
		telegram: telegramErrors{t: o.Thresholds},
		fail:     newFailRate(o.Thresholds),
		counts:   newIntakeCounts(),
	}
	if o.Webhook != nil {
		u, err := url.Parse(o.Webhook.Params.URL)
		if err != nil {
			return nil, fmt.Errorf("supervisor: bot %s: webhook url: %w", o.Name, err)
		}
		b.host = u.Hostname()
	}
	b.breaker = newStandbyBreaker(o.Thresholds)
	d := o.Delivery
	d.Ledger, d.Handler = o.Ledger, o.Handler
	d.Observe = b.delivered
	lanes, err := dispatch.New(d)
	if err != nil {
		return nil, fmt.Errorf("supervisor: bot %s: %w", o.Name, err)
	}
	b.lanes = lanes
	if b.poller, err = b.newPoller(); err != nil {
		return nil, err
	}
	if b.identity, err = loadIdentity(o.Ledger); err != nil {
		return nil, err
	}
	if o.Webhook != nil && o.Webhook.Prober != nil {
		if b.probe.prober, err = o.Webhook.Prober(b.telegramNow); err != nil {
			return nil, fmt.Errorf("supervisor: bot %s: %w", o.Name, err)
		}
		if err := load(o.Ledger, keyProbe, &b.probe.memory); err != nil {
			return nil, err
		}
		b.probe.pinned, _ = netip.ParseAddr(o.Webhook.Params.IPAddress)
		b.probe.address = b.probe.pinned
		b.probe.judge = probe.Judge{Bad: o.Thresholds.ProbeBad, Of: o.Thresholds.ProbeOf, Impostors: o.Thresholds.ProbeImpostors}
	}
	b.secrets.follow(b.identity, time.Now())
	if o.Webhook != nil {
		if b.migration, err = loadMigration(o.Ledger, o.Webhook.SecretMigration); err != nil {
			return nil, err
		}
	}
	if err := load(o.Ledger, keyOrders, &b.orders); err != nil {
		return nil, err
	}
	var s failover.State
	if err := load(o.Ledger, keyState, &s); err != nil {
		return nil, err
	}
	now := time.Now()
	b.state = b.opt.Policy.Restore(s, now)
	b.arrived.hole.t, b.arrived.redelivery.t = o.Thresholds, o.Thresholds
	if s.Phase != failover.Starting {
		// Telegram may have tried while nobody listened, and now waits.
		b.arrived.refusedAt(now)
	}
	b.publish(now)
	return b, nil
}

// telegramNow is the time by Telegram's clock, as far as it is known.
func (b *Bot) telegramNow() time.Time { return time.Now().Add(b.snapshot().Skew) }

// post hands f to the loop. It returns false if the loop has ended.
func (b *Bot) post(ctx context.Context, f func()) bool {
	select {
	case b.posts <- f:
		return true
	case <-ctx.Done():
		return false
	}
}

// run supervises until the context ends. The webhook stays registered.
func (b *Bot) run(ctx context.Context) error {
	// The worker and the calls end with this context; a handover under way is
	// broken off at its next step and reconciled by the next start.
	ctx, cancel := context.WithCancel(ctx)
	worker := make(chan struct{})
	go func() {
		defer close(worker)
		b.worker(ctx)
	}()
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	b.tick(ctx, time.Now())
	for ctx.Err() == nil {
		select {
		case f := <-b.posts:
			f()
		case <-ticker.C:
			// Not the tick's own time: the loop may have waited for the disk.
			b.tick(ctx, time.Now())
		case <-ctx.Done():
		}
	}
	cancel()
	<-worker
	b.calls.Wait()
	if b.opt.DeleteOnStop && b.state.Phase == failover.Webhook {
		b.deleteOnStop(context.WithoutCancel(ctx))
	}
	if b.dirty {
		last, done := context.WithTimeout(context.WithoutCancel(ctx), saveDeadline)
		defer done()
		if err := b.persist(last, b.state); err != nil {
			return fmt.Errorf("supervisor: bot %s: the last state could not be saved: %w", b.opt.Name, err)
		}
	}
	return nil
}

// deleteOnStop takes the webhook away for an operator who wants that. The next
// start is then like the first one.
func (b *Bot) deleteOnStop(ctx context.Context) {
	c, cancel := context.WithTimeout(ctx, 2*deleteDeadline)
	defer cancel()
	if _, err := b.opt.API.DeleteWebhook(c, false); err != nil {
		b.log.Error().Err(err).Msg("the webhook could not be deleted at the stop and stays registered")
		return
	}
	b.state.Phase, b.state.Resume, b.state.Intent = failover.Starting, failover.Starting, failover.ModeNone
	b.dirty = true
}

// tick judges everything once.
func (b *Bot) tick(ctx context.Context, now time.Time) {
	b.watchClock(ctx, now)
	b.withheld = false
	b.askInfo(ctx, now)
	b.askStandby(ctx, now)
	b.askProbe(ctx, now)
	b.detect(now)
	b.watchPoll(ctx, now)
	if b.state.Phase == failover.Webhook {
		b.judgeTrial(ctx, now)
		if r, ok := tripped(b.readings); ok {
			b.trip(ctx, now, r)
		}
	}
	b.firstUpdates(ctx)
	b.watchMigration(ctx, now)
	b.watchSecret(ctx, now)
	ready, why := b.ready()
	b.step(ctx, failover.Event{Kind: failover.Tick, At: now, Ready: ready, NotReady: why, Drained: b.drained()})
	if b.dirty {
		if err := b.persist(ctx, b.state); err == nil {
			b.dirty = false
		}
	}
	if !b.withheld {
		b.would = "" // what comes again later is news again
	}
	b.watchLoss(ctx, now)
	b.metrics.standby(!b.blind() && b.info.standbyErr == nil)
	b.publish(now)
}

// watchClock notices that the wall clock jumped, which happens when it is set and
// when the host was suspended. What was persisted is wall time, so everything is
// reconciled as at a start, once no job is under way.
func (b *Bot) watchClock(ctx context.Context, now time.Time) {
	wall := b.opt.WallClock().Round(0)
	if !b.lastTick.IsZero() {
		if d := wall.Sub(b.lastWall) - now.Sub(b.lastTick); d > wallJump || d < -wallJump {
			b.log.Warn().Dur("jump", d).Msg("the wall clock jumped: everything is reconciled as at a start")
			b.jump += d
			b.info.soon = true
		}
	}
	b.lastTick, b.lastWall = now, wall
	if b.jump == 0 || b.state.Busy {
		return
	}
	if b.apply(ctx, failover.Event{Kind: failover.ClockJumped, At: now, Epoch: b.state.Epoch,
		Cause: failover.Cause{Name: failover.CauseClockJump, Evidence: b.jump.Round(time.Second).String()}}, nil) == nil {
		b.jump = 0
	}
}

func (b *Bot) trip(ctx context.Context, now time.Time, r Reading) {
	if r.Signal == SignalHole && b.holeTrip.at.IsZero() {
		b.holeTripped(now)
	}
	b.step(ctx, failover.Event{
		Kind: failover.Trip, At: now, Epoch: b.state.Epoch,
		Cause:        failover.Cause{Name: r.Signal, Evidence: r.Evidence},
		Excused:      r.Excused,
		StoreFailing: b.storeBehind(now, r),
		Blind:        b.blind(),
	}, r.Since)
}

// storeCalm is how long the ledger must have been well for a flush to make sense:
// a disk that is nearly full takes a commit now and then.
const storeCalm = 10 * time.Second

// storeBehind tells whether what an excused reading sees is the ledger's doing.
// Where it refuses deliveries again soon after a flush, another round trip would
// bring nothing, and no fault of the path is to be seen. One that is only slow, or
// that Telegram is not backing off from any more, is behind nothing.
func (b *Bot) storeBehind(now time.Time, r Reading) bool {
	switch {
	case !b.health().OK:
		return true
	case !r.Excused || !b.arrived.backingOff(now):
		return false
	}
	return !b.storeBad.IsZero() && now.Sub(b.storeBad) < storeCalm || now.Sub(b.state.LastFlush) < failover.FlushInterval
}

// step applies an event that comes again by itself if its decision could not be
// saved; apply has logged that.
func (b *Bot) step(ctx context.Context, e failover.Event, onset ...time.Time) {
	_ = b.apply(ctx, e, nil, onset...)
}

// apply steps the state and does what comes of it. What a is not nil for is
// saved with the state, or alone if that stays as it is. onset is when what caused
// the event began, if that is known.
func (b *Bot) apply(ctx context.Context, e failover.Event, a *audit, onset ...time.Time) error {
	switch e.Kind {
	case failover.Trip, failover.SetFailed, failover.SetUnknown:
		e.Drill = b.drilled(e.At)
	}
	n, f := b.opt.Policy.Step(b.state, e)
	if f.Would != failover.NoJob {
		b.noteWould(ctx, e.At, f)
	}
	if f.Automatic && !b.asked(ctx, n, f) {
		return nil
	}
	var moved *Event
	if f.Moved {
		cause := n.Cause
		if e.Kind == failover.ClockJumped { // the state keeps what the boot table asks for
			cause = e.Cause
		}
		moved = &Event{At: e.At, Bot: b.opt.Name, Kind: EventPhase, Epoch: n.Epoch,
			From: b.state.Phase.String(), To: n.Phase.String(), Cause: cause.Name, Evidence: cause.Evidence, Drill: n.Drill}
	}
	if f.Persist || a != nil {
		err := b.save(ctx, n, a, moved)
		switch {
		case err == nil:
			b.dirty = false
		case result(e.Kind):
			// What has happened can't be undone by a full disk.
			b.dirty = true
		case a != nil:
			return err // whoever said it says it again
		case errors.Is(err, context.DeadlineExceeded) && n.Phase != failover.ToWebhook:
			// The disk is slow, not broken: what was handed to the ledger is written
			// before anything later is. A restart that does not know of it yet finds
			// the webhook as it was, or deleted, and makes the best of either.
			b.dirty = true
		default:
			// Nothing is begun that a restart would not know of. Whatever called
			// for it calls again.
			b.log.Warn().Err(err).Str("phase", n.Phase.String()).Msg("a decision could not be saved and waits")
			return err
		}
	}
	if a != nil {
		b.orders = a.orders
		b.emit(a.event)
	}
	b.enter(ctx, e, n, f, moved, onset)
	return nil
}

// result tells which events report what has already happened.
func result(k failover.Kind) bool {
	switch k {
	case failover.Polled, failover.PollFailed, failover.SetAcked, failover.SetFailed, failover.SetUnsent, failover.SetUnknown,
		failover.Refused, failover.PollerLost, failover.Proven:
		return true
	}
	return false
}

// enter makes n the state and starts what it calls for.
func (b *Bot) enter(ctx context.Context, e failover.Event, n failover.State, f failover.Effects, moved *Event, onset []time.Time) {
	old := b.state
	b.state = n
	if f.Persist {
		b.metrics.phase(n)
	}
	if moved != nil {
		b.emit(*moved)
	}
	switch {
	case n.Registered != old.Registered && n.Phase == failover.Webhook:
		b.registered(n)
	case e.Kind == failover.Proven && old.Trial && !n.Trial:
		b.record(ctx, Event{At: e.At, Bot: b.opt.Name, Kind: EventTrial, Epoch: n.Epoch,
			Count: b.arrived.count(), Seconds: e.At.Sub(n.Registered).Seconds()})
	}
	if n.Phase == failover.Held && old.Phase != failover.Held {
		b.record(ctx, Event{At: e.At, Bot: b.opt.Name, Kind: EventForeign, Epoch: n.Epoch, Cause: n.Cause.Name, Evidence: n.Cause.Evidence})
	}
	switch {
	case f.Job != failover.NoJob:
		if n.Epoch != old.Epoch {
			b.begin(e, old, n, onset)
		}
		if b.current != nil {
			b.current.Attempts++
		}
		b.order(ctx, b.job(f, n, old))
	case !n.Polls() && old.Polls():
		b.order(ctx, job{stop: true, epoch: n.Epoch})
	}
	b.finish(ctx, e, old, n)
	if moved != nil {
		b.info.soon = true // a new phase looks at the world anew
	}
	b.publish(e.At)
}

// job is the order for what a step asked for. Only a start that finds everything
// as a clean end left it may go on from a stored offset; after a change of mode or
// any doubt the first poll goes from the head.
func (b *Bot) job(f failover.Effects, n, old failover.State) job {
	j := job{kind: f.Job, epoch: n.Epoch, del: f.Delete}
	if old.Phase == failover.Starting && old.Resume == failover.Polling && f.Job == failover.JobToPolling && !f.Delete {
		if offset, ok := b.ledger.PollOffset(); ok {
			j.offset = offset
		}
	}
	return j
}

// persist writes the state.
func (b *Bot) persist(ctx context.Context, s failover.State) error {
	return b.save(ctx, s, nil, nil)
}

// save writes the state, the operator's word and the move that led to it, in one
// transaction.
func (b *Bot) save(ctx context.Context, s failover.State, a *audit, moved *Event) error {
	raw, err := encode(s)
	if err != nil {
		return err
	}
	values := map[string][]byte{keyState: raw}
	var events []Event
	if a != nil {
		if values[keyOrders], err = json.Marshal(a.orders); err != nil {
			return err
		}
		events = append(events, a.event)
	}
	if moved != nil {
		events = append(events, *moved)
	}
	var entries []store.Entry
	for _, e := range events {
		entry, err := e.entry()
		if err != nil {
			return err
		}
		entries = append(entries, entry)
	}
	ctx, cancel := context.WithTimeout(ctx, saveDeadline)
	defer cancel()
	return b.ledger.Save(ctx, values, entries...)
}
