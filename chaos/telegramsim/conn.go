package telegramsim

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"
)

// phase is how far a connection has come; it decides what a timeout is called.
type phase uint8

const (
	phaseConnect phase = iota
	phaseTLS
	phaseIdle
	phaseWrite
	phaseRead
)

// hookConn is one connection to a webhook. Two goroutines serve it: one
// connects and writes, one reads. All fields are under the lock of Sim.
type hookConn struct {
	a        *actor
	id       int
	gen      int
	phase    phase
	raw      net.Conn
	ev       *outgoing // in flight
	attempt  int       // index of its attempt
	started  time.Time
	dead     bool
	timer    *time.Timer
	cancel   context.CancelFunc
	requests [][]byte      // given, not yet written; one may come before the connection stands
	wake     chan struct{} // cap 1
}

// dial starts a connection.
func (a *actor) dial() {
	a.made++
	a.b.counters.Dials++
	ctx, cancel := context.WithCancel(a.s.ctx)
	c := &hookConn{a: a, id: a.made, gen: a.ipGen, cancel: cancel, wake: make(chan struct{}, 1)}
	a.conns[c.id] = c
	a.ready = append(a.ready, c)
	c.arm()
	to := netip.AddrPortFrom(a.ip, a.hook.url.port).String()
	a.s.spawn(func() { c.run(ctx, to) })
}

// arm starts the one timer anew: for connecting, for an answer, for idling.
func (c *hookConn) arm() {
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer = c.a.s.timer(connectionLife, c.expire)
}

// expire ends a connection whose timer ran out (HttpConnectionBase.cpp:84-94).
func (c *hookConn) expire() {
	if c.dead {
		return
	}
	text := ""
	switch c.phase {
	case phaseConnect:
		if c.a.hook.url.https || c.ev != nil { // there is something to write
			text = c.a.s.knobs.connectTimeout()
		}
	case phaseTLS:
		if c.ev != nil {
			text = "Read timeout expired"
		}
	case phaseWrite:
		text = "Write timeout expired"
	case phaseRead:
		text = "Read timeout expired"
	case phaseIdle:
	}
	c.a.hangup(c, text)
}

// kill ends the goroutines of the connection. TLS is not told.
func (c *hookConn) kill() {
	if c.dead {
		return
	}
	c.dead = true
	c.timer.Stop()
	raw := c.raw
	c.a.s.later(func() {
		c.cancel()
		if raw != nil {
			_ = raw.Close()
		}
	})
}

// enter moves to a phase and reports whether the connection still counts.
func (c *hookConn) enter(p phase, raw net.Conn) bool {
	c.a.s.lock()
	defer c.a.s.unlock()
	if c.dead {
		return false
	}
	if raw != nil {
		c.raw = raw
	}
	c.phase = p
	return true
}

func (c *hookConn) lost(err error) {
	c.a.s.lock()
	defer c.a.s.unlock()
	c.a.hangup(c, c.a.s.knobs.errorText(err))
}

func (c *hookConn) run(ctx context.Context, to string) {
	defer c.cancel()
	dial := c.a.s.o.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	raw, err := dial(ctx, "tcp", to)
	if err != nil {
		c.lost(err)
		return
	}
	defer raw.Close()
	if !c.enter(phaseTLS, raw) {
		return
	}
	conn := raw
	if c.a.hook.url.https {
		t := tls.Client(raw, c.a.tlsConfig())
		if err := t.Handshake(); err != nil {
			c.lost(err)
			return
		}
		conn = t
	}
	if !c.enter(phaseIdle, nil) {
		return
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		c.read(conn)
	}()
	defer func() {
		_ = raw.Close()
		<-read
	}()
	for {
		select {
		case <-c.wake:
			req := c.next()
			if req == nil {
				return
			}
			if _, err := conn.Write(req); err != nil {
				c.lost(err)
				return
			}
			if !c.written() {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// give hands over a request. The lock is held.
func (c *hookConn) give(req []byte) {
	c.requests = append(c.requests, req)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// next takes what is to be written, nil if the connection is dead.
func (c *hookConn) next() []byte {
	c.a.s.lock()
	defer c.a.s.unlock()
	if c.dead {
		return nil
	}
	c.phase = phaseWrite
	req := bytes.Join(c.requests, nil)
	c.requests = nil
	return req
}

// written notes that the request has left, unless it was answered already.
func (c *hookConn) written() bool {
	c.a.s.lock()
	defer c.a.s.unlock()
	if c.phase == phaseWrite {
		c.phase = phaseRead
	}
	return !c.dead
}

// read takes answers until the connection ends.
func (c *hookConn) read(conn net.Conn) {
	br := bufio.NewReaderSize(conn, 16<<10)
	for {
		r, err := readResponse(br)
		if err != nil {
			c.lost(err)
			return
		}
		c.a.s.lock()
		if c.dead {
			c.a.s.unlock()
			return
		}
		c.phase = phaseIdle
		c.arm()
		c.a.handle(c, r)
		c.a.s.unlock()
	}
}
