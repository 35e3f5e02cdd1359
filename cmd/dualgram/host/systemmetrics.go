package host

import (
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/procfs"
)

// registerInfo adds what dualgram runs as: one series each, whose labels say it.
func registerInfo(reg prometheus.Registerer, version, configHash string) error {
	revision, goversion := "", ""
	if b, ok := debug.ReadBuildInfo(); ok {
		goversion = b.GoVersion
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	info := func(name, help string, labels prometheus.Labels) error {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "dualgram_" + name, Help: help, ConstLabels: labels})
		g.Set(1)
		return reg.Register(g)
	}
	if err := info("build_info", "1, with what is running in the labels.",
		prometheus.Labels{"version": version, "revision": revision, "goversion": goversion}); err != nil {
		return err
	}
	return info("config_info", "1, with a hash of the configuration in force, as dualgram config print shows it, in the label.",
		prometheus.Labels{"hash": configHash})
}

// pressure tells how long the host's processes have waited for its disks, as the
// kernel counts it (https://docs.kernel.org/accounting/psi.html). Where it doesn't,
// there are no such metrics.
type pressure struct {
	read func() (procfs.PSIStats, error)
}

var (
	ioSomeDesc = prometheus.NewDesc("dualgram_host_io_waiting_seconds_total",
		"How long at least one process of this host was waiting for a disk, as the kernel counts it. Absent where it doesn't.", nil, nil)
	ioFullDesc = prometheus.NewDesc("dualgram_host_io_stalled_seconds_total",
		"How long all processes of this host that had something to do were waiting for a disk. Absent where the kernel doesn't count it.", nil, nil)
)

func newPressure() pressure {
	return pressure{func() (procfs.PSIStats, error) {
		fs, err := procfs.NewDefaultFS()
		if err != nil {
			return procfs.PSIStats{}, err
		}
		return fs.PSIStatsForResource("io")
	}}
}

// Describe implements prometheus.Collector.
func (pressure) Describe(out chan<- *prometheus.Desc) {
	out <- ioSomeDesc
	out <- ioFullDesc
}

// Collect implements prometheus.Collector.
func (p pressure) Collect(out chan<- prometheus.Metric) {
	s, err := p.read()
	if err != nil {
		return // not every system counts it
	}
	counter := func(d *prometheus.Desc, l *procfs.PSILine) {
		if l != nil {
			out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(l.Total)/1e6)
		}
	}
	counter(ioSomeDesc, s.Some)
	counter(ioFullDesc, s.Full)
}
