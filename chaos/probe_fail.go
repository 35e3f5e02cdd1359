package chaos

import (
	"context"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// LookupFunc looks a host up as net.Resolver.LookupNetIP does.
type LookupFunc = func(ctx context.Context, network, host string) ([]netip.Addr, error)

// ProbeLookup returns look with the probe.* faults in it that concern names. It
// belongs into the resolver of whatever looks at the webhook from outside.
func (s *Scope) ProbeLookup(look LookupFunc) LookupFunc {
	if !s.Enabled() {
		return look
	}
	s.attach(seamProbe)
	return func(ctx context.Context, network, host string) ([]netip.Addr, error) {
		if t := s.load(); t != nil {
			for _, f := range t.probe {
				if f.b.look != nil && f.fire() {
					return f.b.look.at(ctx, f, network, host, look)
				}
			}
		}
		return look(ctx, network, host)
	}
}

func probeFail() kind {
	return kind{Info{
		Kind:  "probe.fail",
		Layer: "probe",
		Unit:  "probe; of names a question",
		Doc: "Our own look from outside doesn't reach the webhook, while Telegram does: the probe's connections are refused or hang, or the name " +
			"does not resolve for it: not at all, only to IPv6 addresses, or to an address that is not ours. That alone must move nothing.",
		Params: []Param{{Name: "how", Doc: "refused, hang, or of names not_found (NXDOMAIN), temporary (SERVFAIL), timeout, ipv6_only or wrong_address",
			Default: "refused"}},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		how := p.oneOf("how", "refused", "hang", "not_found", "temporary", "timeout", "ipv6_only", "wrong_address")
		switch how {
		case "refused", "hang":
			return behaviour{probe: &dialRule{nil, false, func(ctx context.Context, f *fault, addr string, next redial) (net.Conn, error) {
				if how == "refused" {
					return nil, f.error(&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)})
				}
				if err := f.wait(ctx, 0); err != nil {
					return nil, err
				}
				return next(addr)
			}}}, nil
		}
		return behaviour{look: &lookRule{func(ctx context.Context, f *fault, network, host string, next LookupFunc) ([]netip.Addr, error) {
			return wrongNames(ctx, f, how, network, host, next)
		}}}, nil
	}}
}

// Addresses for documentation (RFC 5737, RFC 3849): nobody is there.
var (
	nobody4 = netip.MustParseAddr("192.0.2.1")
	nobody6 = netip.MustParseAddr("2001:db8::1")
)

func wrongNames(ctx context.Context, f *fault, how, network, host string, next LookupFunc) ([]netip.Addr, error) {
	none := f.error(&net.DNSError{Name: host, Err: "no such host", IsNotFound: true})
	switch how {
	case "ipv6_only":
		if network == "ip4" {
			return nil, none
		}
		return []netip.Addr{nobody6}, nil
	case "wrong_address":
		if network == "ip6" {
			return nil, none
		}
		return []netip.Addr{nobody4}, nil
	case "timeout":
		if err := f.wait(ctx, 0); err != nil {
			return nil, err
		}
		return next(ctx, network, host)
	case "temporary":
		return nil, f.error(&net.DNSError{Name: host, Err: "server misbehaving", IsTemporary: true})
	}
	return nil, none
}
