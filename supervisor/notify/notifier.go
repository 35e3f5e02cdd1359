package notify

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// look is how often it is looked what is so.
	look = time.Second
	// sendDeadline bounds one message, with its repetitions.
	sendDeadline = 30 * time.Second
	// After a failure the next attempt waits for backoffMin, doubled up to backoffMax;
	// longer if the receiver asks for it. So a channel that stays down fails at least
	// three times in each quarter of an hour, which is what an alert can count.
	backoffMin = 15 * time.Second
	backoffMax = 4 * time.Minute
)

// Sender brings a message to somebody. Its error is an [*Error]; a sender that can
// be sure that the message did not arrive need not say so. It obeys its context.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// Channel is a [Sender] with the name that labels its log and metrics.
type Channel struct {
	Name   string
	Sender Sender
}

// Report is what became of a message.
type Report struct {
	Channel string
	Message Message
	Err     error
	// Failures counts those in a row, with this one.
	Failures int
}

// Options is what a [Notifier] is made of.
type Options struct {
	Rules    Rules
	Channels []Channel
	// Host and Version stand in each message.
	Host, Version string
	// Look returns what is so at the time.
	Look func(now time.Time) Snapshot
	// Observe is told of each attempt; nil: nobody is. It must not block.
	Observe func(Report)
	Logger  zerolog.Logger
}

// Notifier tells what begins and ends on all channels.
type Notifier struct{ opt Options }

// New makes a notifier.
func New(o Options) *Notifier {
	if o.Observe == nil {
		o.Observe = func(Report) {}
	}
	return &Notifier{opt: o}
}

// Run works until the context ends; what is then on its way is given up.
func (n *Notifier) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, c := range n.opt.Channels {
		wg.Go(func() { n.serve(ctx, c) })
	}
	wg.Wait()
}

func (n *Notifier) serve(ctx context.Context, c Channel) {
	book := NewBook(n.opt.Rules, time.Now())
	var again time.Time
	failures := 0
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		book.See(n.opt.Look(now), now)
		if now.Before(again) {
			continue
		}
		m, due := book.Next(now)
		if !due {
			continue
		}
		err := n.send(ctx, c, m, failures)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			failures = 0
			book.Sent(m, time.Now())
			continue
		}
		failures++
		book.Failed(m)
		again = time.Now().Add(patience(err, failures))
	}
}

// patience is how long a channel is left alone after so many failures in a row.
func patience(err error, failures int) time.Duration {
	wait := backoffMin << min(failures-1, 10)
	wait = min(wait, backoffMax)
	var e *Error
	if errors.As(err, &e) {
		wait = max(wait, e.RetryAfter)
	}
	return wait
}

// send sends one message, and tells what became of it.
func (n *Notifier) send(ctx context.Context, c Channel, m Message, failures int) error {
	m.Host, m.Version = n.opt.Host, n.opt.Version
	limited, cancel := context.WithTimeout(ctx, sendDeadline)
	defer cancel()
	err := c.Sender.Send(limited, m)
	if ctx.Err() != nil {
		return err
	}
	log := n.opt.Logger.With().Str("event", "notification").Str("channel", c.Name).Str("id", m.ID).Int("warnings", len(m.Items)).Logger()
	switch {
	case err == nil:
		log.Info().Str("status", m.Status).Msg("notification sent")
	case failures == 0:
		l := log.Error().Err(err)
		var e *Error
		if errors.As(err, &e) && e.Hint != "" {
			l = l.Str("fix", e.Hint)
		}
		l.Msg("a notification could not be sent, and is tried again until it can")
	default:
		log.Debug().Err(err).Int("failures", failures+1).Msg("a notification could not be sent again")
	}
	if err != nil {
		failures++
	} else {
		failures = 0
	}
	n.opt.Observe(Report{Channel: c.Name, Message: m, Err: err, Failures: failures})
	return err
}

// Test sends a message that says that it is a test on each channel, at once and one
// after another, and reports what became of each.
func (n *Notifier) Test(ctx context.Context, report func(Report)) {
	for _, c := range n.opt.Channels {
		m := Test(time.Now())
		m.Host, m.Version = n.opt.Host, n.opt.Version
		limited, cancel := context.WithTimeout(ctx, sendDeadline)
		report(Report{Channel: c.Name, Message: m, Err: c.Sender.Send(limited, m)})
		cancel()
	}
}
