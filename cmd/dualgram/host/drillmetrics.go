package host

import (
	"strings"
	"sync/atomic"
	"time"

	"dualgram/chaos/drill"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// drillMetrics tells of the drills of every bot: from the start of those that are
// scheduled or were ever run, of the others from their first run on.
type drillMetrics struct {
	offices *atomic.Pointer[[]*drill.Drills]
}

var (
	drillRunsDesc = prometheus.NewDesc("dualgram_drill_runs_total",
		"Drills that ended, by experiment and outcome. Dry runs are not counted.", []string{"bot", "drill", "outcome"}, nil)
	drillActiveDesc = prometheus.NewDesc("dualgram_drill_active",
		"1 while the drill is under way, from its gate to its verdict.", []string{"bot", "drill"}, nil)
	drillSuccessDesc = prometheus.NewDesc("dualgram_drill_last_success_timestamp_seconds",
		"When the last run began that broke something and held; 0 if none ever did.", []string{"bot", "drill"}, nil)
	drillOverdueDesc = prometheus.NewDesc("dualgram_drill_overdue",
		"1 while a scheduled drill has gone without a success for two of its schedule's periods.", []string{"bot", "schedule"}, nil)
	drillHaltedDesc = prometheus.NewDesc("dualgram_drill_halted",
		"1 while the halt lever is pulled and no drill begins.", []string{"bot"}, nil)
)

// Describe implements prometheus.Collector.
func (drillMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{drillRunsDesc, drillActiveDesc, drillSuccessDesc, drillOverdueDesc, drillHaltedDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m drillMetrics) Collect(out chan<- prometheus.Metric) {
	all := m.offices.Load()
	if all == nil {
		return
	}
	for _, d := range *all {
		collectDrills(out, d)
	}
}

func collectDrills(out chan<- prometheus.Metric, d *drill.Drills) {
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, append([]string{d.Bot()}, labels...)...)
	}
	running, busy := d.Running()
	for name, runs := range d.Tally() {
		for _, o := range drill.Outcomes() {
			out <- prometheus.MustNewConstMetric(drillRunsDesc, prometheus.CounterValue, float64(runs[o]), d.Bot(), name, string(o))
		}
		gauge(drillActiveDesc, one(busy && running.Experiment == name), name)
	}
	for name, past := range d.Pasts() {
		at := 0.0
		if !past.LastSuccess.IsZero() {
			at = float64(past.LastSuccess.UnixMilli()) / 1000
		}
		gauge(drillSuccessDesc, at, name)
	}
	overdue := map[string]bool{} // an experiment may have several schedules
	for _, p := range d.Plans(time.Now()) {
		overdue[p.Experiment] = overdue[p.Experiment] || !p.OverdueSince.IsZero()
	}
	for name, is := range overdue {
		gauge(drillOverdueDesc, one(is), name)
	}
	gauge(drillHaltedDesc, one(d.Halted() != nil))
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// drillField gives each line of the log the IDs of the drills under way, joined by
// commas.
type drillField struct {
	offices *atomic.Pointer[[]*drill.Drills]
}

// Run implements zerolog.Hook.
func (f drillField) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	all := f.offices.Load()
	if all == nil {
		return
	}
	var ids []string
	for _, d := range *all {
		if id := d.RunningID(); id != "" {
			ids = append(ids, id)
		}
	}
	if len(ids) > 0 {
		e.Str("drill_id", strings.Join(ids, ","))
	}
}
