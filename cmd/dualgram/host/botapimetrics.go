package host

import (
	"time"

	"dualgram/transport/botapi"

	"github.com/prometheus/client_golang/prometheus"
)

// botapiMetrics tell of the calls of the Bot API, attempt by attempt.
type botapiMetrics struct {
	calls *prometheus.CounterVec
	times *prometheus.HistogramVec
	until *prometheus.GaugeVec
}

// resultOK is the result of a call that succeeded; the others are [botapi.Kind]s.
const resultOK = "ok"

// botapiMethods are the calls that dualgram makes by itself.
var botapiMethods = []string{"getUpdates", "getWebhookInfo", "setWebhook", "deleteWebhook"}

func registerBotAPI(reg prometheus.Registerer) (*botapiMetrics, error) {
	m := &botapiMetrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dualgram_botapi_requests_total",
			Help: "Attempts of calls of the Bot API, by what came of them. A conflict is what the standby check wants to see."}, []string{"bot", "method", "result"}),
		times: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "dualgram_botapi_request_duration_seconds",
			Help:    "How long an attempt of a call of the Bot API took. A long poll takes as long as nothing comes.",
			Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}, NativeHistogramBucketFactor: 1.1,
			NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour}, []string{"bot", "method"}),
		until: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "dualgram_botapi_retry_after_timestamp_seconds",
			Help: "Until when Telegram has last asked for a pause; 0 if it never has."}, []string{"bot"}),
	}
	for _, c := range []prometheus.Collector{m.calls, m.times, m.until} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// of returns what observes the calls for a bot, with every series made.
func (m *botapiMetrics) of(bot string) func(botapi.Call) {
	for _, method := range botapiMethods {
		m.times.WithLabelValues(bot, method)
		m.calls.WithLabelValues(bot, method, resultOK)
		for _, k := range botapi.Kinds() {
			m.calls.WithLabelValues(bot, method, string(k))
		}
	}
	until := m.until.WithLabelValues(bot)
	return func(c botapi.Call) {
		result := resultOK
		if c.Kind != "" {
			result = string(c.Kind)
		}
		m.calls.WithLabelValues(bot, c.Method, result).Inc()
		m.times.WithLabelValues(bot, c.Method).Observe(c.Duration.Seconds())
		if c.RetryAfter > 0 {
			until.Set(float64(time.Now().Add(c.RetryAfter).UnixMilli()) / 1000)
		}
	}
}
