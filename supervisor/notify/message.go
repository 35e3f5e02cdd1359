package notify

import (
	"fmt"
	"strings"
	"time"

	"dualgram/supervisor/warning"
	"dualgram/transport/botapi"
)

// Schema names the JSON form of a [Message].
const Schema = "dualgram/notification/v1"

// State is what there is to tell about a warning.
type State string

// The states.
const (
	// Raised: it is new.
	Raised State = "raised"
	// Worse: its severity has risen.
	Worse State = "worse"
	// Continues: it was told before, and lasts.
	Continues State = "continues"
	// Passed: it came and went while no message could be sent.
	Passed State = "passed"
	// Resolved: it was told, and has ended.
	Resolved State = "resolved"
)

func (s State) order() int {
	switch s {
	case Raised, Worse:
		return 0
	case Continues:
		return 1
	case Passed:
		return 2
	}
	return 3
}

// The statuses of a [Message].
const (
	StatusFiring   = "firing"   // something of it lasts
	StatusResolved = "resolved" // all of it is over
	StatusTest     = "test"     // somebody tries the channel
)

// Message is what is told at one time. Its JSON form is a contract: fields are
// added, and none is renamed or removed.
type Message struct {
	Schema string `json:"schema"` // always [Schema]
	// ID is the same for each attempt to send the message, and for no other.
	ID      string    `json:"id"`
	Host    string    `json:"host"` // of the machine that dualgram runs on
	Version string    `json:"version"`
	SentAt  time.Time `json:"sent_at"`
	Status  string    `json:"status"`
	// Severity is the worst of those that last, or else of all.
	Severity warning.Severity `json:"severity"`
	// Drill: all of it may be the doing of a fault that was injected on purpose.
	Drill bool `json:"drill"`
	// Title is one line.
	Title string `json:"title"`
	Items []Item `json:"warnings"`
}

// Item is one warning of a [Message].
type Item struct {
	State    State            `json:"state"`
	Bot      string           `json:"bot,omitempty"` // empty for the process as a whole
	Code     string           `json:"code"`
	Severity warning.Severity `json:"severity"`
	Title    string           `json:"title"`
	// Text says what it means and what to do.
	Text string `json:"text"`
	// Runbook is the name to give to dualgram runbook.
	Runbook string    `json:"runbook,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	EndedAt time.Time `json:"ended_at,omitzero"`
	Drill   bool      `json:"drill"`
}

// clean keeps what must not leave the process out of a text, which should not hold
// it in the first place.
func clean(s string) string { return botapi.Redact(s) }

// sum fills in what follows from the items.
func (m *Message) sum() {
	m.Status, m.Drill = StatusResolved, len(m.Items) > 0
	var worst warning.Severity
	lasting := 0
	for _, i := range m.Items {
		m.Drill = m.Drill && i.Drill
		if i.lasts() {
			m.Status = StatusFiring
			if lasting++; m.Severity == "" || rank(i.Severity) > rank(m.Severity) {
				m.Severity = i.Severity
			}
		}
		if worst == "" || rank(i.Severity) > rank(worst) {
			worst = i.Severity
		}
	}
	if m.Severity == "" {
		m.Severity = worst
	}
	switch over := len(m.Items) - lasting; {
	case len(m.Items) == 1:
		m.Title = m.Items[0].head()
	case lasting == 0:
		m.Title = fmt.Sprintf("%d warnings are over", over)
	case over == 0:
		m.Title = fmt.Sprintf("%d warnings", lasting)
	default:
		m.Title = fmt.Sprintf("%s, %d over", count(lasting), over)
	}
	if m.Drill {
		m.Title = "drill: " + m.Title
	}
}

func count(n int) string {
	if n == 1 {
		return "1 warning"
	}
	return fmt.Sprintf("%d warnings", n)
}

func (i Item) lasts() bool { return i.State != Resolved && i.State != Passed }

// head is the item in a line.
func (i Item) head() string {
	s := i.Title
	if i.Bot != "" {
		s = i.Bot + ": " + s
	}
	if i.State == Resolved {
		s += " (over)"
	}
	return s
}

// Test is a message that tries a channel.
func Test(now time.Time) Message {
	m := Message{Schema: Schema, ID: "test-" + now.UTC().Format("20060102T150405.000"), SentAt: now, Status: StatusTest, Severity: warning.Info,
		Title: "test: this is what a warning looks like"}
	m.Items = []Item{{State: Raised, Code: "test", Severity: warning.Info, Title: "A test", Since: now,
		Text: "Somebody ran dualgram notify test. Nothing is wrong, and nothing is to be done."}}
	return m
}

// Concerns lists the bots of the message, each once; whole says that it concerns the
// process, too.
func (m Message) Concerns() (bots []string, whole bool) {
	seen := map[string]bool{}
	for _, i := range m.Items {
		switch {
		case i.Bot == "":
			whole = true
		case !seen[i.Bot]:
			seen[i.Bot] = true
			bots = append(bots, i.Bot)
		}
	}
	return bots, whole
}

// Summary is the message in a clause, for a journal.
func (m Message) Summary() string {
	var parts []string
	for _, i := range m.Items {
		p := string(i.State) + " " + i.Code
		if i.Bot != "" {
			p += " (" + i.Bot + ")"
		}
		parts = append(parts, p)
	}
	return strings.Join(parts, ", ")
}

// Text is the message for a person, with at most limit UTF-16 code units, as
// Telegram counts. Of many warnings the most urgent are shown.
func (m Message) Text(limit int) string {
	from := "dualgram"
	if m.Host != "" {
		from += " on " + m.Host
	}
	text := from + ": " + m.Title
	left := len(m.Items)
	for _, i := range m.Items {
		p := i.paragraph()
		rest := ""
		if left > 1 {
			rest = more(left - 1)
		}
		if units(text)+units(p)+units(rest) > limit {
			break
		}
		text += p
		left--
	}
	if left > 0 && units(text)+units(more(left)) <= limit {
		text += more(left)
	}
	return cut(text, limit)
}

func more(n int) string { return fmt.Sprintf("\n\n… and %d more: dualgram status", n) }

func (i Item) paragraph() string {
	var b strings.Builder
	b.WriteString("\n\n")
	if i.Drill {
		b.WriteString("DRILL ")
	}
	switch i.State {
	case Resolved, Passed:
		b.WriteString("OVER ")
	case Continues:
		b.WriteString("STILL " + strings.ToUpper(string(i.Severity)) + " ")
	default:
		b.WriteString(strings.ToUpper(string(i.Severity)) + " ")
	}
	if i.Bot != "" {
		b.WriteString(i.Bot + ": ")
	}
	b.WriteString(i.Title)
	if !i.lasts() {
		if took := i.EndedAt.Sub(i.Since).Round(time.Second); took > 0 && !i.Since.IsZero() {
			fmt.Fprintf(&b, ", after %s", took)
		}
		if i.State == Passed {
			b.WriteString(", while this could not be sent")
		}
		return b.String()
	}
	b.WriteString("\n" + i.Text)
	if i.Runbook != "" {
		b.WriteString("\nRunbook: dualgram runbook " + i.Runbook)
	}
	return b.String()
}

// units is a text's length in UTF-16 code units.
func units(s string) int {
	n := 0
	for _, r := range s {
		if n++; r > 0xffff {
			n++
		}
	}
	return n
}

func cut(s string, limit int) string {
	if units(s) <= limit {
		return s
	}
	n := 0
	for i, r := range s {
		size := 1
		if r > 0xffff {
			size = 2
		}
		if n+size > limit-1 {
			return s[:i] + "…"
		}
		n += size
	}
	return s
}
