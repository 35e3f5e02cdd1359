package drill

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"dualgram/chaos"
)

// TestTemplates: each parses, has its file's name, and together they break all
// that is fit for production.
func TestTemplates(t *testing.T) {
	broken := map[chaos.Kind]bool{}
	for _, e := range Templates() {
		if _, _, err := Template(e.Name); err != nil {
			t.Error(err)
		}
		for _, a := range e.Method {
			broken[a.Fault] = true
			k, _ := chaos.Describe(a.Fault)
			if safe := k.ProdSafe; safe == slices.Contains(e.Tags, "simulator") {
				t.Errorf("%s breaks %s, fit for production: %v; its tags are %v", e.Name, a.Fault, safe, e.Tags)
			}
		}
	}
	for _, k := range chaos.Kinds() {
		if k.ProdSafe && !broken[k.Kind] {
			t.Errorf("no template breaks %s", k.Kind)
		}
	}
	for _, want := range []string{"certificate-expired", "missing-intermediate", "wrong-host", "black-hole", "refused", "reset", "slow-answers",
		"server-errors", "wrong-secret", "botapi-429", "botapi-5xx", "botapi-conflict", "botapi-dns", "store-slow", "store-full", "flapping", "both-sides-down"} {
		if !slices.ContainsFunc(Templates(), func(e Experiment) bool { return e.Name == want }) {
			t.Errorf("no template %s", want)
		}
	}
}

// TestProblems: what is wrong with a file is told with line, column and a way
// out. The messages are reviewed as a golden file.
func TestProblems(t *testing.T) {
	const good = `version: 1
name: x
title: X
steady-state-hypothesis:
  probes: [{expr: standby_ready}]
method:
  - {fault: http.status, for: 10s}
`
	if _, err := Parse("good.yaml", []byte(good)); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, c := range []string{
		good + "expect: {loses: true}\n", "", "# nothing\n", "hello\n", "a: [\n", "\tversion: 1\n", good + "---\nversion: 1\n",
		good + "recover_withn: 10s\n", good + "colour: red\n", good + "name: y\n",
		strings.Replace(good, "version: 1", "version: 2", 1),
		strings.Replace(good, "name: x", "name: Not a name", 1),
		strings.Replace(good, "title: X\n", "", 1),
		strings.Replace(good, "for: 10s", "for: 10", 1),
		strings.Replace(good, "for: 10s", "for: 20m", 1),
		strings.Replace(good, ", for: 10s", "", 1),
		strings.Replace(good, "http.status", "http.statsu", 1),
		strings.Replace(good, "for: 10s", "for: 10s, share: 1.5", 1),
		strings.Replace(good, "for: 10s", "for: 10s, params: {code: 200}", 1),
		strings.Replace(good, "for: 10s", "for: 10s, params: {cod: 500}", 1),
		strings.Replace(good, "for: 10s", "for: 10s, params: [a]", 1),
		strings.Replace(good, "fault: http.status, ", "", 1),
		strings.Replace(good, "standby_ready", "standby_redy", 1),
		strings.Replace(good, "standby_ready", "'mode == \"webhok\"'", 1),
		strings.Replace(good, "{expr: standby_ready}", "{expr: standby_ready, phase: [befor]}", 1),
		strings.Replace(good, "{expr: standby_ready}", "{expr: standby_ready, phase: [before]}", 1),
		strings.Replace(good, "{expr: standby_ready}", "{expr: standby_ready, within: 10s}", 1),
		strings.Replace(good, "{expr: standby_ready}", "{expr: standby_ready}, {expr: standby_ready}", 1),
		strings.Replace(good, "[{expr: standby_ready}]", "[]", 1),
		strings.Replace(good, "{expr: standby_ready}", "{}", 1),
		strings.Replace(good, "version: 1", "version: one", 1),
		good + "stop_when: pending > 5\n", good + "stop_when: [pending > 5s]\n", good + "stop_when:\n  - |\n    trial and\n    pending\n",
		good + "expect: {mode: webhook, within: 10s}\n", good + "expect: {warnings: [Blind]}\n", good + "expect: {warnings: [a], forbid_warnings: [a]}\n",
		good + "expect: polling\n", good + "recover_within: 5s\n", good + "recover_within:\n", good + "rollbacks: [{}]\n", good + "rollbacks: [{action: failbak}]\n",
		good + "traffic: {rate: 0}\n", good + "tags: &x [a]\n", good + "<<: {a: 1}\n",
	} {
		_, err := Parse("x.yaml", []byte(c))
		var pe *ProblemError
		if !errors.As(err, &pe) {
			t.Errorf("accepted:\n%s", c)
			continue
		}
		fmt.Fprintf(&out, "%s\n", err)
	}
	golden(t, "problems.txt", []byte(out.String()))
}

// FuzzParse: no file makes the loader fail otherwise than by a ProblemError.
func FuzzParse(f *testing.F) {
	for _, e := range Templates() {
		_, data, _ := Template(e.Name)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := Parse("x.yaml", data)
		var pe *ProblemError
		if err != nil && !errors.As(err, &pe) {
			t.Fatal(err)
		}
	})
}

func TestSchema(t *testing.T) { golden(t, "schema.json", Schema()) }

// TestRoundTrip: an experiment reads back from a journal as it was.
func TestRoundTrip(t *testing.T) {
	for _, e := range Templates() {
		raw, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back Experiment
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatal(err)
		}
		again, _ := json.Marshal(back)
		if string(again) != string(raw) || back.Length() != e.Length() {
			t.Errorf("%s:\n%s\n%s", e.Name, raw, again)
		}
	}
}
