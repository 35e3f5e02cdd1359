package config

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Every key has a meaning, and every meaning a key.
func TestMeanings(t *testing.T) {
	known := map[string]bool{}
	var walk func(keys []described)
	walk = func(keys []described) {
		for _, d := range keys {
			known[d.path] = true
			if meanings[d.path] == "" && !d.section {
				t.Errorf("%s: say in meanings.go what it is for", d.path)
			}
			walk(d.keys)
		}
	}
	walk(describeAll())
	for path := range meanings {
		if !known[path] {
			t.Errorf("%s: there is no such key", path)
		}
	}
	for path := range words {
		if !known[path] {
			t.Errorf("%s: there is no such key", path)
		}
	}
}

// The variables that the reference tells are understood.
func TestReferenceVariables(t *testing.T) {
	targets := map[string]bool{}
	for _, l := range leavesOf(reflect.TypeFor[Config]()) {
		targets[EnvName(l.path)] = true
	}
	for _, l := range leavesOf(reflect.TypeFor[Bot]()) {
		targets[EnvName(l.path)] = true
	}
	var walk func(keys []described)
	walk = func(keys []described) {
		for _, d := range keys {
			if e := d.env(); e != "" && !targets[e] {
				t.Errorf("%s: no variable %s", d.path, e)
			}
			walk(d.keys)
		}
	}
	walk(describeAll())
}

// The reference in runbooks is what the code says.
func TestReference(t *testing.T) {
	golden(t, "../../../runbooks/configuration.md", string(Reference()))
}

func TestSchemaGolden(t *testing.T) { golden(t, "testdata/schema.json", string(Schema())) }

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// judge is what an editor would say of a file.
func judge(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	raw, err := yaml.YAMLToJSON(text)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// The schema takes what Load takes.
func TestSchemaTakes(t *testing.T) {
	s := compiled(t)
	files, _ := filepath.Glob("testdata/good/*.yaml")
	files = append(files, "../../../runbooks/deploy/dualgram.yaml")
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := judge(t, s, text); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if len(files) < 6 {
		t.Errorf("only %q", files)
	}
	// So it does with every key at its default.
	cfg, err := loadFile("testdata/good/full.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := judge(t, s, PrintYAML(cfg)); err != nil {
		t.Errorf("what config print prints: %v", err)
	}
}

// The schema refuses what can be told from one key.
func TestSchemaRefuses(t *testing.T) {
	s := compiled(t)
	for text, want := range map[string]string{
		"stor: {path: /x}":                           "stor",
		"store: {path: 5}":                           "path",
		"failover: {budget: 10}":                     "budget",
		"failover: {budget: 10 s}":                   "budget",
		"failover: {hold_down: -1s}":                 "hold_down",
		"bots: {name: x}":                            "bots",
		"bots: [{token: '123456:literal'}]":          "token",
		"bots: [{webhook: {max_connections: many}}]": "max_connections",
		"bots: [{webhook: on}]":                      "webhook",
		"log: {level: loud}":                         "level",
		"heartbeat: {style: fancy}":                  "style",
		"chaos: {enabled: maybe}":                    "enabled",
	} {
		if err := judge(t, s, []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
