package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// acceptLoop accepts connections until the listener fails, and returns why. What
// passes the gate goes to s.ready, after its handshake if there is TLS.
func (s *Server) acceptLoop(ctx context.Context, ln net.Listener) error {
	var handshakes sync.WaitGroup
	defer handshakes.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var pause time.Duration
	for {
		nc, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if !momentary(err) {
				return err
			}
			s.o.ObserveConn(ConnEvent{Kind: ConnAccept, Err: err})
			if c := s.conns.oldestStranger(); c != nil && outOfFiles(err) {
				s.evict(c)
			}
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			continue
		}
		pause = 0
		c := s.admit(nc)
		if c == nil {
			continue
		}
		if s.tls == nil {
			c.wait()
			s.ready.put(c)
			continue
		}
		handshakes.Go(func() { s.handshake(ctx, c) })
	}
}

// admit decides whether a new connection may stay; nil if it was closed.
func (s *Server) admit(nc net.Conn) *conn {
	c, guest := s.conns.wrap(nc), false
	if gate := s.table.Load().gate; gate != nil && !contains(gate, c.peer) {
		if guest = s.o.AllowConn != nil && s.o.AllowConn(c.peer); !guest {
			s.o.ObserveConn(ConnEvent{Kind: ConnRefused, Remote: c.remote})
			c.Close()
			return nil
		}
	}
	evicted, added := s.conns.add(c, guest)
	if evicted != nil {
		s.evict(evicted)
	}
	if !added {
		s.o.ObserveConn(ConnEvent{Kind: ConnOverLimit, Remote: c.remote})
		c.Close()
		return nil
	}
	return c
}

func (s *Server) evict(c *conn) {
	s.o.ObserveConn(ConnEvent{Kind: ConnEvicted, Remote: c.remote})
	c.Close()
}

// handshake does the TLS handshake of c and hands it on, or closes it.
func (s *Server) handshake(ctx context.Context, c *conn) {
	s.handshakes.Add(1)
	defer s.handshakes.Add(-1)
	tc := tls.Server(c, s.tls)
	err := func() (err error) {
		defer func() {
			if p := recover(); p != nil { // of the owner's certificate hooks
				err = newPanicError(p)
			}
		}()
		ctx, cancel := context.WithTimeout(ctx, s.o.HandshakeTimeout)
		defer cancel()
		return tc.HandshakeContext(ctx)
	}()
	if err != nil {
		if ctx.Err() == nil {
			s.o.ObserveConn(ConnEvent{Kind: ConnHandshake, Reason: handshakeReason(c, err), Remote: c.remote, Err: err})
		}
		c.Close()
		return
	}
	c.wait()
	s.ready.put(tc)
}

// serverTLS returns the owner's TLS configuration as the server uses it.
func serverTLS(owner *tls.Config) *tls.Config {
	if owner == nil {
		return nil
	}
	cfg := owner.Clone()
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	cfg.NextProtos = []string{"http/1.1"}
	next := cfg.GetConfigForClient
	cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		if c := below(h.Conn); c != nil { // crypto/tls has no error value for it
			c.oldTLS = !slices.ContainsFunc(h.SupportedVersions, func(v uint16) bool { return v >= cfg.MinVersion })
		}
		if next == nil {
			return nil, nil
		}
		return next(h)
	}
	return cfg
}

func handshakeReason(c *conn, err error) string {
	var record tls.RecordHeaderError
	var op *net.OpError
	var crash *PanicError
	switch {
	case errors.As(err, &crash):
		return "panic"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.As(err, &record):
		if looksLikeHTTP(record.RecordHeader) {
			return "plain_http"
		}
		return "not_tls"
	case errors.As(err, &op) && op.Op == "remote error":
		return "alert"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "closed"
	case c.oldTLS:
		return "old_version"
	}
	return "failed"
}

func looksLikeHTTP(head [5]byte) bool {
	switch string(head[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "CONNE":
		return true
	}
	return false
}

// momentary reports whether accepting may work again after a while.
func momentary(err error) bool {
	for _, e := range []error{syscall.ECONNABORTED, syscall.EINTR, syscall.EAGAIN, syscall.ENOBUFS, syscall.ENOMEM, os.ErrDeadlineExceeded} {
		if errors.Is(err, e) {
			return true
		}
	}
	return outOfFiles(err)
}

func outOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// handoff is the listener that net/http gets: it yields connections that are
// ready for HTTP.
type handoff struct {
	addr net.Addr
	ch   chan net.Conn
	done chan struct{}
	once sync.Once
}

func newHandoff(addr net.Addr) *handoff {
	return &handoff{addr: addr, ch: make(chan net.Conn), done: make(chan struct{})}
}

func (h *handoff) put(c net.Conn) {
	select {
	case h.ch <- c:
	case <-h.done:
		c.Close()
	}
}

// Accept implements net.Listener.
func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.ch:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handoff) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr implements net.Listener.
func (h *handoff) Addr() net.Addr { return h.addr }
