package rules

import (
	"strings"

	"dualgram/supervisor/warning"
)

// SeverityNone is that of the watchdog, which is for no person.
const SeverityNone = "none"

// Alert is one alerting rule. ${key} in its fields stands for a threshold.
type Alert struct {
	// Name is that of its page, in snake_case; [AlertName] makes the alert's of it.
	// Several may have the same, with different severities or windows.
	Name string
	// Severity is critical, warning or none; empty: that of the metric's label.
	Severity string
	Expr     string
	For      string
	// Labels beside severity, runbook and drill.
	Labels map[string]string
	// Summary is a few words, Description says what it is and what dualgram has done.
	Summary, Description string
	// Scope says which labels tell one alert of the name from the other.
	Scope Scope
	// Real is true for what is never to be taken for a drill's doing: it has no label
	// that says so.
	Real bool
	// DependsOn names what this only follows from: while one of them fires, for the
	// same bot or for the process, nobody needs to be told.
	DependsOn []string
}

// Scope is what an alert is about.
type Scope uint8

// The scopes.
const (
	OfBot      Scope = iota // one bot of one instance
	OfInstance              // one process
	OfNobody                // neither is known
)

// AlertName is the alert that a page is about: foreign_webhook is
// DualgramForeignWebhook.
func AlertName(page string) string {
	var b strings.Builder
	b.WriteString("Dualgram")
	for w := range strings.SplitSeq(page, "_") {
		b.WriteString(strings.ToUpper(w[:1]) + w[1:])
	}
	return b.String()
}

// Alerts lists all of them, the most urgent first: those that no warning stands for,
// then one for each warning that needs a person.
func Alerts() []Alert { return append(symptoms(), warnings(warning.Kinds())...) }
