package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"dualgram/store"
	"dualgram/transport/webhook"

	"github.com/rs/zerolog"
)

// DefaultShutdownTimeout bounds the drain of the lanes at the end.
const DefaultShutdownTimeout = 15 * time.Second

// Supervisor runs bots.
type Supervisor struct {
	opt       Options
	log       zerolog.Logger
	metrics   *metrics
	listeners map[string]*listener
	order     []*listener
	bots      []*Bot
	started   time.Time
	warned    chan Event // for the journals
}

// New checks the options and takes the listen addresses, so that what can't work
// is known before Telegram is told anything. A Supervisor that is made must be
// run.
func New(ctx context.Context, o Options) (*Supervisor, error) {
	if o.ShutdownTimeout == 0 {
		o.ShutdownTimeout = DefaultShutdownTimeout
	}
	if o.Health == nil {
		o.Health = func() store.Health { return store.Health{OK: true} }
	}
	s := &Supervisor{opt: o, log: o.Logger, listeners: map[string]*listener{}, started: time.Now(), warned: make(chan Event, maxWarned)}
	var err error
	if s.metrics, err = newMetrics(o.Registry); err != nil {
		return nil, err
	}
	for _, lo := range o.Listeners {
		if s.listeners[lo.Address] != nil {
			return nil, errors.Join(fmt.Errorf("supervisor: listener %s is given twice", lo.Address), s.close())
		}
		l := &listener{opt: lo, log: o.Logger, observe: s.metrics.conn, stray: s.metrics.stray}
		if err := l.open(ctx); err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.listeners[lo.Address] = l
		s.order = append(s.order, l)
	}
	for _, bo := range o.Bots {
		if err := s.add(bo); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	s.zeroWarnings()
	if len(o.Listeners) > 0 {
		s.metrics.zeroListener()
	}
	if o.Registry != nil {
		if err := o.Registry.Register(scraped{s}); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

func (s *Supervisor) close() error {
	var errs []error
	for _, l := range s.order {
		errs = append(errs, l.current().Close())
	}
	return errors.Join(errs...)
}

func (s *Supervisor) add(o BotOptions) error {
	if err := o.validate(); err != nil {
		return err
	}
	var l *listener
	var chain func(time.Time) Reading
	if o.Webhook != nil {
		if l = s.listeners[o.Webhook.Listener]; l == nil {
			return fmt.Errorf("supervisor: bot %s: there is no listener %s", o.Name, o.Webhook.Listener)
		}
		chain = chainWatch(l, o, s.metrics)
	}
	b, err := newBot(o, l, chain, s.opt.Health, s.log, s.metrics)
	if err != nil {
		return err
	}
	b.faults = s.opt.Faults
	if l != nil {
		u, _ := url.Parse(o.Webhook.Params.URL) // validated
		path := u.EscapedPath()
		if path == "" {
			path = "/"
		}
		err := l.handle(webhook.Route{
			Bot: o.Name, Path: path, Secrets: b.wanted(), Former: b.secrets.digests, Unsigned: b.migration.open.Load,
			Networks: o.Webhook.Networks, TrustedProxies: o.Webhook.TrustedProxies,
			Sink: b, Observe: b.outcome,
		})
		if err != nil {
			return err
		}
	}
	s.bots = append(s.bots, b)
	return nil
}

// Run supervises until the context ends, and then stops in order: the webhooks
// stay registered, intake goes on while the lanes drain, the listeners close
// last. It returns the first error of a bot that could not go on.
func (s *Supervisor) Run(ctx context.Context) error {
	base := context.WithoutCancel(ctx)
	var listening, loops, lanes sync.WaitGroup
	listenCtx, stopListening := context.WithCancel(base)
	laneCtx, stopLanes := context.WithCancel(base)
	defer stopListening()
	defer stopLanes()
	errs := make(chan error, 2*len(s.bots))

	for _, l := range s.order {
		listening.Go(func() { l.run(listenCtx) })
	}
	loopCtx, stopLoops := context.WithCancel(ctx)
	defer stopLoops()
	loops.Go(func() { s.watchWarnings(loopCtx) })
	loops.Go(func() { s.keepWarnings(loopCtx) })
	for _, b := range s.bots {
		lanes.Go(func() {
			if err := b.lanes.Run(laneCtx); err != nil {
				errs <- fmt.Errorf("supervisor: bot %s: %w", b.opt.Name, err)
			}
		})
		loops.Go(func() {
			if err := b.run(loopCtx); err != nil {
				errs <- err
			}
		})
	}
	<-ctx.Done()
	// Polling and handovers end first; the webhook goes on taking updates while
	// the lanes drain, so that Telegram sees no gap that is not needed.
	stopLoops()
	loops.Wait()
	drainCtx, cancel := context.WithTimeout(base, s.opt.ShutdownTimeout)
	defer cancel()
	var drains sync.WaitGroup
	for _, b := range s.bots {
		drains.Go(func() {
			if left, ok := b.lanes.Drain(drainCtx); !ok {
				b.log.Info().Int("in_flight", left.InFlight).Int("waiting", b.ledger.Stats().Waiting).
					Msg("stopping with updates undelivered: they are kept for the next start")
			}
		})
	}
	drains.Wait()
	stopLanes()
	lanes.Wait()
	stopListening()
	listening.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// Addr returns the address that a listener has in fact, for one that was given
// port 0; nil if there is no such listener.
func (s *Supervisor) Addr(address string) net.Addr {
	l := s.listeners[address]
	if l == nil {
		return nil
	}
	return l.addr()
}

// CountReply counts a Bot API call in a bot's answer to a delivery, which is not
// carried out.
func (s *Supervisor) CountReply(bot string) {
	for _, b := range s.bots {
		if b.opt.Name == bot {
			b.metrics.reply()
		}
	}
}

// Alive returns nil if the loop of every bot has ticked lately.
func (s *Supervisor) Alive(now time.Time) error {
	for _, b := range s.bots {
		if t := b.snapshot().Ticked; now.Sub(t) > aliveWithin {
			return fmt.Errorf("the loop of bot %s has not ticked since %s", b.opt.Name, t.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// aliveWithin is generous: a loop may wait for a slow disk.
const aliveWithin = 15 * time.Second

// Ready returns nil if each listener accepts and the store commits.
func (s *Supervisor) Ready() error {
	if h := s.opt.Health(); !h.OK {
		return fmt.Errorf("the store does not commit: %w", h.Err)
	}
	for _, l := range s.order {
		if !l.Serving() {
			return fmt.Errorf("the listener on %s is not accepting", l.opt.Address)
		}
	}
	return nil
}
