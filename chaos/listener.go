package chaos

import (
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// maxParked bounds the connections that a black hole keeps open after the
	// server has closed them; what comes on top is really closed. It keeps the
	// fault from becoming a descriptor leak under a flood.
	maxParked = 1024
	// reopenFor is how long a listener that net.refuse closed tries to get its
	// address back before the server is told.
	reopenFor = 5 * time.Second
)

// Listener returns ln with the net.* faults and tls.handshake_stall in it. It
// belongs directly above the socket, beneath TLS. net.refuse can only reset
// connections that the kernel has already taken; see ReopenListener.
func (s *Scope) Listener(ln net.Listener) net.Listener { return s.ReopenListener(ln, nil) }

// ReopenListener is as Listener, but net.refuse really closes the socket, so
// that peers see ECONNREFUSED, and calls reopen when the fault is over. reopen
// must listen on the same address: the one that was bound, not port 0. It is
// tried for five seconds; then Accept returns its error.
func (s *Scope) ReopenListener(ln net.Listener, reopen func() (net.Listener, error)) net.Listener {
	if !s.Enabled() {
		return ln
	}
	l := &listener{
		reg: s, reopen: reopen, inner: ln, addr: ln.Addr(),
		conns: make(map[*conn]struct{}), parked: make(map[*conn]struct{}), done: make(chan struct{}),
	}
	s.attach(seamConn)
	s.mu.Lock()
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	return l
}

type listener struct {
	reg    *Scope
	reopen func() (net.Listener, error)
	addr   net.Addr
	done   chan struct{}

	mu        sync.Mutex
	inner     net.Listener // nil while net.refuse has it closed
	refusedBy *fault
	closed    bool
	conns     map[*conn]struct{}
	parked    map[*conn]struct{}
	queued    *queued
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		inner, err := l.current()
		if err != nil {
			return nil, err
		}
		if err := l.lost(); err != nil {
			return nil, err
		}
		raw, err := l.take(inner)
		if err != nil {
			if l.swapped(inner) {
				continue
			}
			if lost := l.lost(); lost != nil {
				return nil, lost
			}
			return nil, err
		}
		c := newConn(raw, l)
		if f := c.find(func(r *connRule) bool { return r.acceptError == syscall.EMFILE }); f != nil {
			l.putBack(raw, f)
			return nil, l.acceptError(f)
		}
		if f := c.find(func(r *connRule) bool { return r.stopAccept }); f != nil {
			// This one was in the kernel's queue and goes back to where nobody
			// looks; those behind it stay in the queue.
			select {
			case <-f.done:
			case <-l.done:
				_ = raw.Close()
				return nil, net.ErrClosed
			}
		}
		if f := c.find(func(r *connRule) bool { return r.refuse }); f != nil {
			reset(raw)
			continue
		}
		l.mu.Lock()
		if l.closed {
			l.mu.Unlock()
			_ = raw.Close()
			return nil, net.ErrClosed
		}
		l.conns[c] = struct{}{}
		l.mu.Unlock()
		return c, nil
	}
}

// lost returns the error of a live fault that has taken the socket away.
func (l *listener) lost() error {
	t := l.reg.load()
	if t == nil {
		return nil
	}
	for _, f := range t.conn {
		if f.b.conn.acceptError == syscall.EINVAL && f.fire() {
			return l.acceptError(f)
		}
	}
	return nil
}

func (l *listener) acceptError(f *fault) error {
	return &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: f.error(os.NewSyscallError("accept4", f.b.conn.acceptError))}
}

// queued is a connection that could not be accepted, as the kernel keeps it.
type queued struct {
	net.Conn
	by *fault
}

// take returns the connection that waits, or else the next one. While what holds
// it back goes on it returns that error again.
func (l *listener) take(inner net.Listener) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queued
	if q == nil {
		l.mu.Unlock()
		c, err := inner.Accept()
		l.mu.Lock()
		return c, err
	}
	if q.by.live() {
		return nil, l.acceptError(q.by)
	}
	l.queued = nil
	return q.Conn, nil
}

func (l *listener) putBack(raw net.Conn, f *fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = raw.Close()
		return
	}
	l.queued = &queued{raw, f}
}

// current returns the socket to accept on. While net.refuse has it closed it
// waits for the end of the fault and opens it again.
func (l *listener) current() (net.Listener, error) {
	var since time.Time
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		if t := l.reg.load(); t != nil {
			for _, f := range t.conn { // one that is older than the listener
				l.shut(f)
			}
		}
		l.mu.Lock()
		inner, f := l.inner, l.refusedBy
		l.mu.Unlock()
		if inner != nil {
			return inner, nil
		}
		select {
		case <-l.done:
			return nil, net.ErrClosed
		case <-f.done:
		}
		if since.IsZero() {
			since = time.Now()
		}
		ln, err := l.reopen()
		if err == nil {
			l.mu.Lock()
			if !l.closed {
				l.inner, l.refusedBy = ln, nil
				ln = nil
			}
			l.mu.Unlock()
			if ln != nil {
				_ = ln.Close()
			}
			continue
		}
		if time.Since(since) >= reopenFor {
			return nil, fmt.Errorf("chaos: reopen %v after %s: %w", l.addr, f.info.Kind, err)
		}
		t := time.NewTimer(wait)
		select {
		case <-l.done:
		case <-t.C:
		}
		t.Stop()
	}
}

// swapped reports whether Accept failed because net.refuse closed the socket.
func (l *listener) swapped(inner net.Listener) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed && l.inner != inner
}

// injected is called when a fault has become active.
func (l *listener) injected(f *fault) {
	if !l.reg.holds(f) {
		return
	}
	l.shut(f)
	if !l.reg.opts.Leashed && f.b.conn != nil && f.b.conn.acceptError == syscall.EINVAL {
		l.mu.Lock()
		inner := l.inner
		l.mu.Unlock()
		if inner != nil {
			_ = inner.Close() // what waits in Accept is told
		}
	}
	if !f.b.kick {
		return
	}
	l.mu.Lock()
	all := make([]*conn, 0, len(l.conns))
	for c := range l.conns {
		all = append(all, c)
	}
	l.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

// shut closes the socket if f refuses every connection and the socket can be
// had back.
func (l *listener) shut(f *fault) {
	if l.reopen == nil || l.reg.opts.Leashed || f.b.conn == nil || !f.b.conn.refuse || f.spec.Share < 1 || f.spec.Count > 0 || !f.live() {
		return
	}
	l.mu.Lock()
	inner := l.inner
	if l.closed || inner == nil || !f.fire() {
		l.mu.Unlock()
		return
	}
	l.inner, l.refusedBy = nil, f
	l.mu.Unlock()
	_ = inner.Close()
}

// park keeps a connection that the server has closed.
func (l *listener) park(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.parked) >= maxParked {
		return false
	}
	delete(l.conns, c)
	l.parked[c] = struct{}{}
	return true
}

func (l *listener) unpark(c *conn) {
	l.mu.Lock()
	delete(l.parked, c)
	l.mu.Unlock()
}

func (l *listener) forget(c *conn) {
	l.mu.Lock()
	delete(l.conns, c)
	delete(l.parked, c)
	l.mu.Unlock()
}

// Close implements net.Listener. Connections that the server still uses stay,
// as with any listener.
func (l *listener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return net.ErrClosed
	}
	l.closed = true
	inner, waits := l.inner, l.queued
	l.queued = nil
	parked := make([]*conn, 0, len(l.parked))
	for c := range l.parked {
		parked = append(parked, c)
	}
	l.mu.Unlock()
	close(l.done)

	l.reg.mu.Lock()
	delete(l.reg.listeners, l)
	l.reg.mu.Unlock()
	l.reg.detach(seamConn)
	for _, c := range parked {
		c.abort()
	}
	if waits != nil {
		_ = waits.Close()
	}
	if inner == nil {
		return nil
	}
	return inner.Close()
}

// Addr implements net.Listener: the address that was bound at first.
func (l *listener) Addr() net.Addr { return l.addr }
