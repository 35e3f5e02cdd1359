package webhook

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
)

// Sentinels, found by errors.Is in what this package returns.
var (
	// ErrListenerLost: the listening socket failed while the server ran.
	ErrListenerLost = errors.New("listener lost")
	// ErrClosed: the server was closed or has already run.
	ErrClosed = errors.New("server closed")
	// ErrRoute: a route is invalid or its path is taken.
	ErrRoute = errors.New("invalid route")
	// ErrOptions: an option is out of range.
	ErrOptions = errors.New("invalid options")
	// ErrCertificate: a certificate pair can't be read, doesn't parse or doesn't
	// match.
	ErrCertificate = errors.New("unusable certificate")
	// ErrRefused: a certificate pair is worse than the one in service.
	ErrRefused = errors.New("certificate refused")
)

// Error is every error that this package returns.
type Error struct {
	Op   string // what was tried: "listen", "accept", "route", "options", "certificate"
	Addr string // the listen address or the file; may be empty
	Hint string // what the operator can do about it; may be empty
	Err  error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("webhook: ")
	b.WriteString(e.Op)
	if e.Addr != "" {
		b.WriteString(" " + e.Addr)
	}
	b.WriteString(": " + e.Err.Error())
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// listenError says what to do about a listen address that can't be had.
func listenError(addr string, err error) error {
	e := &Error{Op: "listen", Addr: addr, Err: err}
	var op *net.OpError
	if errors.As(err, &op) { // it names the address a second time
		e.Err = op.Err
	}
	_, port, _ := net.SplitHostPort(addr)
	var dns *net.DNSError
	var bad *net.AddrError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		e.Hint = fmt.Sprintf("another process listens there; find it with: ss -ltnp 'sport = :%s'", port)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		e.Hint = "ports below 1024 need a privilege: set AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, or listen on 8443"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		e.Hint = "no interface of this host has that address; listen on 0.0.0.0 to take all"
	case errors.Is(err, syscall.EAFNOSUPPORT):
		e.Hint = "this host has no such address family; Telegram connects by IPv4"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		e.Hint = "out of file descriptors; raise LimitNOFILE"
	case errors.As(err, &bad):
		e.Err = errors.New(bad.Err)
		fallthrough
	case errors.As(err, &dns):
		e.Hint = "write the address as IP:port, for example 0.0.0.0:8443"
	}
	return e
}
