package telegramsim

import (
	"testing"
)

// TestClauses runs the test of every clause, and fails if one has none.
func TestClauses(t *testing.T) {
	tests := map[string]func(*testing.T){}
	for _, group := range []map[string]func(*testing.T){queueClauses, pollClauses, setClauses, deliveryClauses, connectionClauses, answerClauses, tlsClauses, aroundClauses} {
		for id, f := range group {
			if tests[id] != nil {
				t.Errorf("%s has two tests", id)
			}
			tests[id] = f
		}
	}
	for _, c := range Clauses() {
		f := tests[c.ID]
		if f == nil {
			t.Errorf("%s has no test: %s", c.ID, c.Text)
			continue
		}
		delete(tests, c.ID)
		t.Run(c.ID, f)
	}
	for id := range tests {
		t.Errorf("test of %s, which is not in the table", id)
	}
}
