package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dualgram/cmd/dualgram/metrics"
	"dualgram/cmd/dualgram/rules"
	"dualgram/runbooks/dashboards"
)

// grafana is as much of a dashboard as is looked at.
type grafana struct {
	UID, Title, Description string
	Tags                    []string
	Panels                  []grafanaPanel
	Templating              struct {
		List []struct {
			Name, Type string
			Query      any
			Datasource *grafanaSource
		}
	}
	Annotations struct {
		List []struct {
			Name, Expr string
			Datasource *grafanaSource
		}
	}
}

type grafanaSource struct{ Type, UID string }

type grafanaPanel struct {
	ID                       int
	Type, Title, Description string
	Datasource               *grafanaSource
	GridPos                  struct{ H, W, X, Y int }
	Targets                  []struct {
		Expr, LegendFormat, RefID, Format string
		Datasource                        *grafanaSource
	}
	FieldConfig struct {
		Defaults struct{ Unit string }
	}
}

// TestDashboards: each panel can be understood and read in any Grafana, and asks for
// nothing that isn't there.
func TestDashboards(t *testing.T) {
	uids := map[string]bool{}
	for _, d := range dashboards.List() {
		t.Run(d.Name, func(t *testing.T) {
			var g grafana
			if err := json.Unmarshal(d.JSON, &g); err != nil {
				t.Fatal(err)
			}
			if g.UID == "" || uids[g.UID] || g.Title == "" || len(g.Description) < 20 || !slices.Contains(g.Tags, "dualgram") {
				t.Errorf("%q %q %q %v", g.UID, g.Title, g.Description, g.Tags)
			}
			uids[g.UID] = true
			lintVariables(t, g)
			titles, ids, panels := map[string]bool{}, map[int]bool{}, 0
			for i, p := range g.Panels {
				if titles[p.Title] || p.Title == "" {
					t.Errorf("panel %d: title %q", i, p.Title)
				}
				if ids[p.ID] || p.ID == 0 {
					t.Errorf("%s: id %d", p.Title, p.ID)
				}
				titles[p.Title], ids[p.ID] = true, true
				lintPlace(t, g.Panels[:i], p)
				if p.Type != "row" {
					panels++
					lintPanel(t, p)
				}
			}
			if panels < 8 {
				t.Errorf("%d panels", panels)
			}
			for _, a := range g.Annotations.List {
				if a.Datasource == nil || a.Datasource.UID != "${datasource}" {
					t.Errorf("annotation %s: data source %+v", a.Name, a.Datasource)
				}
				lintExpr(t.Errorf, "annotation "+a.Name, a.Expr)
			}
		})
	}
}

func lintVariables(t *testing.T, g grafana) {
	t.Helper()
	var names []string
	for _, v := range g.Templating.List {
		names = append(names, v.Name)
		if v.Type == "query" {
			if v.Datasource == nil || v.Datasource.UID != "${datasource}" {
				t.Errorf("variable %s: data source %+v", v.Name, v.Datasource)
			}
			lintExpr(t.Errorf, "variable "+v.Name, v.Query.(string)) //nolint:forcetypeassert // else the test fails as well
		}
	}
	if !slices.Equal(names, []string{"datasource", "job", "instance", "bot"}) {
		t.Errorf("variables %v", names)
	}
}

// lintPlace: within the 24 columns, and over no other panel.
func lintPlace(t *testing.T, others []grafanaPanel, p grafanaPanel) {
	t.Helper()
	a := p.GridPos
	if a.X+a.W > 24 || a.W == 0 || a.H == 0 {
		t.Errorf("%s: %+v", p.Title, a)
	}
	for _, o := range others {
		if b := o.GridPos; a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
			t.Errorf("%s lies over %s", p.Title, o.Title)
		}
	}
}

func lintPanel(t *testing.T, p grafanaPanel) {
	t.Helper()
	if len(p.Description) < 20 || !strings.HasSuffix(p.Description, ".") && !strings.Contains(p.Description, ": dualgram ") {
		t.Errorf("%s: description %q", p.Title, p.Description)
	}
	if p.FieldConfig.Defaults.Unit == "" {
		t.Errorf("%s: no unit", p.Title)
	}
	if p.Datasource == nil || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
		t.Errorf("%s: data source %+v, %d targets", p.Title, p.Datasource, len(p.Targets))
	}
	for _, q := range p.Targets {
		if q.Datasource == nil || q.Datasource.UID != "${datasource}" || q.RefID == "" {
			t.Errorf("%s: target %+v", p.Title, q)
		}
		if q.LegendFormat == "" && q.Format != "table" {
			t.Errorf("%s: no legend for %s", p.Title, q.Expr)
		}
		lintExpr(t.Errorf, p.Title, q.Expr)
	}
}

// selector is a metric with its matchers, and what is around it.
var selector = regexp.MustCompile(`(rate|increase)?\(?((?:bot:)?dualgram_[a-z0-9_:]+)(\{[^}]*\})?`)

var matcher = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"`)

// lintExpr: the metrics exist, have the labels that are asked for, counters are looked
// at as rates, and the dashboard's variables are heeded.
func lintExpr(complain func(format string, args ...any), where, expr string) {
	found := selector.FindAllStringSubmatch(expr, -1)
	if len(found) == 0 {
		complain("%s: no metric in %s", where, expr)
	}
	for _, x := range found {
		function, name, matchers := x[1], x[2], x[3]
		if strings.Contains(name, ":") {
			if !slices.ContainsFunc(rules.Recordings(), func(r rules.Recording) bool { return r.Record == name }) {
				complain("%s: nothing records %s", where, name)
			}
			continue
		}
		m, ok := metrics.Lookup(name)
		if !ok {
			complain("%s: there is no metric %s", where, name)
			continue
		}
		if (m.Type == "counter" || m.Type == "histogram") != (function != "") {
			complain("%s: %s is a %s, and is read through %q", where, name, m.Type, function)
		}
		for _, l := range matcher.FindAllStringSubmatch(matchers, -1) {
			if !slices.Contains(append([]string{"job", "instance", "le"}, m.Labels...), l[1]) {
				complain("%s: %s has no label %s", where, name, l[1])
			}
		}
		if strings.HasPrefix(where, "variable ") {
			continue
		}
		for _, v := range []string{`job=~"$job"`, `instance=~"$instance"`} {
			if !strings.Contains(matchers, v) {
				complain("%s: %s heeds no %s", where, name, v)
			}
		}
		if slices.Contains(m.Labels, "bot") && !strings.Contains(matchers, `bot=~"$bot`) {
			complain("%s: %s is of every bot", where, name)
		}
	}
}

// TestDashboardLint: the linter sees what it should.
func TestDashboardLint(t *testing.T) {
	for what, expr := range map[string]string{
		"no metric":     "vector(1)",
		"unknown":       `dualgram_phases{job=~"$job",instance=~"$instance",bot=~"$bot"}`,
		"not recorded":  `bot:dualgram_webhook_requests_bad:ratio_rate7m{job=~"$job"}`,
		"no such label": `dualgram_phase{job=~"$job",instance=~"$instance",bot=~"$bot",mode="webhook"}`,
		"bare counter":  `dualgram_updates_lost_total{job=~"$job",instance=~"$instance",bot=~"$bot"}`,
		"rate of gauge": `rate(dualgram_holes{job=~"$job",instance=~"$instance",bot=~"$bot"}[5m])`,
		"any bot":       `dualgram_holes{job=~"$job",instance=~"$instance"}`,
		"any instance":  `dualgram_holes{job=~"$job",bot=~"$bot"}`,
	} {
		complaints := 0
		lintExpr(func(string, ...any) { complaints++ }, what, expr)
		if complaints == 0 {
			t.Errorf("%s is not seen", what)
		}
	}
}

func TestDashboardExport(t *testing.T) {
	d, _ := dashboards.Lookup("bot")
	if code, stdout, _ := dualgram(nil, "dashboard", "export", "bot"); code != exitOK || stdout != string(d.JSON) {
		t.Errorf("%d, %d bytes", code, len(stdout))
	}
	dir := t.TempDir()
	code, stdout, stderr := dualgram(nil, "dashboard", "export", "--dir", dir)
	if code != exitOK || strings.Count(stdout, "\n") != len(dashboards.List()) {
		t.Errorf("%d %s %s", code, stdout, stderr)
	}
	for _, d := range dashboards.List() {
		if got, err := os.ReadFile(filepath.Join(dir, d.Name+".json")); err != nil || string(got) != string(d.JSON) {
			t.Errorf("%s: %v", d.Name, err)
		}
	}
	if code, _, stderr := dualgram(nil, "dashboard", "export", "--dir", filepath.Join(dir, "none")); code != exitFailed || !strings.Contains(stderr, "fix: ") {
		t.Errorf("%d %s", code, stderr)
	}
}
