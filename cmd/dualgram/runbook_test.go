package main

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/drill"
	"dualgram/cmd/dualgram/metrics"
	"dualgram/cmd/dualgram/rules"
	"dualgram/runbooks"
	"dualgram/supervisor/warning"
	"dualgram/transport/webhook"
)

// mostLines is how long the page of an alert may be: it is read at three in the
// morning.
const mostLines = 110

// notFired are the critical alerts that neither a drill nor a fault makes fire, and
// why.
var notFired = map[string]string{
	"bot_api_unreachable": "it is about the start of the process, as in the test that plays its page",
	"frozen":              "failovers that a drill causes count towards no freeze",
	"down":                "there is no process to rehearse with",
}

func TestEveryAlertHasItsPage(t *testing.T) {
	want := map[string][]runbooks.Severity{}
	for _, a := range rules.Alerts() {
		severity := runbooks.Severity(a.Severity)
		if severity == rules.SeverityNone {
			severity = runbooks.Info
		}
		if !slices.Contains(want[a.Name], severity) {
			want[a.Name] = append(want[a.Name], severity)
		}
	}
	for _, k := range warning.Kinds() {
		want[k.Runbook()] = nil
		for _, s := range k.Severities() {
			want[k.Runbook()] = append(want[k.Runbook()], runbooks.Severity(s))
		}
	}
	for name, severities := range want {
		p, ok := runbooks.Lookup(name)
		if !ok || p.Kind != runbooks.Alert {
			t.Errorf("%s has no page", name)
			continue
		}
		if !slices.Equal(p.Severities, severities) {
			t.Errorf("%s: severity %v, and it may have %v", name, p.Severities, severities)
		}
	}
	for _, p := range runbooks.List() {
		if _, known := want[p.Name]; p.Kind == runbooks.Alert && !known {
			t.Errorf("the page %s is of no alert", p.Name)
		}
	}
}

// shorter is what a page says whose drill is over before its alert fires.
const shorter = "The drill is shorter than this alert waits"

// TestWhoeverRehearsesIsPaged: or the page says that nobody will be.
func TestWhoeverRehearsesIsPaged(t *testing.T) {
	var figures []string
	for _, f := range rules.Thresholds() {
		figures = append(figures, "${"+f.Key+"}", f.Default)
	}
	waits := map[string]time.Duration{}
	for _, a := range rules.Alerts() {
		if a.Severity != "critical" && a.Severity != "" { // "": its series says
			continue
		}
		wait, err := time.ParseDuration(strings.NewReplacer(figures...).Replace(a.For))
		if err != nil {
			t.Fatal(err)
		}
		if have, known := waits[a.Name]; !known || wait < have {
			waits[a.Name] = wait
		}
	}
	said := 0
	for _, p := range runbooks.List() {
		wait, critical := waits[p.Name]
		i := slices.IndexFunc(drill.Templates(), func(e drill.Experiment) bool { return e.Name == p.Drill })
		if !critical || i < 0 || !slices.Contains(p.Severities, runbooks.Critical) {
			continue
		}
		says := strings.Contains(strings.Join(strings.Fields(p.Markdown), " "), shorter)
		if lasts := drill.Templates()[i].Length(); says != (lasts <= wait) {
			t.Errorf("%s: its drill lasts %v, the alert waits for %v; it says so: %v", p.Name, lasts, wait, says)
		}
		if says {
			said++
		}
	}
	if said == 0 {
		t.Error("no page says so; nothing was looked at")
	}
}

func TestEveryDrillHasItsPage(t *testing.T) {
	templates := map[string]bool{}
	for _, e := range drill.Templates() {
		templates[e.Name] = true
		p, ok := runbooks.Lookup("drills/" + e.Name)
		if !ok {
			t.Errorf("the drill %s has no page", e.Name)
			continue
		}
		if p.Summary != e.Title {
			t.Errorf("drills/%s: summary %q, and the drill's title is %q", e.Name, p.Summary, e.Title)
		}
		// What the experiment expects is what the page announces.
		for _, signal := range e.Expect.Signals {
			if !strings.Contains(p.Markdown, "`"+signal+"`") {
				t.Errorf("drills/%s doesn't name the signal %s", e.Name, signal)
			}
		}
		for _, w := range e.Expect.Warnings {
			if !strings.Contains(p.Markdown, "`["+w+"]`") {
				t.Errorf("drills/%s doesn't name the warning %s", e.Name, w)
			}
		}
		for _, a := range e.Method {
			if said := fmt.Sprintf("%ds", time.Duration(a.For)/time.Second) + " by `" + string(a.Fault) + "`"; !strings.Contains(strings.Join(strings.Fields(p.Markdown), " "), said) {
				t.Errorf("drills/%s doesn't say %q", e.Name, said)
			}
		}
		if alert, ok := runbooks.Lookup(e.Runbook); !ok || alert.Kind != runbooks.Alert {
			t.Errorf("the drill %s names the page %q, which there isn't", e.Name, e.Runbook)
		} else if !slices.Contains(p.Links, "../"+e.Runbook+".md") {
			t.Errorf("drills/%s doesn't link to %s", e.Name, e.Runbook)
		}
	}
	for _, p := range runbooks.List() {
		if p.Kind == runbooks.Drill && !templates[p.Name] {
			t.Errorf("the page drills/%s is of no drill", p.Name)
		}
	}
}

func TestPages(t *testing.T) {
	templates, kinds := map[string]bool{}, map[string]bool{}
	for _, e := range drill.Templates() {
		templates[e.Name] = true
	}
	for _, k := range chaos.Kinds() {
		kinds[string(k.Kind)] = true
	}
	for _, p := range runbooks.List() {
		t.Run(p.Path(), func(t *testing.T) {
			if want := p.Name; p.Kind != runbooks.Alert && p.Title != want {
				t.Errorf("title %q, want %q", p.Title, want)
			}
			checkLinks(t, p)
			if p.Kind != runbooks.Alert {
				return
			}
			if want := runbooks.AlertName(p.Name); p.Alert != want || p.Title != want {
				t.Errorf("alert %q, title %q, want %q", p.Alert, p.Title, want)
			}
			var titles []string
			for _, s := range p.Sections {
				titles = append(titles, s.Title)
				if s.Text == "" {
					t.Errorf("%s is empty", s.Title)
				}
			}
			if !slices.Equal(titles, runbooks.Sections()) {
				t.Errorf("sections %q", titles)
			}
			if n := strings.Count(p.Markdown, "\n"); n > mostLines {
				t.Errorf("%d lines; nobody reads more than %d at night", n, mostLines)
			}
			if p.Drill != "" && !templates[p.Drill] {
				t.Errorf("there is no drill %s", p.Drill)
			}
			if p.Fault != "" && !kinds[p.Fault] {
				t.Errorf("there is no fault %s", p.Fault)
			}
			if _, excused := notFired[p.Name]; p.Severities[0] == runbooks.Critical && (p.NoDrill != "") != excused {
				t.Errorf("critical: no_drill %q, excused %v", p.NoDrill, excused)
			}
			checkFences(t, p)
		})
	}
}

// checkFences: a page shows what is bad and verifies what is good, by commands that
// only read.
func checkFences(t *testing.T, p *runbooks.Page) {
	shows, verifies := false, false
	for _, f := range p.Fences {
		_, bad := f.At(runbooks.Bad)
		_, good := f.At(runbooks.Good)
		shows = shows || f.Section == runbooks.SectionReal && f.Effect == runbooks.ReadOnly && bad
		verifies = verifies || f.Section == runbooks.SectionVerify && f.Effect == runbooks.ReadOnly && good
		if f.Section == runbooks.SectionRehearse && f.Code != "dualgram drill run "+p.Drill+" --dry-run\n" {
			t.Errorf("%s: only the dry run of the page's own drill is played, on that drill's page", f.Name)
		}
	}
	if !shows || !verifies {
		t.Errorf("shows what is wrong: %v; verifies the repair: %v", shows, verifies)
	}
}

func checkLinks(t *testing.T, p *runbooks.Page) {
	for _, l := range p.Links {
		if strings.Contains(l, "://") {
			continue
		}
		target, fragment, _ := strings.Cut(l, "#")
		to := p
		if target != "" {
			name, ok := strings.CutSuffix(path.Join(path.Dir(p.Path()), target), ".md")
			if to, _ = runbooks.Lookup(name); !ok || to == nil || to.Path() != name {
				t.Errorf("the link %s leads nowhere", l)
				continue
			}
		}
		if fragment != "" && !slices.ContainsFunc(to.Sections, func(s runbooks.Section) bool { return slug(s.Title) == fragment }) {
			t.Errorf("the link %s leads to no section", l)
		}
	}
}

// slug is what the usual renderers make of a heading.
func slug(title string) string {
	return strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(title), "-"), "-")
}

// inline finds commands between backticks, in prose.
var inline = regexp.MustCompile("`(dualgram [^`]+)`")

var word = regexp.MustCompile(`(?:"[^"]*"|'[^']*'|[^\s"'|;&])+|\|\||&&|[|;&]`)

// TestCauses: the causes by which fail_rate_high sorts bad answers are those that are
// counted.
func TestCauses(t *testing.T) {
	p, _ := runbooks.Lookup("fail_rate_high")
	n := 0
	for _, s := range p.Sections {
		if s.Title != "Diagnose" {
			continue
		}
		for row := range strings.Lines(s.Text) {
			cells := strings.Split(row, " | ")
			if len(cells) != 3 || strings.HasPrefix(row, "| what") {
				continue
			}
			for cause := range strings.SplitSeq(strings.TrimPrefix(cells[0], "| "), ", ") {
				n++
				if !slices.Contains(webhook.Causes(), webhook.Cause(cause)) {
					t.Errorf("no request is counted as %s", cause)
				}
			}
		}
	}
	if n < 5 {
		t.Errorf("only %d causes were found", n)
	}
}

// A page for people has colours on a terminal, is Markdown elsewhere, and a wrong
// name gets the nearest.
func TestRunbookCommand(t *testing.T) {
	code, out, errs := dualgram(nil, "runbook", "DualgramForeignWebhook")
	page, _ := runbooks.Lookup("foreign_webhook")
	if code != exitOK || out != page.Text() || errs != "" {
		t.Errorf("%d %q %q", code, out, errs)
	}
	// What an alert carries is taken as it is.
	for _, url := range []string{"http://127.0.0.1:9464/runbooks/foreign_webhook", "https://host/dualgram/runbooks/foreign_webhook.md#fix", "https://wiki/pages/foreign_webhook/?x=1"} {
		if code, again, errs := dualgram(nil, "runbook", url); code != exitOK || again != out {
			t.Errorf("%s: %d %s", url, code, errs)
		}
	}
	drill, _ := runbooks.Lookup("drills/impostor")
	if code, out, errs := dualgram(nil, "runbook", "http://127.0.0.1:9464/runbooks/drills/impostor"); code != exitOK || out != drill.Text() {
		t.Errorf("%d %.80q %s", code, out, errs)
	}
	if code, _, errs := dualgram(nil, "runbook", "http://127.0.0.1:9464/runbooks/foregn_webhook"); code != exitMisuse || !strings.Contains(errs, "did you mean dualgram runbook foreign_webhook?") {
		t.Errorf("%d %s", code, errs)
	}
	code, out, _ = dualgram(nil, "runbook", "foreign_webhook", "--color", "always")
	if code != exitOK || !strings.Contains(out, "\x1b[1mTL;DR\x1b[0m\n") || strings.Contains(out, "```") || strings.Contains(out, "only reads:") ||
		!strings.Contains(out, "    \x1b[2m# you see, while it is wrong (exit code 1)\x1b[0m\n    \x1b[2morders") ||
		!strings.Contains(out, "    \x1b[2m# changes something\x1b[0m\n    \x1b[32mdualgram switch auto --take-over") ||
		!strings.Contains(out, "    \x1b[2m# only reads\x1b[0m\n    \x1b[32mdualgram status\x1b[0m\n") {
		t.Errorf("%d %s", code, out)
	}
	if code, _, errs := dualgram(nil, "runbook", "foregn_webhook"); code != exitMisuse || !strings.Contains(errs, "did you mean dualgram runbook foreign_webhook?") {
		t.Errorf("%d %s", code, errs)
	}
	if code, out, _ := dualgram(nil, "runbook"); code != exitOK || !strings.Contains(out, "\n  foreign_webhook ") {
		t.Errorf("%d %s", code, out)
	}
	if code, out, _ := dualgram(nil, "runbook", "foreign_webhook", "-o", "json"); code != exitOK || !strings.Contains(out, `"schema": "dualgram/runbook/v1"`) {
		t.Errorf("%d %s", code, out)
	}
}

// TestNoPageIsForgotten: what is on disk is in the binary.
func TestNoPageIsForgotten(t *testing.T) {
	for _, dir := range []string{"", "drills"} {
		entries, err := os.ReadDir(path.Join("../../runbooks", dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			file := path.Join(dir, e.Name())
			name, ok := strings.CutSuffix(file, ".md")
			if !ok {
				continue
			}
			source, err := os.ReadFile(path.Join("../../runbooks", file))
			if err != nil {
				t.Fatal(err)
			}
			isPage := strings.HasPrefix(string(source), "---\n") // others are not for who is paged
			if p, found := runbooks.Lookup(name); (found && p.Path() == name) != isPage {
				t.Errorf("%s: a page: %v; among the pages: %v", file, isPage, found)
			}
		}
	}
}

// metric finds names of series; one that ends in _ is a part of several.
var metric = regexp.MustCompile(`dualgram_[a-z0-9_]+`)

// TestMetrics: each metric that a page names is exported.
func TestMetrics(t *testing.T) {
	n := 0
	for _, p := range runbooks.List() {
		for _, name := range metric.FindAllString(p.Markdown, -1) {
			n++
			_, ok := metrics.Lookup(name)
			if strings.HasSuffix(name, "_") {
				ok = slices.ContainsFunc(metrics.All(), func(m metrics.Metric) bool { return strings.HasPrefix(m.Name+"_", name) })
			}
			if !ok {
				t.Errorf("%s: there is no metric %s", p.Path(), name)
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d names were looked at", n)
	}
}
