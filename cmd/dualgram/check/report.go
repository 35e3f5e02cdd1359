package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Schema names the JSON form of a [Report].
const Schema = "dualgram/check/v1"

// Status is how a check ended.
type Status string

// The statuses.
const (
	Pass Status = "PASS"
	Warn Status = "WARN"
	Fail Status = "FAIL"
	// Skip: not applicable, or something that it needs failed; the detail says which.
	Skip Status = "SKIP"
)

// worse tells which of two statuses of a code is the one to show.
func (s Status) worse(t Status) bool {
	rank := map[Status]int{Skip: 0, Pass: 1, Warn: 2, Fail: 3}
	return rank[s] > rank[t]
}

// Result is one line of the table.
type Result struct {
	Code     Code     `json:"code"`
	Category Category `json:"category"`
	Name     string   `json:"name"`
	// Bot is empty for what concerns the host.
	Bot    string `json:"bot,omitempty"`
	Status Status `json:"status"`
	Detail string `json:"detail"`
	// Fix says what to do, and Runbook names the page; only for WARN and FAIL.
	Fix     string `json:"fix,omitempty"`
	Runbook string `json:"runbook,omitempty"`
}

// Component is what the result is about.
func (r Result) Component() string {
	if r.Bot == "" {
		return string(r.Category)
	}
	return string(r.Category) + " " + r.Bot
}

// Modes of a report.
const (
	ModePre  = "pre"  // before an installation
	ModeLive = "live" // dualgram answers
	ModeDown = "down" // it should answer, and doesn't
)

// Report is what a check came to.
type Report struct {
	Schema string `json:"schema"`
	// OK: nothing warns and nothing failed.
	OK   bool   `json:"ok"`
	Mode string `json:"mode"`
	// File is the configuration's; empty if it came from the environment.
	File      string    `json:"file,omitempty"`
	StartedAt time.Time `json:"started_at"`
	TookS     float64   `json:"took_s"`
	Passed    int       `json:"passed"`
	Warned    int       `json:"warned"`
	Failed    int       `json:"failed"`
	Skipped   int       `json:"skipped"`
	// Checks are in the order of the table; never null.
	Checks []Result `json:"checks"`
	// Partial: something was left out by request.
	Partial bool `json:"partial"`
	// Refused: the configuration can't be used, so that nothing could be checked.
	Refused bool `json:"refused"`
	// Interrupted: the check was broken off.
	Interrupted bool `json:"interrupted"`
}

// Summary is the report in a sentence.
func (r Report) Summary() string {
	var parts []string
	add := func(n int, word string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	add(r.Failed, "failed")
	add(r.Warned, "warned")
	add(r.Passed, "passed")
	add(r.Skipped, "skipped")
	end := "not well"
	switch {
	case r.Interrupted:
		end = "broken off"
	case r.Refused:
		end = "the configuration is refused"
	case r.OK && r.Passed == 0:
		end = "nothing was checked"
	case r.OK && r.Partial:
		end = "what was looked at is well"
	case r.OK && r.Mode == ModePre:
		end = "ready to start"
	case r.OK:
		end = "all is well"
	}
	return strings.Join(parts, ", ") + ": " + end
}

// sum counts, and puts the results in order.
func (r *Report) sum(bots []string) {
	rank := make(map[Code]int, len(kinds))
	for i, k := range kinds {
		rank[k.Code] = i
	}
	slices.SortStableFunc(r.Checks, func(a, b Result) int {
		return cmp.Or(cmp.Compare(slices.Index(bots, a.Bot), slices.Index(bots, b.Bot)), cmp.Compare(rank[a.Code], rank[b.Code]))
	})
	for _, c := range r.Checks {
		switch c.Status {
		case Pass:
			r.Passed++
		case Warn:
			r.Warned++
		case Fail:
			r.Failed++
		case Skip:
			r.Skipped++
		}
	}
	r.OK = r.Warned == 0 && r.Failed == 0 && !r.Refused && !r.Interrupted
}
