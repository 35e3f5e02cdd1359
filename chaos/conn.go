package chaos

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// connRule is what a fault does to connections and to the listener.
type connRule struct {
	hold       bool          // reads wait until the fault is over
	swallow    bool          // writes vanish
	holdWrites bool          // writes wait until the fault is over
	latency    time.Duration // each read and write is that much later
	rate       int64         // > 0: and later by its bytes at so many a second
	piece      int           // > 0: the most that is read or written at once
	loss       float64       // each read and write is late as if packets were lost
	resetAfter int64         // > 0: reset once that many bytes were read

	refuse     bool // new connections are reset, or the socket is closed
	stopAccept bool // new connections are left in the queue

	acceptError syscall.Errno // accepting fails so
}

// conn is an accepted connection. Faults are looked at on each read and write,
// so they act on connections that were there before them.
type conn struct {
	net.Conn
	l      *listener
	rd, wd deadline

	closed    chan struct{}
	closeOnce sync.Once
	dirty     atomic.Bool // held bytes or broken: off the fast path

	mu      sync.Mutex
	marks   map[*fault]*mark
	held    []byte // read from the network, not yet handed out
	heldFor *fault // the latency fault that holds them
	heldTil time.Time
	broken  bool // a fault spoilt the stream; nothing sensible can follow
}

// mark is one fault's verdict on one connection.
type mark struct {
	hit  bool
	read int64 // bytes read since
}

func newConn(c net.Conn, l *listener) *conn {
	return &conn{Conn: c, l: l, closed: make(chan struct{})}
}

// NetConn returns the connection beneath.
func (c *conn) NetConn() net.Conn { return c.Conn }

func (c *conn) quiet() bool { return c.l.reg.load() == nil && !c.dirty.Load() }

// verdict returns the mark of f on this connection if f is live and hits it.
func (c *conn) verdict(f *fault) *mark {
	if !f.live() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.marks[f]
	if m == nil {
		for g := range c.marks {
			if g.ended.Load() {
				delete(c.marks, g)
			}
		}
		m = &mark{hit: f.fire()}
		if c.marks == nil {
			c.marks = make(map[*fault]*mark)
		}
		c.marks[f] = m
	}
	if !m.hit {
		return nil
	}
	return m
}

// find returns the first live fault that hits this connection and whose rule
// satisfies want.
func (c *conn) find(want func(*connRule) bool) *fault {
	t := c.l.reg.load()
	if t == nil {
		return nil
	}
	for _, f := range t.conn {
		if want(f.b.conn) {
			if c.verdict(f) != nil {
				return f
			}
		}
	}
	return nil
}

func holds(r *connRule) bool    { return r.hold }
func stalls(r *connRule) bool   { return r.holdWrites }
func swallows(r *connRule) bool { return r.swallow }
func delays(r *connRule) bool   { return r.latency > 0 || r.loss > 0 || r.rate > 0 }
func cuts(r *connRule) bool     { return r.piece > 0 }

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	for {
		if !c.quiet() {
			n, ok, err := c.readHeld(p)
			if ok || err != nil {
				return n, err
			}
		}
		n, err := c.Conn.Read(c.bite(p))
		if n == 0 || c.quiet() {
			return n, err
		}
		// What arrives under a fault is the fault's: the read may have been
		// blocked since long before it. An error beside the bytes comes again
		// with the next read.
		pass, rerr := c.arrived(p[:n])
		if rerr != nil {
			return 0, rerr
		}
		if pass {
			return n, err
		}
	}
}

// readHeld waits out what keeps reads waiting, and then hands out bytes that
// were read meanwhile. ok is false if there are none.
func (c *conn) readHeld(p []byte) (n int, ok bool, err error) {
	for {
		if err := c.state(); err != nil {
			return 0, false, err
		}
		if f := c.find(holds); f != nil {
			if err := c.rd.wait(c.closed, f.done, time.Time{}); err != nil {
				return 0, false, err
			}
			continue
		}
		c.mu.Lock()
		f, until := c.heldFor, c.heldTil
		if f == nil || !f.live() || !time.Now().Before(until) {
			break
		}
		c.mu.Unlock()
		if err := c.rd.wait(c.closed, f.done, until); err != nil {
			return 0, false, err
		}
	}
	defer c.mu.Unlock()
	if len(c.held) == 0 {
		return 0, false, nil
	}
	n = copy(p, c.held)
	c.held = c.held[n:]
	if len(c.held) == 0 {
		c.held, c.heldFor = nil, nil
		if !c.broken {
			c.dirty.Store(false)
		}
	}
	return n, true, nil
}

// arrived judges bytes that were just read: pass them on, keep them for later,
// or break the connection.
func (c *conn) arrived(p []byte) (pass bool, err error) {
	if t := c.l.reg.load(); t != nil {
		for _, f := range t.conn {
			if n := f.b.conn.resetAfter; n > 0 {
				if m := c.verdict(f); m != nil && c.count(m, len(p)) >= n {
					c.abort()
					return false, f.error(syscall.ECONNRESET)
				}
			}
		}
	}
	hold := c.find(holds)
	slow := c.find(delays)
	if hold == nil && slow == nil {
		return true, nil
	}
	var until time.Time
	if slow != nil {
		until = time.Now().Add(slow.lateness(len(p)))
	}
	c.mu.Lock()
	c.held = append(c.held, p...)
	if slow != nil && (c.heldFor != slow || until.After(c.heldTil)) {
		c.heldFor, c.heldTil = slow, until
	}
	c.dirty.Store(true)
	c.mu.Unlock()
	return false, nil
}

func (c *conn) count(m *mark, n int) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	m.read += int64(n)
	return m.read
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if c.quiet() {
		return c.Conn.Write(p)
	}
	for n := 0; ; {
		m, err := c.write(c.bite(p[n:]))
		if n += m; err != nil || n >= len(p) {
			return n, err
		}
	}
}

// write writes what may be written at once.
func (c *conn) write(p []byte) (int, error) {
	if !c.quiet() {
		late := false
		for {
			if err := c.state(); err != nil {
				return 0, err
			}
			if f := c.find(swallows); f != nil {
				if !f.adopt(c) { // over since; the peer never got these bytes
					c.abort()
					continue
				}
				return len(p), nil
			}
			if f := c.find(stalls); f != nil {
				if err := c.wd.wait(c.closed, f.done, time.Time{}); err != nil {
					return 0, err
				}
				continue
			}
			f := c.find(delays)
			if f == nil || late {
				break
			}
			late = true
			if err := c.wd.wait(c.closed, f.done, time.Now().Add(f.lateness(len(p)))); err != nil {
				return 0, err
			}
		}
	}
	return c.Conn.Write(p)
}

// state returns an error if nothing can be read or written any more.
func (c *conn) state() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken {
		return &net.OpError{Op: "read", Net: "tcp", Addr: c.RemoteAddr(), Err: syscall.ECONNRESET}
	}
	select {
	case <-c.closed:
		return net.ErrClosed
	default:
		return nil
	}
}

// Close implements net.Conn. In a black hole the peer must not see the end of
// the connection, so what is closed there stays open beneath until the fault
// ends or the listener closes, and is reset then.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.closeOnce.Do(func() {
		err = nil
		parked := false
		if !c.quiet() {
			if f := c.find(swallows); f != nil && c.l.park(c) {
				if parked = f.adopt(c); !parked {
					c.l.unpark(c)
				}
			}
		}
		close(c.closed)
		if parked {
			_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // frees a read in progress
			return
		}
		c.l.forget(c)
		err = c.Conn.Close()
		c.letGo()
	})
	return err
}

// CloseWrite sends FIN, if the connection beneath can.
func (c *conn) CloseWrite() error {
	if !c.quiet() {
		if f := c.find(swallows); f != nil && f.adopt(c) {
			return nil
		}
	}
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// abort resets the connection, also one that Close left open.
func (c *conn) abort() {
	c.mu.Lock()
	c.broken = true
	c.dirty.Store(true)
	c.mu.Unlock()
	c.l.forget(c)
	reset(c.Conn)
	c.closeOnce.Do(func() { close(c.closed) })
	c.letGo()
}

// letGo makes the faults forget the connection.
func (c *conn) letGo() {
	c.mu.Lock()
	fs := make([]*fault, 0, len(c.marks))
	for f := range c.marks {
		fs = append(fs, f)
	}
	c.mu.Unlock()
	for _, f := range fs {
		f.disown(c)
	}
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	c.rd.set(t)
	c.wd.set(t)
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.rd.set(t)
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.wd.set(t)
	return c.Conn.SetWriteDeadline(t)
}

// reset closes the innermost connection with a RST where it can be done.
func reset(c net.Conn) {
	for in := c; in != nil; {
		if l, ok := in.(interface{ SetLinger(int) error }); ok {
			_ = l.SetLinger(0)
			_ = in.Close()
			break
		}
		u, ok := in.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		in = u.NetConn()
	}
	_ = c.Close()
}

// accepted finds the wrapped connection in a chain such as *tls.Conn over it.
func accepted(c net.Conn) *conn {
	for c != nil {
		if in, ok := c.(*conn); ok {
			return in
		}
		u, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = u.NetConn()
	}
	return nil
}
