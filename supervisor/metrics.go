package supervisor

import (
	"time"

	"dualgram/supervisor/dispatch"
	"dualgram/supervisor/failover"
	"dualgram/transport"
	"dualgram/transport/botapi"
	"dualgram/transport/probe"
	"dualgram/transport/webhook"

	"github.com/prometheus/client_golang/prometheus"
)

// handoverBuckets have ten seconds as an exact bound, so that the guarantee can
// be counted.
var handoverBuckets = []float64{0.25, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 7.5, 10, 15, 30, 60, 120}

// metrics are those of one supervisor, all with a bot label.
type metrics struct {
	phaseIs      *prometheus.GaugeVec
	modeSince    *prometheus.GaugeVec
	epoch        *prometheus.GaugeVec
	frozen       *prometheus.GaugeVec
	handovers    *prometheus.CounterVec
	attempts     *prometheus.CounterVec
	handoverTime *prometheus.HistogramVec
	stepTime     *prometheus.HistogramVec
	firstTime    *prometheus.HistogramVec
	woulds       *prometheus.CounterVec
	signals      *prometheus.GaugeVec
	trips        *prometheus.CounterVec

	received   *prometheus.CounterVec
	duplicates *prometheus.CounterVec
	lastUpdate *prometheus.GaugeVec
	losses     *prometheus.CounterVec
	deliveries *prometheus.CounterVec
	deliverFor *prometheus.HistogramVec
	waited     *prometheus.HistogramVec

	requests    *prometheus.CounterVec
	requestTime *prometheus.HistogramVec
	secretUses  *prometheus.CounterVec
	conns       *prometheus.CounterVec

	pending *prometheus.GaugeVec
	infoAt  *prometheus.GaugeVec

	telegramErrors *prometheus.CounterVec
	probes         *prometheus.CounterVec
	probeTime      *prometheus.HistogramVec
	standbyOK      *prometheus.GaugeVec
	conflicts      *prometheus.CounterVec
	pollKicks      *prometheus.CounterVec
	replies        *prometheus.CounterVec
	certificateEnd *prometheus.GaugeVec
	warnings       *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	var all []prometheus.Collector
	name := func(n string) string { return "dualgram_" + n }
	gauge := func(n, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name(n), Help: help}, append([]string{"bot"}, labels...))
		all = append(all, v)
		return v
	}
	counter := func(n, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name(n), Help: help}, append([]string{"bot"}, labels...))
		all = append(all, v)
		return v
	}
	histogram := func(n, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name(n), Help: help, Buckets: buckets,
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
			NativeHistogramMinResetDuration: time.Hour}, append([]string{"bot"}, labels...))
		all = append(all, v)
		return v
	}
	quick := []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60}
	m := &metrics{
		phaseIs:        gauge("phase", "1 for the phase that the bot is in, 0 for the others.", "phase"),
		modeSince:      gauge("phase_last_change_timestamp_seconds", "When the bot entered its phase."),
		epoch:          gauge("epoch", "Number of handovers begun since the store was made."),
		frozen:         gauge("failback_frozen", "1 while failback is forbidden until an operator acknowledges."),
		handovers:      counter("handovers_total", "Handovers begun, by target mode, cause, and whose doing it is: automatic, operator or drill.", "to", "cause", "by"),
		attempts:       counter("handover_attempts_total", "Attempts of handovers that have ended. One that failed is repeated; a failback that failed ends in polling.", "to", "result"),
		handoverTime:   histogram("handover_duration_seconds", "From the onset that the signal saw to the new transport's first answer.", handoverBuckets, "to"),
		stepTime:       histogram("handover_step_duration_seconds", "Duration of one step of a handover.", quick, "step"),
		firstTime:      histogram("handover_first_update_seconds", "From the onset that the signal saw to the first new update by the new transport.", handoverBuckets, "to"),
		woulds:         counter("handovers_withheld_total", "Handovers that were decided and not done.", "to", "why"),
		signals:        gauge("signal_level", "0 ok, 1 suspect, 2 tripped.", "signal"),
		trips:          counter("signal_trips_total", "How often the signal tripped.", "signal"),
		received:       counter("updates_received_total", "Updates accepted for the first time, durable on disk.", "source"),
		duplicates:     counter("updates_duplicate_total", "Updates that were held already.", "source"),
		lastUpdate:     gauge("last_update_received_timestamp_seconds", "When the latest new update was accepted.", "source"),
		losses:         counter("updates_lost_total", "update_ids that never came and that Telegram no longer has.", "cause"),
		deliveries:     counter("updates_forwarded_total", "Deliveries to the bot.", "result"),
		deliverFor:     histogram("delivery_duration_seconds", "How long the bot took to take or refuse one update.", quick),
		waited:         histogram("update_wait_seconds", "From receiving an update to the bot having taken it.", append(quick, 300, 3600)),
		requests:       counter("webhook_requests_total", "Requests to the webhook, by cause of the answer.", "cause"),
		requestTime:    histogram("webhook_request_duration_seconds", "From request headers read to the first byte of the answer, authenticated requests only.", quick),
		conns:          counter("webhook_connection_events_total", "What happened to connections below HTTP. The bot label is empty: a listener is shared.", "kind", "reason"),
		pending:        gauge("telegram_pending_updates", "pending_update_count as Telegram last reported it."),
		probes:         counter("probes_total", "Probes of the webhook from outside, by the stage that failed; ok if none did.", "stage"),
		probeTime:      histogram("probe_duration_seconds", "How long a probe took.", quick),
		telegramErrors: counter("telegram_webhook_errors_total", "Failed deliveries that Telegram newly reported, by class.", "class"),
		infoAt:         gauge("telegram_info_last_success_timestamp_seconds", "When getWebhookInfo last answered."),
		standbyOK:      gauge("standby_ready", "1 if polling could take over."),
		conflicts:      counter("botapi_conflicts_total", "Conflicts that polling met, by cause.", "cause"),
		pollKicks:      counter("poll_restarts_total", "Polls that were cut because updates were pending while they stayed parked."),
		replies:        counter("forward_replies_ignored_total", "Bot API calls in the answers of the bot, which are not carried out."),
		certificateEnd: gauge("certificate_not_after_timestamp_seconds", "When the certificate in service ends. There is no value where a proxy ends TLS."),
		secretUses:     counter("webhook_secret_accepted_total", "Requests let in, by the secret they had: the current one, the previous one while that is good, or none during a migration.", "which"),
		warnings:       gauge("warning_active", "1 while the warning is shown. The bot label is empty for what concerns the whole process.", "code", "severity"),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) conn(e webhook.ConnEvent) {
	m.conns.WithLabelValues("", string(e.Kind), e.Reason).Inc()
}

func (m *metrics) stray(o webhook.Outcome) { m.requests.WithLabelValues("", string(o.Cause)).Inc() }

// botMetrics are one bot's children of the metrics, made at the start so that no
// series appears only with its first event.
type botMetrics struct {
	m    *metrics
	name string

	received, duplicates map[transport.Source]prometheus.Counter
	lastUpdate           map[transport.Source]prometheus.Gauge
	requests             map[webhook.Cause]prometheus.Counter
	secretUses           map[webhook.SecretUse]prometheus.Counter
	requestTime          prometheus.Observer
	results              map[dispatch.Result]prometheus.Counter
	deliverFor, waited   prometheus.Observer
	pending, infoAt      prometheus.Gauge
}

func (m *metrics) bot(name string) *botMetrics {
	b := &botMetrics{
		m: m, name: name,
		received: map[transport.Source]prometheus.Counter{}, duplicates: map[transport.Source]prometheus.Counter{},
		lastUpdate: map[transport.Source]prometheus.Gauge{},
		secretUses: map[webhook.SecretUse]prometheus.Counter{},
		requests:   map[webhook.Cause]prometheus.Counter{}, results: map[dispatch.Result]prometheus.Counter{},
		requestTime: m.requestTime.WithLabelValues(name), deliverFor: m.deliverFor.WithLabelValues(name),
		waited: m.waited.WithLabelValues(name), pending: m.pending.WithLabelValues(name), infoAt: m.infoAt.WithLabelValues(name),
	}
	for _, s := range []transport.Source{transport.SourceWebhook, transport.SourcePolling} {
		b.received[s] = m.received.WithLabelValues(name, string(s))
		b.duplicates[s] = m.duplicates.WithLabelValues(name, string(s))
		b.lastUpdate[s] = m.lastUpdate.WithLabelValues(name, string(s))
	}
	for _, c := range webhook.Causes() {
		b.requests[c] = m.requests.WithLabelValues(name, string(c))
	}
	for _, u := range webhook.SecretUses() {
		b.secretUses[u] = m.secretUses.WithLabelValues(name, string(u))
	}
	for _, r := range []dispatch.Result{dispatch.Taken, dispatch.Failed, dispatch.Buried} {
		b.results[r] = m.deliveries.WithLabelValues(name, string(r))
	}
	b.zero()
	b.phase(failover.State{Since: time.Now()})
	return b
}

func (b *botMetrics) phase(s failover.State) {
	for _, p := range failover.Phases() {
		b.m.phaseIs.WithLabelValues(b.name, p.String()).Set(flag(p == s.Phase))
	}
	b.m.modeSince.WithLabelValues(b.name).Set(seconds(s.Since))
	b.m.epoch.WithLabelValues(b.name).Set(float64(s.Epoch))
	b.m.frozen.WithLabelValues(b.name).Set(flag(s.Frozen))
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func (b *botMetrics) handoverBegun(h Handover) {
	b.m.handovers.WithLabelValues(b.name, h.To.String(), h.Cause.Name, h.By()).Inc()
}

func (b *botMetrics) handoverDone(h Handover) {
	b.m.handoverTime.WithLabelValues(b.name, h.To.String()).Observe(h.Done.Sub(h.Onset).Seconds())
}

func (b *botMetrics) firstUpdate(h Handover) {
	b.m.firstTime.WithLabelValues(b.name, h.To.String()).Observe(h.First.Sub(h.Onset).Seconds())
}

func (b *botMetrics) step(s Step) {
	b.m.stepTime.WithLabelValues(b.name, s.Name).Observe(s.Seconds)
}

func (b *botMetrics) would(f failover.Effects) {
	b.m.woulds.WithLabelValues(b.name, jobMode(f.Would).String(), f.WouldWhy).Inc()
}

func (b *botMetrics) signal(r Reading) {
	b.m.signals.WithLabelValues(b.name, r.Signal).Set(float64(r.Level))
	if r.Level == Tripped {
		b.m.trips.WithLabelValues(b.name, r.Signal).Inc()
	}
}

func (b *botMetrics) accepted(s transport.Source, r transport.Receipt, now time.Time) {
	duplicates := r.Count(transport.StatusDuplicate)
	b.duplicates[s].Add(float64(duplicates))
	if fresh := len(r.Items) - duplicates; fresh > 0 {
		b.received[s].Add(float64(fresh))
		b.lastUpdate[s].Set(seconds(now))
	}
}

func (b *botMetrics) lost(lost, expired int) {
	b.m.losses.WithLabelValues(b.name, "lost").Add(float64(lost))
	b.m.losses.WithLabelValues(b.name, "expired_suspected").Add(float64(expired))
}

func (b *botMetrics) request(o webhook.Outcome) {
	if c := b.requests[o.Cause]; c != nil {
		c.Inc()
	}
	if c := b.secretUses[o.Secret]; c != nil {
		c.Inc()
	}
	if o.Authenticated {
		b.requestTime.Observe(o.Duration.Seconds())
	}
}

func (b *botMetrics) delivered(o dispatch.Outcome) {
	if c := b.results[o.Result]; c != nil {
		c.Inc()
	}
	b.deliverFor.Observe(o.Duration.Seconds())
	if o.Result == dispatch.Taken {
		b.waited.Observe(o.Waited.Seconds())
	}
}

func (b *botMetrics) info(i botapi.WebhookInfo, now time.Time) {
	b.pending.Set(float64(i.PendingUpdateCount))
	b.infoAt.Set(seconds(now))
}

// probed counts a probe.
func (b *botMetrics) probed(r probe.Result) {
	b.m.probes.WithLabelValues(b.name, stageName(r.Stage)).Inc()
	b.m.probeTime.WithLabelValues(b.name).Observe(r.Took.Seconds())
}

func stageName(s probe.Stage) string {
	if s == "" {
		return "ok"
	}
	return string(s)
}

// telegramError counts what Telegram newly reports; the empty class is nothing.
func (b *botMetrics) telegramError(c botapi.WebhookErrorClass) {
	if c != botapi.WebhookErrorNone {
		b.m.telegramErrors.WithLabelValues(b.name, string(c)).Inc()
	}
}

func (b *botMetrics) standby(ok bool) {
	b.m.standbyOK.WithLabelValues(b.name).Set(flag(ok))
}

func (b *botMetrics) conflict(c botapi.Conflict) {
	b.m.conflicts.WithLabelValues(b.name, string(c)).Inc()
}

func (b *botMetrics) kicked() { b.m.pollKicks.WithLabelValues(b.name).Inc() }

// reply counts a Bot API call that the bot's answer asked for.
func (b *botMetrics) reply() { b.m.replies.WithLabelValues(b.name).Inc() }
