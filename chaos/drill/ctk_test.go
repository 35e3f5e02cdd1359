package drill

import (
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// TestSideBySide: the experiment in Chaos Toolkit's format rehearses the same
// thing as ours, in the places that its specification gives
// (chaostoolkit.org/reference/api/experiment).
func TestSideBySide(t *testing.T) {
	ours, _, err := Template("certificate-expired")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("testdata/chaostoolkit.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type activity struct {
		Type, Name string
		Provider   struct{ Type, Path, Arguments string }
		Tolerance  map[string]any
		Pauses     struct{ After float64 }
	}
	var theirs struct {
		Title, Description string
		Tags               []string
		Hypothesis         struct {
			Title  string
			Probes []activity
		} `yaml:"steady-state-hypothesis"`
		Method, Rollbacks []activity
	}
	if err := yaml.UnmarshalWithOptions(raw, &theirs, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if theirs.Title != ours.Title || theirs.Hypothesis.Title != ours.Hypothesis.Title || strings.Join(theirs.Tags, " ") != strings.Join(ours.Tags, " ") {
		t.Errorf("%q %q %q", theirs.Title, theirs.Hypothesis.Title, theirs.Tags)
	}
	names := map[string]bool{}
	for _, p := range ours.Hypothesis.Probes {
		names[p.Name] = true
	}
	for _, p := range theirs.Hypothesis.Probes {
		if !names[p.Name] || p.Type != "probe" || p.Tolerance["type"] != "jsonpath" {
			t.Errorf("%+v", p)
		}
	}
	a, b := theirs.Method[0], ours.Method[0]
	if a.Name != b.Name || a.Pauses.After != b.For.D().Seconds() || a.Provider.Arguments != "chaos inject "+string(b.Fault)+" --for "+b.For.String() {
		t.Errorf("%+v\n%+v", a, b)
	}
	if len(theirs.Rollbacks) != 1 {
		t.Error("they need a rollback where we need none")
	}
}
