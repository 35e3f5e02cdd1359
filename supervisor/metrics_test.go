package supervisor_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dualgram/chaos"
	"dualgram/supervisor"
	"dualgram/transport/delivery"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// scrape reads all of a registry as "name label=value …" without the prefix and the
// bot; of a histogram, its count.
func scrape(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	must0(t, err)
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := []string{strings.TrimPrefix(f.GetName(), "dualgram_")}
			for _, l := range m.GetLabel() {
				if l.GetName() != "bot" {
					key = append(key, l.GetName()+"="+l.GetValue())
				}
			}
			v := m.GetGauge().GetValue() + m.GetCounter().GetValue()
			if f.GetType() == dto.MetricType_HISTOGRAM {
				v = float64(m.GetHistogram().GetSampleCount())
			}
			out[strings.Join(key, " ")] += v
		}
	}
	return out
}

type handlerFunc func(context.Context, delivery.Update) error

// Deliver implements delivery.Handler.
func (f handlerFunc) Deliver(ctx context.Context, u delivery.Update) error { return f(ctx, u) }

// TestMetricsOfAnOutage: what Prometheus sees before, during and after an outage,
// and that no series came into being on the way.
func TestMetricsOfAnOutage(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		reg := prometheus.NewRegistry()
		w.reg = reg
		start := time.Now()
		var broken atomic.Bool // the webhook on purpose, and the bot
		w.injected = func() []supervisor.Fault {
			if !broken.Load() {
				return nil
			}
			return []supervisor.Fault{{Kind: "net.refuse", Since: start, Until: time.Now().Add(time.Minute), Fired: 1}}
		}
		w.tune = func(o *supervisor.BotOptions) {
			o.Handler = handlerFunc(func(ctx context.Context, u delivery.Update) error {
				if broken.Load() {
					return errors.New("the bot is down")
				}
				return w.bot.Deliver(ctx, u)
			})
		}
		h, stop := w.proven(t, 5)
		check := func(when string, want map[string]float64) map[string]float64 {
			t.Helper()
			got := scrape(t, reg)
			for key, v := range want {
				if g, ok := got[key]; !ok || g != v {
					t.Errorf("%s: %s is %v (there: %t), want %v", when, key, g, ok, v)
				}
			}
			return got
		}
		before := check("before", map[string]float64{
			"mode mode=webhook": 1, "mode mode=polling": 0, "mode mode=none": 0,
			"breaker_state breaker=webhook state=closed": 1, "breaker_state breaker=webhook state=open": 0,
			"breaker_state breaker=standby state=closed": 1, "probe_success": 1, "fault_acting": 0,
			"handover_attempts_total result=ok to=webhook": 1, "handover_attempts_total result=ok to=polling": 0,
			"dead_letters": 0, "quarantined_updates": 0, "hold_down_end_timestamp_seconds": 0,
		})
		if at := before["last_update_received_timestamp_seconds source=webhook"]; at < float64(start.Unix()) {
			t.Errorf("the last update came at %v", at)
		}
		// The bot is down as well: what is taken in waits.
		broken.Store(true)
		lease, err := h.faults.Inject(chaos.Spec{Kind: "net.refuse", For: 15 * time.Minute})
		must0(t, err)
		must0(t, h.await("polling", false, 10*time.Second))
		time.Sleep(5 * time.Second)
		during := check("during", map[string]float64{
			"mode mode=webhook": 0, "mode mode=polling": 1,
			"breaker_state breaker=webhook state=closed": 0, "breaker_state breaker=webhook state=open": 1,
			"handover_attempts_total result=ok to=polling": 1, "handover_duration_seconds to=polling": 1,
			"handover_first_update_seconds to=polling": 1, "updates_lost_total cause=lost": 0, "fault_acting": 1,
		})
		if during["updates_waiting"] == 0 || during["updates_waiting_bytes"] == 0 || during["lanes"] == 0 {
			t.Error("nothing waits for a bot that is down")
		}
		if at := during["oldest_waiting_update_timestamp_seconds"]; at < float64(start.Unix()) || at > float64(time.Now().Unix()) {
			t.Errorf("the oldest waits since %v", at)
		}
		if at := during["hold_down_end_timestamp_seconds"]; at <= float64(start.Unix()) {
			t.Errorf("the hold-down ends at %v", at)
		}
		broken.Store(false)
		lease.End()
		must0(t, h.await("webhook", false, 3*time.Minute))
		w.settle(t, h, stop, start)
		after := check("after", map[string]float64{
			"mode mode=webhook": 1, "breaker_state breaker=webhook state=closed": 1, "updates_waiting": 0,
			"oldest_waiting_update_timestamp_seconds": 0, "lanes": 0, "fault_acting": 0,
		})
		for key := range after {
			if _, was := before[key]; !was {
				t.Errorf("%s had no series before", key)
			}
		}
	})
}
