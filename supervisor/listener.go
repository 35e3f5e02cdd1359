package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"dualgram/transport/webhook"

	"github.com/rs/zerolog"
)

// reopenEvery is the pause between two attempts to get a lost listener back.
const reopenEvery = time.Second

// listener keeps one address served: a server that loses its socket is replaced
// by a new one with the same routes.
type listener struct {
	opt     ListenerOptions
	log     zerolog.Logger
	observe func(webhook.ConnEvent)
	stray   func(webhook.Outcome)

	chains chainMemo

	mu      sync.Mutex
	server  *webhook.Server
	routes  []webhook.Route
	serving bool
	failed  time.Time // when a connection could last not be accepted
}

// open takes the address, so that a port in use is known before any webhook is
// registered for it.
func (l *listener) open(ctx context.Context) error {
	listen := l.opt.Listen
	o := webhook.Options{
		Listen: l.opt.Address, TLS: l.opt.TLS, MaxConns: l.opt.MaxConns,
		WrapListener: l.opt.WrapListener, WrapRequest: l.opt.WrapRequest, WrapHandler: l.opt.WrapHandler, AllowConn: l.opt.AllowConn,
		Observe: l.stray, ObserveConn: l.connEvent,
	}
	if r := l.opt.Responder; r != nil {
		o.Probe, o.Exempt = r, r.Exempt
		// Our own probe may come from an address that nobody else may use, and can
		// be told only once it speaks.
		o.AllowConn = func(a netip.Addr) bool {
			return r.Busy() || l.opt.AllowConn != nil && l.opt.AllowConn(a)
		}
	}
	if listen != nil {
		ln, err := listen(ctx, l.opt.Address)
		if err != nil {
			return fmt.Errorf("supervisor: listen on %s: %w", l.opt.Address, err)
		}
		o.Listener = ln
	}
	s, err := webhook.New(o)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.routes {
		if err := s.Handle(r); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	l.server = s
	l.serving = true // the kernel accepts from here on
	return nil
}

// handle adds a bot's route.
func (l *listener) handle(r webhook.Route) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.server.Handle(r); err != nil {
		return err
	}
	l.routes = append(l.routes, r)
	return nil
}

// run serves until the context ends, and gets a lost listener back.
func (l *listener) run(ctx context.Context) {
	for {
		err := l.current().Run(ctx)
		l.setServing(false)
		if ctx.Err() != nil {
			return
		}
		l.log.Error().Err(err).Str("listen", l.opt.Address).Msg("the listener is lost and will be reopened")
		for {
			select {
			case <-time.After(reopenEvery):
			case <-ctx.Done():
				return
			}
			if err = l.open(ctx); err == nil {
				break
			}
			l.log.Error().Err(err).Str("listen", l.opt.Address).Msg("the listener can't be reopened yet")
		}
	}
}

func (l *listener) current() *webhook.Server {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.server
}

func (l *listener) setServing(v bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serving = v
}

// connEvent takes in what happened below HTTP.
func (l *listener) connEvent(e webhook.ConnEvent) {
	if e.Kind == webhook.ConnAccept {
		l.mu.Lock()
		l.failed = time.Now()
		l.mu.Unlock()
	}
	l.observe(e)
}

// refusing is when a connection could last not be accepted for want of file
// descriptors or memory; zero if that never happened.
func (l *listener) refusing() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// Serving tells whether connections are accepted.
func (l *listener) Serving() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.serving
}

func (l *listener) Arrivals(bot string) webhook.Arrivals   { return l.current().Arrivals(bot) }
func (l *listener) InFlight(bot string) []webhook.InFlight { return l.current().InFlight(bot) }

// addr is the address in use, which tells the port where 0 was asked for.
func (l *listener) addr() net.Addr { return l.current().Addr() }
