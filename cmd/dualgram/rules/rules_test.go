package rules

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dualgram/cmd/dualgram/metrics"
	"dualgram/supervisor/warning"

	"github.com/goccy/go-yaml"
)

var update = flag.Bool("update", false, "write the golden files")

// alertsDir is where the rules are kept for those who copy files.
const alertsDir = "../../../runbooks/alerts"

func golden(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(alertsDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(alertsDir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(alertsDir, name), got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := golden(t, name); !bytes.Equal(got, want) {
		t.Errorf("runbooks/alerts/%s is not what dualgram rules makes (go test ./cmd/dualgram/rules -update writes it)", name)
	}
}

// TestGolden holds the files of runbooks/alerts.
func TestGolden(t *testing.T) {
	f, err := Make(Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.YAML()
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "dualgram.rules.yaml", b)
	for name, u := range unitFiles(t) {
		b, err := yaml.MarshalWithOptions(u, yaml.IndentSequence(true))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, name, append([]byte("# Made by go test ./cmd/dualgram/rules -update; run by make alerts.\n"), b...))
	}
	if b, err = Alertmanager(); err != nil {
		t.Fatal(err)
	}
	compare(t, "alertmanager.example.yaml", b)
}

// TestEveryWarning: no warning that needs a person is without its alert, and none
// that doesn't has one.
func TestEveryWarning(t *testing.T) {
	names := map[string]bool{}
	for _, a := range Alerts() {
		names[a.Name] = true
	}
	for _, k := range warning.Kinds() {
		needs := slices.ContainsFunc(k.Severities(), func(s warning.Severity) bool { return s != warning.Info })
		if needs != names[k.Runbook()] {
			t.Errorf("%s: needs a person: %t, has an alert: %t", k.Code, needs, names[k.Runbook()])
		}
	}
	kinds := []warning.Kind{{Code: "news", Severity: warning.Info, Also: []warning.Severity{warning.Warning}, Text: "{evidence}. At {since} for {bot}."},
		{Code: "gossip", Severity: warning.Info}}
	as := warnings(kinds)
	if len(as) != 1 || as[0].Name != "news" || strings.ContainsAny(strings.ReplaceAll(as[0].Description, "{{ $labels.bot }}", ""), "{}") {
		t.Errorf("%+v", as)
	}
}

var pageShape = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

// TestAlertsAreWhole: each says what it has to.
func TestAlertsAreWhole(t *testing.T) {
	f, err := Make(Options{RunbookURL: "https://runbooks.example.com/%s.html"})
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]bool{}
	for _, a := range Alerts() {
		pages[a.Name] = true
		if !pageShape.MatchString(a.Name) {
			t.Errorf("%s is not the name of a page", a.Name)
		}
	}
	for _, a := range Alerts() {
		for _, p := range a.DependsOn {
			if !pages[p] || p == a.Name {
				t.Errorf("%s depends on %s, which there is not", a.Name, p)
			}
		}
	}
	for _, r := range f.Groups[1].Rules {
		page := r.Labels["runbook"]
		if AlertName(page) != r.Alert || !pages[page] {
			t.Errorf("%s: runbook %q", r.Alert, page)
		}
		if r.For == "" || r.Annotations["runbook_url"] != "https://runbooks.example.com/"+page+".html" {
			t.Errorf("%s: for %q, %q", r.Alert, r.For, r.Annotations["runbook_url"])
		}
		if s := r.Annotations["summary"]; s == "" || strings.HasSuffix(s, ".") || len(s) > 200 {
			t.Errorf("%s: summary %q", r.Alert, s)
		}
		if len(r.Annotations["description"]) < 60 {
			t.Errorf("%s: description %q", r.Alert, r.Annotations["description"])
		}
		// A command may be copied with the line that it ends; and no two sentences are run together.
		_, last, _ := strings.Cut(r.Annotations["description"], "\nOn the host: ")
		if want := "dualgram runbook " + r.Labels["runbook"]; last != want && r.Labels["severity"] != SeverityNone {
			t.Errorf("%s: the description ends with %q, not with %q", r.Alert, last, want)
		}
		if s := r.Labels["severity"]; s == "" && !strings.Contains(r.Expr, "dualgram_warning_active") || !slices.Contains([]string{"", "critical", "warning", "none"}, s) {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		for _, text := range []string{r.Expr, r.For, r.Annotations["summary"], r.Annotations["description"]} {
			if strings.Contains(text, "${") || strings.Contains(text, "<no value>") {
				t.Errorf("%s: a placeholder is left: %q", r.Alert, text)
			}
		}
	}
	for _, r := range f.Groups[0].Rules {
		if strings.Count(r.Record, ":") != 2 {
			t.Errorf("%s is not level:metric:operation", r.Record)
		}
	}
}

var metricShape = regexp.MustCompile(`\bdualgram_[a-z_]+\b`)

// TestMetricsExist: no rule waits for a metric that nobody exports.
func TestMetricsExist(t *testing.T) {
	f, err := Make(Options{})
	if err != nil {
		t.Fatal(err)
	}
	used := 0
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			for _, text := range []string{r.Expr, r.Labels["drill"]} {
				for _, i := range metricShape.FindAllStringIndex(text, -1) {
					if i[0] > 0 && text[i[0]-1] == ':' {
						continue // a recorded one
					}
					used++
					if _, ok := metrics.Lookup(text[i[0]:i[1]]); !ok {
						t.Errorf("%s%s: there is no metric %s", r.Alert, r.Record, text[i[0]:i[1]])
					}
				}
			}
		}
	}
	if used < 60 {
		t.Errorf("only %d found", used)
	}
}

// TestThresholds: each is used, what is used is one, and nonsense is refused.
func TestThresholds(t *testing.T) {
	used := map[string]bool{}
	for _, a := range Alerts() {
		for _, text := range []string{a.Expr, a.For, a.Summary, a.Description} {
			for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
				used[m[1]] = true
			}
		}
	}
	delete(used, "job")
	for _, th := range Thresholds() {
		if !used[th.Key] {
			t.Errorf("%s is used nowhere", th.Key)
		}
		delete(used, th.Key)
		page, _, _ := strings.Cut(th.Key, ".")
		if !slices.ContainsFunc(Alerts(), func(a Alert) bool { return a.Name == page }) {
			t.Errorf("%s: no such alert", th.Key)
		}
		if err := th.check(th.Default); err != nil {
			t.Errorf("%s: the default: %v", th.Key, err)
		}
		if th.Help == "" {
			t.Errorf("%s: no help", th.Key)
		}
	}
	for key := range used {
		t.Errorf("%s is no threshold", key)
	}
	v := Values{}
	for _, bad := range [][2]string{{"pending_high.warning", "many"}, {"pending_high.warning", "-1"}, {"down.for", "5 minutes"}, {"down.for", ""},
		{"switch_slow.seconds", "9"}, {"pending_high.warning", "NaN"}} {
		if v.Set(bad[0], bad[1]) == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	var unknown *UnknownKeyError
	if err := v.Set("pending.warning", "1"); !errors.As(err, &unknown) || unknown.Key != "pending.warning" {
		t.Errorf("%v", err)
	}
	for _, good := range [][2]string{{"pending_high.warning", "70"}, {"down.for", "1h30m"}, {"switch_slow.seconds", "7.5"}, {"on_standby.for", "5s"}} {
		if err := v.Set(good[0], good[1]); err != nil {
			t.Error(err)
		}
	}
	f, err := Make(Options{Job: "bots", Values: v})
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.YAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"> 70", "for: 1h30m", `le=~"7.5(\\.0)?"`, "longer than 7.5 s", `up{job="bots"}`, "for: 5s"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is not in the rules", want)
		}
	}
}

// TestOptions: what can't work is refused.
func TestOptions(t *testing.T) {
	for _, o := range []Options{{Job: `x"} or vector(1)`}, {RunbookURL: "https://x/"}, {RunbookURL: "https://x/%s/%s"}} {
		if _, err := Make(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
