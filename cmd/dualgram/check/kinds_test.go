package check

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dualgram/cmd/dualgram/config"
	"dualgram/runbooks"
	"dualgram/supervisor/warning"
)

var codeShape = regexp.MustCompile(`^DG-[A-Z]{3,4}-\d{3}$`)

// The registry is whole: every code is unique, has its words and its page, and is
// given by exactly one task.
func TestKinds(t *testing.T) {
	k := &checkup{o: Options{Config: &config.Config{Bots: []config.Bot{{Name: "a"}}}}, cfg: &config.Config{Bots: []config.Bot{{Name: "a"}}}}
	k.prepare()
	given := map[Code]task{}
	for _, x := range k.tasks() {
		for _, c := range x.codes {
			if _, twice := given[c]; twice {
				t.Errorf("%s is given by two tasks", c)
			}
			given[c] = x
		}
		for _, c := range slices.Concat(x.needs, x.after) {
			if _, known := Lookup(c); !known {
				t.Errorf("a task waits for %q", c)
			}
		}
	}
	seen := map[Code]bool{}
	name := map[string]Code{}
	for _, kind := range Kinds() {
		if !codeShape.MatchString(string(kind.Code)) || seen[kind.Code] {
			t.Errorf("the code %q", kind.Code)
		}
		seen[kind.Code] = true
		if n := string(kind.Category) + " " + kind.Name; name[n] != "" {
			t.Errorf("%s and %s are both called %s", name[n], kind.Code, n)
		} else {
			name[n] = kind.Code
		}
		for _, s := range []string{kind.Meaning, kind.Fix} {
			if len(s) < 10 || !strings.HasSuffix(s, ".") || s[0] < 'A' || s[0] > 'Z' {
				t.Errorf("%s: %q is no sentence", kind.Code, s)
			}
		}
		if _, ok := runbooks.Lookup(kind.Runbook); !ok {
			t.Errorf("%s: there is no page %q", kind.Code, kind.Runbook)
		}
		x, ok := given[kind.Code]
		if !ok {
			t.Errorf("%s is given by no task", kind.Code)
		}
		if kind.PerBot != (x.bot != "") {
			t.Errorf("%s: per bot %v, and its task is of %q", kind.Code, kind.PerBot, x.bot)
		}
		delete(given, kind.Code)
	}
	for c := range given {
		t.Errorf("%s is not in the registry", c)
	}
	for w, c := range covers {
		if _, ok := warning.Lookup(w); !ok {
			t.Errorf("there is no warning %s", w)
		}
		if !seen[c] {
			t.Errorf("%s is covered by %s, which isn't there", w, c)
		}
	}
}

// codes that were given away once. A line is added with each new code, and none is
// ever changed or removed.
func TestCodesAreForEver(t *testing.T) {
	raw, err := os.ReadFile("testdata/codes.txt")
	if err != nil {
		t.Fatal(err)
	}
	was := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		code, meaning, _ := strings.Cut(strings.TrimSpace(line), " ")
		was[code] = meaning
	}
	for _, k := range Kinds() {
		now := string(k.Category) + ": " + k.Name
		if before, ok := was[string(k.Code)]; !ok || before != now {
			t.Errorf("%s stands for %q, and in testdata/codes.txt for %q: add a new code at its end, and never give one another meaning", k.Code, now, before)
		}
	}
}

// The table in the package's documentation is the registry.
func TestTableInDoc(t *testing.T) {
	raw, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "//	%-11s %s: %s\n", k.Code, k.Category, k.Meaning)
		fmt.Fprintf(&b, "//	            → %s\n", k.Fix)
	}
	const head = "and the name of a page: dualgram runbook NAME.\n//\n"
	before, _, ok := strings.Cut(string(raw), head)
	if !ok {
		t.Fatal("doc.go has no such section")
	}
	want := before + head + b.String() + "package check\n"
	if os.Getenv("UPDATE_DOC") != "" {
		if err := os.WriteFile("doc.go", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(raw) != want {
		t.Error("doc.go doesn't have the registry as it is: UPDATE_DOC=1 go test -run TestTableInDoc writes it")
	}
}
