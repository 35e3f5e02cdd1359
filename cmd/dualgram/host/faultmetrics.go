package host

import (
	"slices"
	"strings"

	"dualgram/chaos"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// faultMetrics tells of injected faults, of every kind from the start.
type faultMetrics struct{ reg *chaos.Registry }

var (
	faultActiveDesc = prometheus.NewDesc("dualgram_chaos_fault_active",
		"How many faults of the kind are injected on purpose and act now.", []string{"kind"}, nil)
	faultFiredDesc = prometheus.NewDesc("dualgram_chaos_fault_fired_total",
		"How much the faults of the kind have hit: connections, handshakes, requests, calls or commits.", []string{"kind"}, nil)
)

// Describe implements prometheus.Collector.
func (faultMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- faultActiveDesc
	out <- faultFiredDesc
}

// Collect implements prometheus.Collector.
func (m faultMetrics) Collect(out chan<- prometheus.Metric) {
	active := map[chaos.Kind]int{}
	for _, k := range m.reg.Acting() {
		active[k]++
	}
	for kind, n := range m.reg.Fired() {
		out <- prometheus.MustNewConstMetric(faultActiveDesc, prometheus.GaugeValue, float64(active[kind]), string(kind))
		out <- prometheus.MustNewConstMetric(faultFiredDesc, prometheus.CounterValue, float64(n), string(kind))
	}
}

// faultField names on each line of the log what is broken on purpose meanwhile.
type faultField struct{ reg *chaos.Registry }

// Run implements zerolog.Hook.
func (f faultField) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	acting := f.reg.Acting()
	if len(acting) == 0 {
		return
	}
	var names []string
	for _, k := range acting {
		if n := string(k); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	e.Str("fault", strings.Join(names, ","))
}
