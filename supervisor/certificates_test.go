package supervisor

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"dualgram/chaos/pki"
	"dualgram/supervisor/failover"
	"dualgram/supervisor/warning"
	"dualgram/transport/botapi"
	"dualgram/transport/webhook"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestExpirySeverity: the warnings come when an operator can still act, and not
// for most of a short life, nor before whoever renews in good time has done so.
func TestExpirySeverity(t *testing.T) {
	const day = 24 * time.Hour
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	none, info, warn, critical := warning.Severity(""), warning.Info, warning.Warning, warning.Critical
	for _, c := range []struct {
		name string
		life time.Duration
		left time.Duration
		want warning.Severity
	}{
		{"ten years, one left", 3650 * day, 365 * day, none},
		{"a year, 31 days left", 365 * day, 31 * day, none},
		{"a year, 30 days left", 365 * day, 30 * day, info},
		{"a year, 14 days and a bit left", 365 * day, 14*day + time.Second, info},
		{"a year, 14 days left", 365 * day, 14 * day, warn},
		{"a year, 3 days left", 365 * day, 3 * day, critical},
		{"90 days, new", 90 * day, 90 * day, none},
		{"90 days, at the usual renewal", 90 * day, 30 * day, none},
		{"90 days, a week after that", 90 * day, 22 * day, info},
		{"90 days, 11 left", 90 * day, 11 * day, warn},
		{"90 days, 3 left", 90 * day, 3 * day, critical},
		{"45 days, at a third", 45 * day, 15 * day, none},
		{"45 days, 5 left", 45 * day, 5 * day, warn},
		{"6 days, new", 6 * day, 6 * day, none},
		{"6 days, at a third", 6 * day, 2 * day, none},
		{"6 days, 36 hours left", 6 * day, 36 * time.Hour, info},
		{"6 days, 18 hours left", 6 * day, 18 * time.Hour, warn},
		{"6 days, not quite 5 hours left", 6 * day, 4*time.Hour + 48*time.Minute, critical},
		{"over", 90 * day, 0, critical},
		{"long over", 90 * day, -90 * day, critical},
	} {
		end := start.Add(c.life)
		if got := ExpirySeverity(start, end, end.Add(-c.left)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestExpiryWarning(t *testing.T) {
	end := time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)
	start := end.Add(-90 * 24 * time.Hour)
	if w, ok := expiry("bot.example.com", start, end, end.Add(-60*24*time.Hour), ""); ok {
		t.Errorf("far from its end: %+v", w)
	}
	for _, c := range []struct {
		left    time.Duration
		renewal string
		texts   []string
	}{
		{7*24*time.Hour + time.Hour, "", []string{"bot.example.com", "2026-04-01 12:00 UTC", "in 7 days", "replace the files"}},
		{30 * time.Hour, "It renews itself.", []string{"in 30 hours", "It renews itself."}},
		{50 * time.Minute, "", []string{"in 50 minutes"}},
		{90 * time.Second, "", []string{"in 90 seconds"}},
		{0, "", []string{"ended on 2026-04-01 12:00 UTC", "polling", "replace the files"}},
		{-time.Hour, "", []string{"ended on"}},
	} {
		w, ok := expiry("bot.example.com", start, end, end.Add(-c.left), c.renewal)
		if !ok || w.Code != warning.CertificateExpires {
			t.Errorf("%v: %+v", c.left, w)
		}
		for _, text := range c.texts {
			if !strings.Contains(w.Evidence+".", text) {
				t.Errorf("%v: %q is not in %q", c.left, text, w.Evidence)
			}
		}
	}
}

// TestCertificateMetric: the metric is the end of what is served, that of an
// intermediate which ends first included.
func TestCertificateMetric(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := newMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Truncate(time.Second)
	ca, err := pki.NewCA(now, "root")
	if err != nil {
		t.Fatal(err)
	}
	end := now.Add(10 * time.Hour)
	pair, err := ca.Issue(now, pki.Leaf{Hosts: []string{"bot.example.com"}, NotAfter: end})
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{pair.TLS()}}
	o := BotOptions{Name: "orders", Webhook: &WebhookOptions{Params: botapi.SetWebhook{URL: "https://bot.example.com/hook"}}}
	watch := chainWatch(&listener{opt: ListenerOptions{TLS: cfg}}, o, m)
	if r := watch(now); r.Level != Clear {
		t.Errorf("%+v", r)
	}
	if got := testutil.ToFloat64(m.certificateEnd.WithLabelValues("orders")); got != float64(end.Unix()) {
		t.Errorf("the metric is %v, want %v", got, end.Unix())
	}
	// What comes next shows within a second.
	later := end.Add(time.Hour)
	if pair, err = ca.Issue(now, pki.Leaf{Hosts: []string{"bot.example.com"}, NotAfter: later}); err != nil {
		t.Fatal(err)
	}
	cfg.Certificates = []tls.Certificate{pair.TLS()}
	watch(now.Add(chainEvery))
	if got := testutil.ToFloat64(m.certificateEnd.WithLabelValues("orders")); got != float64(later.Unix()) {
		t.Errorf("the metric is %v, want %v", got, later.Unix())
	}
	if chainWatch(&listener{}, o, m) != nil {
		t.Error("behind a proxy there is a certificate to watch")
	}
}

// TestUploaded: a certificate that Telegram wasn't given is uploaded anew, as
// something planned, and not too often.
func TestUploaded(t *testing.T) {
	now := time.Now()
	present := []byte("new")
	bot := func(acked string, edit func(*Bot)) *Bot {
		b := &Bot{opt: BotOptions{Webhook: &WebhookOptions{Certificate: func() []byte { return present }}}}
		b.identity.Acked.Certificate = hash(acked)
		b.state.Phase = failover.Webhook
		if edit != nil {
			edit(b)
		}
		return b
	}
	clear := Reading{Signal: SignalTLS, Moves: true}
	bad := Reading{Signal: SignalTLS, Moves: true, Level: Tripped, Evidence: "expired"}
	for _, c := range []struct {
		name    string
		bot     *Bot
		in      Reading
		level   Level
		excused bool
	}{
		{"the same", bot("new", nil), clear, Clear, false},
		{"another", bot("old", nil), clear, Tripped, true},
		{"none uploaded", bot("", nil), clear, Tripped, true},
		{"not ours to upload", bot("old", func(b *Bot) { b.opt.Webhook.Certificate = nil }), clear, Clear, false},
		{"in polling", bot("old", func(b *Bot) { b.state.Phase = failover.Polling }), clear, Clear, false},
		{"bad as well", bot("old", nil), bad, Tripped, false},
		{"so soon again", bot("old", func(b *Bot) { b.state.LastFlush = now.Add(-time.Minute) }), clear, Suspect, true},
		{"again", bot("old", func(b *Bot) { b.state.LastFlush = now.Add(-reuploadPause) }), clear, Tripped, true},
	} {
		r := c.bot.uploaded(now, c.in)
		if r.Level != c.level || r.Excused != c.excused || (r.Level != Clear) != (r.Evidence != "") {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}

// TestChainMemo: a verdict is kept while nothing changes that it depends on.
func TestChainMemo(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	ca, err := pki.NewCA(now, "root")
	if err != nil {
		t.Fatal(err)
	}
	issue := func(to time.Duration, host string) tls.Certificate {
		p, err := ca.Issue(now, pki.Leaf{Hosts: []string{host}, NotAfter: now.Add(to)})
		if err != nil {
			t.Fatal(err)
		}
		return p.TLS()
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{issue(90*time.Second, "bot.example.com")}}
	var memo chainMemo
	status := func(at time.Duration) webhook.CertStatus {
		t.Helper()
		s, err := memo.check(cfg, "bot.example.com", now.Add(at))
		if err != nil {
			t.Fatal(err)
		}
		return s.Status
	}
	good := status(time.Second)
	if good.Fatal() {
		t.Fatal(good)
	}
	if allocs := testing.AllocsPerRun(100, func() { status(2 * time.Second) }); allocs > 20 {
		t.Errorf("a verdict that stands takes %v allocations", allocs)
	}
	if got := status(91 * time.Second); got != webhook.CertExpired {
		t.Errorf("past its end: %s", got)
	}
	if got := status(time.Second); got != good {
		t.Errorf("the clock went back: %s", got)
	}
	cfg.Certificates = []tls.Certificate{issue(time.Hour, "other.example.com")}
	if got := status(2 * time.Second); got != webhook.CertWrongHost {
		t.Errorf("another certificate: %s", got)
	}
	cfg.Certificates = []tls.Certificate{{}}
	if _, err := memo.check(cfg, "bot.example.com", now); err == nil {
		t.Error("an empty certificate was judged")
	}
}
