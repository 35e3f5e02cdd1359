package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// connect dials addr.
func (a *attempt) connect(network, addr string) (net.Conn, *failure) {
	a.result.Address, _ = netip.ParseAddrPort(addr)
	conn, err := a.p.o.Dial(a.ctx, network, addr)
	if err != nil {
		reason, what := connectReason(err)
		return nil, &failure{StageConnect, reason, fmt.Sprintf(what, addr)}
	}
	if ra := conn.RemoteAddr(); ra != nil {
		if ap, err := netip.ParseAddrPort(ra.String()); err == nil {
			a.result.Address = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
		}
	}
	return conn, nil
}

// connectReason says why a connection couldn't be had; what is a sentence with a
// place for the address.
func connectReason(err error) (reason Reason, what string) {
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	var dns *net.DNSError
	switch {
	case is(syscall.EMFILE, syscall.ENFILE):
		return ReasonLocal, "out of file descriptors, so that %s couldn't be dialled: raise LimitNOFILE"
	case is(syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE):
		return ReasonLocal, "out of memory or ports on this host, so that %s couldn't be dialled"
	case is(syscall.EACCES, syscall.EPERM):
		return ReasonLocal, "this host's firewall or sandbox forbids connections to %s: allow them, or set probe.dial"
	case is(syscall.ECONNREFUSED):
		return ReasonRefused, "nothing listens at %s: start what should (the proxy, the port's forwarding), or correct public_url"
	case is(syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN):
		return ReasonUnreachable, "no way from this host to %s: look at its routes and at the firewall"
	case is(syscall.ECONNRESET):
		return ReasonReset, "%s resets connections: look at the proxy or firewall there"
	case timedOut(err):
		return ReasonConnectTimeout, "no answer from %s: a firewall drops the packets, or the host is down; " +
			"if it answers from elsewhere, this network can't reach its own public address: set probe.dial"
	case errors.As(err, &dns):
		return ReasonConnectFailed, "the name in %s isn't known: write probe.dial as IP:port"
	}
	return ReasonConnectFailed, "no connection to %s could be had"
}

// timedOut reports whether err is the end of the probe's time, or the kernel's.
func timedOut(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) ||
		errors.As(err, &ne) && ne.Timeout()
}

// closed reports whether the peer ended the connection.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// reset reports whether the peer broke the connection off.
func reset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.EPIPE)
}

// hurry makes reading and writing fail when ctx ends. The function that it returns
// ends its watch.
func hurry(ctx context.Context, conn net.Conn) (stop func()) {
	fired := make(chan struct{})
	undo := context.AfterFunc(ctx, func() {
		defer close(fired)
		_ = conn.SetDeadline(time.Unix(1, 0))
	})
	return func() {
		if !undo() {
			<-fired
		}
	}
}
