package chaos

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// TestDialWrongAddress: the dial goes elsewhere, to the same port.
func TestDialWrongAddress(t *testing.T) {
	bubble(t, "elsewhere", func(t *testing.T) {
		var dialed []string
		r := newRegistry(t, Options{})
		dial := r.Dial(func(_ context.Context, _, addr string) (net.Conn, error) {
			dialed = append(dialed, addr)
			return nil, nil
		})
		l, err := r.Inject(Spec{Kind: "dial.dns", Params: map[string]string{"error": "wrong_address", "to": "2001:db8::7"}})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = dial(t.Context(), "tcp", "api.telegram.org:443")
		l.End()
		_, _ = dial(t.Context(), "tcp", "api.telegram.org:443")
		if want := []string{"[2001:db8::7]:443", "api.telegram.org:443"}; !slices.Equal(dialed, want) {
			t.Errorf("dialed %q, want %q", dialed, want)
		}
	})
}

// TestProbeNames: names resolve wrongly for the probe, each in its way.
func TestProbeNames(t *testing.T) {
	notFound := dnsIs(func(d *net.DNSError) bool { return d.IsNotFound }, host)
	for how, c := range map[string]struct {
		v4, v6 string // the address; empty: notFound
		err    func(error) bool
	}{
		"not_found":     {"", "", notFound},
		"temporary":     {"", "", dnsIs(func(d *net.DNSError) bool { return d.IsTemporary }, host)},
		"timeout":       {"", "", func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		"ipv6_only":     {"", "2001:db8::1", notFound},
		"wrong_address": {"192.0.2.1", "", notFound},
	} {
		bubble(t, how, func(t *testing.T) {
			r := newRegistry(t, Options{})
			look := r.ProbeLookup(func(context.Context, string, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
			})
			l, err := r.Inject(Spec{Kind: "probe.fail", Params: map[string]string{"how": how}})
			if err != nil {
				t.Fatal(err)
			}
			if !l.Status().Attached {
				t.Error("nothing would be hit")
			}
			for network, want := range map[string]string{"ip4": c.v4, "ip6": c.v6} {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				got, err := look(ctx, network, host)
				cancel()
				if want == "" && (err == nil || !c.err(err)) || want != "" && (err != nil || len(got) != 1 || got[0].String() != want) {
					t.Errorf("%s: %v, %v", network, got, err)
				}
			}
			if l.Fired() != 2 {
				t.Errorf("fired %d times", l.Fired())
			}
			l.End()
			if got, err := look(t.Context(), "ip4", host); err != nil || got[0].String() != "127.0.0.1" {
				t.Errorf("after the fault: %v, %v", got, err)
			}
		})
	}
}

// TestClockOffset: the clock is wrong as long as the fault acts, and the fault's own
// lease runs by the true one.
func TestClockOffset(t *testing.T) {
	bubble(t, "ahead and back", func(t *testing.T) {
		r := newRegistry(t, Options{})
		clock := r.Clock(time.Now)
		off := func() time.Duration { return time.Until(clock()) }
		for by, want := range map[string]time.Duration{"24h": 24 * time.Hour, "-8760h": -8760 * time.Hour} {
			l, err := r.Inject(Spec{Kind: "clock.offset", For: time.Minute, Params: map[string]string{"by": by}})
			if err != nil {
				t.Fatal(err)
			}
			if got := off(); got != want || l.Fired() != 1 {
				t.Errorf("off by %v, want %v; fired %d times", got, want, l.Fired())
			}
			time.Sleep(time.Minute - 1)
			if off() != want {
				t.Error("it ended before its time")
			}
			time.Sleep(time.Nanosecond)
			if off() != 0 {
				t.Error("it outlived its lease")
			}
		}
	})
}
