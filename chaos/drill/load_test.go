package drill

import (
	"slices"
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
		}
	}
	for _, k := range chaos.Kinds() {
		if k.ProdSafe && !broken[k.Kind] {
			t.Errorf("no template breaks %s", k.Kind)
		}
		if !k.ProdSafe && broken[k.Kind] {
			t.Errorf("a template breaks %s, which is not fit for production", k.Kind)
		}
	}
	for _, want := range []string{"certificate-expired", "missing-intermediate", "wrong-host", "black-hole", "refused", "reset", "slow-answers",
		"server-errors", "wrong-secret", "botapi-429", "botapi-5xx", "botapi-conflict", "botapi-dns", "store-slow", "store-full", "flapping", "both-sides-down"} {
		if !slices.ContainsFunc(Templates(), func(e Experiment) bool { return e.Name == want }) {
			t.Errorf("no template %s", want)
		}
	}
}
