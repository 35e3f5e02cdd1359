package memnet

import (
	"context"
	"net"
	"net/netip"
)

// Process owns the listeners and connections that it opened or accepted, as an
// operating system's process does, so that a test can crash it.
type Process struct {
	n    *Network
	name string
	ip   netip.Addr
	dead bool // under n.mu
}

// Process returns a new process. The name is for messages only; each process
// has an address of its own from which it dials.
func (n *Network) Process(name string) *Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return &Process{n: n, name: name, ip: n.allocate()}
}

// Name returns the name given.
func (p *Process) Name() string { return p.name }

// Listen is as [Network.Listen].
func (p *Process) Listen(addr string) (net.Listener, error) { return p.n.listen(addr, p) }

// Dial is as [Network.Dial], from the process's own address.
func (p *Process) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return p.n.dial(ctx, network, addr, p.ip, p)
}

// From returns a dialer of the process with another source address.
func (p *Process) From(ip string) Dialer {
	return Dialer{n: p.n, from: netip.MustParseAddr(ip), p: p}
}

// Kill ends the process as kill -9 does: its listeners and connections close at
// that instant (peers see FIN, or RST where it had not read what it was sent),
// what was blocked in them fails with net.ErrClosed, and so does every later
// call.
func (p *Process) Kill() { p.end(false) }

// PowerOff ends the process as a power failure does: as Kill, but its peers are
// told nothing, and wait.
func (p *Process) PowerOff() { p.end(true) }

func (p *Process) end(silent bool) {
	p.n.mu.Lock()
	p.dead = true
	var ls []*Listener
	for _, l := range p.n.listeners {
		if l.owner == p {
			ls = append(ls, l)
		}
	}
	p.n.cond.Broadcast()
	p.n.mu.Unlock()
	for _, l := range ls {
		_ = l.Close()
	}
	for _, c := range p.n.conns(func(c *Conn) bool { return c.owner == p }) {
		_ = c.shut(false, silent)
	}
}
