package memnet

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// target is what a rule is set for: a zero ip is every address, port 0 every port.
type target struct {
	ip   netip.Addr
	port uint16
}

// link is what the rules say about one connection.
type link struct {
	latency   time.Duration
	blackhole bool
	refuse    bool
}

type rules map[target]link

func (r rules) link(src, dst netip.AddrPort) link {
	var out link
	if len(r) == 0 {
		return out
	}
	for i, t := range []target{{dst.Addr(), dst.Port()}, {dst.Addr(), 0}, {}, {src.Addr(), src.Port()}, {src.Addr(), 0}} {
		l, ok := r[t]
		if !ok {
			continue
		}
		out.latency = max(out.latency, l.latency)
		out.blackhole = out.blackhole || l.blackhole
		out.refuse = out.refuse || l.refuse && i < 3 // who dials out is not refused
	}
	return out
}

// targets resolves an address of a rule. The caller holds n.mu.
func (n *Network) targets(addr string) []target {
	if addr == "" {
		return []target{{}}
	}
	name, port := addr, uint64(0)
	if _, err := netip.ParseAddr(addr); err != nil {
		if h, p, err := net.SplitHostPort(addr); err == nil {
			v, err := strconv.ParseUint(p, 10, 16)
			if err != nil {
				panic(fmt.Sprintf("memnet: port of %q", addr))
			}
			name, port = h, v
		}
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		return []target{{ip, uint16(port)}}
	}
	h, ok := n.hosts[name]
	if !ok {
		panic(fmt.Sprintf("memnet: unknown host in %q", addr))
	}
	var out []target
	for _, ip := range h.ips {
		out = append(out, target{ip, uint16(port)})
	}
	return out
}

// rule changes the rules of addr and lets every connection see them.
func (n *Network) rule(addr string, change func(*link)) {
	n.mu.Lock()
	next := rules{}
	for t, l := range n.rules {
		next[t] = l
	}
	for _, t := range n.targets(addr) {
		l := next[t]
		change(&l)
		if l == (link{}) {
			delete(next, t)
		} else {
			next[t] = l
		}
	}
	n.rules = next
	n.cond.Broadcast()
	n.mu.Unlock()
	n.wakeAll()
}

func (n *Network) wakeAll() {
	n.mu.Lock()
	pairs := make([]*pair, 0, len(n.pairs))
	for p := range n.pairs {
		pairs = append(pairs, p)
	}
	n.mu.Unlock()
	for _, p := range pairs {
		p.mu.Lock()
		p.cond.Broadcast()
		p.mu.Unlock()
	}
}

// linkOf is the present state of the link between two addresses. rules is never
// changed in place, so the map may be read after the lock is given back.
func (n *Network) linkOf(src, dst netip.AddrPort) link {
	n.mu.Lock()
	r := n.rules
	n.mu.Unlock()
	return r.link(src, dst)
}

// SetLatency sets the one-way delay of everything from and to addr; 0 removes
// it. Where several rules meet, the longest counts. Bytes of one connection are
// never reordered. Each connection adds nanoseconds of its own, so that no two
// deliveries fall on the same instant.
func (n *Network) SetLatency(addr string, oneWay time.Duration) {
	n.rule(addr, func(l *link) { l.latency = max(oneWay, 0) })
}

// Blackhole drops every packet from and to addr while on: dialing hangs, bytes
// of open connections do not arrive, and neither do FIN and RST. When it is
// taken away what was sent in the meantime arrives, as TCP would retransmit it.
func (n *Network) Blackhole(addr string, on bool) {
	n.rule(addr, func(l *link) { l.blackhole = on })
}

// Refuse answers new connections to addr with ECONNREFUSED while on, whether
// somebody listens or not. Open connections stay.
func (n *Network) Refuse(addr string, on bool) {
	n.rule(addr, func(l *link) { l.refuse = on })
}

// Heal removes every rule.
func (n *Network) Heal() {
	n.mu.Lock()
	n.rules = nil
	n.cond.Broadcast()
	n.mu.Unlock()
	n.wakeAll()
}

// Cut breaks every open connection that has addr at either end: both ends see
// ECONNRESET. It returns how many there were.
func (n *Network) Cut(addr string) int {
	n.mu.Lock()
	ts := n.targets(addr)
	n.mu.Unlock()
	hit := func(a netip.AddrPort) bool {
		for _, t := range ts {
			if (!t.ip.IsValid() || t.ip == a.Addr()) && (t.port == 0 || t.port == a.Port()) {
				return true
			}
		}
		return false
	}
	count := 0
	for _, c := range n.conns(func(c *Conn) bool { return c == c.p.ends[0] && (hit(c.local) || hit(c.remote)) }) {
		if c.p.cut() {
			count++
		}
	}
	return count
}
