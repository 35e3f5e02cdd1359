package telegramsim

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// The resolver's cache is one for the whole process (GetHostByNameActor.h:26).
const (
	cacheGood = 29 * time.Minute
	cacheBad  = 5 * time.Minute
)

// resolved is a cached answer.
type resolved struct {
	ip    netip.Addr
	err   error
	until time.Time
}

var errNoName = errors.New("Name or service not known") //nolint:staticcheck // getaddrinfo's words

// SetHost enters a host in the resolver's table, or removes it if no addresses
// are given (it then doesn't exist). Answers that the server has cached stay
// cached: 29 minutes, failures 5. It panics if an address does not parse.
func (s *Sim) SetHost(host string, ips ...string) {
	addrs := []netip.Addr{}
	for _, ip := range ips {
		addrs = append(addrs, netip.MustParseAddr(ip))
	}
	s.lock()
	defer s.unlock()
	s.hosts[host] = addrs
}

// FlushDNS empties the resolver's cache.
func (s *Sim) FlushDNS() {
	s.lock()
	defer s.unlock()
	clear(s.cache)
}

// resolve calls done with the host's address, at once if it is known, else
// later from a goroutine that holds the lock. The lock is held.
func (s *Sim) resolve(host string, done func(resolved)) {
	if ip, err := netip.ParseAddr(host); err == nil {
		done(resolved{ip: ip})
		return
	}
	if r, ok := s.cache[host]; ok && time.Now().Before(r.until) {
		done(r)
		return
	}
	table, listed := s.hosts[host]
	lookup := s.o.Lookup
	if lookup == nil && s.o.Dial == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	delay := s.knobs.DNSDelay
	if (listed || lookup == nil) && delay == 0 {
		done(s.remember(host, table, nil))
		return
	}
	s.spawn(func() {
		if !s.pause(s.ctx, delay) {
			return
		}
		var err error
		if !listed && lookup != nil {
			table, err = lookup(s.ctx, host)
		}
		s.lock()
		defer s.unlock()
		if !s.closed {
			done(s.remember(host, table, err))
		}
	})
}

// remember caches an answer: IPv4 before IPv6.
func (s *Sim) remember(host string, ips []netip.Addr, err error) resolved {
	r := resolved{err: errNoName, until: time.Now().Add(cacheBad)}
	if err == nil && len(ips) > 0 {
		r = resolved{ip: ips[0].Unmap(), until: time.Now().Add(cacheGood)}
		for _, ip := range ips {
			if ip.Unmap().Is4() {
				r.ip = ip.Unmap()
				break
			}
		}
	}
	s.cache[host] = r
	return r
}

// pause waits and reports whether the whole time passed.
func (s *Sim) pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	case <-s.ctx.Done():
		return false
	}
}

// reservedNets are refused in non-local mode (IPAddress.cpp:203-233).
var reservedNets = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("224.0.0.0/3"),
}

// checkIP returns the text of what is wrong with a webhook address, or "".
func (s *Sim) checkIP(ip netip.Addr) string {
	switch {
	case !ip.IsValid():
		return "Invalid IP address specified"
	case s.knobs.Local:
		return ""
	case !ip.Is4():
		return "IPv6-only addresses are not allowed"
	}
	for _, p := range reservedNets {
		if p.Contains(ip) {
			return "IP address " + ip.String() + " is reserved"
		}
	}
	return ""
}
