package webhook

import (
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// conn is an accepted connection, below TLS.
type conn struct {
	net.Conn
	set    *conns
	peer   netip.Addr // the zero Addr if it isn't an IP address
	remote string     // peer as text

	// waiting is true from the end of the handshake, or of an answer, until the
	// next byte; first is when that byte came, since set.epoch. used is true after
	// the first such byte.
	waiting atomic.Bool
	used    atomic.Bool
	first   atomic.Int64

	proven atomic.Bool // has carried an authenticated request

	// Under set.mu.
	list       *connList
	prev, next *conn

	oldTLS bool // the client offers nothing that we allow; set in the handshake
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && c.waiting.Load() && c.waiting.CompareAndSwap(true, false) {
		c.first.Store(int64(time.Since(c.set.epoch)))
		c.used.Store(true)
	}
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.set.remove(c)
	return c.Conn.Close()
}

// CloseWrite sends FIN, where the connection can: net/http does it so that an
// answer isn't lost to a RST when it hangs up on unread bytes.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// wait marks the connection as waiting for a request.
func (c *conn) wait() { c.waiting.Store(true) }

// started returns when the first byte of the request came whose headers were
// complete at headersAt.
func (c *conn) started(headersAt time.Time) time.Time {
	if c.waiting.Load() { // it was read ahead together with what was before it
		return headersAt
	}
	return c.set.epoch.Add(time.Duration(c.first.Load()))
}

// prove keeps the connection from being evicted.
func (c *conn) prove() {
	if !c.proven.Load() && c.proven.CompareAndSwap(false, true) {
		c.set.prove(c)
	}
}

// below returns the conn under what net/http got; nil if it is none of ours.
func below(nc net.Conn) *conn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	c, _ := nc.(*conn)
	return c
}

// conns is the set of open connections.
type conns struct {
	epoch time.Time
	limit int

	mu       sync.Mutex
	guest    connList // those that only AllowConn let in, and have proved nothing; oldest first
	stranger connList // the others that have proved nothing, oldest first
	known    connList
}

// connList is a list in the order of acceptance.
type connList struct {
	head, tail *conn
	n          int
}

func (l *connList) push(c *conn) {
	c.list, c.prev, c.next = l, l.tail, nil
	if l.tail != nil {
		l.tail.next = c
	} else {
		l.head = c
	}
	l.tail = c
	l.n++
}

func (l *connList) drop(c *conn) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.head = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.tail = c.prev
	}
	c.list, c.prev, c.next = nil, nil, nil
	l.n--
}

// wrap makes a conn of nc that is not in the set.
func (s *conns) wrap(nc net.Conn) *conn {
	c := &conn{Conn: nc, set: s}
	c.peer, c.remote = peerOf(nc)
	return c
}

// add takes c in. If there is no room, evicted is the connection that had to go, for
// the caller to close; added is false if none could. Guests have half of the room,
// and make room for others, never others for them.
func (s *conns) add(c *conn, guest bool) (evicted *conn, added bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if full := s.total() >= s.limit; full || guest && s.guest.n >= max(s.limit/2, 1) {
		if evicted = s.guest.head; evicted == nil && !guest {
			evicted = s.stranger.head
		}
		if evicted == nil {
			return nil, false
		}
		evicted.list.drop(evicted)
	}
	if guest {
		s.guest.push(c)
	} else {
		s.stranger.push(c)
	}
	return evicted, true
}

func (s *conns) total() int { return s.guest.n + s.stranger.n + s.known.n }

func (s *conns) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.list != nil {
		c.list.drop(c)
	}
}

func (s *conns) prove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.list == &s.stranger || c.list == &s.guest {
		c.list.drop(c)
		s.known.push(c)
	}
}

// oldestStranger takes out of the set the oldest connection that has proved
// nothing; nil if there is none.
func (s *conns) oldestStranger() *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.guest.head
	if c == nil {
		c = s.stranger.head
	}
	if c != nil {
		c.list.drop(c)
	}
	return c
}

// where returns the open connections that want holds for.
func (s *conns) where(want func(*conn) bool) []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*conn
	for _, l := range []*connList{&s.guest, &s.stranger, &s.known} {
		for c := l.head; c != nil; c = c.next {
			if want(c) {
				out = append(out, c)
			}
		}
	}
	return out
}

func (s *conns) count() (open, known int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total(), s.known.n
}

func peerOf(nc net.Conn) (netip.Addr, string) {
	ra := nc.RemoteAddr()
	if ra == nil {
		return netip.Addr{}, ""
	}
	var a netip.Addr
	if t, ok := ra.(*net.TCPAddr); ok {
		a, _ = netip.AddrFromSlice(t.IP)
	} else if ap, err := netip.ParseAddrPort(ra.String()); err == nil {
		a = ap.Addr()
	}
	if a = a.Unmap(); !a.IsValid() {
		return a, ra.Network()
	}
	return a, a.String()
}
