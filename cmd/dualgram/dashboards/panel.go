//go:build dashboards

package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// kind is how a panel shows its values.
type kind uint8

const (
	graph  kind = iota // lines over time
	number             // the latest value, large
	states             // coloured stretches over time
	list               // a table of the latest values
)

// panel is one panel; all of them look alike, and differ in this.
type panel struct {
	kind kind
	// title is unique in a dashboard; about says what is normal, and what it means if
	// it isn't.
	title, about, unit string
	queries            []query
	// width is of 24 columns.
	width, height uint32
	// stacked graphs show what adds up.
	stacked bool
	// from are the values from which on the next colour counts.
	from []step
	// words are what values are shown as.
	words []word
	// columns are the labels that a list shows, in this order.
	columns []string
}

type query struct{ expr, legend string }

type step struct {
	value float64
	color string
}

type word struct{ value, text, color string }

var source = common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}

func (p panel) targets(instant bool) []cog.Builder[variants.Dataquery] {
	var ts []cog.Builder[variants.Dataquery]
	for i, q := range p.queries {
		t := prometheus.NewDataqueryBuilder().Datasource(source).Expr(q.expr).LegendFormat(q.legend).RefId(string(rune('A' + i)))
		switch {
		case p.kind == list:
			t = t.Instant().Format(prometheus.PromQueryFormatTable)
		case instant:
			t = t.Instant()
		default:
			t = t.Range()
		}
		ts = append(ts, t)
	}
	return ts
}

func (p panel) thresholds() cog.Builder[dashboard.ThresholdsConfig] {
	steps := []dashboard.Threshold{{Color: "green"}}
	for _, s := range p.from {
		steps = append(steps, dashboard.Threshold{Value: cog.ToPtr(s.value), Color: s.color})
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}

func (p panel) mappings() []dashboard.ValueMapping {
	if len(p.words) == 0 {
		return nil
	}
	m := dashboard.NewValueMap()
	for i, w := range p.words {
		m.Options[w.value] = dashboard.ValueMappingResult{Text: cog.ToPtr(w.text), Color: cog.ToPtr(w.color), Index: cog.ToPtr(int32(i))}
	}
	return []dashboard.ValueMapping{{ValueMap: m}}
}

func color(mode dashboard.FieldColorModeId) cog.Builder[dashboard.FieldColor] {
	return dashboard.NewFieldColorBuilder().Mode(mode)
}

// builder makes the panel.
func (p panel) builder(id uint32) cog.Builder[dashboard.Panel] {
	legend := common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true)
	tooltip := common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending)
	switch p.kind {
	case number:
		return stat.NewPanelBuilder().Id(id).Title(p.title).Description(p.about).Datasource(source).Unit(p.unit).Targets(p.targets(false)).
			Span(p.width).Height(p.height).Thresholds(p.thresholds()).ColorScheme(color(dashboard.FieldColorModeIdThresholds)).Mappings(p.mappings()).
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).ColorMode(common.BigValueColorModeValue).
			GraphMode(common.BigValueGraphModeArea).NoValue("none")
	case states:
		return statetimeline.NewPanelBuilder().Id(id).Title(p.title).Description(p.about).Datasource(source).Unit(p.unit).Targets(p.targets(false)).
			Span(p.width).Height(p.height).Thresholds(p.thresholds()).ColorScheme(color(dashboard.FieldColorModeIdThresholds)).Mappings(p.mappings()).
			MergeValues(true).ShowValue(common.VisibilityModeAuto).RowHeight(0.8).FillOpacity(80).Legend(legend).Tooltip(tooltip)
	case list:
		keep := map[string]any{}
		order := map[string]any{}
		for i, c := range p.columns {
			keep[c] = true
			order[c] = i
		}
		return table.NewPanelBuilder().Id(id).Title(p.title).Description(p.about).Datasource(source).Unit(p.unit).Targets(p.targets(true)).
			Span(p.width).Height(p.height).Thresholds(p.thresholds()).Mappings(p.mappings()).NoValue("none").
			WithTransformation(dashboard.DataTransformerConfig{Id: "filterFieldsByName", Options: map[string]any{"include": map[string]any{"names": p.columns}}}).
			WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{"indexByName": order}})
	}
	g := timeseries.NewPanelBuilder().Id(id).Title(p.title).Description(p.about).Datasource(source).Unit(p.unit).Targets(p.targets(false)).
		Span(p.width).Height(p.height).Thresholds(p.thresholds()).ColorScheme(color(dashboard.FieldColorModeIdPaletteClassic)).Mappings(p.mappings()).
		Legend(legend).Tooltip(tooltip).Min(0).LineWidth(1).FillOpacity(8).ShowPoints(common.VisibilityModeNever)
	if len(p.from) > 0 {
		g = g.ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
	}
	if p.stacked {
		g = g.Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal)).FillOpacity(30)
	}
	return g
}
