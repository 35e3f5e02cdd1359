package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dualgram/supervisor/failover"
	"dualgram/transport/botapi"
	"dualgram/transport/polling"
)

// The named steps of a handover, in their order. The hook is called at each, and
// a crash at any of them is made good by the next start.
const (
	StepIntentPersisted = "intent-persisted"
	StepDeleteSent      = "delete-sent"
	StepDeleteAcked     = "delete-acked"
	StepPageFetched     = "page-fetched"
	StepPageCommitted   = "page-committed"
	StepConfirmSent     = "confirm-sent"
	StepPollerJoined    = "poller-joined"
	StepSetSent         = "set-sent"
	StepSetAcked        = "set-acked"
	StepModePersisted   = "mode-persisted"
)

const (
	// deleteDeadline is the time for deleteWebhook, which is tried twice.
	deleteDeadline = time.Second
	// firstPollPatience is how long a handover waits for the first poll to end.
	// Telegram may answer a conflict 3 s late (Client.cpp:16238-16251).
	firstPollPatience = 6 * time.Second
	// confirmDeadline is the time for the one call that confirms what polling
	// took: the same offset within 3 s makes a short poll wait 3 s
	// (Client.cpp:15714-15719).
	confirmDeadline = 4 * time.Second
	// setPatience is how long a handover waits for setWebhook to answer before
	// it polls again, and setDeadline how long the call itself may take. Telegram
	// looks the host up before it answers.
	setPatience = 3 * time.Second
	setDeadline = 5 * time.Second
	// checkDeadline is the time for a getWebhookInfo within a handover.
	checkDeadline = 2 * time.Second
)

// job is one order to the worker.
type job struct {
	kind  failover.Job
	epoch uint64
	del   bool // delete the webhook, if need be again
	stop  bool // only join the poller
	// offset is where the first poll starts; 0: from the head.
	offset int64
}

// order hands a job to the worker. There is at most one handover under way and one
// order to stop, so the channel has room.
func (b *Bot) order(ctx context.Context, j job) {
	select {
	case b.work <- j:
	case <-ctx.Done():
	}
}

// worker does the jobs one after another, so that set and delete are never sent
// at once and no poller runs beside another. It ends with the context, with the
// poller joined.
func (b *Bot) worker(ctx context.Context) {
	w := worker{Bot: b}
	defer w.joinPoller()
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-b.work:
			e, done := w.do(ctx, j)
			if done {
				b.metrics.attempted(j.kind, e)
				e.At, e.Epoch = time.Now(), j.epoch
				b.post(ctx, func() { b.step(ctx, e) })
			}
		}
	}
}

// worker is what the worker's goroutine alone touches.
type worker struct {
	*Bot
	running *pollerRun
	set     chan error // a setWebhook that nobody waited for any more
}

func (w *worker) do(ctx context.Context, j job) (failover.Event, bool) {
	if j.stop {
		w.joinPoller()
		return failover.Event{}, false
	}
	if w.set != nil {
		// Bounded by setDeadline, and most of that is over.
		if j.kind == failover.JobToWebhook || j.del {
			<-w.set //nolint:errcheck // history by now
			w.set = nil
		}
	}
	if err := w.at(ctx, j, StepIntentPersisted, nil, time.Now()); err != nil {
		return failed(j, err)
	}
	if j.kind == failover.JobToWebhook {
		return w.toWebhook(ctx, j), true
	}
	return w.toPolling(ctx, j), true
}

func failed(j job, err error) (failover.Event, bool) {
	kind := failover.PollFailed
	if j.kind == failover.JobToWebhook {
		kind = failover.SetUnsent
	}
	return failover.Event{Kind: kind, Cause: causeOf(err)}, true
}

func causeOf(err error) failover.Cause {
	if kind := botapi.KindOf(err); kind != "" {
		return failover.Cause{Name: string(kind), Evidence: err.Error()}
	}
	return failover.Cause{Name: "error", Evidence: err.Error()}
}

// at reports a step and calls the hook. began is when the step's own work began.
func (w *worker) at(ctx context.Context, j job, name string, failure error, began time.Time) error {
	now := time.Now()
	s := Step{Name: name, At: now, Seconds: now.Sub(began).Seconds()}
	if failure != nil {
		s.Error = failure.Error()
	}
	w.post(ctx, func() { w.stepped(j.epoch, s) })
	if failure != nil {
		return failure
	}
	return w.opt.Hook.At(ctx, name)
}

// toPolling deletes the webhook and polls from the head. Acknowledgements by
// webhook are per update and those by polling cumulative, so an offset taken from
// what the webhook brought would delete what is still pending.
func (w *worker) toPolling(ctx context.Context, j job) failover.Event {
	if j.del {
		if err := w.deleteWebhook(ctx, j); botapi.KindOf(err) == botapi.KindUnauthorized {
			return failover.Event{Kind: failover.Refused, Cause: causeOf(err)}
		}
		// Any other failure: perhaps it happened. The poll will tell.
	}
	for try := 0; ; try++ {
		err := w.startPoller(ctx, j)
		if err == nil {
			return failover.Event{Kind: failover.Polled}
		}
		w.joinPoller()
		var e *botapi.Error
		switch {
		case errors.As(err, &e) && e.Kind == botapi.KindUnauthorized:
			return failover.Event{Kind: failover.Refused, Cause: causeOf(err)}
		case errors.Is(err, polling.ErrWebhookActive):
			owner, evidence := w.whose(ctx)
			if j.del && try == 0 && (owner == failover.Ours || owner == failover.OursOther || owner == failover.Nobody) {
				if owner != failover.Nobody {
					_ = w.deleteWebhook(ctx, j) // the poll tells whether it happened
				}
				continue
			}
			return failover.Event{Kind: failover.PollFailed, Conflict: true, URL: owner,
				Cause: failover.Cause{Name: string(botapi.ConflictWebhookActive), Evidence: evidence}}
		}
		return failover.Event{Kind: failover.PollFailed, Cause: causeOf(err)}
	}
}

// deleteWebhook tries twice; the second time only if the first may not have
// happened.
func (w *worker) deleteWebhook(ctx context.Context, j job) error {
	var err error
	for range 2 {
		began := time.Now()
		if err = w.at(ctx, j, StepDeleteSent, nil, began); err != nil {
			return err
		}
		c, cancel := context.WithTimeout(ctx, deleteDeadline)
		_, err = w.opt.API.DeleteWebhook(c, false)
		cancel()
		if herr := w.at(ctx, j, StepDeleteAcked, err, began); err == nil {
			return herr
		}
		if ctx.Err() != nil || botapi.KindOf(err) == botapi.KindUnauthorized {
			return err
		}
	}
	return err
}

// whose asks whose webhook is set.
func (w *worker) whose(ctx context.Context) (failover.Owner, string) {
	c, cancel := context.WithTimeout(ctx, checkDeadline)
	defer cancel()
	info, err := w.opt.API.GetWebhookInfo(c)
	if err != nil {
		return failover.Unreachable, err.Error()
	}
	o := make(chan failover.Owner, 1)
	if !w.post(ctx, func() { o <- w.owner(info) }) { // the identity belongs to the loop
		return failover.Unreachable, "stopping"
	}
	select {
	case owner := <-o:
		return owner, w.describe(info, owner)
	case <-ctx.Done():
		return failover.Unreachable, "stopping"
	}
}

// toWebhook joins the poller, confirms what it took, and sets the webhook.
func (w *worker) toWebhook(ctx context.Context, j job) failover.Event {
	began := time.Now()
	polled := w.joinPoller()
	if err := w.at(ctx, j, StepPollerJoined, nil, began); err != nil {
		return failover.Event{Kind: failover.SetUnsent, Cause: causeOf(err)}
	}
	if polled {
		// What this call returns is committed and stays unconfirmed: a busy bot
		// would never give an empty page. It comes again by webhook.
		c, cancel := context.WithTimeout(ctx, confirmDeadline)
		_, err := w.poller.Confirm(c)
		cancel()
		if err != nil && ctx.Err() == nil {
			// Unconfirmed updates come again and are known.
			w.log.Warn().Err(err).Msg("what polling took last could not be confirmed and will come again by webhook")
		}
	}
	params := w.opt.Webhook.params()
	if err := w.intend(ctx, params); err != nil {
		return failover.Event{Kind: failover.SetUnsent, Cause: causeOf(err)}
	}
	began = time.Now()
	if err := w.at(ctx, j, StepSetSent, nil, began); err != nil {
		return failover.Event{Kind: failover.SetUnsent, Cause: causeOf(err)}
	}
	err := w.setWebhook(ctx, params)
	if err != nil {
		_ = w.at(ctx, j, StepSetAcked, err, began)
		return setEvent(err)
	}
	if err := w.acked(ctx, params); err != nil {
		return failover.Event{Kind: failover.SetUnknown, Cause: causeOf(err)}
	}
	if err := w.at(ctx, j, StepSetAcked, nil, began); err != nil {
		return failover.Event{Kind: failover.SetUnknown, Cause: causeOf(err)}
	}
	return failover.Event{Kind: failover.SetAcked}
}

var errNoAnswer = fmt.Errorf("setWebhook was not answered within %v", setPatience)

// setEvent says what a set that was not acknowledged means. One that is refused,
// or displaced by another's, has removed the old webhook before (Client.cpp:15785-15795);
// a call that did not get that far has not.
func setEvent(err error) failover.Event {
	var e *botapi.Error
	kind := failover.SetUnknown
	if errors.As(err, &e) {
		switch {
		case e.Kind == botapi.KindUnauthorized:
			kind = failover.Refused
		case e.MayHaveHappened:
		case e.Kind == botapi.KindBadRequest && e.Code != 0, e.Kind == botapi.KindConflict:
			kind = failover.SetFailed
		default:
			kind = failover.SetUnsent
		}
	}
	return failover.Event{Kind: kind, Cause: causeOf(err)}
}

// setWebhook sends the set and waits for the answer as long as a handover can
// afford; then it returns errNoAnswer. A 429 is obeyed once: Telegram takes one set a second
// (Client.cpp:15733-15739).
func (w *worker) setWebhook(ctx context.Context, params botapi.SetWebhook) error {
	done := make(chan error, 1)
	w.calls.Go(func() {
		c, cancel := context.WithTimeout(ctx, setDeadline)
		defer cancel()
		_, err := w.opt.API.SetWebhook(c, params)
		var e *botapi.Error
		if errors.As(err, &e) && e.Kind == botapi.KindRateLimited && e.RetryAfter <= 2*time.Second {
			select {
			case <-time.After(e.RetryAfter):
				_, err = w.opt.API.SetWebhook(c, params)
			case <-c.Done():
			}
		}
		done <- err
	})
	patience := time.NewTimer(setPatience)
	defer patience.Stop()
	select {
	case err := <-done:
		return err
	case <-patience.C:
		w.set = done
		return errNoAnswer
	}
}

// intend persists the fingerprint of the registration that is about to be sent,
// so that it is known for ours whatever becomes of the answer.
func (w *worker) intend(ctx context.Context, p botapi.SetWebhook) error {
	return w.identify(ctx, func(i *identity) { i.intend(fingerprintOf(p), time.Now()) })
}

// acked persists the fingerprint of the registration that Telegram has taken.
func (w *worker) acked(ctx context.Context, p botapi.SetWebhook) error {
	return w.identify(ctx, func(i *identity) { i.acknowledge(fingerprintOf(p), time.Now()) })
}

// identify changes the identity on disk, then what the listener takes, and then the
// loop's memory.
func (w *worker) identify(ctx context.Context, change func(*identity)) error {
	c, cancel := context.WithTimeout(ctx, saveDeadline)
	defer cancel()
	i, err := loadIdentity(w.ledger)
	if err != nil {
		return err
	}
	change(&i)
	if err := i.save(c, w.ledger); err != nil {
		return err
	}
	w.secrets.follow(i, time.Now())
	w.post(ctx, func() { w.identity = i })
	return nil
}
