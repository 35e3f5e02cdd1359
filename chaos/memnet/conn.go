package memnet

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// bufferSize is how many bytes one direction holds before Write blocks.
const bufferSize = 64 << 10

// pair is one connection: two ends under one lock. Lock order: pair, network.
type pair struct {
	n    *Network
	mu   sync.Mutex
	cond *sync.Cond
	ends [2]*Conn
}

// segment is bytes, or the end of the stream, on their way to one end.
type segment struct {
	at   time.Time
	data []byte
	end  error // io.EOF for FIN, ECONNRESET for RST
}

// Conn is one end of a connection. It implements net.Conn and the methods of
// *net.TCPConn that servers look for.
type Conn struct {
	p             *pair
	peer          *Conn
	id            int64
	local, remote netip.AddrPort
	owner         *Process

	// All below under p.mu.
	in      []segment
	size    int // bytes in in
	last    time.Time
	ended   error // the end of the stream, once read
	closed  bool
	silent  bool // the machine lost power: neither FIN nor RST leaves it
	finSent bool
	told    bool // ECONNRESET was reported; further writes get EPIPE
	linger  int
	rd, wd  deadline
}

type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *deadline) set(p *pair, t time.Time) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = t
	if t.IsZero() {
		return
	}
	if wait := time.Until(t); wait > 0 {
		d.timer = time.AfterFunc(wait, p.wake)
	}
}

func (p *pair) wake() {
	p.mu.Lock()
	p.cond.Broadcast()
	p.mu.Unlock()
}

func (c *Conn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// arrived reports whether a segment has reached this end.
func (c *Conn) arrived(s segment) bool {
	return !time.Now().Before(s.at) && !c.p.n.linkOf(c.local, c.remote).blackhole
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, c.fail("read", net.ErrClosed)
		case c.rd.passed():
			return 0, c.fail("read", os.ErrDeadlineExceeded)
		case len(b) == 0:
			return 0, nil
		case c.ended == io.EOF:
			return 0, io.EOF
		case c.ended != nil:
			c.told = true
			return 0, c.fail("read", os.NewSyscallError("read", c.ended))
		}
		if len(c.in) > 0 && c.arrived(c.in[0]) {
			if s := c.in[0]; s.end != nil {
				c.ended = s.end
				c.in = c.in[1:]
				continue
			}
			n := 0
			for n < len(b) && len(c.in) > 0 && c.in[0].end == nil && !time.Now().Before(c.in[0].at) {
				k := copy(b[n:], c.in[0].data)
				n += k
				if c.in[0].data = c.in[0].data[k:]; len(c.in[0].data) == 0 {
					c.in[0] = segment{}
					c.in = c.in[1:]
				}
			}
			c.size -= n
			c.p.cond.Broadcast()
			return n, nil
		}
		c.p.cond.Wait()
	}
}

// reset reports whether a RST has arrived, read or not.
func (c *Conn) reset() bool {
	if c.ended != nil {
		return c.ended != io.EOF
	}
	if len(c.in) == 0 {
		return false
	}
	s := c.in[len(c.in)-1]
	return s.end != nil && s.end != io.EOF && c.arrived(s)
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	n := 0
	for {
		switch {
		case c.closed:
			return n, c.fail("write", net.ErrClosed)
		case c.reset():
			err := syscall.EPIPE
			if !c.told {
				c.told, err = true, syscall.ECONNRESET
			}
			return n, c.fail("write", os.NewSyscallError("write", err))
		case c.finSent:
			return n, c.fail("write", os.NewSyscallError("write", syscall.EPIPE))
		case c.wd.passed():
			return n, c.fail("write", os.ErrDeadlineExceeded)
		case len(b) == n:
			return n, nil
		}
		l := c.p.n.linkOf(c.local, c.remote)
		if c.peer.closed && !c.peer.silent && !l.blackhole {
			// Nobody is there to read: the bytes are lost and a RST comes back.
			c.push(c, segment{end: syscall.ECONNRESET}, 2*l.latency)
			return len(b), nil
		}
		if room := bufferSize - c.peer.size; room > 0 {
			k := min(room, len(b)-n)
			c.push(c.peer, segment{data: append([]byte(nil), b[n:n+k]...)}, l.latency)
			n += k
			continue
		}
		c.p.cond.Wait()
	}
}

// push sends a segment to an end of the pair. Nothing follows the end of a
// stream, except that a RST may follow a FIN.
func (c *Conn) push(to *Conn, s segment, delay time.Duration) {
	if to.closed && s.end == nil {
		if to.silent {
			to.size += len(s.data) // fills the sender's window, for good
		}
		return
	}
	if k := len(to.in); k > 0 && to.in[k-1].end != nil && (s.end != syscall.ECONNRESET || to.in[k-1].end == s.end) {
		return
	}
	now := time.Now()
	s.at = now
	if delay > 0 {
		s.at = now.Add(delay + time.Duration(c.id%1000)*17)
	}
	if !s.at.After(to.last) {
		s.at = to.last
		if to.last.After(now) {
			s.at = s.at.Add(1)
		}
	}
	to.last = s.at
	to.size += len(s.data)
	if s.end == syscall.ECONNRESET && to.ended == io.EOF {
		to.ended = nil
	}
	to.in = append(to.in, s)
	if wait := s.at.Sub(now); wait > 0 {
		time.AfterFunc(wait, c.p.wake)
	}
	c.p.cond.Broadcast()
}

func (c *Conn) latency() time.Duration { return c.p.n.linkOf(c.local, c.remote).latency }

// CloseWrite sends FIN; reading goes on.
func (c *Conn) CloseWrite() error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	if !c.finSent {
		c.finSent = true
		c.push(c.peer, segment{end: io.EOF}, c.latency())
	}
	return nil
}

// Close implements net.Conn. The peer sees the end of the stream, or ECONNRESET
// if received bytes were left unread or SetLinger(0) was called.
func (c *Conn) Close() error { return c.shut(false, false) }

// Reset closes the connection with a RST, as SetLinger(0) and Close do.
func (c *Conn) Reset() error { return c.shut(true, false) }

func (c *Conn) shut(rst, silent bool) error {
	c.p.mu.Lock()
	if c.closed {
		c.p.mu.Unlock()
		return c.fail("close", net.ErrClosed)
	}
	rst = rst || c.linger == 0 || c.size > 0
	switch {
	case silent:
		c.silent = true
	case rst:
		c.push(c.peer, segment{end: syscall.ECONNRESET}, c.latency())
	case !c.finSent:
		c.push(c.peer, segment{end: io.EOF}, c.latency())
	}
	c.closed = true
	if !silent {
		c.in, c.size = nil, 0
	}
	c.rd.set(c.p, time.Time{})
	c.wd.set(c.p, time.Time{})
	both := c.peer.closed
	c.p.cond.Broadcast()
	c.p.mu.Unlock()
	if both {
		c.p.n.forget(c.p)
	}
	return nil
}

// cut resets both ends at once, whatever the latency.
func (p *pair) cut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := false
	for _, c := range p.ends {
		if !c.closed {
			c.last = time.Time{}
			c.in, c.size = nil, 0
			c.ended = syscall.ECONNRESET
			done = true
		}
	}
	p.cond.Broadcast()
	return done
}

// SetLinger with 0 makes Close send a RST; other values change nothing.
func (c *Conn) SetLinger(sec int) error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.linger = sec
	return nil
}

// LocalAddr implements net.Conn; the address is a *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// RemoteAddr implements net.Conn; the address is a *net.TCPAddr.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadline(t, &c.rd, &c.wd) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(t, &c.rd) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, &c.wd) }

func (c *Conn) setDeadline(t time.Time, ds ...*deadline) error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.closed {
		return c.fail("set", net.ErrClosed)
	}
	for _, d := range ds {
		d.set(c.p, t)
	}
	c.p.cond.Broadcast()
	return nil
}

// SetKeepAlive is accepted and does nothing.
func (c *Conn) SetKeepAlive(bool) error { return nil }

// SetNoDelay is accepted and does nothing.
func (c *Conn) SetNoDelay(bool) error { return nil }
