package botapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptrace"
	"os"
	"sync/atomic"
	"syscall"
)

type phase int32

const (
	phaseStart phase = iota
	phaseGetConn
	phaseDNS
	phaseConnect
	phaseTLS
	phaseSend
	phaseWait
	phaseBody
)

func (p phase) name() Phase {
	switch p {
	case phaseDNS:
		return PhaseDNS
	case phaseConnect:
		return PhaseConnect
	case phaseTLS:
		return PhaseTLS
	case phaseSend:
		return PhaseSend
	case phaseWait:
		return PhaseWait
	case phaseBody:
		return PhaseBody
	}
	return PhaseStart
}

// tracker follows one attempt through net/http's trace. Its callbacks may run
// in other goroutines, and after the attempt.
type tracker struct {
	at        atomic.Int32
	reusedC   atomic.Bool
	firstByte atomic.Bool
}

func (t *tracker) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:           func(string) { t.reach(phaseGetConn) },
		DNSStart:          func(httptrace.DNSStartInfo) { t.reach(phaseDNS) },
		ConnectStart:      func(string, string) { t.reach(phaseConnect) },
		TLSHandshakeStart: func() { t.reach(phaseTLS) },
		GotConn: func(i httptrace.GotConnInfo) {
			t.reusedC.Store(i.Reused)
			t.reach(phaseSend)
		},
		WroteRequest: func(i httptrace.WroteRequestInfo) {
			if i.Err == nil {
				t.reach(phaseWait)
			}
		},
		GotFirstResponseByte: func() { t.firstByte.Store(true) },
	})
}

// reach moves the phase forward, never back: a dial that lost against a
// connection that became idle goes on in the background.
func (t *tracker) reach(p phase) {
	for {
		old := t.at.Load()
		if int32(p) <= old || t.at.CompareAndSwap(old, int32(p)) {
			return
		}
	}
}

func (t *tracker) phase() phase   { return phase(t.at.Load()) }
func (t *tracker) reused() bool   { return t.reusedC.Load() }
func (t *tracker) answered() bool { return t.firstByte.Load() }

// maybeWritten reports whether the server may have got the request. Only what
// provably failed before a connection was there is a no; a RoundTripper that
// doesn't trace is a yes.
func (t *tracker) maybeWritten(err error) bool {
	if isDial(err) {
		return false
	}
	switch t.phase() {
	case phaseGetConn, phaseDNS, phaseConnect, phaseTLS:
		return false
	}
	return true
}

func isDial(err error) bool {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return true
	}
	var op *net.OpError
	if errors.As(err, &op) {
		switch op.Op {
		case "dial", "proxyconnect", "socks connect":
			return true
		}
	}
	return false
}

func contextKind(ctx context.Context) Kind {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return KindTimeout
	}
	return KindCanceled
}

// transportKind classifies an error below HTTP by its types, never its text.
func transportKind(ctx context.Context, p phase, err error) Kind {
	if ctx.Err() != nil {
		return contextKind(ctx)
	}
	var (
		dns      *net.DNSError
		verify   *tls.CertificateVerificationError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		alert    tls.AlertError
		timeout  interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &dns):
		return KindDNS
	case errors.As(err, &verify), errors.As(err, &unknown), errors.As(err, &hostname),
		errors.As(err, &invalid), errors.As(err, &record), errors.As(err, &alert):
		return KindTLS
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return KindTimeout
	case errors.Is(err, context.Canceled):
		return KindCanceled
	case errors.Is(err, syscall.ECONNREFUSED):
		return KindRefused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNABORTED):
		return KindReset
	case p == phaseBody:
		// The body ended before its framing said so, or can't be unpacked.
		return KindProtocol
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return KindReset
	case p == phaseTLS:
		return KindTLS
	}
	return KindNetwork
}

// safeCauses are the errors that may be wrapped: values that hold no text of
// the call.
var safeCauses = []error{context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded, io.EOF, io.ErrUnexpectedEOF}

// redactedCause rebuilds err without anything that could hold the URL, such as
// *url.Error.
func (k *call) redactedCause(err error) error {
	if err == nil {
		return nil
	}
	c := &cause{text: k.scrub(err.Error())}
	for _, s := range safeCauses {
		if errors.Is(err, s) {
			c.is = append(c.is, s)
		}
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		c.is = append(c.is, errno)
	}
	return c
}
