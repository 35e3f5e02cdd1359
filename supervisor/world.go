package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dualgram/supervisor/failover"
	"dualgram/transport/botapi"
	"dualgram/transport/polling"

	"github.com/sony/gobreaker/v2"
)

const (
	// infoHeld is the pause between two getWebhookInfo calls while somebody else
	// owns the bot, or the token is refused: nothing can be done in a hurry.
	infoHeld = 5 * time.Second
	// standbyDeadline must exceed the 3 s by which Telegram delays the second
	// conflict within 3 s (Client.cpp:16238-16251).
	standbyDeadline = 5 * time.Second
	// awayCalls failed in a row mean that Telegram itself is in trouble; one may be
	// lost. awayAftermath is how long that explains that nothing comes: its server
	// begins with one connection, and a new one each 2 s (WebhookActor.cpp:279-294).
	awayCalls     = 2
	awayAftermath = 3 * time.Second
	// settleAfter is how long nothing may have been pending until an open hole
	// can't be filled any more.
	settleAfter = 60 * time.Second
	// ledgerTickEvery is how often the ledger learns Telegram's time.
	ledgerTickEvery = time.Minute
)

// infoWatch is the loop's memory of what Telegram says.
type infoWatch struct {
	flying bool
	soon   bool      // don't wait for the interval
	sent   time.Time // when the last call was sent
	until  time.Time // a 429 forbids calls until then
	asked  uint64

	last    botapi.WebhookInfo
	lastAt  time.Time // when the call that brought it was sent
	lastErr error
	failed  int       // calls in a row
	away    time.Time // when the last of several failed
	owner   failover.Owner
	quiet   time.Time // since when nothing has been pending

	standbyFlying bool
	standbySent   time.Time
	standbyErr    error
	unheard       bool // getWebhookInfo has failed since the standby was last asked
	ledgerTick    time.Time
}

// newStandbyBreaker guards the Bot API, outside of the client's own retries.
// Open means that polling could not take over either.
func newStandbyBreaker(t Thresholds) *gobreaker.CircuitBreaker[struct{}] {
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:    SignalStandby,
		Timeout: t.InfoInterval,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= 3
		},
		IsSuccessful: func(err error) bool {
			switch botapi.KindOf(err) {
			case "": // nil, or an answer that was not expected
				return !errors.Is(err, context.DeadlineExceeded)
			case botapi.KindRateLimited, botapi.KindConflict, botapi.KindUnauthorized, botapi.KindBadRequest:
				return true // it answers
			}
			return false
		},
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
	})
}

// blind tells that the Bot API does not answer. The breaker moves lazily, when
// it is looked at.
func (b *Bot) blind() bool { return b.breaker.State() != gobreaker.StateClosed }

// infoInterval is the present pause between two calls.
func (b *Bot) infoInterval() time.Duration {
	switch b.state.Phase {
	case failover.Held:
		return infoHeld
	case failover.Starting:
		return b.opt.Thresholds.InfoSuspect
	}
	for _, r := range b.readings {
		if r.Level == Clear {
			continue
		}
		switch r.Signal {
		case SignalStore, SignalStandby, SignalDrift:
		case SignalProbe:
			if time.Since(r.Since) < probeHurry {
				return b.opt.Thresholds.InfoSuspect
			}
		default:
			return b.opt.Thresholds.InfoSuspect
		}
	}
	// Up to a tenth sooner, so that many bots that were started together don't
	// ask together for ever.
	d := b.opt.Thresholds.InfoInterval
	return d - time.Duration((b.opt.Policy.Seed+b.info.asked)*7919%100)*d/1000
}

// askInfo calls getWebhookInfo if it is due. One call is under way at a time.
func (b *Bot) askInfo(ctx context.Context, now time.Time) {
	w := &b.info
	if w.flying || now.Before(w.until) || !w.soon && now.Sub(w.sent) < b.infoInterval() {
		return
	}
	w.flying, w.soon, w.sent = true, false, now
	w.asked++
	epoch, deadline := b.state.Epoch, b.opt.Thresholds.InfoDeadline
	b.calls.Go(func() {
		var info botapi.WebhookInfo
		_, err := b.breaker.Execute(func() (struct{}, error) {
			c, cancel := context.WithTimeout(ctx, deadline)
			defer cancel()
			var err error
			info, err = b.opt.API.GetWebhookInfo(c)
			return struct{}{}, err
		})
		b.post(ctx, func() { b.gotInfo(ctx, now, epoch, info, err) })
	})
}

// gotInfo takes in the answer of a call sent at the given time and epoch.
func (b *Bot) gotInfo(ctx context.Context, sent time.Time, epoch uint64, info botapi.WebhookInfo, err error) {
	now := time.Now()
	w := &b.info
	w.flying = false
	if err == nil || w.lastErr == nil || !notAsked(err) { // what was said last stands until somebody is asked again
		w.lastErr = err
	}
	if err != nil {
		w.unheard = true
		w.failed++
		if w.failed >= awayCalls {
			w.away = now
		}
		b.infoFailed(ctx, now, epoch, err)
		return
	}
	w.failed = 0
	w.last, w.lastAt = info, sent
	b.metrics.info(info, now)
	dated := !info.Date.IsZero() && b.clock.answered(info.Date, now)
	switch {
	case info.PendingUpdateCount > 0:
		w.quiet = time.Time{}
	case w.quiet.IsZero():
		w.quiet = sent
	}
	w.owner = b.owner(info)
	current := epoch == b.state.Epoch
	if current && b.state.Phase == failover.Webhook && !sent.Before(b.state.Registered) {
		arrived, busy := b.arrivals()
		x := sample{Sent: sent, Got: now, Pending: info.PendingUpdateCount}
		b.stall.sampled(x, arrived, busy)
		holes, inFlight := b.ledger.Holes(), b.busyWith()
		b.arrived.mu.Lock()
		b.arrived.hole.sampled(x, holes, inFlight)
		b.arrived.mu.Unlock()
		b.metrics.telegramError(b.telegram.sample(info, sent, now, own{
			answered: b.arrived.lastAnswered, storeBad: b.storeBad, listening: b.accepting, registered: b.setAt(), skew: b.clock.skew,
		}))
	}
	b.watchDrift(ctx, now, info)
	b.probe.noteAddress(info.IPAddress, info.URL != "")
	if current && b.state.Phase == failover.Polling {
		b.polls.sampled(sent, info.PendingUpdateCount, b.poller.Progress())
	}
	b.step(ctx, failover.Event{
		Kind: failover.World, At: now, Epoch: epoch, URL: w.owner, SentAt: sent,
		PollerDown: !b.polls.down.IsZero(), Unfit: b.unfit(now),
		Cause: failover.Cause{Evidence: b.describe(info, w.owner)},
	})
	if b.opt.TakeOver && !b.tookOver && b.state.Phase == failover.Held && b.state.Cause.Name == failover.CauseForeign {
		b.tookOver = true
		b.step(ctx, failover.Event{Kind: failover.Operator, At: now, Command: failover.TakeOver,
			Cause: failover.Cause{Name: failover.CauseOperator, Evidence: "take-over at the start of " + b.describe(info, w.owner)}})
	}
	b.tellLedger(ctx, now, info, dated)
}

func (b *Bot) infoFailed(ctx context.Context, now time.Time, epoch uint64, err error) {
	var e *botapi.Error
	if errors.As(err, &e) {
		switch e.Kind {
		case botapi.KindRateLimited:
			b.info.until = now.Add(e.RetryAfter)
			b.log.Warn().Dur("retry_after", e.RetryAfter).Msg("getWebhookInfo is rate limited: what only Telegram can see goes unseen until then")
		case botapi.KindUnauthorized:
			if !b.state.Busy && b.state.Phase != failover.Held {
				b.step(ctx, failover.Event{Kind: failover.Refused, At: now, Epoch: epoch,
					Cause: failover.Cause{Name: failover.CauseUnauthorized, Evidence: e.Error()}})
			}
			return
		}
	}
	if b.state.Phase == failover.Starting {
		b.step(ctx, failover.Event{Kind: failover.World, At: now, Epoch: epoch, URL: failover.Unreachable})
	}
}

// owner says whose webhook the answer shows.
func (b *Bot) owner(info botapi.WebhookInfo) failover.Owner {
	if b.opt.Webhook == nil {
		return b.identity.owner(info, botapi.SetWebhook{})
	}
	return b.identity.owner(info, b.opt.Webhook.params())
}

// describe names a webhook without giving away what is in its path.
func (b *Bot) describe(info botapi.WebhookInfo, o failover.Owner) string {
	switch o {
	case failover.Nobody:
		return "no webhook is set"
	case failover.Foreign:
		return fmt.Sprintf("%s with %d pending", botapi.RedactURL(info.URL), info.PendingUpdateCount)
	}
	return "our webhook is set"
}

// tellLedger gives the ledger Telegram's clock, if that is sure: what it sweeps by
// it is gone. And it settles holes that nothing pending can fill any more.
func (b *Bot) tellLedger(ctx context.Context, now time.Time, info botapi.WebhookInfo, dated bool) {
	w := &b.info
	tick := dated && now.Sub(w.ledgerTick) >= ledgerTickEvery
	settle := !w.quiet.IsZero() && now.Sub(w.quiet) >= settleAfter && b.ledger.Stats().OpenHoles > 0
	if !tick && !settle {
		return
	}
	if tick {
		w.ledgerTick = now
	}
	// Not since it has been quiet: a hole that opened in a quiet hour would never
	// be settled.
	before := w.lastAt.Add(-settleAfter)
	b.calls.Go(func() {
		c, cancel := context.WithTimeout(ctx, saveDeadline)
		defer cancel()
		if tick {
			if err := b.ledger.Tick(c, info.Date); err != nil && c.Err() == nil {
				b.log.Warn().Err(err).Msg("the ledger's upkeep failed and will be tried again")
			}
		}
		if !settle {
			return
		}
		if _, err := b.ledger.SettleHoles(c, before); err != nil && c.Err() == nil {
			b.log.Warn().Err(err).Msg("the ledger's open holes could not be settled and will be tried again")
		}
	})
}

// lossWatch compares the ledger's counts, which a page of getUpdates may raise as
// well as [Ledger.SettleHoles].
type lossWatch struct {
	looked        time.Time
	lost, expired uint64
	known         bool
}

// lossEvery is how often the counts are compared.
const lossEvery = time.Second

// watchLoss reports update_ids that never came and that Telegram no longer has.
func (b *Bot) watchLoss(ctx context.Context, now time.Time) {
	w := &b.lost
	if w.known && now.Sub(w.looked) < lossEvery {
		return
	}
	st := b.ledger.Stats()
	lost, expired := st.Lost-w.lost, st.ExpiredSuspected-w.expired
	news := w.known && lost+expired > 0
	*w = lossWatch{looked: now, lost: st.Lost, expired: st.ExpiredSuspected, known: true}
	if !news {
		return
	}
	b.metrics.lost(int(lost), int(expired))
	b.record(ctx, Event{At: now, Bot: b.opt.Name, Kind: EventLoss, Epoch: b.state.Epoch, Count: int(lost + expired),
		Evidence: fmt.Sprintf("%d lost, %d probably expired before they could be taken", lost, expired)})
}

// notAsked tells that the breaker let nothing through.
func notAsked(err error) bool {
	return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}

// silence says that polling could not take over, and what was heard last.
func (b *Bot) silence() string {
	var heard []string
	for _, err := range []error{b.info.lastErr, b.info.standbyErr} {
		if err != nil && !notAsked(err) && !slices.Contains(heard, err.Error()) {
			heard = append(heard, err.Error())
		}
	}
	s := "the " + b.apiServer() + " does not answer"
	if len(heard) > 0 {
		s += ": " + strings.Join(heard, "; ")
	}
	return s
}

// apiServer names the Bot API server that is asked, for people.
func (b *Bot) apiServer() string {
	if c, ok := b.opt.API.(interface{ Server() string }); ok {
		return "Bot API at " + c.Server()
	}
	return "Bot API"
}

// standbyAfresh is the pause before a failed check of the standby is repeated, once
// the Bot API answers again.
const standbyAfresh = 2 * time.Second

// askStandby checks now and then, in webhook mode, that a poll would be answered.
// The answer wanted is a refusal because the webhook is active, which confirms
// nothing.
func (b *Bot) askStandby(ctx context.Context, now time.Time) {
	w := &b.info
	again := b.opt.Thresholds.StandbyInterval
	if w.unheard && w.standbyErr != nil && w.lastErr == nil && w.lastAt.After(w.standbySent) {
		again = min(again, standbyAfresh)
	}
	if b.state.Phase != failover.Webhook || w.standbyFlying || now.Sub(w.standbySent) < again {
		return
	}
	if w.standbySent.IsZero() || b.state.Registered.After(w.standbySent) {
		// The first check waits for its interval; a registration is busy enough.
		w.standbySent = now
		return
	}
	w.standbyFlying, w.standbySent, w.unheard = true, now, false
	b.calls.Go(func() {
		_, err := b.breaker.Execute(func() (struct{}, error) {
			c, cancel := context.WithTimeout(ctx, standbyDeadline)
			defer cancel()
			return struct{}{}, b.poller.Standby(c)
		})
		b.post(ctx, func() {
			b.info.standbyFlying = false
			if notAsked(err) || errors.Is(err, polling.ErrRunning) {
				return
			}
			b.info.standbyErr = err
		})
	})
}
