package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server listens on one address for the webhooks of one or more bots. Make it
// with New, add routes, and Run it. All methods may be called at any time from
// any goroutine.
type Server struct {
	o     Options
	tls   *tls.Config // nil: plain
	ln    net.Listener
	ready *handoff
	http  *http.Server
	conns *conns

	// wrapped is what an authenticated request goes through if there is a
	// WrapHandler, and nil otherwise.
	wrapped http.Handler

	table      atomic.Pointer[table]
	handshakes atomic.Int64
	pool       sync.Pool // of *request
	gate       gate

	// base is the context of commits; it outlives requests whose client has gone.
	base   context.Context
	cancel context.CancelFunc

	mu     sync.Mutex // guards changes of table, and the following
	state  runState
	finish chan struct{} // closed by Close
}

type runState uint8

const (
	stateNew runState = iota
	stateRunning
	stateOver
)

// New checks the options and takes the listen address, so that a port in use is
// known before a webhook is registered for it. A server that isn't run must be
// closed.
func New(o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, &Error{Op: "options", Err: err}
	}
	ln := o.Listener
	if ln == nil {
		var err error
		if ln, err = new(net.ListenConfig).Listen(context.Background(), "tcp", o.Listen); err != nil {
			return nil, listenError(o.Listen, err)
		}
	}
	addr := ln.Addr()
	if o.WrapListener != nil {
		ln = o.WrapListener(ln)
	}
	s := &Server{
		o:      o,
		tls:    serverTLS(o.TLS),
		ln:     ln,
		ready:  newHandoff(addr),
		conns:  &conns{epoch: time.Now(), limit: o.MaxConns},
		finish: make(chan struct{}),
	}
	s.gate.idle = make(chan struct{})
	s.pool.New = func() any { return new(request) }
	s.base, s.cancel = context.WithCancel(context.Background())
	s.table.Store(&table{})
	if o.WrapHandler != nil {
		s.wrapped = o.WrapHandler(http.HandlerFunc(s.inner))
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	s.http = &http.Server{
		Handler:                      http.HandlerFunc(s.serve),
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            o.HeaderTimeout,
		IdleTimeout:                  o.IdleTimeout,
		// A peer that doesn't read its answer must not hold the request for ever.
		WriteTimeout:   o.BodyTimeout + o.AcceptTimeout + 15*time.Second,
		MaxHeaderBytes: o.MaxHeaderBytes,
		Protocols:      &protocols,
		ErrorLog:       log.New(complaints(s.o.ObserveConn), "", 0),
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, below(nc))
		},
		ConnState: func(nc net.Conn, state http.ConnState) {
			if c := below(nc); c != nil && state == http.StateIdle {
				c.wait()
			}
		},
	}
	return s, nil
}

type connKey struct{}

// complaints is where net/http logs. What comes here is neither a failed handshake
// nor a panic of a handler, both are handled before it.
type complaints func(ConnEvent)

func (f complaints) Write(b []byte) (int, error) {
	f(ConnEvent{Kind: ConnServer, Err: errors.New(string(bytes.TrimSpace(b[:min(len(b), 200)])))})
	return len(b), nil
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.ready.addr }

// MaxConns returns how many connections may be open at once.
func (s *Server) MaxConns() int { return s.o.MaxConns }

// Handle adds a route, or replaces the one of the same bot; requests in progress
// end on the one they began on.
func (s *Server) Handle(r Route) error {
	err := r.validate()
	if err == nil {
		err = s.change(func(routes map[string]*route) {
			rt := &route{Route: r, flight: new(flight)}
			if old := routes[r.Bot]; old != nil {
				rt.flight = old.flight
			}
			routes[r.Bot] = rt
		})
	}
	if err != nil {
		return &Error{Op: "route", Err: fmt.Errorf("%w of bot %q: %w", ErrRoute, r.Bot, err)}
	}
	return nil
}

// Remove takes a bot's route away; requests in progress end normally, later ones
// get 404. It reports whether there was a route.
func (s *Server) Remove(bot string) bool {
	had := false
	// Fewer routes can't collide.
	_ = s.change(func(routes map[string]*route) {
		_, had = routes[bot]
		delete(routes, bot)
	})
	return had
}

func (s *Server) change(edit func(map[string]*route)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	routes := maps.Clone(s.table.Load().byBot)
	if routes == nil {
		routes = make(map[string]*route)
	}
	edit(routes)
	t, err := newTable(routes)
	if err == nil {
		s.table.Store(t)
	}
	return err
}

// InFlight returns the bot's authenticated requests in progress, oldest first.
func (s *Server) InFlight(bot string) []InFlight {
	if rt := s.table.Load().byBot[bot]; rt != nil {
		return rt.flight.list(bot)
	}
	return nil
}

// Arrivals returns when the bot's authenticated requests arrived. It is cheap.
func (s *Server) Arrivals(bot string) Arrivals {
	if rt := s.table.Load().byBot[bot]; rt != nil {
		return rt.flight.arrivals()
	}
	return Arrivals{}
}

// ConnStats counts connections.
type ConnStats struct {
	Open       int // including those in the handshake
	Known      int // of these, how many have carried an authenticated request
	Handshakes int // in progress
}

// ConnStats returns the present counts.
func (s *Server) ConnStats() ConnStats {
	open, known := s.conns.count()
	return ConnStats{Open: open, Known: known, Handshakes: int(s.handshakes.Load())}
}

// CloseConns closes every accepted connection and returns how many there were: a
// changed certificate shows only on new ones. Commits in progress go on; their
// updates come again and are duplicates then.
func (s *Server) CloseConns() int {
	all := s.conns.where(func(*conn) bool { return true })
	for _, c := range all {
		c.Close()
	}
	return len(all)
}

// Run serves until ctx ends, and returns nil then: it stops listening, lets
// requests in progress end for ShutdownTimeout, then cuts them off and cancels
// their commits. If the listener is lost, ObserveConn is told at once, and Run
// returns an *Error with ErrListenerLost within a second. When Run has returned,
// no Sink is called any more, no goroutine of the server is left and all
// connections are closed.
func (s *Server) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.state != stateNew {
		s.mu.Unlock()
		return &Error{Op: "run", Addr: s.Addr().String(), Err: ErrClosed}
	}
	s.state = stateRunning
	s.mu.Unlock()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lost := make(chan error, 1)
	served := make(chan struct{})
	go func() { lost <- s.acceptLoop(ctx, s.ln) }()
	go func() {
		defer close(served)
		_ = s.http.Serve(s.ready) // ErrServerClosed, or handoff's net.ErrClosed
	}()

	var failed error
	grace := s.o.ShutdownTimeout
	select {
	case <-ctx.Done():
		s.ln.Close()
		<-lost //nolint:errcheck // we closed it
	case <-s.finish:
		cancel()
		s.ln.Close()
		<-lost //nolint:errcheck // we closed it
	case err := <-lost:
		s.ln.Close()
		if ctx.Err() == nil {
			failed = &Error{Op: "accept", Addr: s.Addr().String(), Err: fmt.Errorf("%w: %w", ErrListenerLost, err),
				Hint: "listen again; the updates are safe at Telegram"}
			grace = min(grace, time.Second)
			s.o.ObserveConn(ConnEvent{Kind: ConnLost, Err: failed})
		}
	}
	s.shutdown(grace)
	<-served
	s.mu.Lock()
	s.state = stateOver
	s.mu.Unlock()
	return failed
}

// shutdown ends what is in progress; nothing new is accepted any more.
func (s *Server) shutdown(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	// Shutdown would wait 5 s for connections that never sent anything, of which
	// Telegram keeps one.
	for _, c := range s.conns.where(func(c *conn) bool { return !c.used.Load() }) {
		c.Close()
	}
	if err := s.http.Shutdown(ctx); err != nil {
		s.cancel()
		s.http.Close()
	}
	s.gate.close()
	s.cancel()
	s.CloseConns()
}

// Close gives up the listen address of a server that wasn't run, and makes Run
// return as the end of its context does. It doesn't wait for Run.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.finish:
		return nil
	default:
	}
	close(s.finish)
	if s.state == stateNew {
		s.state = stateOver
		s.cancel()
		if err := s.ln.Close(); err != nil {
			return &Error{Op: "close", Addr: s.Addr().String(), Err: err}
		}
	}
	return nil
}

// gate lets requests in until it is closed, and closing waits until all are out.
type gate struct {
	n    atomic.Int64 // how many are in; below zero once closed
	idle chan struct{}
	once sync.Once
}

const gateClosed = -1 << 62

func (g *gate) enter() bool {
	if g.n.Add(1) > 0 {
		return true
	}
	g.leave()
	return false
}

func (g *gate) leave() {
	if g.n.Add(-1) == gateClosed {
		g.once.Do(func() { close(g.idle) })
	}
}

func (g *gate) close() {
	if g.n.Add(gateClosed) == gateClosed {
		g.once.Do(func() { close(g.idle) })
	}
	<-g.idle
}
