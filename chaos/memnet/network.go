// Package memnet is a TCP network in memory, for tests in testing/synctest
// bubbles and for the simulator.
//
// It promises what a test of connection behaviour leans on: bytes are buffered
// (a TLS failure reads as the x509 error it is, not as a timeout, which net.Pipe
// can't do), every wait is durably blocking in a bubble, errors are the errors
// of a Linux socket (errors.Is finds syscall.ECONNREFUSED, ECONNRESET, EPIPE,
// os.ErrDeadlineExceeded, net.ErrClosed), and faults act on connections that
// are already open.
//
// # Addresses
//
// Everything is an IP and a port. Host names are entered with [Network.Host];
// listening on an unknown name gives it an address of its own. A dialer that
// has chosen no address ([Network.From]) has the network's default one.
//
// # What closing does
//
// As on Linux: Close sends FIN, or RST if received bytes were left unread or
// SetLinger(0) was called. Bytes that were sent before a RST can still be read.
// A write to a peer that has closed succeeds once, and is answered by a RST.
//
// # Faults
//
// Rules are set for an address ("bot.example.com:443", an IP, an IP and port, a
// host name, or "" for the whole network) and act on every connection with that
// address at either end, at once: [Network.SetLatency], [Network.Blackhole],
// [Network.Refuse], [Network.Cut]. A [Process] owns the handles that it opened
// and loses them all when it is killed.
//
// A Network used in a bubble must be made in it.
package memnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// synTimeout is when Linux gives up on a connection whose SYN is never answered
// (tcp_syn_retries = 6: 1+2+4+…+64 s).
const synTimeout = 127 * time.Second

// backlog is how many connections wait for Accept before further ones hang.
const backlog = 1024

// Network is an in-memory network. All methods may be called at any time from
// any goroutine.
type Network struct {
	mu        sync.Mutex
	cond      *sync.Cond // listeners, dialers in progress
	hosts     map[string]host
	rules     rules
	listeners map[netip.AddrPort]*Listener
	pairs     map[*pair]struct{}
	nextIP    uint32
	nextPort  uint16
	nextID    int64
	self      netip.Addr
}

type host struct {
	ips []netip.Addr
	err error
}

// New returns an empty network.
func New() *Network {
	n := &Network{
		hosts:     map[string]host{},
		listeners: map[netip.AddrPort]*Listener{},
		pairs:     map[*pair]struct{}{},
		nextPort:  32767,
	}
	n.cond = sync.NewCond(&n.mu)
	n.self = n.allocate()
	return n
}

// allocate hands out addresses that no reserved-range check objects to.
func (n *Network) allocate() netip.Addr {
	n.nextIP++
	v := n.nextIP
	return netip.AddrFrom4([4]byte{45, 67, byte(v >> 8), byte(v)})
}

// Host enters a name with its addresses, in the order in which they are tried.
// Without addresses the name does not exist. It panics if an address does not
// parse.
func (n *Network) Host(name string, ips ...string) {
	h := host{}
	for _, ip := range ips {
		h.ips = append(h.ips, netip.MustParseAddr(ip))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[name] = h
}

// HostError makes every look-up of the name fail with err until Host is called.
func (n *Network) HostError(name string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[name] = host{err: err}
}

// LookupNetIP has the meaning and signature of net.Resolver's method: network
// is "ip", "ip4" or "ip6". Unknown names give a *net.DNSError with IsNotFound.
func (n *Network) LookupNetIP(ctx context.Context, network, name string) ([]netip.Addr, error) {
	if err := ctx.Err(); err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: name, IsTimeout: errors.Is(err, context.DeadlineExceeded), UnwrapErr: err}
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		return filter([]netip.Addr{ip}, network, name)
	}
	n.mu.Lock()
	h, ok := n.hosts[name]
	n.mu.Unlock()
	if h.err != nil {
		var de *net.DNSError
		if errors.As(h.err, &de) {
			return nil, h.err
		}
		return nil, &net.DNSError{Err: h.err.Error(), Name: name, IsTemporary: true, UnwrapErr: h.err}
	}
	if !ok {
		return nil, notFound(name)
	}
	return filter(h.ips, network, name)
}

func notFound(name string) error {
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func filter(ips []netip.Addr, network, name string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, ip := range ips {
		switch {
		case network != "" && network[len(network)-1] == '4' && !ip.Unmap().Is4():
		case network != "" && network[len(network)-1] == '6' && ip.Unmap().Is4():
		default:
			out = append(out, ip)
		}
	}
	if len(out) == 0 {
		return nil, notFound(name)
	}
	return out, nil
}

// Dial opens a connection from the network's default address. network is "tcp",
// "tcp4" or "tcp6". With nobody listening the error is ECONNREFUSED; to a
// blackholed address it waits for ctx, or for Linux's 127 s.
func (n *Network) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return n.dial(ctx, network, addr, n.self, nil)
}

// Dialer opens connections from one source address.
type Dialer struct {
	n    *Network
	from netip.Addr
	p    *Process
}

// From returns a dialer whose connections come from ip. It panics if ip does
// not parse.
func (n *Network) From(ip string) Dialer { return Dialer{n: n, from: netip.MustParseAddr(ip)} }

// Dial is as [Network.Dial].
func (d Dialer) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return d.n.dial(ctx, network, addr, d.from, d.p)
}

func (n *Network) dial(ctx context.Context, network, addr string, from netip.Addr, owner *Process) (net.Conn, error) {
	fail := func(to net.Addr, err error) error {
		return &net.OpError{Op: "dial", Net: network, Addr: to, Err: err}
	}
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, fail(nil, net.UnknownNetworkError(network))
	}
	name, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fail(nil, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fail(nil, fmt.Errorf("invalid port %q", portText))
	}
	ips, err := n.LookupNetIP(ctx, network, name)
	if err != nil {
		return nil, fail(nil, err)
	}
	var first error
	for _, ip := range ips {
		to := netip.AddrPortFrom(ip, uint16(port))
		c, err := n.connect(ctx, from, to, owner)
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = fail(net.TCPAddrFromAddrPort(to), err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// connect is one TCP handshake.
func (n *Network) connect(ctx context.Context, from netip.Addr, to netip.AddrPort, owner *Process) (*Conn, error) {
	wake := func() { n.mu.Lock(); n.cond.Broadcast(); n.mu.Unlock() }
	defer context.AfterFunc(ctx, wake)()
	syn := time.AfterFunc(synTimeout, wake)
	defer syn.Stop()
	deadline := time.Now().Add(synTimeout)

	n.mu.Lock()
	defer n.mu.Unlock()
	n.nextPort++
	if n.nextPort < 32768 {
		n.nextPort = 32768
	}
	src := netip.AddrPortFrom(from, n.nextPort)
	waited := false
	for {
		if owner != nil && owner.dead {
			return nil, net.ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return nil, contextError(err)
		}
		if !time.Now().Before(deadline) {
			return nil, os.NewSyscallError("connect", syscall.ETIMEDOUT)
		}
		r := n.rules.link(src, to)
		if r.blackhole {
			n.cond.Wait()
			continue
		}
		if r.latency > 0 && !waited { // SYN there, SYN-ACK back
			waited = true
			n.nextID++
			t := 2*r.latency + time.Duration(n.nextID%1000)
			n.mu.Unlock()
			sleep(ctx, t)
			n.mu.Lock()
			continue
		}
		l := n.listener(to)
		if l == nil || r.refuse {
			return nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
		}
		if len(l.queue) >= backlog {
			n.cond.Wait()
			continue
		}
		return n.join(src, to, owner, l), nil
	}
}

func (n *Network) join(src, to netip.AddrPort, owner *Process, l *Listener) *Conn {
	p := &pair{n: n}
	p.cond = sync.NewCond(&p.mu)
	n.nextID += 2
	client := &Conn{p: p, id: n.nextID, local: src, remote: to, owner: owner, linger: -1}
	server := &Conn{p: p, id: n.nextID + 1, local: to, remote: src, owner: l.owner, linger: -1}
	client.peer, server.peer = server, client
	p.ends = [2]*Conn{client, server}
	n.pairs[p] = struct{}{}
	l.queue = append(l.queue, server)
	n.cond.Broadcast()
	return client
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// ctxError is what package net makes of a context's end: it reads as the
// socket error and still is the context's.
type ctxError struct {
	text string
	is   error
}

func (e ctxError) Error() string   { return e.text }
func (e ctxError) Unwrap() error   { return e.is }
func (e ctxError) Timeout() bool   { return errors.Is(e.is, context.DeadlineExceeded) }
func (e ctxError) Temporary() bool { return e.Timeout() }

func contextError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return ctxError{"i/o timeout", err}
	}
	return ctxError{"operation was canceled", err}
}

// forget drops a pair of which both ends are closed.
func (n *Network) forget(p *pair) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.pairs, p)
}

// conns returns the ends, of all open pairs, that match.
func (n *Network) conns(match func(*Conn) bool) []*Conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []*Conn
	for p := range n.pairs {
		for _, c := range p.ends {
			if match(c) {
				out = append(out, c)
			}
		}
	}
	return out
}
