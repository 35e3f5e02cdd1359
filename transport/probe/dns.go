package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// names is a look-up of a host's addresses. A and AAAA are asked for apart, because a
// resolver asked for both returns what it gets, and so hides a failure of the one.
type names struct {
	host    string
	local   bool
	a, aaaa func() answer // each waits for its answer
}

// answer is what the DNS said to one question.
type answer struct {
	addrs []netip.Addr
	err   error
	took  time.Duration
}

// lookUp begins to look the host up; nil if Telegram wouldn't.
func (a *attempt) lookUp() *names {
	p := a.p
	if p.ip.IsValid() || p.o.Pinned {
		return nil
	}
	ask := func(network string) func() answer {
		ctx, cancel := context.WithTimeout(a.ctx, p.o.Timeout/2)
		done := make(chan answer, 1)
		begin := time.Now()
		go func() {
			defer cancel()
			got, err := p.o.Resolver.LookupNetIP(ctx, network, p.host)
			if err == nil && len(got) == 0 {
				err = ctx.Err()
			}
			var addrs []netip.Addr
			for _, ip := range got {
				addrs = append(addrs, ip.Unmap())
			}
			done <- answer{addrs, err, time.Since(begin)}
		}()
		var got *answer
		return func() answer {
			if got == nil {
				r := <-done
				got = &r
			}
			return *got
		}
	}
	return &names{host: p.host, local: p.o.AllowReserved, a: ask("ip4"), aaaa: ask("ip6")}
}

// decide waits until it is clear which address Telegram would take: the first of
// IPv4 (IPAddress.cpp, init_host_port).
func (n *names) decide(a *attempt) (netip.Addr, *failure) {
	begin := time.Now()
	defer func() { a.result.Timings.DNS = time.Since(begin) }()
	v4 := n.a()
	var v6 answer
	if len(v4.addrs) == 0 {
		v6 = n.aaaa()
	}
	ip, reason, detail := choose(n.host, v4, v6, n.local)
	if reason != "" {
		return ip, &failure{StageDNS, reason, detail}
	}
	return ip, nil
}

// choose judges what the DNS said. v6 is looked at only if v4 holds no address.
func choose(host string, v4, v6 answer, local bool) (netip.Addr, Reason, string) {
	if len(v4.addrs) > 0 {
		reason, detail := unfit(v4.addrs[0], local)
		return v4.addrs[0], reason, detail
	}
	var dns *net.DNSError
	var family *net.AddrError // the hosts file has the name, with IPv6 only
	isDNS := errors.As(v4.err, &dns)
	switch {
	case errors.Is(v4.err, context.DeadlineExceeded), isDNS && dns.IsTimeout:
		return netip.Addr{}, ReasonDNSTimeout, fmt.Sprintf("no answer from the DNS for %s: look at the name server of this host, or name one in probe.resolver", host)
	case v4.err != nil && !(isDNS && dns.IsNotFound) && !errors.As(v4.err, &family):
		return netip.Addr{}, ReasonDNSFailed, fmt.Sprintf("the DNS answers with an error for %s: look at the zone (DNSSEC, name servers) and at the name server of this host", host)
	case len(v6.addrs) > 0 && local:
		return v6.addrs[0], "", ""
	case len(v6.addrs) > 0:
		return netip.Addr{}, ReasonAAAAOnly, fmt.Sprintf("%s has IPv6 addresses only, and Telegram delivers to IPv4 only: add an A record", host)
	}
	return netip.Addr{}, ReasonNXDomain, fmt.Sprintf("%s doesn't exist in the DNS, or has no address: add an A record, or correct public_url", host)
}

// advice waits for the answers, and says what of them is worth knowing.
func (n *names) advice(a *attempt) []Finding {
	v4, v6 := n.a(), n.aaaa()
	if a.result.Timings.DNS == 0 {
		a.result.Timings.DNS = max(v4.took, v6.took)
	}
	if a.ctx.Err() != nil && errors.Is(context.Cause(a.ctx), context.Canceled) {
		return nil
	}
	return advise(n.host, v4, v6, a.telegram, a.sure, n.local)
}

// advise judges what the DNS said beside the address in use. If sure is true, that
// one doesn't come from there, and trouble that would fail the stage is advice.
// telegram is the address that Telegram uses, if it is known.
func advise(host string, v4, v6 answer, telegram netip.Addr, sure, local bool) []Finding {
	var out []Finding
	add := func(code, detail string) { out = append(out, Finding{code, detail}) }
	_, reason, detail := choose(host, v4, v6, local)
	if reason != "" && sure {
		if telegram.IsValid() {
			detail += fmt.Sprintf("; Telegram goes on using %s, but setting the webhook again may fail", telegram)
		}
		add(string(reason), detail)
	}
	if reason == "" && telegram.IsValid() && !slices.Contains(v4.addrs, telegram) && !slices.Contains(v6.addrs, telegram) {
		add(AdviceAddressDiffers, fmt.Sprintf("%s is %s in the DNS, and Telegram uses %s; it looks again every half hour: keep the old address in service until then", host, list(v4.addrs, v6.addrs), telegram))
	}
	if len(v4.addrs) > 1 {
		add(AdviceSeveralAddresses, fmt.Sprintf("%s has several addresses (%s), and Telegram uses one of them, without going to another when it fails: leave one, or pin it with ip_address", host, list(v4.addrs, nil)))
	}
	for _, ip := range v4.addrs {
		if r, detail := unfit(ip, local); r != "" && reason == "" { // else choose has spoken
			add(string(r), detail)
			break
		}
	}
	if len(v4.addrs) > 0 && len(v6.addrs) > 0 && !local {
		add(AdviceAAAAPresent, fmt.Sprintf("%s has an IPv6 address (%s), as a CDN may add on its own, and Telegram delivers to IPv4 only: remove the AAAA record", host, list(v6.addrs, nil)))
	}
	return out
}

// list writes addresses, or the second list if the first is empty.
func list(addrs, instead []netip.Addr) string {
	if len(addrs) == 0 {
		addrs = instead
	}
	var b []string
	for _, a := range addrs {
		b = append(b, a.String())
	}
	return strings.Join(b, ", ")
}
