package chaos

import (
	"net"
	"sync"
)

// dialed are the connections that were dialed through [Scope.Dial] and are open.
type dialed struct {
	mu   sync.Mutex
	open map[*dialedConn]struct{}
}

type dialedConn struct {
	net.Conn
	all   *dialed
	scope *Scope
	addr  string
}

// keep notes the connection.
func (d *dialed) keep(c net.Conn, s *Scope, addr string) net.Conn {
	k := &dialedConn{c, d, s, addr}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open == nil {
		d.open = make(map[*dialedConn]struct{})
	}
	d.open[k] = struct{}{}
	return k
}

// Close implements net.Conn.
func (c *dialedConn) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// injected closes what a fault that has begun would not hit otherwise.
func (d *dialed) injected(f *fault) {
	rule := f.b.dial
	if rule == nil || !rule.cut {
		return
	}
	d.mu.Lock()
	var cut []*dialedConn
	for c := range d.open {
		if c.scope.holds(f) && (rule.match == nil || rule.match(c.addr)) {
			cut = append(cut, c)
		}
	}
	d.mu.Unlock()
	for _, c := range cut {
		_ = c.Close()
	}
}
