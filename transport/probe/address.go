package probe

import (
	"fmt"
	"net/netip"
)

// reserved is what Telegram refuses to deliver to (IPAddress.cpp:203-233).
var reserved = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("224.0.0.0/3"),
}

// unfit says why Telegram wouldn't deliver to ip; the zero Reason if it would.
func unfit(ip netip.Addr, local bool) (reason Reason, detail string) {
	switch {
	case local:
		return "", ""
	case !ip.Is4():
		return ReasonAAAAOnly, fmt.Sprintf("%s is an IPv6 address, and Telegram delivers to IPv4 only: give the host an IPv4 address", ip)
	}
	for _, p := range reserved {
		if p.Contains(ip) {
			return ReasonReservedAddress, fmt.Sprintf("%s is reserved (%s), and Telegram refuses it: publish the public address; "+
				"if the DNS of this network or /etc/hosts differs from the public one, name a public server in probe.resolver", ip, p)
		}
	}
	return "", ""
}
