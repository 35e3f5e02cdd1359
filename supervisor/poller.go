package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dualgram/supervisor/failover"
	"dualgram/transport"
	"dualgram/transport/botapi"
	"dualgram/transport/polling"
)

// newPoller makes the bot's one poller.
func (b *Bot) newPoller() (*polling.Poller, error) {
	return polling.New(polling.Options{
		API: b.opt.API, Sink: b, AllowedUpdates: b.opt.AllowedUpdates,
		Hook: b.opt.Hook, Observe: b.polled,
	})
}

// pollerRun is one run of the poller.
type pollerRun struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when Run has returned
	err    error         // why, once done is closed
}

// startPoller runs the poller and waits until a poll has completed. It returns
// nil then, and the poller goes on; otherwise the caller joins it.
func (w *worker) startPoller(ctx context.Context, j job) error {
	w.joinPoller()
	began := time.Now()
	c, cancel := context.WithCancel(ctx)
	r := &pollerRun{cancel: cancel, done: make(chan struct{})}
	w.running = r
	completed := make(chan struct{})
	w.watch(completed)
	epoch := j.epoch
	go func() {
		r.err = w.poller.Run(c, polling.Start{Offset: j.offset})
		close(r.done)
		// The loop asks whose webhook is in the way, if that is why.
		w.post(ctx, func() { w.pollerEnded(ctx, epoch, r) })
	}()
	patience := time.NewTimer(firstPollPatience)
	defer patience.Stop()
	defer w.watch(nil)
	select {
	case <-completed:
		return w.at(ctx, j, StepPageCommitted, nil, began)
	case <-r.done:
		return w.at(ctx, j, StepPageCommitted, r.err, began)
	case <-patience.C:
		err := fmt.Errorf("no poll completed within %v: %w", firstPollPatience, orTimeout(w.poller.Progress().Err))
		return w.at(ctx, j, StepPageCommitted, err, began)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func orTimeout(err error) error {
	if err == nil {
		return context.DeadlineExceeded
	}
	return err
}

// joinPoller ends the poller and waits for it; its return is the fence. It tells
// whether one had run.
func (w *worker) joinPoller() bool {
	if w.running == nil {
		return false
	}
	w.running.cancel()
	<-w.running.done
	w.running = nil
	return true
}

// watch names the channel that is closed when the next poll has completed.
func (b *Bot) watch(completed chan struct{}) {
	b.pollMu.Lock()
	defer b.pollMu.Unlock()
	b.completed = completed
}

// polled takes in what the poller does, on the poller's goroutine.
func (b *Bot) polled(e polling.Event) {
	switch e.Kind {
	case polling.EventCommitted, polling.EventDrained:
		b.pollMu.Lock()
		if b.completed != nil {
			close(b.completed)
			b.completed = nil
		}
		b.pollMu.Unlock()
	case polling.EventConflict:
		b.metrics.conflict(e.Conflict)
		if e.Conflict == botapi.ConflictOtherGetUpdates {
			b.mu.Lock()
			b.view.RivalLast = e.ForeignLast
			b.mu.Unlock()
		}
		if e.Conflict == botapi.ConflictOtherGetUpdates && e.ForeignFirst.Equal(e.ForeignLast) {
			b.rival(e.ForeignFirst, "another getUpdates displaced ours: a second instance polls with this token")
		}
	case polling.EventForeignGone:
		b.rival(time.Time{}, fmt.Sprintf("the other poller, seen first at %s, is gone", e.ForeignFirst.UTC().Format(time.RFC3339)))
	case polling.EventStandbyPage, polling.EventStuck:
		b.log.Warn().Str("event", string(e.Kind)).Int("elements", e.Elements).Msg("polling met something that should not be")
	case polling.EventError, polling.EventStoreFailed:
		b.log.Warn().Str("event", string(e.Kind)).AnErr("error", e.Err).Dur("wait", e.Wait).Msg("a poll failed and will be repeated")
	}
}

// rival reports another poller that appeared, or, with the zero time, is gone.
// It is polled against gently and never fought.
func (b *Bot) rival(since time.Time, evidence string) {
	b.mu.Lock()
	b.view.Rival = since
	b.mu.Unlock()
	level := "present"
	if since.IsZero() {
		level = "gone"
	}
	b.emit(Event{At: time.Now(), Bot: b.opt.Name, Kind: EventForeign, Name: "poller", Level: level, Evidence: evidence})
}

// rivalOut forgets another poller once the webhook is set: Telegram now refuses
// getUpdates to everybody (Client.cpp:15703), and our own poller, which would have
// noticed that it is gone, has ended.
func (b *Bot) rivalOut() {
	b.mu.Lock()
	since := b.view.Rival
	b.mu.Unlock()
	if !since.IsZero() {
		b.rival(time.Time{}, fmt.Sprintf("the webhook is set, so the other poller, seen first at %s, gets nothing more", since.UTC().Format(time.RFC3339)))
	}
}

// pollerEnded runs on the loop when the poller has returned. If nobody asked it
// to, something has to be done about it.
func (b *Bot) pollerEnded(ctx context.Context, epoch uint64, r *pollerRun) {
	if b.state.Phase != failover.Polling || b.state.Epoch != epoch || b.state.Busy || errors.Is(r.err, context.Canceled) {
		return
	}
	now := time.Now()
	switch {
	case errors.Is(r.err, polling.ErrUnauthorized):
		b.step(ctx, failover.Event{Kind: failover.Refused, At: now, Epoch: epoch, Cause: causeOf(r.err)})
	case errors.Is(r.err, polling.ErrWebhookActive):
		// Whose it is decides; the next answer of getWebhookInfo tells.
		b.polls.down = now
		b.info.soon = true
	default:
		b.step(ctx, failover.Event{Kind: failover.PollerLost, At: now, Epoch: epoch, Cause: causeOf(r.err)})
	}
}

// pollWatch sees a poll that stays parked although updates are pending: its
// connection is dead without either side knowing.
type pollWatch struct {
	down  time.Time // since when the poller is away because a webhook was active
	call  uint64    // the call that was parked when the first sample came
	seen  int
	since time.Time
	kicks int
}

// sampled takes in one answer of getWebhookInfo in polling mode.
func (p *pollWatch) sampled(sent time.Time, pending int, g polling.Progress) {
	parked := g.Running && g.CallTimeout > 0 && !g.CallStarted.IsZero() && g.CallStarted.Before(sent)
	if pending == 0 || !parked {
		p.seen = 0
		return
	}
	if p.seen == 0 || p.call != g.Calls {
		p.seen, p.call, p.since = 0, g.Calls, sent
	}
	p.seen++
}

// stuck tells that the call which is parked now has been so throughout two
// samples.
func (p *pollWatch) stuck(g polling.Progress) bool {
	return p.seen >= 2 && p.call == g.Calls && !g.CallStarted.IsZero()
}

func (p *pollWatch) read() Reading {
	r := Reading{Signal: SignalPollStall}
	if p.seen > 0 {
		r.Level, r.Since = Suspect, p.since
		r.Evidence = fmt.Sprintf("updates were pending in %d samples while the same poll stayed parked", p.seen)
	}
	if p.seen >= 2 {
		r.Level = Tripped
	}
	return r
}

// pollerMissing is how long a phase of polling may be without a poller. One that ends
// says so, and isn't heard while the handover to polling is still being closed.
// One that found a webhook in its way waits for getWebhookInfo to say whose that is,
// but not for ever: the next attempt asks by itself.
const (
	pollerMissing = time.Second
	pollerUnasked = 5 * time.Second
)

// watchPoll starts a poller that is missing, and repairs a stuck poll: it is cut, and
// the next goes out on new connections.
func (b *Bot) watchPoll(ctx context.Context, now time.Time) {
	if b.state.Phase != failover.Polling {
		b.polls = pollWatch{}
		return
	}
	g := b.poller.Progress()
	missing := now.Sub(b.state.Since) >= pollerMissing
	if !b.polls.down.IsZero() { // getWebhookInfo is to say whose it is
		missing = now.Sub(b.polls.down) >= pollerUnasked
	}
	if !g.Running && !b.state.Busy && missing {
		b.step(ctx, failover.Event{Kind: failover.PollerLost, At: now, Epoch: b.state.Epoch,
			Cause: failover.Cause{Name: "error", Evidence: "the poller is not running"}})
		return
	}
	if !b.polls.stuck(g) {
		return
	}
	b.log.Warn().Msg("updates are pending while the same poll stays parked: polling anew on new connections")
	b.metrics.kicked()
	b.polls.seen = 0
	b.polls.kicks++
	b.poller.Kick()
}

// drained tells whether polling has caught up with Telegram's queue.
func (b *Bot) drained() bool {
	g := b.poller.Progress()
	return b.state.Phase == failover.Polling && g.Running && !g.Draining
}

var _ transport.Sink = (*Bot)(nil)
