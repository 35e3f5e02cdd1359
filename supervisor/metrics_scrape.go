package supervisor

import (
	"time"

	"dualgram/supervisor/failover"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
)

// scraped are the metrics that are read when somebody asks, from what each bot has
// published and from its ledger. They are all gauges, and the series of a bot are
// there from its start.
type scraped struct{ s *Supervisor }

// desc describes a metric of a bot.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("dualgram_"+name, help, append([]string{"bot"}, labels...), nil)
}

var (
	modeDesc     = desc("mode", "1 for the mode that the bot is in or changing to, 0 for the others.", "mode")
	breakerDesc  = desc("breaker_state", "1 for the state that the breaker is in, 0 for the others. webhook follows the phase: closed while the webhook is proven, half_open while it is set or on trial, open otherwise. standby guards the Bot API.", "breaker", "state")
	holdDesc     = desc("hold_down_end_timestamp_seconds", "When the hold-down before the next failback ends or ended; 0 if there was none.")
	waitingDesc  = desc("updates_waiting", "Updates in the store that the bot has not taken yet.")
	bytesDesc    = desc("updates_waiting_bytes", "Size of the updates in the store that the bot has not taken yet.")
	lanesDesc    = desc("lanes", "Lanes in which updates wait.")
	oldestDesc   = desc("oldest_waiting_update_timestamp_seconds", "When the oldest update that the bot has not taken was received; 0 if none waits.")
	deadDesc     = desc("dead_letters", "Updates that the bot has refused for good and that are kept for a person.")
	quarDesc     = desc("quarantined_updates", "Deliveries without an update_id, which are kept and never delivered.")
	holesDesc    = desc("holes", "update_ids that are missing while later ones have arrived.")
	inFlightDesc = desc("webhook_requests_in_flight", "Authenticated requests to the webhook that have no answer yet.")
	probeDesc    = desc("probe_success", "1 if the probe reaches the webhook from outside, 0 if it doesn't or never has.")
	errorAtDesc  = desc("telegram_last_error_timestamp_seconds", "When Telegram last failed to deliver, as it says itself; 0 if never since the webhook was set.")
	syncAtDesc   = desc("telegram_synchronization_error_timestamp_seconds", "When the Bot API server last lost Telegram, as it says itself; 0 if never.")
	skewDesc     = desc("clock_skew_seconds", "Telegram's clock minus ours; 0 for differences too small to mean anything.")
	actingDesc   = desc("fault_acting", "1 while a fault that was injected on purpose acts on the bot, or did so lately enough to be the cause of what is wrong.")
)

// Describe implements prometheus.Collector.
func (scraped) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{modeDesc, breakerDesc, holdDesc, waitingDesc, bytesDesc, lanesDesc, oldestDesc, deadDesc, quarDesc,
		holesDesc, inFlightDesc, probeDesc, errorAtDesc, syncAtDesc, skewDesc, actingDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c scraped) Collect(out chan<- prometheus.Metric) {
	now := time.Now()
	for _, b := range c.s.bots {
		v, st := b.snapshot(), b.ledger.Stats()
		gauge := func(d *prometheus.Desc, x float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, x, append([]string{b.opt.Name}, labels...)...)
		}
		for _, m := range []failover.Mode{failover.ModeWebhook, failover.ModePolling, failover.ModeNone} {
			gauge(modeDesc, flag(v.State.Mode() == m), m.String())
		}
		standby := standbyBreakerState(b.breaker.State())
		for _, state := range breakerStates {
			if b.opt.Webhook != nil {
				gauge(breakerDesc, flag(webhookBreakerState(v.State) == state), breakerWebhook, state)
			}
			gauge(breakerDesc, flag(standby == state), breakerStandby, state)
		}
		gauge(holdDesc, moment(v.State.HoldUntil))
		gauge(waitingDesc, float64(st.Waiting))
		gauge(bytesDesc, float64(st.WaitingBytes))
		gauge(lanesDesc, float64(st.Lanes))
		gauge(oldestDesc, moment(st.OldestWaiting))
		gauge(deadDesc, float64(st.Dead))
		gauge(quarDesc, float64(st.Quarantined))
		gauge(holesDesc, float64(st.OpenHoles))
		if b.server != nil {
			gauge(inFlightDesc, float64(b.server.Arrivals(b.opt.Name).InProgress))
		}
		if b.probe.prober != nil {
			gauge(probeDesc, flag(v.Probe == probeOK))
		}
		gauge(errorAtDesc, moment(v.Info.LastErrorDate))
		gauge(syncAtDesc, moment(v.Info.LastSynchronizationErrorDate))
		gauge(skewDesc, v.Skew.Seconds())
		gauge(actingDesc, flag(b.drilled(now)))
	}
}

// The breakers and their states, as they are called in the metrics.
const (
	breakerWebhook = "webhook"
	breakerStandby = "standby"

	breakerClosed   = "closed"
	breakerHalfOpen = "half_open"
	breakerOpen     = "open"
)

var breakerStates = []string{breakerClosed, breakerHalfOpen, breakerOpen}

// webhookBreakerState is what a breaker in front of the webhook would be in. The
// state of the bot decides, and not the breaker that fail_rate counts with: that one
// sees deliveries only.
func webhookBreakerState(s failover.State) string {
	switch {
	case s.Phase == failover.Webhook && !s.Trial:
		return breakerClosed
	case s.Phase == failover.Webhook, s.Phase == failover.ToWebhook:
		return breakerHalfOpen
	}
	return breakerOpen
}

func standbyBreakerState(s gobreaker.State) string {
	switch s {
	case gobreaker.StateClosed:
		return breakerClosed
	case gobreaker.StateHalfOpen:
		return breakerHalfOpen
	}
	return breakerOpen
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// moment is a time in seconds; 0 for none.
func moment(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return seconds(t)
}
