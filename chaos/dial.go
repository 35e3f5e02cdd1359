package chaos

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
)

// DialFunc dials as net.Dialer.DialContext does.
type DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// Dial returns dial with the dial.* faults in it. They act on new connections;
// open ones go on, unless a fault is told to close them when it begins.
func (s *Scope) Dial(dial DialFunc) DialFunc {
	if !s.Enabled() {
		return dial
	}
	s.attach(seamDial)
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		next := func(addr string) (net.Conn, error) { return dial(ctx, network, addr) }
		t := s.load()
		if t == nil {
			t = &table{}
		}
		c, err := dialThrough(ctx, t.dial, dialRuleOf, addr, next)
		if c == nil {
			return nil, err
		}
		k := s.dialed.keep(c, s, addr)
		if now := s.load(); now != nil && !s.opts.Leashed { // a fault that began while it was dialed
			for _, f := range now.dial {
				if !slices.Contains(t.dial, f) {
					s.dialed.injected(f)
				}
			}
		}
		return k, err
	}
}

// ProbeDial returns dial with the probe.* faults in it. It belongs into the dialer
// of whatever looks at the webhook from outside, and nowhere else.
func (s *Scope) ProbeDial(dial DialFunc) DialFunc {
	if !s.Enabled() {
		return dial
	}
	s.attach(seamProbe)
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		next := func(addr string) (net.Conn, error) { return dial(ctx, network, addr) }
		t := s.load()
		if t == nil {
			return next(addr)
		}
		return dialThrough(ctx, t.probe, probeRule, addr, next)
	}
}

func dialThrough(ctx context.Context, fs []*fault, of func(*fault) *dialRule, addr string, next redial) (net.Conn, error) {
	for i, f := range fs {
		rule := of(f)
		if rule == nil || rule.match != nil && !rule.match(addr) || !f.fire() {
			continue
		}
		return rule.dial(ctx, f, addr, func(addr string) (net.Conn, error) { return dialThrough(ctx, fs[i+1:], of, addr, next) })
	}
	return next(addr)
}

// redial dials an address in place of the one that was asked for.
type redial func(addr string) (net.Conn, error)

func dialRuleOf(f *fault) *dialRule { return f.b.dial }
func probeRule(f *fault) *dialRule  { return f.b.probe }

var existingParam = Param{Name: "existing", Doc: "close or keep the connections that are open when the fault begins", Default: "keep"}

func closesExisting(p *params) bool { return p.oneOf("existing", "close", "keep") == "close" }

var hostParam = Param{Name: "host", Doc: "only dials to this host, as it is dialed"}

func hostMatch(p *params) func(addr string) bool {
	host := p.str("host")
	if host == "" {
		return nil
	}
	return func(addr string) bool { return strings.EqualFold(hostOf(addr), host) }
}

func hostOf(addr string) string {
	if h, _, err := net.SplitHostPort(addr); err == nil {
		return h
	}
	return addr
}

func dialDNS() kind {
	return kind{Info{
		Kind:  "dial.dns",
		Layer: "dial",
		Unit:  "dial",
		Doc: "Names do not resolve when a new connection is dialed, or not to what they should: only to IPv6 addresses, which this host has no route to, or to " +
			"an address of somebody else.",
		Delay: "time before the failure, or before the dial to the wrong address",
		Params: []Param{
			{Name: "error", Doc: "not_found (NXDOMAIN), temporary (SERVFAIL), timeout, ipv6_only or wrong_address", Default: "temporary"},
			{Name: "to", Doc: "with wrong_address the IP address that is dialed, on the same port; if left out, one at which nothing answers"}, hostParam, existingParam,
		},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		how, to := p.oneOf("error", "not_found", "temporary", "timeout", "ipv6_only", "wrong_address"), wrongAddress(p)
		return behaviour{dial: &dialRule{hostMatch(p), closesExisting(p), func(ctx context.Context, f *fault, addr string, next redial) (net.Conn, error) {
			if f.spec.Delay > 0 {
				if err := f.wait(ctx, f.spec.Delay); err != nil {
					return nil, err
				}
			}
			switch {
			case how == "wrong_address" && to != "":
				return next(sameAddressAt(to, addr))
			case how == "wrong_address":
				if err := f.wait(ctx, 0); err != nil {
					return nil, err
				}
				return next(addr)
			case how == "ipv6_only":
				return nil, f.error(&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)})
			}
			return nil, f.error(dnsError(how, hostOf(addr)))
		}}}, nil
	}}
}

// wrongAddress reads the parameter to.
func wrongAddress(p *params) string {
	to := p.str("to")
	if _, err := netip.ParseAddr(to); to != "" && err != nil {
		p.fail("to is %q, must be an IP address", to)
	}
	if to != "" && p.str("error") != "wrong_address" {
		p.fail("to needs error=wrong_address")
	}
	return to
}

// sameAddressAt is the port of addr at another IP address.
func sameAddressAt(ip, addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ip
	}
	return net.JoinHostPort(ip, port)
}

func dialRefused() kind {
	return kind{Info{
		Kind:     "dial.refused",
		Layer:    "dial",
		Unit:     "dial",
		Doc:      "New connections are refused.",
		Params:   []Param{hostParam, existingParam},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		return behaviour{dial: &dialRule{hostMatch(p), closesExisting(p), func(_ context.Context, f *fault, _ string, _ redial) (net.Conn, error) {
			return nil, f.error(&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)})
		}}}, nil
	}}
}

func dialHang() kind {
	return kind{Info{
		Kind:     "dial.hang",
		Layer:    "dial",
		Unit:     "dial",
		Doc:      "New connections hang, as packets to nowhere do, until the caller gives up. Those that still wait when the fault ends are made.",
		Delay:    "hang only so long and then dial; 0 means to the end of the fault",
		Params:   []Param{hostParam, existingParam},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		return behaviour{dial: &dialRule{hostMatch(p), closesExisting(p), func(ctx context.Context, f *fault, addr string, next redial) (net.Conn, error) {
			if err := f.wait(ctx, f.spec.Delay); err != nil {
				return nil, err
			}
			return next(addr)
		}}}, nil
	}}
}
