package webhook

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Defaults of Options.
const (
	DefaultHandshakeTimeout = 10 * time.Second
	// DefaultHeaderTimeout is more than the 60 s for which Telegram keeps open the
	// connection that it makes when a webhook is set.
	DefaultHeaderTimeout = 75 * time.Second
	// DefaultIdleTimeout leaves it to Telegram to end an idle connection.
	DefaultIdleTimeout = 120 * time.Second
	DefaultBodyTimeout = 10 * time.Second
	// DefaultAcceptTimeout leaves time to answer within Telegram's 60 s.
	DefaultAcceptTimeout   = 50 * time.Second
	DefaultShutdownTimeout = 10 * time.Second
	// DefaultMaxBody is twice what Telegram allows an update to be
	// (512 KiB, TQueue.cpp:86).
	DefaultMaxBody        = 1 << 20
	DefaultMaxHeaderBytes = 16 << 10

	// maxDefaultConns is the cap on connections where descriptors abound; Telegram
	// opens 100 per bot at most, a proxy may hold more.
	maxDefaultConns = 8192
	// fdReserve is how many descriptors are left to the store, the Bot API,
	// the control socket, the bot.
	fdReserve = 64
)

// Options configures a Server. A zero value means the default.
type Options struct {
	// Listen is the address to listen on, as "0.0.0.0:8443"; used if Listener is
	// nil. Listener is a socket that is already there; the server closes it.
	Listen   string
	Listener net.Listener
	// TLS is nil behind a proxy that speaks TLS itself. The server works on a
	// copy that has no version below TLS 1.2 (Telegram's floor) and offers
	// HTTP/1.1 only. What GetConfigForClient returns is the owner's business.
	TLS *tls.Config
	// WrapListener wraps the listener below TLS and below everything else of the
	// server: it hands out the connections as they were accepted.
	WrapListener func(net.Listener) net.Listener
	// WrapRequest, if set, is given each request before anything judges it, and
	// returns the one that is judged: with the same context, body and URL.
	WrapRequest func(*http.Request) *http.Request
	// WrapHandler wraps the intake of authenticated requests and the Probe. What it
	// returns runs after authentication and inside the panic guard; an
	// http.ErrAbortHandler passes through the guard, so that a fault can close a
	// connection without an answer. It must pass the request's context on.
	WrapHandler func(http.Handler) http.Handler
	// MaxConns caps open connections; default: what the limit of file
	// descriptors leaves, at most 8192. A larger value is lowered to that limit.
	MaxConns int

	HandshakeTimeout time.Duration // for the TLS handshake; default 10 s
	HeaderTimeout    time.Duration // for the first request's headers, from the handshake on, and for each later request's from its first bytes on; default 75 s
	IdleTimeout      time.Duration // between requests; default 120 s
	BodyTimeout      time.Duration // for the whole body, from the headers on; default 10 s
	AcceptTimeout    time.Duration // for Sink.Accept; default 50 s
	ShutdownTimeout  time.Duration // how long requests in progress may go on when Run's context has ended; default 10 s
	MaxBody          int           // in bytes; default 1 MiB
	MaxHeaderBytes   int           // default 16 KiB; Telegram's are at most 4096 bytes

	// AllowConn, if set, is asked about a peer that is in no route's networks,
	// where the server would close the connection before TLS; true lets it in as
	// far as the handler, which checks again. It is for our own prober. Those let in
	// by it have half of MaxConns at most, and take no place from others.
	AllowConn func(netip.Addr) bool
	// Exempt, if set, is asked about each request with a route's path; true exempts
	// it from Networks. It must tell our prober's requests by a proof that nobody
	// else can make, and must take the same time for all others.
	Exempt func(*http.Request) bool
	// Probe, if set, answers exempt requests, inside WrapHandler, in place of the
	// intake. They have no Outcome. Without it they go on to the method and secret.
	Probe http.Handler

	// Observe is called for requests that belong to no route (bad_path), as
	// Route.Observe is for the others.
	Observe func(Outcome)
	// ObserveConn is called for what happens below HTTP. It must return quickly.
	ObserveConn func(ConnEvent)
}

func (o *Options) validate() error {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.HandshakeTimeout, DefaultHandshakeTimeout)
	def(&o.HeaderTimeout, DefaultHeaderTimeout)
	def(&o.IdleTimeout, DefaultIdleTimeout)
	def(&o.BodyTimeout, DefaultBodyTimeout)
	def(&o.AcceptTimeout, DefaultAcceptTimeout)
	def(&o.ShutdownTimeout, DefaultShutdownTimeout)
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.MaxHeaderBytes == 0 {
		o.MaxHeaderBytes = DefaultMaxHeaderBytes
	}
	if o.Observe == nil {
		o.Observe = func(Outcome) {}
	}
	if o.ObserveConn == nil {
		o.ObserveConn = func(ConnEvent) {}
	}
	for _, d := range []time.Duration{o.HandshakeTimeout, o.HeaderTimeout, o.IdleTimeout, o.BodyTimeout, o.AcceptTimeout, o.ShutdownTimeout} {
		if d < 0 {
			return fmt.Errorf("%w: negative time-out", ErrOptions)
		}
	}
	switch {
	case o.MaxBody < 0, o.MaxHeaderBytes < 0, o.MaxConns < 0:
		return fmt.Errorf("%w: negative limit", ErrOptions)
	case o.Listener == nil && o.Listen == "":
		return fmt.Errorf("%w: no listen address", ErrOptions)
	case o.TLS != nil && len(o.TLS.Certificates) == 0 && o.TLS.GetCertificate == nil && o.TLS.GetConfigForClient == nil:
		return fmt.Errorf("%w: TLS without a certificate", ErrOptions)
	}
	o.MaxConns = connLimit(o.MaxConns, fdLimit())
	return nil
}

// connLimit returns how many connections to allow when want are asked for (0: as
// many as is sensible) and the process may open fds files (0: unknown).
func connLimit(want int, fds uint64) int {
	most := maxDefaultConns
	switch {
	case fds == 0:
		most = 512
	case fds < 4*fdReserve:
		most = int(max(fds/2, 1))
	case fds-fdReserve < maxDefaultConns || want > maxDefaultConns:
		most = int(min(fds-fdReserve, 1<<30))
	}
	if want > 0 {
		return min(want, most)
	}
	return most
}
