//go:build dashboards

package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// page is one dashboard.
type page struct {
	name, title, about string
	// perBot: one bot is looked at; else all that are chosen.
	perBot bool
	rows   []row
}

type row struct {
	title  string
	panels []panel
}

// chosen are the matchers by which a series belongs to what is looked at: of a bot,
// and of a process.
const (
	chosen  = `job=~"$job",instance=~"$instance",bot=~"$bot"`
	process = `job=~"$job",instance=~"$instance"`
)

func (p page) build() (dashboard.Dashboard, error) {
	b := dashboard.NewDashboardBuilder(p.title).Uid("dualgram-"+p.name).Description(p.about).Tags([]string{"dualgram"}).
		Time("now-6h", "now").Refresh("30s").Timezone("browser").Readonly().Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Link(dashboard.NewDashboardLinkBuilder("dualgram").Type(dashboard.DashboardLinkTypeDashboards).Tags([]string{"dualgram"}).KeepTime(true).IncludeVars(true)).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus")).
		WithVariable(variable("job", "Job", `label_values(dualgram_build_info, job)`, true)).
		WithVariable(variable("instance", "Instance", `label_values(dualgram_build_info{job=~"$job"}, instance)`, true)).
		WithVariable(variable("bot", "Bot", `label_values(dualgram_phase{`+process+`}, bot)`, !p.perBot)).
		Annotation(mark("Handovers", `sum by (bot, to, cause, by) (increase(dualgram_handovers_total{`+chosen+`}[$__interval])) > 0`, "orange", "{{bot}} to {{to}}: {{cause}}", "by")).
		Annotation(mark("Faults on purpose", `max by (bot) (dualgram_fault_acting{`+chosen+`}) > 0`, "purple", "{{bot}}", "bot"))
	id := uint32(0)
	for _, r := range p.rows {
		id++
		b = b.WithRow(dashboard.NewRowBuilder(r.title).Id(id))
		for _, x := range r.panels {
			if x.height == 0 {
				x.height = 8
			}
			id++
			b = b.WithPanel(x.builder(id))
		}
	}
	return b.Build()
}

// variable is one that Prometheus fills.
func variable(name, label, q string, many bool) *dashboard.QueryVariableBuilder {
	v := dashboard.NewQueryVariableBuilder(name).Label(label).Datasource(source).Query(dashboard.StringOrMap{String: cog.ToPtr(q)}).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc)
	if !many {
		return v
	}
	everything := dashboard.StringOrArrayOfString{ArrayOfString: []string{"$__all"}}
	return v.Multi(true).IncludeAll(true).AllValue(".*").
		Current(dashboard.VariableOption{Selected: cog.ToPtr(true), Text: dashboard.StringOrArrayOfString{ArrayOfString: []string{"All"}}, Value: everything})
}

func mark(name, expr, color, title, tags string) *dashboard.AnnotationQueryBuilder {
	return dashboard.NewAnnotationQueryBuilder().Name(name).Datasource(source).Enable(true).IconColor(color).Expr(expr).
		TitleFormat(title).TagKeys(tags).Step("15s").Target(prometheus.NewDataqueryBuilder().Expr(expr).RefId("A"))
}

// quantiles are queries for the 50th, 95th and 99th percentile of a histogram.
func quantiles(metric, matchers, by string) []query {
	var qs []query
	for _, q := range [][2]string{{"0.5", "median"}, {"0.95", "95%"}, {"0.99", "99%"}} {
		group := "le"
		legend := q[1]
		if by != "" {
			group += ", " + by
			legend = "{{" + by + "}} " + legend
		}
		qs = append(qs, query{"histogram_quantile(" + q[0] + ", sum by (" + group + ") (rate(" + metric + "_bucket{" + matchers + "}[$__rate_interval])))", legend})
	}
	return qs
}

// phases is a number for the phase of each bot, and what the numbers mean.
func phases() (query, []word) {
	words := []word{{"1", "webhook", "green"}, {"2", "changing to polling", "orange"}, {"3", "polling", "blue"},
		{"4", "changing to webhook", "orange"}, {"5", "taking nothing", "red"}, {"6", "starting", "purple"}}
	expr := "sum by (instance, bot) (\n"
	for i, name := range []string{"webhook", "to_polling", "polling", "to_webhook", "held", "starting"} {
		if i > 0 {
			expr += "  or\n"
		}
		expr += "  dualgram_phase{" + chosen + `,phase="` + name + `"} * ` + string(rune('1'+i)) + "\n"
	}
	return query{expr + ")", "{{bot}} on {{instance}}"}, words
}

// phasePanel is the mode over time.
func phasePanel(height uint32) panel {
	q, words := phases()
	return panel{kind: states, title: "Mode", unit: "none", width: 24, height: height, queries: []query{q}, words: words,
		about: "Green is normal; blue means that the webhook is broken and updates come by polling, which loses nothing. Taking nothing: somebody else's webhook, or a refused token."}
}
