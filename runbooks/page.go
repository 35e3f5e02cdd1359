package runbooks

import (
	"slices"
	"strings"
)

// Kind is what a page is about.
type Kind string

// The kinds of pages.
const (
	Alert Kind = "alert" // what to do when it fires
	Task  Kind = "task"  // something that is done on purpose
	Drill Kind = "drill" // a shipped drill
)

// Severity is how soon a person is needed, as in the warning or alert.
type Severity string

// The severities.
const (
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// The titles of an alert page's sections that something is known of.
const (
	SectionReal     = "Is it real?"
	SectionFix      = "Fix"
	SectionVerify   = "Verify and switch back"
	SectionRehearse = "Rehearse it"
)

// sections is the order of an alert's page.
var sections = []string{"TL;DR", "Impact", SectionReal, "What dualgram already did", "Stop the bleeding",
	"Diagnose", SectionFix, SectionVerify, "Escalate", "Why this alert", SectionRehearse, "Change log"}

// Sections returns the titles of an alert page's sections, in their order.
func Sections() []string { return slices.Clone(sections) }

// Page is one page. It is not changed by anybody.
type Page struct {
	// Name is that of the file without its ending: foreign_webhook,
	// certificate-expired.
	Name string
	Kind Kind
	// Alert is the alert's name, DualgramForeignWebhook; empty unless it is an alert's
	// page.
	Alert string
	// Title is the heading of the page: the alert's, the task's or the drill's name.
	Title string
	// Summary is one line: what it is about.
	Summary string
	// Severities lists what the alert may have, the usual one first; none but for an
	// alert's page.
	Severities []Severity
	// Auto says whether it ends without a person: yes, partly or no; empty but for an
	// alert's page.
	Auto string
	// Drill names the shipped drill that shows it; for a drill's page, itself.
	Drill string
	// Fault names the fault that shows it where no shipped drill does.
	Fault string
	// NoDrill says why neither does.
	NoDrill string
	// Sections in their order, without what stands before the first.
	Sections []Section
	// Fences are the commands in their order.
	Fences []Fence
	// Links are the targets of the links, as written.
	Links []string
	// Markdown is the page without its front matter.
	Markdown string
}

// Section is a part of a page below a heading of the second level.
type Section struct {
	Title string `json:"title"`
	// Text is its Markdown without the heading.
	Text string `json:"text"`
}

// Path is where the page is among the others: its name, below drills/ if it is a
// drill's.
func (p *Page) Path() string {
	if p.Kind == Drill {
		return "drills/" + p.Name
	}
	return p.Name
}

// AlertName is the name of the alert of a page: DualgramForeignWebhook for
// foreign_webhook.
func AlertName(page string) string {
	var b strings.Builder
	b.WriteString("Dualgram")
	for word := range strings.SplitSeq(page, "_") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}
