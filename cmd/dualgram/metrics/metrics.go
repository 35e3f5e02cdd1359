// Package metrics is the catalogue of what dualgram exports to Prometheus.
//
// The guarantee: a name, a type, a label or a help text that is not in
// catalogue.json is exported by no dualgram, and what is in it, by every one; a
// test of package host holds it against a real host. A change of that file is a
// change of an interface that alerts and dashboards depend on.
package metrics

import (
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
)

// Metric is one line of the catalogue.
type Metric struct {
	Name string `json:"name"`
	// Type is counter, gauge or histogram. Histograms are exported as classic and,
	// to a server that asks for them, as native ones.
	Type string `json:"type"`
	// Labels are in alphabetical order; no label holds a token, a chat or a user.
	Labels []string `json:"labels"`
	Help   string   `json:"help"`
}

//go:embed catalogue.json
var catalogue []byte

var all = func() []Metric {
	var ms []Metric
	if err := json.Unmarshal(catalogue, &ms); err != nil {
		panic("metrics: catalogue.json: " + err.Error())
	}
	return ms
}()

// All lists the catalogue in alphabetical order.
func All() []Metric { return slices.Clone(all) }

// Lookup finds what a name in a query stands for: a metric, or a series of a
// histogram by its suffix.
func Lookup(name string) (Metric, bool) {
	for _, m := range all {
		if m.Name == name {
			return m, true
		}
		if base, ok := strings.CutPrefix(name, m.Name); ok && m.Type == "histogram" && slices.Contains([]string{"_bucket", "_sum", "_count"}, base) {
			return m, true
		}
	}
	return Metric{}, false
}
