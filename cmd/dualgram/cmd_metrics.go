package main

import (
	"fmt"
	"strings"

	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/metrics"

	"github.com/spf13/cobra"
)

const metricsLong = `metrics lists what dualgram exports to Prometheus on observe.listen, under /metrics:
the name, the type, the labels and the meaning of each. With NAME it lists those
whose names contain it. The running dualgram is not asked.

Every series is there from the start, with the value 0, so that a rate sees its
first event; there are none with a token, a chat or a user in them. Histograms are
exported in classic buckets and, to a server that asks for them, as native ones.
Times are in seconds since 1970, and 0 if they are not known.`

func (a *app) metricsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "metrics [NAME]", Short: "Explain what is exported to Prometheus", Long: metricsLong, GroupID: groupWatch,
		Example: "  dualgram metrics\n  dualgram metrics handover",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return misuse("one NAME at most", "see "+cmd.CommandPath()+" --help")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			part := ""
			if len(args) > 0 {
				part = args[0]
			}
			return a.listMetrics(part)
		},
	}
}

// metricsList is what dualgram metrics prints, dualgram/metrics/v1.
type metricsList struct {
	Schema  string           `json:"schema"`
	Metrics []metrics.Metric `json:"metrics"`
}

func (a *app) listMetrics(part string) error {
	out := metricsList{Schema: "dualgram/metrics/v1", Metrics: []metrics.Metric{}}
	var names []string
	for _, m := range metrics.All() {
		names = append(names, m.Name)
		if strings.Contains(m.Name, part) {
			out.Metrics = append(out.Metrics, m)
		}
	}
	if len(out.Metrics) == 0 {
		fix := "dualgram metrics lists all of them"
		if near, ok := config.Nearest(part, names); ok {
			fix = "did you mean " + near + "?"
		}
		return misuse(fmt.Sprintf("no metric's name contains %q", part), fix)
	}
	if a.json() {
		return a.printJSON(out)
	}
	p := a.printer(a.stdout)
	for i, m := range out.Metrics {
		if i > 0 {
			p.printf("\n")
		}
		labels := ""
		if len(m.Labels) > 0 {
			labels = "{" + strings.Join(m.Labels, ", ") + "}"
		}
		p.printf("%s%s  %s\n  %s\n", p.paint(bold, m.Name), labels, p.paint(dim, m.Type), m.Help)
	}
	return nil
}
