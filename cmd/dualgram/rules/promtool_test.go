package rules

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"dualgram/supervisor/warning"

	"github.com/goccy/go-yaml"
)

// unitFile is a file of promtool test rules.
type unitFile struct {
	RuleFiles          []string `yaml:"rule_files"`
	EvaluationInterval string   `yaml:"evaluation_interval"`
	// GroupEvalOrder: without it promtool takes the groups in the order of a Go map,
	// and one that comes before what it builds on sees nothing.
	GroupEvalOrder []string    `yaml:"group_eval_order"`
	Tests          []unitGroup `yaml:"tests"`
}

type unitGroup struct {
	Name        string       `yaml:"name"`
	Interval    string       `yaml:"interval"`
	InputSeries []unitSeries `yaml:"input_series"`
	Rules       []unitAlert  `yaml:"alert_rule_test"`
}

type unitSeries struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

type unitAlert struct {
	EvalTime  string       `yaml:"eval_time"`
	Alertname string       `yaml:"alertname"`
	ExpAlerts []unitFiring `yaml:"exp_alerts"`
}

type unitFiring struct {
	Labels      map[string]string `yaml:"exp_labels"`
	Annotations map[string]string `yaml:"exp_annotations"`
}

// unitFiles are the files, by their names.
func unitFiles(t *testing.T) map[string]unitFile {
	t.Helper()
	f, err := Make(Options{})
	if err != nil {
		t.Fatal(err)
	}
	rules := f.Groups[1].Rules
	names := map[string]string{quick: "dualgram.rules_test.yaml", hours: "dualgram.rules_hours_test.yaml", days: "dualgram.rules_days_test.yaml"}
	files := map[string]unitFile{}
	for pace, name := range names {
		u := unitFile{RuleFiles: []string{"dualgram.rules.yaml"}, EvaluationInterval: pace, GroupEvalOrder: []string{"dualgram.recording", "dualgram.alerts"}, Tests: []unitGroup{
			{Name: whatResolves}, {Name: whatQuiet}, {Name: whatNoData}}}
		for i := range u.Tests {
			u.Tests[i].Interval = map[string]string{quick: quick, hours: hours, days: "1m"}[pace]
		}
		for _, c := range allCases() {
			if c.pace == pace {
				c.addTo(t, u.Tests, rules)
			}
		}
		if pace == quick {
			u.Tests = append(u.Tests, drillCase(t, rules))
		}
		files[name] = u
	}
	return files
}

// allCases is a case for each alert: the warnings' are as alike as their rules are.
func allCases() []testCase {
	all := cases()
	waits := map[string]string{}
	for _, t := range Thresholds() {
		waits[t.Key] = t.Default
	}
	for _, k := range warning.Kinds() {
		if needsPerson(k) != "" {
			all = append(all, warningCase(k, waits[string(k.Code)+".for"]))
		}
	}
	return all
}

// What the groups show of each alert in them. All alerts of a pace are in one group,
// each with an instance of its own, because promtool takes its time for each group.
const (
	whatResolves = "fire, and resolve"
	whatQuiet    = "do not fire"
	whatNoData   = "without data"
)

// addTo puts the case into the groups of its pace, in the order of the constants.
func (c testCase) addTo(t *testing.T, groups []unitGroup, rules []Rule) {
	t.Helper()
	add := func(g *unitGroup, input map[string]string) {
		for _, s := range slices.Sorted(maps.Keys(input)) {
			g.InputSeries = append(g.InputSeries, unitSeries{c.own(s), input[s]})
		}
	}
	check := func(g *unitGroup, at string, fs []firing) {
		for i := range fs {
			fs[i].labels = maps.Clone(fs[i].labels)
			for k, v := range fs[i].labels {
				fs[i].labels[k] = c.own(v)
			}
		}
		g.Rules = append(g.Rules, unitAlert{EvalTime: at, Alertname: AlertName(c.alert), ExpAlerts: expected(t, rules, c.alert, fs)})
	}
	at := "5m"
	if !c.lasts {
		at = c.firesAt
		add(&groups[0], c.bad)
		check(&groups[0], c.firesAt, c.fires)
		check(&groups[0], c.overAt, nil)
		add(&groups[1], c.good)
		check(&groups[1], c.goodAt, nil)
	}
	empty := map[string]string{}
	for s := range c.bad {
		empty[s] = "_x400" // never a sample
	}
	add(&groups[2], empty)
	check(&groups[2], at, c.alone)
}

// own puts the case's own instance in the place of that in the table.
func (c testCase) own(s string) string { return strings.ReplaceAll(s, anInstance, c.alert+":9464") }

// drillCase: what a fault may have caused is marked, and no more once it is over.
func drillCase(t *testing.T, rules []Rule) unitGroup {
	t.Helper()
	of := testCase{alert: "rehearsed"}.own(of)
	bot := with(bot, "instance", "rehearsed:9464")
	warned := `dualgram_warning_active{` + of + `,code="redelivery",severity="warning"}`
	f := firing{"warning", with(bot, "code", "redelivery", "drill", "true"), 1, nil}
	marked := expected(t, rules, "redelivery", []firing{f})
	f.labels = with(bot, "code", "redelivery")
	return unitGroup{Name: "an alert that a fault may have caused says so", Interval: quick,
		InputSeries: []unitSeries{{warned, "0x4 1x80"}, {`dualgram_fault_acting{` + of + `}`, "0x4 1x16 0x80"},
			{`dualgram_fault_acting{` + strings.Replace(of, "orders", "other", 1) + `}`, "1x120"}},
		Rules: []unitAlert{{"4m", AlertName("redelivery"), marked}, {"18m", AlertName("redelivery"), expected(t, rules, "redelivery", []firing{f})}}}
}

// expected is what promtool compares with: the labels, and the annotations as
// Prometheus writes them.
func expected(t *testing.T, rules []Rule, alert string, fs []firing) []unitFiring {
	t.Helper()
	out := []unitFiring{}
	for _, f := range fs {
		found := 0
		for _, r := range rules {
			if r.Alert != AlertName(alert) || r.Labels["severity"] != "" && r.Labels["severity"] != f.severity ||
				r.Labels["window"] != f.labels["window"] || r.Labels["channel"] != "" && r.Labels["channel"] != f.labels["channel"] ||
				r.Labels["channel"] == "" && f.labels["channel"] == "heartbeat" {
				continue
			}
			found++
			u := unitFiring{Labels: map[string]string{"runbook": alert, "severity": f.severity}, Annotations: map[string]string{}}
			for k, v := range f.labels {
				if v != "" {
					u.Labels[k] = v
				}
			}
			for k, v := range r.Annotations {
				u.Annotations[k] = rendered(t, v, f)
			}
			out = append(out, u)
		}
		if found != 1 {
			t.Errorf("%s %+v: %d rules", alert, f, found)
		}
	}
	return out
}

// rendered does what Prometheus's templates do, as far as the rules use them.
func rendered(t *testing.T, text string, f firing) string {
	t.Helper()
	funcs := template.FuncMap{}
	for _, name := range []string{"humanizeDuration", "humanizePercentage"} {
		funcs[name] = func(float64) (string, error) {
			if s, ok := f.says[name]; ok {
				return s, nil
			}
			return "", fmt.Errorf("the case doesn't say what %s makes of the value", name)
		}
	}
	tmpl, err := template.New("").Option("missingkey=zero").Funcs(funcs).Parse("{{ $labels := .Labels }}{{ $value := .Value }}" + text)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, map[string]any{"Labels": f.labels, "Value": f.value}); err != nil {
		t.Errorf("%v: %s", err, text)
	}
	return b.String()
}

func duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

// TestUnitTestsComplete: no alert goes without being seen to fire, not to fire, to
// resolve, and to say nothing without data. It reads the files as promtool does, and
// knows nothing of how they were made.
func TestUnitTestsComplete(t *testing.T) {
	// Alerts that are about there being no data, or fire always.
	exempt := map[string][]string{AlertName("watchdog"): {"fires", "resolves", whatQuiet}}
	speaksAlone := []string{AlertName("watchdog"), AlertName("down")}

	shown := map[string]map[string]bool{}
	show := func(alert, what string) {
		if shown[alert] == nil {
			shown[alert] = map[string]bool{}
		}
		shown[alert][what] = true
	}
	severities := map[string]bool{}
	for _, name := range []string{"dualgram.rules_test.yaml", "dualgram.rules_hours_test.yaml", "dualgram.rules_days_test.yaml"} {
		var u unitFile
		read(t, name, &u)
		for _, g := range u.Tests {
			fired := map[string]bool{}
			for _, a := range g.Rules {
				// What the alert is about, if it is given anything.
				values, given := 0, 0
				for _, i := range g.InputSeries {
					if !strings.Contains(i.Series, `instance="`) || AlertName(strings.SplitN(strings.SplitN(i.Series, `instance="`, 2)[1], ":", 2)[0]) != a.Alertname {
						continue
					}
					given++
					if !strings.HasPrefix(i.Values, "_") {
						values++
					}
				}
				for _, f := range a.ExpAlerts {
					severities[a.Alertname+" "+f.Labels["severity"]+" "+f.Labels["window"]] = true
				}
				switch firing := len(a.ExpAlerts) > 0; {
				case values == 0 && (given > 0 || firing):
					if firing == slices.Contains(speaksAlone, a.Alertname) {
						show(a.Alertname, whatNoData)
					}
				case firing:
					fired[a.Alertname] = true
					show(a.Alertname, "fires")
				case fired[a.Alertname]:
					show(a.Alertname, "resolves")
				case values > 0:
					show(a.Alertname, whatQuiet)
				}
			}
		}
	}
	var f File
	read(t, "dualgram.rules.yaml", &f)
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			for _, what := range []string{"fires", "resolves", whatQuiet, whatNoData} {
				if !shown[r.Alert][what] && !slices.Contains(exempt[r.Alert], what) {
					t.Errorf("%s: no test shows: %s", r.Alert, what)
				}
			}
			if s := r.Labels["severity"]; s != "" && !severities[r.Alert+" "+s+" "+r.Labels["window"]] {
				t.Errorf("%s: never seen as %s %s", r.Alert, s, r.Labels["window"])
			}
		}
	}
}

func read(t *testing.T, name string, into any) {
	t.Helper()
	if err := yaml.NewDecoder(bytes.NewReader(golden(t, name)), yaml.Strict()).Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
