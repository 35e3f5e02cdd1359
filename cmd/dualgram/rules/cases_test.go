package rules

import (
	"strings"

	"dualgram/supervisor/warning"
)

// The pace of a case: how often the rules are evaluated, and which file it is in.
const (
	quick = "15s"
	hours = "1m"
	days  = "30m"
)

// testCase is what promtool is asked of one alert: it fires, it resolves, it doesn't
// fire on what is nearly so, and it says nothing without data.
type testCase struct {
	alert string // the page
	pace  string
	// bad is the input that makes it fire at firesAt and no more at overAt.
	bad             map[string]string
	firesAt, overAt string
	fires           []firing
	// good is input that must not make it fire at goodAt.
	good   map[string]string
	goodAt string
	// alone is what fires without any data: that there is none is what some alerts
	// are about.
	alone []firing
	// lasts: it has no end, and needs no input.
	lasts bool
}

// firing is one alert that is expected.
type firing struct {
	severity string
	// labels beside those of every alert.
	labels map[string]string
	value  float64
	// says is what Prometheus's own template functions make of the value.
	says map[string]string
}

// anInstance stands for the case's own.
const (
	anInstance = "INSTANCE"
	of         = `job="dualgram",instance="` + anInstance + `",bot="orders"`
)

var (
	bot      = map[string]string{"job": "dualgram", "instance": anInstance, "bot": "orders"}
	instance = map[string]string{"job": "dualgram", "instance": anInstance}
)

// with adds labels.
func with(labels map[string]string, more ...string) map[string]string {
	out := map[string]string{}
	for k, v := range labels {
		out[k] = v
	}
	for i := 0; i < len(more); i += 2 {
		out[more[i]] = more[i+1]
	}
	return out
}

// in is the input: pairs of a series, without the labels of every one, and values.
func in(pairs ...string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		name, labels, _ := strings.Cut(strings.TrimSuffix(pairs[i], "}"), "{")
		base := of
		if strings.HasPrefix(name, "dualgram_store_") || strings.HasPrefix(name, "dualgram_host_") || strings.HasPrefix(name, "dualgram_chaos_") ||
			strings.HasPrefix(name, "dualgram_notif") || strings.HasPrefix(name, "dualgram_heart") || name == "up" {
			base = strings.TrimSuffix(of, `,bot="orders"`)
		}
		if labels != "" {
			base += "," + labels
		}
		out[name+"{"+base+"}"] = pairs[i+1]
	}
	return out
}

// cases are those of the alerts that no warning stands for.
func cases() []testCase {
	return []testCase{
		{alert: "down", pace: quick,
			bad: in("up", "1x4 0x20 1x20"), firesAt: "4m", overAt: "8m",
			fires: []firing{{"critical", instance, 0, nil}},
			good:  in("up", "1x4 0x4 1x20"), goodAt: "3m",
			alone: []firing{{"critical", map[string]string{"job": "dualgram"}, 1, nil}}},
		{alert: "updates_lost", pace: quick,
			bad:     in(`dualgram_updates_lost_total{cause="lost"}`, "0x8 3x60", `dualgram_updates_lost_total{cause="expired_suspected"}`, "0x8 2x60"),
			firesAt: "10m", overAt: "15m",
			// The increase is reckoned over the whole window, of which the last sample before it is missing.
			fires: []firing{{"critical", bot, 3, nil}, {"warning", bot, 2, nil}},
			good:  in(`dualgram_updates_lost_total{cause="lost"}`, "7x60", `dualgram_updates_lost_total{cause="expired_suspected"}`, "1x60"), goodAt: "10m"},
		{alert: "intake_stalled", pace: quick,
			bad: in("dualgram_telegram_pending_updates", "0x4 7x20 0x20", `dualgram_last_update_received_timestamp_seconds{source="webhook"}`, "60x60",
				`dualgram_last_update_received_timestamp_seconds{source="polling"}`, "0x60"),
			firesAt: "5m", overAt: "8m", fires: []firing{{"critical", bot, 7, nil}},
			// Updates are pending all the time, and come in by either transport.
			good: in("dualgram_telegram_pending_updates", "7x60", `dualgram_last_update_received_timestamp_seconds{source="webhook"}`, "0x60",
				`dualgram_last_update_received_timestamp_seconds{source="polling"}`, "0+15x60"), goodAt: "8m"},
		{alert: "switch_slow", pace: quick,
			// OpenMetrics writes the bound otherwise.
			bad: in(`dualgram_handover_duration_seconds_count{to="polling"}`, "0x8 2x100", `dualgram_handover_duration_seconds_bucket{to="polling",le="10"}`, "0x8 1x100",
				`dualgram_handover_duration_seconds_count{to="webhook"}`, "0x8 3x100", `dualgram_handover_duration_seconds_bucket{to="webhook",le="10.0"}`, "0x8 2x100"),
			firesAt: "10m", overAt: "20m", fires: []firing{{"warning", with(bot, "to", "polling"), 1, nil}, {"warning", with(bot, "to", "webhook"), 1, nil}},
			good: in(`dualgram_handover_duration_seconds_count{to="polling"}`, "0x8 2x100", `dualgram_handover_duration_seconds_bucket{to="polling",le="10"}`, "0x8 2x100",
				`dualgram_handover_duration_seconds_count{to="webhook"}`, "0x8 2x100", `dualgram_handover_duration_seconds_bucket{to="webhook",le="10.0"}`, "0x8 2x100"), goodAt: "10m"},
		{alert: "switch_failed", pace: quick,
			bad: in(`dualgram_handover_attempts_total{to="polling",result="failed"}`, "0x4 0+1x8 8x100",
				`dualgram_handover_attempts_total{to="webhook",result="failed"}`, "0x4 0+1x2 2x130"),
			firesAt: "5m", overAt: "32m",
			fires: []firing{{"critical", with(bot, "to", "polling"), 8, nil}, {"warning", with(bot, "to", "webhook"), 2, nil}},
			// One that had to be repeated, and those that went well.
			good: in(`dualgram_handover_attempts_total{to="polling",result="failed"}`, "0x4 1x60", `dualgram_handover_attempts_total{to="webhook",result="failed"}`, "0x4 1x60",
				`dualgram_handover_attempts_total{to="polling",result="ok"}`, "0+1x60"), goodAt: "5m"},
		{alert: "flapping", pace: quick,
			bad:     in(`dualgram_handovers_total{to="polling",cause="stall",by="automatic"}`, "0x4 2x140", `dualgram_handovers_total{to="webhook",cause="hold_down_over",by="automatic"}`, "0x8 3x140"),
			firesAt: "10m", overAt: "35m", fires: []firing{{"warning", bot, 5, nil}},
			// An operator, a drill and a flush may switch as often as they like.
			good: in(`dualgram_handovers_total{to="polling",cause="operator",by="operator"}`, "0+1x60", `dualgram_handovers_total{to="webhook",cause="backoff_flush",by="automatic"}`, "0+1x60",
				`dualgram_handovers_total{to="polling",cause="stall",by="drill"}`, "0+1x60", `dualgram_handovers_total{to="polling",cause="stall",by="automatic"}`, "0x4 1x60"), goodAt: "10m"},
		{alert: "fail_rate_high", pace: quick,
			bad:     in(`dualgram_webhook_requests_total{cause="ok"}`, "0+98x80", `dualgram_webhook_requests_total{cause="handler_failed"}`, "0+2x30 60x50"),
			firesAt: "7m", overAt: "15m", fires: []firing{{"warning", bot, 0.02, map[string]string{"humanizePercentage": "2%"}}},
			// Strangers and those that hang up, and too few to say anything.
			good: in(`dualgram_webhook_requests_total{cause="ok"}`, "0+98x80", `dualgram_webhook_requests_total{cause="bad_secret"}`, "0+50x80",
				`dualgram_webhook_requests_total{cause="client_gone"}`, "0+50x80"), goodAt: "10m"},
		{alert: "intake_slow", pace: quick,
			bad: in(`dualgram_webhook_request_duration_seconds_bucket{le="0.5"}`, "0+90x40 3600x60", `dualgram_webhook_request_duration_seconds_bucket{le="1.0"}`, "0+100x40 4000x60",
				`dualgram_webhook_request_duration_seconds_bucket{le="+Inf"}`, "0+100x40 4000x60", "dualgram_webhook_request_duration_seconds_count", "0+100x40 4000x60"),
			firesAt: "9m", overAt: "16m", fires: []firing{{"warning", bot, 0.75, map[string]string{"humanizeDuration": "750ms"}}},
			good: in(`dualgram_webhook_request_duration_seconds_bucket{le="0.5"}`, "0+96x60", `dualgram_webhook_request_duration_seconds_bucket{le="1.0"}`, "0+100x60",
				`dualgram_webhook_request_duration_seconds_bucket{le="+Inf"}`, "0+100x60", "dualgram_webhook_request_duration_seconds_count", "0+100x60"), goodAt: "10m"},
		{alert: "pending_high", pace: quick,
			bad: in("dualgram_telegram_pending_updates", "0x4 120x20 0x20"), firesAt: "5m", overAt: "8m",
			fires: []firing{{"critical", bot, 120, nil}, {"warning", bot, 120, nil}},
			good:  in("dualgram_telegram_pending_updates", "50x10 200x2 50x20"), goodAt: "4m"},
		{alert: "delivery_lag", pace: quick,
			bad: in("dualgram_oldest_waiting_update_timestamp_seconds", "60x130 0x20"), firesAt: "32m30s", overAt: "36m",
			fires: []firing{{"critical", bot, 1890, map[string]string{"humanizeDuration": "31m 30s"}}, {"warning", bot, 1890, map[string]string{"humanizeDuration": "31m 30s"}}},
			good:  in("dualgram_oldest_waiting_update_timestamp_seconds", "0x60"), goodAt: "12m"},
		{alert: "store_filling", pace: hours,
			bad: in("dualgram_store_filesystem_avail_bytes", "10000000000-50000000x100 9000000000x100"), firesAt: "80m", overAt: "180m",
			fires: []firing{{"warning", instance, -6000000000, nil}},
			good:  in("dualgram_store_filesystem_avail_bytes", "10000000000-5000000x100"), goodAt: "80m"},
		{alert: "io_pressure", pace: quick,
			bad: in("dualgram_host_io_waiting_seconds_total", "0+3x60 180x60"), firesAt: "12m", overAt: "21m",
			fires: []firing{{"warning", instance, 0.2, map[string]string{"humanizePercentage": "20%"}}},
			good:  in("dualgram_host_io_waiting_seconds_total", "0+2x60"), goodAt: "12m"},
		{alert: "dead_letters", pace: quick, bad: in("dualgram_dead_letters", "0x4 2x10 0x10"), firesAt: "2m", overAt: "5m",
			fires: []firing{{"warning", bot, 2, nil}}, good: in("dualgram_dead_letters", "0x20"), goodAt: "4m"},
		{alert: "quarantine", pace: quick, bad: in("dualgram_quarantined_updates", "0x4 1x10 0x10"), firesAt: "2m", overAt: "5m",
			fires: []firing{{"warning", bot, 1, nil}}, good: in("dualgram_quarantined_updates", "0x20"), goodAt: "4m"},
		{alert: "drill_stuck", pace: quick, bad: in(`dualgram_chaos_fault_active{kind="net.refuse"}`, "0x4 1x80 0x20"), firesAt: "18m", overAt: "22m30s",
			fires: []firing{{"critical", with(instance, "kind", "net.refuse"), 1, nil}},
			good:  in(`dualgram_chaos_fault_active{kind="net.refuse"}`, "0x4 1x60 0x60"), goodAt: "18m"},
		{alert: "drill_deviated", pace: hours,
			bad:     in(`dualgram_drill_runs_total{drill="black-hole",outcome="not_recovered"}`, "0x4 1x200", `dualgram_drill_runs_total{drill="slow-disk",outcome="deviated"}`, "0x4 1x200"),
			firesAt: "30m", overAt: "70m",
			fires: []firing{{"critical", with(bot, "experiment", "black-hole", "outcome", "not_recovered"), 1, nil}, {"warning", with(bot, "experiment", "slow-disk", "outcome", "deviated"), 1, nil}},
			good:  in(`dualgram_drill_runs_total{drill="black-hole",outcome="held"}`, "0+1x100", `dualgram_drill_runs_total{drill="black-hole",outcome="aborted"}`, "0+1x100"), goodAt: "30m"},
		{alert: "notify_failing", pace: quick,
			bad:     in(`dualgram_notifications_failed_total{channel="webhook"}`, "0x4 0+1x5 5x100", "dualgram_heartbeats_failed_total", "0x4 0+1x5 5x100"),
			firesAt: "5m", overAt: "20m",
			fires: []firing{{"warning", with(instance, "channel", "webhook"), 5, nil}, {"warning", with(instance, "channel", "heartbeat"), 5, nil}},
			good: in(`dualgram_notifications_failed_total{channel="webhook"}`, "0x4 1x60", "dualgram_heartbeats_failed_total", "0x4 2x60",
				`dualgram_notifications_sent_total{channel="webhook"}`, "0+1x60"), goodAt: "5m"},
		{alert: "watchdog", pace: quick, lasts: true, alone: []firing{{"none", nil, 1, nil}}},
		{alert: "webhook_error_burn", pace: days,
			bad:     in(`dualgram_webhook_requests_total{cause="ok"}`, "0+900x6000", `dualgram_webhook_requests_total{cause="store_failed"}`, "0+100x4500 450000x1500"),
			firesAt: "72h", overAt: "99h",
			fires: []firing{
				{"critical", with(bot, "window", "1h"), 0.1, map[string]string{"humanizePercentage": "10%"}},
				{"critical", with(bot, "window", "6h"), 0.1, map[string]string{"humanizePercentage": "10%"}},
				{"warning", with(bot, "window", "1d"), 0.1, map[string]string{"humanizePercentage": "10%"}},
				{"warning", with(bot, "window", "3d"), 0.1, map[string]string{"humanizePercentage": "10%"}},
			},
			good: in(`dualgram_webhook_requests_total{cause="ok"}`, "0+2000x5000", `dualgram_webhook_requests_total{cause="store_failed"}`, "0+1x5000"), goodAt: "72h"},
	}
}

// warningCase is the case of an alert that stands for a warning.
func warningCase(k warning.Kind, wait string) testCase {
	c := testCase{alert: string(k.Code), pace: quick, firesAt: "5m", overAt: "10m"}
	on, off := "0x4 1x24 0x20", "0x4 1x1 0x60"
	c.goodAt = "5m"
	if d := duration(wait); d.Minutes() > 2 {
		c.pace, c.firesAt, c.overAt, c.goodAt = hours, "70m", "100m", "70m"
		on, off = "0x4 1x80 0x60", "0x4 1x2 0x100"
	}
	base := bot
	if k.Scope == warning.Process {
		base = with(instance, "bot", "") // shown without the label
	}
	add := func(m map[string]string, severity warning.Severity, values string) {
		name := strings.Replace(of, `bot="orders"`, `bot="`+base["bot"]+`"`, 1)
		m[`dualgram_warning_active{`+name+`,code="`+string(k.Code)+`",severity="`+string(severity)+`"}`] = values
	}
	c.bad, c.good = map[string]string{}, map[string]string{}
	for _, s := range k.Severities() {
		add(c.good, s, off)
		if s == warning.Info {
			add(c.bad, s, on) // nobody is told of that
			add(c.good, s, "1x200")
			continue
		}
		add(c.bad, s, on)
		c.fires = append(c.fires, firing{string(s), with(base, "code", string(k.Code)), 1, nil})
	}
	return c
}
