package chaos

import (
	"context"
	"net"
	"os"
	"strings"
	"syscall"
)

// DialFunc dials as net.Dialer.DialContext does.
type DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// Dial returns dial with the dial.* faults in it. They act on new connections
// only; open ones go on.
func (s *Scope) Dial(dial DialFunc) DialFunc {
	if !s.Enabled() {
		return dial
	}
	s.attach(seamDial)
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		next := func() (net.Conn, error) { return dial(ctx, network, addr) }
		t := s.load()
		if t == nil {
			return next()
		}
		return dialThrough(ctx, t.dial, dialRuleOf, addr, next)
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
		next := func() (net.Conn, error) { return dial(ctx, network, addr) }
		t := s.load()
		if t == nil {
			return next()
		}
		return dialThrough(ctx, t.probe, probeRule, addr, next)
	}
}

func dialThrough(ctx context.Context, fs []*fault, of func(*fault) *dialRule, addr string, next func() (net.Conn, error)) (net.Conn, error) {
	for i, f := range fs {
		rule := of(f)
		if rule.match != nil && !rule.match(addr) || !f.fire() {
			continue
		}
		return rule.dial(ctx, f, addr, func() (net.Conn, error) { return dialThrough(ctx, fs[i+1:], of, addr, next) })
	}
	return next()
}

func dialRuleOf(f *fault) *dialRule { return f.b.dial }
func probeRule(f *fault) *dialRule  { return f.b.probe }

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
		Kind:     "dial.dns",
		Layer:    "dial",
		Unit:     "dial",
		Doc:      "Names do not resolve when a new connection is dialed.",
		Delay:    "time before the failure",
		Params:   []Param{dnsErrorParam, hostParam},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		how := p.oneOf("error", "not_found", "temporary", "timeout")
		return behaviour{dial: &dialRule{hostMatch(p), func(ctx context.Context, f *fault, addr string, _ func() (net.Conn, error)) (net.Conn, error) {
			if f.spec.Delay > 0 {
				if err := f.wait(ctx, f.spec.Delay); err != nil {
					return nil, err
				}
			}
			return nil, f.error(dnsError(how, hostOf(addr)))
		}}}, nil
	}}
}

func dialRefused() kind {
	return kind{Info{
		Kind:     "dial.refused",
		Layer:    "dial",
		Unit:     "dial",
		Doc:      "New connections are refused.",
		Params:   []Param{hostParam},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		return behaviour{dial: &dialRule{hostMatch(p), func(_ context.Context, f *fault, _ string, _ func() (net.Conn, error)) (net.Conn, error) {
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
		Params:   []Param{hostParam},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		return behaviour{dial: &dialRule{hostMatch(p), func(ctx context.Context, f *fault, _ string, next func() (net.Conn, error)) (net.Conn, error) {
			if err := f.wait(ctx, f.spec.Delay); err != nil {
				return nil, err
			}
			return next()
		}}}, nil
	}}
}
