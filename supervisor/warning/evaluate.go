package warning

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Condition is something that is so now. Evidence is a clause without a full
// stop and holds no token, no secret and no message text.
type Condition struct {
	// Bot is the bot's name; empty for the process as a whole.
	Bot      string
	Code     Code
	Evidence string
	// Since is when it began; zero if that is not known, and then it is visible
	// at once. It must not change while the condition lasts.
	Since time.Time
	// Severity, if not empty, stands in place of the kind's own.
	Severity Severity
}

// Active is a warning that is shown.
type Active struct {
	Condition
	Title, Text, Runbook string
}

// key tells warnings apart.
type key struct {
	bot  string
	code Code
}

func (c Condition) key() key { return key{c.Bot, c.Code} }

// visible says whether the condition has lasted long enough.
func (c Condition) visible(now time.Time) bool {
	k, _ := Lookup(c.Code)
	return k.TimeToVisible == 0 || c.Since.IsZero() || now.Sub(c.Since) >= k.TimeToVisible
}

// Evaluate returns the warnings to be shown at the given time, in the order of
// the registry and for each code in the order of the conditions. Of several
// conditions with the same bot and code the first counts. A code that the
// registry doesn't know is shown all the same.
func Evaluate(conditions []Condition, now time.Time) []Active {
	seen := map[key]bool{}
	for _, c := range conditions {
		if c.visible(now) {
			seen[c.key()] = true
		}
	}
	muted := func(c Condition) bool {
		k, _ := Lookup(c.Code)
		return slices.ContainsFunc(k.DependsOn, func(p Code) bool { return seen[key{c.Bot, p}] || seen[key{"", p}] })
	}
	done := map[key]bool{}
	out := []Active{}
	for _, c := range conditions {
		if !seen[c.key()] || done[c.key()] || muted(c) {
			continue
		}
		done[c.key()] = true
		out = append(out, c.active())
	}
	order := func(a Active) int {
		if i, known := index[a.Code]; known {
			return i
		}
		return len(kinds)
	}
	slices.SortStableFunc(out, func(a, b Active) int { return cmp.Compare(order(a), order(b)) })
	return out
}

// active puts the condition into the words of its kind.
func (c Condition) active() Active {
	k, known := Lookup(c.Code)
	if !known {
		k = Kind{Code: c.Code, Severity: Warning, Title: string(c.Code), Text: "{evidence}."}
	}
	if c.Severity == "" {
		c.Severity = k.Severity
	}
	evidence, since := c.Evidence, "an unknown time"
	if evidence == "" {
		evidence = "No details are known"
	}
	if !c.Since.IsZero() {
		since = c.Since.Format(time.RFC3339)
	}
	text := strings.NewReplacer("{evidence}", evidence, "{since}", since, "{bot}", c.Bot).Replace(k.Text)
	return Active{Condition: c, Title: k.Title, Text: text, Runbook: k.Runbook()}
}
