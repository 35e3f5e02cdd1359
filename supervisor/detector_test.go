package supervisor

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/supervisor/failover"
	"dualgram/transport/botapi"
	"dualgram/transport/probe"
	"dualgram/transport/webhook"
)

func TestStall(t *testing.T) {
	t0 := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }
	type step struct {
		sent    float64 // of a sample; <0: no sample
		pending int
		arrived float64 // last authenticated delivery; 0: never
		busy    bool
		want    Level
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"pending in every sample over 3 s", []step{{1, 1, 0, false, Suspect}, {2, 1, 0, false, Suspect}, {3.9, 1, 0, false, Suspect}, {4, 1, 0, false, Tripped}}},
		{"one sample is not enough, however long ago", []step{{1, 1, 0, false, Suspect}, {-1, 0, 0, false, Suspect}}},
		{"a sample with nothing pending ends the run", []step{{1, 1, 0, false, Suspect}, {2, 0, 0, false, Clear}, {4, 1, 0, false, Suspect}, {5, 1, 0, false, Suspect}}},
		{"a delivery since the first sample ends it", []step{{1, 1, 0, false, Suspect}, {4, 1, 2, false, Suspect}, {6.9, 1, 2, false, Suspect}, {7, 1, 2, false, Tripped}}},
		{"a delivery after the last sample ends it", []step{{1, 1, 0, false, Suspect}, {-1, 0, 1.5, false, Clear}}},
		{"one in progress ends it", []step{{1, 1, 0, false, Suspect}, {4, 1, 0, true, Clear}, {5, 1, 0, false, Suspect}}},
		{"an old delivery doesn't", []step{{1, 1, 0.5, false, Suspect}, {4, 1, 0.5, false, Tripped}}},
		{"it stays tripped", []step{{1, 1, 0, false, Suspect}, {4, 1, 0, false, Tripped}, {5, 9, 0, false, Tripped}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := stall{window: 3 * time.Second}
			for i, st := range c.steps {
				arrived := time.Time{}
				if st.arrived > 0 {
					arrived = at(st.arrived)
				}
				if st.sent >= 0 {
					s.sampled(sample{Sent: at(st.sent), Pending: st.pending}, arrived, st.busy)
				}
				if r := s.read(arrived, st.busy); r.Level != st.want {
					t.Fatalf("step %d: %v, want %v (%s)", i, r.Level, st.want, r.Evidence)
				}
			}
		})
	}
}

func TestOverdue(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ago := func(s float64) time.Time { return now.Add(-time.Duration(s * float64(time.Second))) }
	for name, c := range map[string]struct {
		f    webhook.InFlight
		want Level
	}{
		"fresh":                              {webhook.InFlight{Started: ago(0.9), Stage: webhook.StageReading}, Clear},
		"half of the limit":                  {webhook.InFlight{Started: ago(1), Stage: webhook.StageReading}, Suspect},
		"the limit":                          {webhook.InFlight{Started: ago(2), Stage: webhook.StageAnswering}, Tripped},
		"waits for the ledger":               {webhook.InFlight{Started: ago(9), Stage: webhook.StageCommitting}, Clear},
		"waited for the ledger until now":    {webhook.InFlight{Started: ago(9), Stage: webhook.StageAnswering, Commit: 8500 * time.Millisecond}, Clear},
		"and then for the answer to be read": {webhook.InFlight{Started: ago(9), Stage: webhook.StageAnswering, Commit: 7 * time.Second}, Tripped},
		"of an earlier registration":         {webhook.InFlight{Started: ago(61), Stage: webhook.StageReading}, Clear},
	} {
		t.Run(name, func(t *testing.T) {
			if r := overdue([]webhook.InFlight{c.f}, ago(60), now, 2*time.Second); r.Level != c.want || (r.Evidence == "") != (c.want == Clear) {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestFailRate(t *testing.T) {
	const ok, bad, other = 'o', 'X', '-' // taken, our fault, not the path's
	for _, c := range []struct {
		name  string
		gap   time.Duration
		feed  string
		level Level
	}{
		{"all well", 100 * time.Millisecond, "oooooooooo", Clear},
		{"one failure", time.Second, "ooXoo", Clear},
		{"three in a row over 1.5 s", 800 * time.Millisecond, "XXX", Tripped},
		{"three in a row at once", 10 * time.Millisecond, "XXX", Suspect},
		{"half of ten", 200 * time.Millisecond, "oXoXoXoXoX", Tripped},
		{"a tenth", 100 * time.Millisecond, "oooooooooXoooooooooXo", Clear},
		{"a hiccup of 40 connections", 5 * time.Millisecond, strings.Repeat("X", 40) + strings.Repeat("o", 60), Clear},
		{"what is not the path's fault", 200 * time.Millisecond, "----------", Clear},
		{"that doesn't dilute", 400 * time.Millisecond, "X-X-X-X-X", Tripped},
		{"failures long ago", 5 * time.Second, "XoXoXo", Clear},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFailRate(Thresholds{}.WithDefaults())
				for _, x := range c.feed {
					time.Sleep(c.gap)
					switch x {
					case ok:
						f.record(nil, "", time.Now())
					case bad:
						f.record(errOurFault, "panicked", time.Now())
					case other:
						f.record(errNotPath, "store_failed", time.Now())
					}
				}
				if r := f.read(); r.Level != c.level {
					t.Errorf("%v, want %v: %s", r.Level, c.level, r.Evidence)
				}
			})
		})
	}
}

// TestFailRateSince: a failover is timed from the first of the failures that led
// to it, not from the moment at which there were enough of them.
func TestFailRateSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailRate(Thresholds{}.WithDefaults())
		for range 20 {
			f.record(nil, "", time.Now())
			time.Sleep(100 * time.Millisecond)
		}
		first := time.Now()
		for range 20 {
			f.record(errOurFault, "handler_failed", time.Now())
			time.Sleep(100 * time.Millisecond)
		}
		if r := f.read(); r.Level != Tripped || !r.Since.Equal(first) {
			t.Errorf("%v since %v, want tripped since %v", r.Level, r.Since, first)
		}
	})
}

// TestFailRateRow: a row begins with its own first failure, not with one that a
// success came after.
func TestFailRateRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailRate(Thresholds{}.WithDefaults())
		for range 20 {
			f.record(nil, "", time.Now())
		}
		f.record(errOurFault, "panicked", time.Now())
		f.record(nil, "", time.Now())
		time.Sleep(2 * time.Second)
		for range 3 {
			f.record(errOurFault, "panicked", time.Now())
		}
		if r := f.read(); r.Level != Suspect {
			t.Errorf("three at once, and one 2 s before: %v", r.Level)
		}
		time.Sleep(1500 * time.Millisecond)
		f.record(errOurFault, "panicked", time.Now())
		if r := f.read(); r.Level != Tripped {
			t.Errorf("four in a row over 1.5 s: %v", r.Level)
		}
	})
}

// TestOutcomeCounts: only authenticated outcomes whose cause is ours on the path
// speak against the webhook.
func TestOutcomeCounts(t *testing.T) {
	for _, c := range []struct {
		cause  webhook.Cause
		status int
		auth   bool
		level  Level
		refuse bool
	}{
		{webhook.CauseOK, 200, true, Clear, false},
		{webhook.CauseHandler, 500, true, Tripped, true},
		{webhook.CausePanicked, 500, true, Tripped, true},
		{webhook.CauseBodyMissing, 503, true, Tripped, true},
		{webhook.CauseStoreFailed, 503, true, Clear, true},
		{webhook.CauseClientGone, 0, true, Clear, false},
		{webhook.CauseClientGone, 503, true, Clear, false}, // nobody read that
		{webhook.CauseClientGone, 200, true, Clear, false},
		{webhook.CauseHandler, 200, true, Tripped, true}, // nobody took what was answered so
		{webhook.CauseBadSecret, 403, false, Clear, false},
		{webhook.CausePanicked, 500, false, Clear, false},
		{webhook.CauseBadAddress, 403, false, Clear, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			m, err := newMetrics(nil)
			if err != nil {
				t.Fatal(err)
			}
			b := &Bot{fail: newFailRate(Thresholds{}.WithDefaults()), metrics: m.bot("x")}
			for range 6 {
				time.Sleep(500 * time.Millisecond)
				b.outcome(webhook.Outcome{Cause: c.cause, Status: c.status, Authenticated: c.auth})
			}
			if r := b.fail.read(); r.Level != c.level {
				t.Errorf("%s (authenticated %v): %v, want %v", c.cause, c.auth, r.Level, c.level)
			}
			if got := b.arrived.count(); (got > 0) != (c.cause == webhook.CauseOK) {
				t.Errorf("%s with %d: %d count as acknowledged", c.cause, c.status, got)
			}
			if got := !b.arrived.lastRefused().IsZero(); got != c.refuse {
				t.Errorf("%s (authenticated %v): counts as refused: %v", c.cause, c.auth, got)
			}
		})
	}
}

// TestRefusals: what we refused explains Telegram's silence only for as long as it
// can be backing off.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name string
		at   []float64 // refusals
		want float64   // until when
	}{
		{"once", []float64{100}, 105},
		{"a flicker", []float64{100, 100, 102, 106}, 117},
		{"for a minute", []float64{100, 102, 106, 114, 130, 162}, 229},
		{"for long", []float64{100, 102, 106, 114, 130, 162, 226, 346, 466}, 596},
		{"twice, with success between", []float64{100, 160}, 165},
	} {
		var r refusals
		for _, at := range c.at {
			r.note(clock(at))
		}
		if !r.until().Equal(clock(c.want)) {
			t.Errorf("%s: until %v, want %v", c.name, r.until(), clock(c.want))
		}
	}
	if r := (refusals{}); !r.until().IsZero() {
		t.Error("nothing was refused")
	}
}

// TestDoubted: a probe shortens the stall when it has just turned bad, and not for
// as long as it stays so.
func TestDoubted(t *testing.T) {
	b := &Bot{}
	b.probe.prober = noProber{}
	b.probe.judge.Add(probe.Result{At: clock(98), OK: true})
	for at := 99.0; at <= 101; at++ {
		b.probe.last = probe.Result{At: clock(at), Reason: probe.ReasonRefused}
		b.probe.judge.Add(b.probe.last)
	}
	for at, want := range map[float64]bool{101: true, 150: true, 159: false, 3000: false} {
		if got := b.doubted(clock(at)); got != want {
			t.Errorf("at %v: %v", at, got)
		}
	}
	b.readings = []Reading{{Signal: SignalListener, Level: Suspect, Since: clock(3000)}}
	if !b.doubted(clock(3001)) {
		t.Error("a listener that takes no connections casts no doubt")
	}
}

type noProber struct{ Prober }

func TestChainReading(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	leaf := func(from, to time.Duration, cn string, dns ...string) *x509.Certificate {
		return &x509.Certificate{NotBefore: now.Add(from), NotAfter: now.Add(to), DNSNames: dns, Subject: pkix.Name{CommonName: cn}}
	}
	const h = "bot.example.com"
	ip := leaf(-time.Hour, time.Hour, "5.45.72.10")
	ip.IPAddresses = []net.IP{net.ParseIP("5.45.72.10")}
	for _, c := range []struct {
		name string
		leaf *x509.Certificate
		err  error
		host string
		want Level
	}{
		{"good", leaf(-time.Hour, time.Hour, "", h), nil, h, Clear},
		{"expired", leaf(-time.Hour, -time.Second, "", h), nil, h, Tripped},
		{"about to", leaf(-time.Hour, 2*time.Minute, "", h), nil, h, Tripped},
		{"just not", leaf(-time.Hour, 2*time.Minute+time.Second, "", h), nil, h, Clear},
		{"not yet", leaf(time.Second, time.Hour, "", h), nil, h, Tripped},
		{"another host", leaf(-time.Hour, time.Hour, "", "other.example.com"), nil, h, Tripped},
		{"a wildcard", leaf(-time.Hour, time.Hour, "", "*.example.com"), nil, h, Clear},
		{"an address by its common name", leaf(-time.Hour, time.Hour, "5.45.72.10"), nil, "5.45.72.10", Clear},
		{"an address as a SAN as well", ip, nil, "5.45.72.10", Clear},
		{"an address as a DNS name", leaf(-time.Hour, time.Hour, "x", "5.45.72.10"), nil, "5.45.72.10", Clear},
		{"a common name beside another DNS name", leaf(-time.Hour, time.Hour, "5.45.72.10", h), nil, "5.45.72.10", Tripped},
		{"none", nil, errors.New("none"), h, Tripped},
	} {
		var s webhook.CertState
		if c.leaf != nil {
			s = webhook.CheckChain([]*x509.Certificate{c.leaf}, now, c.host, 0)
		}
		if r := chainReading(s, c.err, now, 2*time.Minute); r.Level != c.want {
			t.Errorf("%s: %v, want %v: %s", c.name, r.Level, c.want, r.Evidence)
		}
	}
}

func TestOwner(t *testing.T) {
	want := botapi.SetWebhook{URL: "https://a/hook", SecretToken: "s", MaxConnections: 40}
	acked := identity{Acked: fingerprintOf(want)}
	acked.remember(hash(want.URL))
	older := acked
	older.Acked.Secret = hash("older")
	moved := identity{}
	moved.remember(hash("https://old/hook"))
	info := func(url string) botapi.WebhookInfo { return botapi.WebhookInfo{URL: url, MaxConnections: 40} }
	more := info(want.URL)
	more.MaxConnections = 80
	custom := info(want.URL)
	custom.HasCustomCertificate = true
	pinned := want
	pinned.IPAddress = "1.2.3.4"
	pinnedID := identity{Acked: fingerprintOf(pinned)}
	for _, c := range []struct {
		name string
		id   identity
		info botapi.WebhookInfo
		want botapi.SetWebhook
		is   failover.Owner
	}{
		{"none", acked, info(""), want, failover.Nobody},
		{"ours", acked, info(want.URL), want, failover.Ours},
		// Renewed in place instead of set anew: the old one is good until then.
		{"ours, but the secret has changed since", older, info(want.URL), want, failover.Ours},
		{"ours, never acknowledged to this store", identity{}, info(want.URL), want, failover.OursOther},
		{"other max_connections", acked, more, want, failover.OursOther},
		{"a certificate that we did not upload", acked, custom, want, failover.OursOther},
		{"another pinned address", pinnedID, info(want.URL), pinned, failover.OursOther},
		{"a URL that we registered once", moved, info("https://old/hook"), want, failover.OursOther},
		{"somebody else's", acked, info("https://b/hook"), want, failover.Foreign},
		{"somebody else's, for a bot that only polls", identity{}, info("https://b/hook"), botapi.SetWebhook{}, failover.Foreign},
	} {
		if got := c.id.owner(c.info, c.want); got != c.is {
			t.Errorf("%s: %v, want %v", c.name, got, c.is)
		}
	}
}
