package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dualgram/cmd/dualgram/rules"
)

// TestRulesCommand: what is printed is what is committed, with the operator's figures
// in it.
func TestRulesCommand(t *testing.T) {
	committed, err := os.ReadFile("../../runbooks/alerts/dualgram.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := dualgram(nil, "rules"); code != exitOK || stdout != string(committed) || stderr != "" {
		t.Errorf("%d, %d bytes, want %d, %q", code, len(stdout), len(committed), stderr)
	}
	routes, err := os.ReadFile("../../runbooks/alerts/alertmanager.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if code, stdout, _ := dualgram(nil, "rules", "--format", "alertmanager"); code != exitOK || stdout != string(routes) {
		t.Errorf("%d, %d bytes, want %d", code, len(stdout), len(routes))
	}
	code, stdout, _ := dualgram(nil, "rules", "--output", "json", "--job", "bots", "--threshold", "pending_high.warning=70", "--threshold", "pending_high.for=5s")
	var f rules.File
	if err := json.Unmarshal([]byte(stdout), &f); code != exitOK || err != nil {
		t.Fatal(code, err)
	}
	seen := 0
	for _, r := range f.Groups[1].Rules {
		switch {
		case r.Alert == "DualgramPendingHigh" && r.Labels["severity"] == "warning":
			seen++
			if !strings.HasSuffix(r.Expr, "> 70") || r.For != "5s" {
				t.Errorf("%+v", r)
			}
		case r.Alert == "DualgramDown":
			seen++
			if !strings.Contains(r.Expr, `up{job="bots"}`) {
				t.Errorf("%+v", r)
			}
		}
	}
	if seen != 2 {
		t.Errorf("%d seen", seen)
	}
	if code, stdout, _ := dualgram(nil, "rules", "--format", "operator"); code != exitOK || !strings.Contains(stdout, "kind: PrometheusRule\n") || !strings.Contains(stdout, "  groups:\n") {
		t.Errorf("%d %.300s", code, stdout)
	}
}

// TestRulesFromConfig: the operator's budget is what a slow handover is compared with.
func TestRulesFromConfig(t *testing.T) {
	data, err := os.ReadFile("testdata/cli/good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dualgram.yaml")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"DUALGRAM_FAILOVER_BUDGET=12s"}
	code, stdout, stderr := dualgram(env, "rules", "--config", file, "--from-config")
	if code != exitOK || !strings.Contains(stdout, `le=~"15(\\.0)?"`) {
		t.Errorf("%d %s", code, stderr)
	}
	// What is said on the command line counts.
	if code, stdout, _ = dualgram(env, "rules", "--config", file, "--from-config", "--threshold", "switch_slow.seconds=30"); code != exitOK || !strings.Contains(stdout, `le=~"30(\\.0)?"`) {
		t.Error(code)
	}
	for budget, want := range map[float64]string{10: "10", 10.5: "15", 0.1: "0.25", 500: "120"} {
		if got := boundFor(budget); got != want {
			t.Errorf("%v: %s, want %s", budget, got, want)
		}
	}
}
