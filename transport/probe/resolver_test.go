package probe_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"dualgram/transport/probe"
)

// deaf is a resolver that doesn't answer.
type deaf struct{}

func (deaf) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// apart answers the two questions apart.
type apart struct{ ip4, ip6 answer }

type answer struct {
	addrs []string
	err   error
}

func (a apart) LookupNetIP(_ context.Context, network, _ string) ([]netip.Addr, error) {
	got := a.ip4
	if network == "ip6" {
		got = a.ip6
	}
	var out []netip.Addr
	for _, s := range got.addrs {
		out = append(out, netip.MustParseAddr(s))
	}
	return out, got.err
}

// slow is a resolver that takes its time.
type slow struct {
	probe.Resolver
	after time.Duration
}

func (s slow) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	time.Sleep(s.after)
	return s.Resolver.LookupNetIP(ctx, network, host)
}

// nobody is a resolver that must not be asked.
type nobody struct{ t *testing.T }

func (n nobody) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	n.t.Error("the DNS was asked")
	return nil, nil
}
