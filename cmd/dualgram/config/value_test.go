package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "30s": 30 * time.Second, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour,
		"0.5d": 12 * time.Hour, "500ms": 500 * time.Millisecond, "1.5h": 90 * time.Minute,
	} {
		if got, err := ParseDuration(s); err != nil || got != want {
			t.Errorf("%q = %v, %v", s, got, err)
		}
		if back, err := ParseDuration(FormatDuration(want)); err != nil || back != want {
			t.Errorf("%v is written %q", want, FormatDuration(want))
		}
	}
	for _, s := range []string{"", "30", "1.5", "-1s", "1d-1h", "1d+1h", "d", "1h1d", "9999999999999d", "106751d106751d", "1 s", "1w", "200000d", "50000d2562047h", "NaNd"} {
		if d, err := ParseDuration(s); err == nil {
			t.Errorf("%q = %v, want an error", s, d)
		}
	}
	for d, want := range map[time.Duration]string{time.Minute: "1m", 24 * time.Hour: "24h", 48 * time.Hour: "2d", 90 * time.Second: "1m30s", 10*time.Hour + 10*time.Minute: "10h10m"} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%v is written %q, want %q", d, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"public_url", "listen", "tls", "max_connections", "budget", "hold_down", "warn"}
	for word, want := range map[string]string{
		"public_ulr": "public_url", "publicurl": "public_url", "maxconnections": "max_connections", "hold-down": "hold_down", "lsiten": "listen",
		"tsl": "tls", "warning": "warn", "hold": "hold_down", "x": "", "frobnicate": "", "": "", strings.Repeat("a", 1000): "",
	} {
		if got, _ := Nearest(word, keys); got != want {
			t.Errorf("nearest to %.20q is %q, want %q", word, got, want)
		}
	}
	if d := distance("abcd", "abdc"); d != 1 {
		t.Errorf("a swap costs %d", d)
	}
	if d := distance("kitten", "sitting"); d != 3 {
		t.Errorf("kitten to sitting costs %d", d)
	}
}

func TestNetworks(t *testing.T) {
	n, err := parseNetworks([]string{"telegram", "10.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	for a, want := range map[string]bool{"149.154.175.255": true, "149.154.176.0": false, "91.108.7.255": true, "91.108.8.0": false, "::ffff:91.108.4.1": true, "10.1.2.3": true, "192.0.2.1": false} {
		if got := n.Contains(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
	if !(Networks{Any: true}).Contains(netip.MustParseAddr("2001:db8::1")) || (Networks{}).Contains(netip.MustParseAddr("10.0.0.1")) {
		t.Error("any and none")
	}
}

func TestBudgetSum(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		info, budget, sum time.Duration
		vetoes            int
		ok                bool
	}{
		{2000 * ms, 10000 * ms, 9500 * ms, 0, true},
		{2000 * ms, 9500 * ms, 9500 * ms, 0, true}, // exactly
		{2000 * ms, 9499 * ms, 9500 * ms, 0, false},
		{2000 * ms, 10000 * ms, 10000 * ms, 1, true},
		{2000 * ms, 10000 * ms, 10500 * ms, 2, false},
		{2501 * ms, 10000 * ms, 10001 * ms, 0, false},
	} {
		cfg := Defaults()
		cfg.Failover.InfoInterval, cfg.Failover.Budget = c.info, c.budget
		cfg.Failover.Hooks.Veto = slices.Repeat([]Hook{{"/bin/true"}}, c.vetoes)
		b := BudgetSum(cfg)
		var sum time.Duration
		for _, p := range b.Parts {
			sum += p.Time
		}
		if b.Sum != c.sum || sum != c.sum || b.OK() != c.ok {
			t.Errorf("%+v: %v, %v", c, b.Sum, b.OK())
		}
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"x" + sampleToken + "/getMe":                               "x[token]/getMe",
		"/bot" + strings.Replace(sampleToken, ":", "%3A", 1) + "/": "/bot[token]/",
		"at 12:30, on 127.0.0.1:8443":                              "at 12:30, on 127.0.0.1:8443",
	} {
		if got := Redact(in); got != want {
			t.Errorf("%q", got)
		}
	}
	if got := redactURL("socks5://user:pass@host:1/x y%zz"); strings.Contains(got, "pass") || !strings.Contains(got, "host:1") {
		t.Errorf("%q", got)
	}
}

func TestSecretNeverPrints(t *testing.T) {
	type holder struct{ S Secret }
	for _, s := range []Secret{NewSecret("hunter2hunter2"), {value: "hunter2hunter2", variable: "X"}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			for _, v := range []any{s, &s, holder{s}, []Secret{s}} {
				if out := fmt.Sprintf(verb, v); strings.Contains(out, "hunter2") || strings.Contains(out, "68756e746572") {
					t.Errorf("%s of %T: %s", verb, v, out)
				}
			}
		}
		if j, err := s.MarshalJSON(); err != nil || strings.Contains(string(j), "hunter2") {
			t.Error(string(j), err)
		}
	}
}

func TestHash(t *testing.T) {
	base := mustLoad(t, "", envPolling...)
	same := mustLoad(t, "", append(slices.Clone(envPolling), "DUALGRAM_LOG_LEVEL=info", "DUALGRAM_TOKEN="+strings.Replace(sampleToken, "AA", "BB", 1))...)
	other := mustLoad(t, "", append(slices.Clone(envPolling), "DUALGRAM_LOG_LEVEL=debug")...)
	if len(Hash(base)) != 12 || Hash(base) != Hash(same) || Hash(base) == Hash(other) {
		t.Error(Hash(base), Hash(same), Hash(other))
	}
}
