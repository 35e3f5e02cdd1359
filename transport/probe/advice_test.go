package probe_test

import (
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"dualgram/chaos/pki"
	"dualgram/transport/probe"
)

// TestAdvice holds what is worth knowing about a webhook that works.
func TestAdvice(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		name     string
		ips      []string // in the DNS; nil for the webhook's address
		world    func(*world)
		leaf     pki.Leaf
		unknown  bool // Telegram's address isn't known
		want     []string
		contains string // of one of the details
	}{
		{name: "nothing"},
		{name: "a CDN's AAAA record", ips: []string{public, "2a00::1"}, want: []string{probe.AdviceAAAAPresent}, contains: "2a00::1"},
		{name: "a CDN's AAAA record, before the webhook is set", unknown: true, ips: []string{public, "2a00::1"}, want: []string{probe.AdviceAAAAPresent}},
		{name: "AAAA is no matter to a local server", ips: []string{public, "2a00::1"}, world: func(w *world) { w.o.AllowReserved = true }},
		{name: "moved", ips: []string{"5.45.72.200"}, want: []string{probe.AdviceAddressDiffers}, contains: "5.45.72.200"},
		{name: "moved to a reserved address", ips: []string{"10.0.0.1"}, want: []string{string(probe.ReasonReservedAddress)}, contains: public},
		{name: "several, the first one dialled", unknown: true, ips: []string{public, "5.45.72.200"}, want: []string{probe.AdviceSeveralAddresses}, contains: "5.45.72.200"},
		{name: "several, Telegram's among them", ips: []string{"5.45.72.200", public}, want: []string{probe.AdviceSeveralAddresses}},
		{name: "several, one of them reserved", ips: []string{public, "10.0.0.1"}, want: []string{probe.AdviceSeveralAddresses, string(probe.ReasonReservedAddress)}, contains: "10.0.0.1"},
		{name: "the name is gone", ips: []string{}, want: []string{string(probe.ReasonNXDomain)}, contains: "Telegram goes on using " + public},
		{name: "AAAA only", ips: []string{"2a00::1"}, want: []string{string(probe.ReasonAAAAOnly)}},
		{name: "the DNS doesn't answer", world: func(w *world) { w.o.Resolver = deaf{} }, want: []string{string(probe.ReasonDNSTimeout)}},
		{name: "SERVFAIL", world: func(w *world) { w.net.HostError(host, &net.DNSError{IsTemporary: true}) }, want: []string{string(probe.ReasonDNSFailed)}},
		{name: "no answer for AAAA is no matter", world: func(w *world) {
			w.o.Resolver = apart{ip4: answer{addrs: []string{public}}, ip6: answer{err: &net.DNSError{IsTimeout: true}}}
		}},
		{name: "probe.dial, and a name that is gone", unknown: true, ips: []string{}, world: func(w *world) { w.o.Address = public + ":8443" }, want: []string{string(probe.ReasonNXDomain)}},
		{name: "13 of 90 days are left", leaf: pki.Leaf{NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-77 * day), NotAfter: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(13 * day)},
			want: []string{probe.AdviceCertificateExpires}, contains: "2000-01-14"},
		{name: "15 of 90 days are left", leaf: pki.Leaf{NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-75 * day), NotAfter: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(15 * day)}},
		{name: "3 of 6 days are left", leaf: pki.Leaf{NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-3 * day), NotAfter: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(3 * day)}},
		{name: "20 hours of 6 days are left", leaf: pki.Leaf{NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-124 * time.Hour), NotAfter: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(20 * time.Hour)},
			want: []string{probe.AdviceCertificateExpires}},
	}
	covered := map[string]bool{}
	for _, tc := range tests {
		for _, code := range tc.want {
			covered[code] = true
		}
		t.Run(tc.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				if tc.ips != nil {
					w.net.Host(host, tc.ips...)
				}
				if tc.world != nil {
					tc.world(w)
				}
				w.hook(public+":8443", &tls.Config{Certificates: []tls.Certificate{w.pair(tc.leaf)}})
				telegram := public
				if tc.unknown {
					telegram = ""
				}
				r := w.probe(telegram)
				w.check(r)
				if !r.OK {
					t.Errorf("not good: %+v", r)
				}
				var got []string
				found := false
				for _, f := range r.Advice {
					got = append(got, f.Code)
					found = found || strings.Contains(f.Detail, tc.contains)
					if f.Detail == "" {
						t.Errorf("%s has no detail", f.Code)
					}
				}
				if !slices.Equal(got, tc.want) || tc.contains != "" && !found {
					t.Errorf("got %+v, want %v with %q", r.Advice, tc.want, tc.contains)
				}
			})
		})
	}
	for _, code := range []string{probe.AdviceAAAAPresent, probe.AdviceAddressDiffers, probe.AdviceSeveralAddresses, probe.AdviceCertificateExpires} {
		if !covered[code] {
			t.Errorf("no case gives %s", code)
		}
	}
}

// TestBothTold holds that trouble of the DNS is told besides the failure of the path.
func TestBothTold(t *testing.T) {
	inWorld(t, func(w *world) {
		w.net.Host(host)
		r := w.probe(public)
		w.check(r)
		if r.Reason != probe.ReasonRefused || len(r.Advice) != 1 || r.Advice[0].Code != string(probe.ReasonNXDomain) {
			t.Errorf("%+v", r)
		}
	})
}
