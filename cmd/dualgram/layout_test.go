package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// TestImportRule holds the layout: which of our packages may import which. A
// package that is not listed fails, so that a new one is placed on purpose.
func TestImportRule(t *testing.T) {
	const module = "dualgram/"
	// allowed lists what a package may depend on among ours, in any number of
	// steps; a trailing slash stands for everything below.
	allowed := map[string][]string{
		"transport":               {},
		"transport/botapi":        {"transport"},
		"transport/webhook":       {"transport"},
		"transport/polling":       {"transport", "transport/botapi"},
		"transport/delivery":      {"transport"},
		"transport/probe":         {},
		"transport/acme":          {},
		"transport/acme/acmetest": {},
		"store":                   {"transport"},
		"supervisor/failover":     {},
		"supervisor/console":      {},
		"supervisor/console/page": {"supervisor", "supervisor/", "transport", "transport/", "store"},
		"supervisor/warning":      {},
		"supervisor/notify":       {"supervisor/warning", "transport/botapi", "transport"},
		"supervisor/dispatch":     {"transport", "transport/delivery", "store"},
		"supervisor":              {"supervisor/failover", "supervisor/console", "supervisor/dispatch", "supervisor/warning", "transport", "transport/", "store"},
		"chaos":                   {"chaos/pki"},
		"chaos/drill":             {"chaos", "chaos/pki"},
		"chaos/pki":               {},
		"chaos/memnet":            {},
		"chaos/telegramsim":       {},
		"runbooks":                {},
		"runbooks/dashboards":     {},
		"cmd/dualgram":            {"runbooks", "runbooks/", "cmd/dualgram/", "supervisor", "supervisor/", "transport", "transport/", "store", "chaos", "chaos/"},
		"cmd/dualgram/config":     {"transport/botapi", "transport"},
		"cmd/dualgram/metrics":    {},
		"cmd/dualgram/rules":      {"cmd/dualgram/metrics", "supervisor/warning", "transport", "transport/webhook"},
		"cmd/dualgram/host":       {"runbooks", "cmd/dualgram/config", "supervisor", "supervisor/", "transport", "transport/", "store", "chaos", "chaos/"},
		"cmd/dualgram/stage":      {"runbooks", "cmd/dualgram/config", "cmd/dualgram/host", "supervisor", "supervisor/", "transport", "transport/", "store", "chaos", "chaos/"},
		"cmd/dualgram/demo":       {"runbooks", "cmd/dualgram/config", "cmd/dualgram/host", "cmd/dualgram/stage", "supervisor", "supervisor/", "transport", "transport/", "store", "chaos", "chaos/"},
		"cmd/dualgram/bench":      {"runbooks", "cmd/dualgram/config", "cmd/dualgram/host", "supervisor", "supervisor/", "transport", "transport/", "store", "chaos", "chaos/"},
		"cmd/dualgram/check":      {"runbooks", "cmd/dualgram/config", "cmd/dualgram/host", "supervisor", "supervisor/", "transport", "transport/", "store", "chaos", "chaos/"},
		"cmd/dualgram/dist":       {},
		"cmd/dualgram/service":    {"cmd/dualgram/config", "transport/botapi", "transport"},
		"cmd/dualgram/e2e":        {},
		"chaos/matrix":            {},
		"cmd/dualgram/matrix":     {"chaos/matrix"},
	}
	out, err := exec.Command("go", "list", "-deps", "-json=ImportPath,Deps,Standard", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	seen := map[string]bool{}
	for dec.More() {
		var p struct {
			ImportPath string
			Deps       []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		name, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours {
			continue
		}
		seen[name] = true
		rule, listed := allowed[name]
		if !listed {
			t.Errorf("%s is not in the layout: add it to the rule", name)
			continue
		}
		for _, d := range p.Deps {
			dep, ours := strings.CutPrefix(d, module)
			if ours && !permits(rule, dep) {
				t.Errorf("%s must not depend on %s", name, dep)
			}
		}
	}
	if !seen["supervisor"] || !seen["store"] {
		t.Errorf("go list showed only %v", seen)
	}
}

func permits(rule []string, dep string) bool {
	for _, r := range rule {
		if r == dep || strings.HasSuffix(r, "/") && strings.HasPrefix(dep, r) {
			return true
		}
	}
	return false
}
