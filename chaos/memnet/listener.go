package memnet

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
)

// Listener accepts connections on one or more addresses. It implements
// net.Listener.
type Listener struct {
	n     *Network
	owner *Process
	addrs []netip.AddrPort

	// Under n.mu.
	queue  []*Conn
	closed bool
}

// Listen listens on addr, whose host may be a name (all its addresses; an
// unknown name is given one), an IP, or empty for every address that nobody
// else listens on. Port 0 takes a free port. EADDRINUSE if it is taken.
func (n *Network) Listen(addr string) (net.Listener, error) { return n.listen(addr, nil) }

func (n *Network) listen(addr string, owner *Process) (net.Listener, error) {
	fail := func(err error) error {
		return &net.OpError{Op: "listen", Net: "tcp", Err: fmt.Errorf("%s: %w", addr, err)}
	}
	name, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fail(err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fail(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if owner != nil && owner.dead {
		return nil, fail(net.ErrClosed)
	}
	ips := n.listenIPs(name)
	if port == 0 {
		for port = 20000; n.taken(ips, uint16(port)); port++ {
		}
	}
	if n.taken(ips, uint16(port)) {
		return nil, fail(os.NewSyscallError("bind", syscall.EADDRINUSE))
	}
	l := &Listener{n: n, owner: owner}
	for _, ip := range ips {
		a := netip.AddrPortFrom(ip, uint16(port))
		l.addrs = append(l.addrs, a)
		n.listeners[a] = l
	}
	return l, nil
}

func (n *Network) listenIPs(name string) []netip.Addr {
	if name == "" {
		return []netip.Addr{netip.IPv4Unspecified()}
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		if ip.IsUnspecified() {
			ip = netip.IPv4Unspecified()
		}
		return []netip.Addr{ip}
	}
	if h := n.hosts[name]; len(h.ips) > 0 {
		return h.ips
	}
	ip := n.allocate()
	n.hosts[name] = host{ips: []netip.Addr{ip}}
	return []netip.Addr{ip}
}

func (n *Network) taken(ips []netip.Addr, port uint16) bool {
	for _, ip := range ips {
		if n.listeners[netip.AddrPortFrom(ip, port)] != nil {
			return true
		}
	}
	return false
}

func (n *Network) listener(to netip.AddrPort) *Listener {
	if l := n.listeners[to]; l != nil {
		return l
	}
	return n.listeners[netip.AddrPortFrom(netip.IPv4Unspecified(), to.Port())]
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	for {
		if l.closed {
			return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
		}
		if len(l.queue) > 0 {
			c := l.queue[0]
			l.queue = l.queue[1:]
			l.n.cond.Broadcast()
			return c, nil
		}
		l.n.cond.Wait()
	}
}

// Close implements net.Listener. Connections that nobody accepted are reset.
func (l *Listener) Close() error {
	l.n.mu.Lock()
	if l.closed {
		l.n.mu.Unlock()
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	l.closed = true
	for _, a := range l.addrs {
		delete(l.n.listeners, a)
	}
	queue := l.queue
	l.queue = nil
	l.n.cond.Broadcast()
	l.n.mu.Unlock()
	for _, c := range queue {
		_ = c.Reset()
	}
	return nil
}

// Addr implements net.Listener; the address is a *net.TCPAddr.
func (l *Listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addrs[0]) }
