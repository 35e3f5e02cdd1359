package warning

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// The registry says what it has to, and can be relied on.
func TestRegistry(t *testing.T) {
	word := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := map[Code]bool{}
	for _, k := range Kinds() {
		if seen[k.Code] || !word.MatchString(string(k.Code)) {
			t.Errorf("%s: twice, or not in lower case", k.Code)
		}
		seen[k.Code] = true
		if k.Title == "" || strings.HasSuffix(k.Title, ".") {
			t.Errorf("%s: title %q", k.Code, k.Title)
		}
		if left := regexp.MustCompile(`\{[^}]*\}`).FindAllString(k.Text, -1); slices.ContainsFunc(left, func(s string) bool {
			return s != "{evidence}" && s != "{since}" && s != "{bot}"
		}) || len(k.Text) < 40 {
			t.Errorf("%s: text %q", k.Code, k.Text)
		}
		if k.Scope == Process && strings.Contains(k.Text, "{bot}") {
			t.Errorf("%s: the process has no bot", k.Code)
		}
		if k.Runbook() != string(k.Code) {
			t.Errorf("%s: runbook %s", k.Code, k.Runbook())
		}
		for _, s := range k.Severities() {
			if s != Info && s != Warning && s != Critical {
				t.Errorf("%s: severity %q", k.Code, s)
			}
		}
		for _, p := range k.DependsOn {
			parent, ok := Lookup(p)
			switch {
			case !ok:
				t.Errorf("%s depends on %s, which there is not", k.Code, p)
			case parent.TimeToVisible > k.TimeToVisible:
				t.Errorf("%s is visible before %s, which explains it", k.Code, p)
			case index[p] > index[k.Code]:
				t.Errorf("%s stands before %s, which explains it", k.Code, p)
			case slices.Contains(parent.DependsOn, k.Code):
				t.Errorf("%s and %s mute each other", k.Code, p)
			}
		}
	}
}

func names(as []Active) string {
	var out []string
	for _, a := range as {
		out = append(out, strings.TrimPrefix(a.Bot+"/"+string(a.Code), "/"))
	}
	return strings.Join(out, " ")
}

func TestEvaluate(t *testing.T) {
	c := func(bot string, code Code, since time.Duration) Condition {
		return Condition{Bot: bot, Code: code, Since: t0.Add(-since)}
	}
	for name, x := range map[string]struct {
		in   []Condition
		want string
	}{
		"none":                       {nil, ""},
		"in the registry's order":    {[]Condition{c("a", BotDown, 0), c("a", Blind, 0)}, "a/blind a/bot_down"},
		"a parent mutes":             {[]Condition{c("a", OnStandby, 0), c("a", Frozen, 0)}, "a/frozen"},
		"not another bot's":          {[]Condition{c("a", OnStandby, 0), c("b", Frozen, 0)}, "b/frozen a/on_standby"},
		"the process mutes all bots": {[]Condition{c("a", FailoverWithheld, time.Hour), c("b", FailoverWithheld, time.Hour), c("", StoreFailing, 0)}, "store_failing"},
		"a muted parent mutes too":   {[]Condition{c("a", TokenRefused, 0), c("a", Frozen, 0), c("a", OnStandby, 0)}, "a/token_refused"},
		"not yet":                    {[]Condition{c("a", FailoverWithheld, time.Second-1)}, ""},
		"to the moment":              {[]Condition{c("a", FailoverWithheld, time.Second)}, "a/failover_withheld"},
		"since when is not known":    {[]Condition{{Bot: "a", Code: FailoverWithheld}}, "a/failover_withheld"},
		"the first of two":           {[]Condition{c("a", Hole, 0), c("a", Hole, time.Hour)}, "a/hole"},
		"not in the registry":        {[]Condition{c("a", "news", 0), c("a", DryRun, 0)}, "a/dry_run a/news"},
	} {
		if got := names(Evaluate(x.in, t0)); got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
	a := Evaluate([]Condition{{Bot: "orders", Code: Frozen, Evidence: "4 failovers"}}, t0)[0]
	if a.Text != "4 failovers. Updates come by polling. Repair the webhook, then: dualgram ack --bot orders" || a.Severity != Critical || a.Runbook != "frozen" {
		t.Errorf("%+v", a)
	}
	a = Evaluate([]Condition{{Code: CertificateExpires, Severity: Critical, Since: t0}}, t0)[0]
	if a.Severity != Critical || !strings.HasPrefix(a.Text, "No details") {
		t.Errorf("%+v", a)
	}
	if a := Evaluate([]Condition{{Code: BotDown, Since: t0}}, t0)[0]; !strings.Contains(a.Text, "since 2026-03-01T12:00:00Z") {
		t.Errorf("%+v", a)
	}
}

// A parent that a child depends on is not itself hidden by being younger.
func TestPendingParentMutesNothing(t *testing.T) {
	kinds = append(kinds, Kind{Code: "slow_parent", TimeToVisible: time.Minute}, Kind{Code: "child", DependsOn: []Code{"slow_parent"}, TimeToVisible: time.Minute})
	index["slow_parent"], index["child"] = len(kinds)-2, len(kinds)-1
	defer func() {
		kinds = kinds[:len(kinds)-2]
		delete(index, "slow_parent")
		delete(index, "child")
	}()
	in := []Condition{{Code: "slow_parent", Since: t0.Add(-time.Second)}, {Code: "child", Since: t0.Add(-time.Hour)}}
	if got := names(Evaluate(in, t0)); got != "child" {
		t.Errorf("%q", got)
	}
}

// Each is told once when it is raised and once when it has ended, whatever mutes
// it meanwhile.
func TestLog(t *testing.T) {
	var l Log
	var got []string
	see := func(after time.Duration, codes ...Code) {
		var in []Condition
		for _, c := range codes {
			in = append(in, Condition{Bot: "a", Code: c, Since: t0})
		}
		raised, cleared := l.Update(in, t0.Add(after))
		for _, a := range cleared {
			got = append(got, "-"+string(a.Code))
		}
		for _, a := range raised {
			got = append(got, "+"+string(a.Code))
		}
		got = append(got, ";")
	}
	see(0, FailoverWithheld)                  // not visible yet
	see(time.Second, FailoverWithheld)        // raised
	see(2*time.Second, FailoverWithheld)      // known
	see(3 * time.Second)                      // cleared
	see(4 * time.Second)                      //
	see(5*time.Second, OnStandby)             // raised
	see(6*time.Second, OnStandby, Frozen)     // muted, and not cleared
	see(7*time.Second, OnStandby)             // shown again, and not raised again
	see(8*time.Second, OnStandby, Frozen)     // raised again
	see(9*time.Second, Frozen)                // ended while muted
	see(10*time.Second, Frozen, OnStandby)    // muted from its start
	see(11*time.Second, OnStandby)            // now told
	see(12*time.Second, Blind, ForeignPoller) // several
	see(13 * time.Second)
	want := "; +failover_withheld ; ; -failover_withheld ; ; +on_standby ; +frozen ; -frozen ; +frozen ; -on_standby ; ; -frozen +on_standby ; -on_standby +blind +foreign_poller ; -blind -foreign_poller ;"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
}

// What gets worse is told again, what gets better is not.
func TestLogEscalates(t *testing.T) {
	var l Log
	for i, x := range []struct {
		severity Severity
		raised   int
	}{{Info, 1}, {Info, 0}, {Warning, 1}, {Critical, 1}, {Warning, 0}, {Critical, 0}} {
		raised, cleared := l.Update([]Condition{{Code: CertificateExpires, Severity: x.severity}}, t0)
		if len(raised) != x.raised || len(cleared) != 0 {
			t.Errorf("%d: raised %v, cleared %v", i, raised, cleared)
		}
	}
}

func ExampleEvaluate() {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, a := range Evaluate([]Condition{
		{Bot: "orders", Code: OnStandby, Evidence: "stall", Since: now},
		{Bot: "orders", Code: Frozen, Evidence: "4 automatic failovers within an hour", Since: now},
	}, now) {
		fmt.Printf("%s: %s\n%s\n", a.Severity, a.Title, a.Text)
	}
	// Output:
	// critical: Failback is frozen
	// 4 automatic failovers within an hour. Updates come by polling. Repair the webhook, then: dualgram ack --bot orders
}
