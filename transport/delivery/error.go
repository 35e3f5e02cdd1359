package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// Kind is the class of a failed delivery. Its values are stable: they label
// metrics and are stored with the update.
type Kind string

// The kinds of failure.
const (
	// KindRefused: nobody listens at the bot's address.
	KindRefused Kind = "refused"
	// KindUnreachable: there is no way to the bot's address.
	KindUnreachable Kind = "unreachable"
	// KindTimeout: the bot did not answer in time.
	KindTimeout Kind = "timeout"
	// KindDNS: the bot's name did not resolve.
	KindDNS Kind = "dns"
	// KindTLS: the handshake failed or the certificate was not accepted.
	KindTLS Kind = "tls"
	// KindReset: the connection ended before the bot answered.
	KindReset Kind = "reset"
	// KindStatus: the bot answered with another status than 2xx. A redirect is
	// one of these; it is not followed.
	KindStatus Kind = "status"
	// KindHandler: a Go handler returned an error.
	KindHandler Kind = "handler"
	// KindPanic: a Go handler panicked or ended its goroutine.
	KindPanic Kind = "panic"
	// KindDiskFull: the file could not grow.
	KindDiskFull Kind = "disk_full"
	// KindIO: any other failure of a connection or file.
	KindIO Kind = "io"
	// KindCanceled: the delivery was cut short from outside, by a stop. It says
	// nothing about the bot.
	KindCanceled Kind = "canceled"
)

// Error is a delivery that failed.
type Error struct {
	Op   string // "forward", "ndjson" or "handle"
	Kind Kind
	// Status is the HTTP status, if Kind is KindStatus.
	Status int
	// Target is the URL (without userinfo and query, and with anything shaped
	// like a token replaced) or the path; empty for a Go handler.
	Target string
	// Detail is safe to show: it holds nothing that the bot or Telegram sent.
	Detail string
	// Err is the cause. Its own text is not shown, because a Go handler's error
	// can quote a message; it is here for errors.Is and errors.As. Forward and
	// NDJSON keep only causes whose text is safe.
	Err error
}

// Error says what failed and what to look at, and nothing of any content.
func (e *Error) Error() string {
	s := "delivery: " + e.Op
	if e.Target != "" {
		s += " to " + e.Target
	}
	s += ": " + e.sentence()
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	return s
}

// Unwrap returns the cause, if it was kept.
func (e *Error) Unwrap() error { return e.Err }

func (e *Error) sentence() string {
	switch e.Kind {
	case KindRefused:
		return "connection refused: is the bot running and listening there?"
	case KindUnreachable:
		return "no route to the bot: check the address and the network"
	case KindTimeout:
		return "the bot did not take the update in time"
	case KindDNS:
		return "the bot's host name does not resolve"
	case KindTLS:
		return "TLS handshake failed"
	case KindReset:
		return "the bot closed the connection without an answer"
	case KindStatus:
		if e.Status >= 300 && e.Status < 400 {
			return fmt.Sprintf("the bot answered %d: redirects are not followed, configure the final URL", e.Status)
		}
		return fmt.Sprintf("the bot answered %d, not 2xx", e.Status)
	case KindHandler:
		return "the handler returned an error"
	case KindPanic:
		return "the handler panicked"
	case KindDiskFull:
		return "no space left: free some, the update is kept and written then"
	case KindCanceled:
		return "cut short by a stop"
	default:
		return "input or output failed"
	}
}

// KindOf returns the kind of a delivery's error: [KindHandler] if it is not an
// [*Error], and "" for nil.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.DeadlineExceeded):
		return KindTimeout
	case errors.Is(err, context.Canceled):
		return KindCanceled
	default:
		return KindHandler
	}
}

// classify makes a handler's error an *Error. An *Error passes as it is: the
// handlers of this package know best.
func classify(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	e = &Error{Op: "handle", Kind: KindHandler, Detail: fmt.Sprintf("%T", err), Err: err}
	switch ctx.Err() {
	case context.DeadlineExceeded:
		e.Kind = KindTimeout
	case context.Canceled:
		e.Kind = KindCanceled
	}
	return e
}

// ioKind sorts an error of a connection. What it can't name is KindIO: it never
// looks at an error's text.
func ioKind(ctx context.Context, err error) (Kind, error) {
	var (
		dns   *net.DNSError
		shake handshakeError
		alert tls.AlertError
		rec   tls.RecordHeaderError
		no    syscall.Errno
		nerr  net.Error
	)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return KindCanceled, context.Canceled
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return KindTimeout, context.DeadlineExceeded
	case errors.As(err, &dns):
		return KindDNS, nil
	case errors.As(err, &shake), errors.As(err, &alert), errors.As(err, &rec):
		return KindTLS, nil
	case errors.As(err, &no):
		switch no {
		case syscall.ECONNREFUSED:
			return KindRefused, no
		case syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EADDRNOTAVAIL:
			return KindUnreachable, no
		case syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED:
			return KindReset, no
		case syscall.ETIMEDOUT:
			return KindTimeout, no
		case syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG:
			return KindDiskFull, no
		}
		return KindIO, no
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &nerr) && nerr.Timeout():
		return KindTimeout, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return KindReset, nil
	default:
		return KindIO, nil
	}
}
