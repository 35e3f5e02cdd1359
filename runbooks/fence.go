package runbooks

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Effect says whether a command changes anything.
type Effect string

// The effects.
const (
	ReadOnly  Effect = "ro"
	ReadWrite Effect = "rw"
)

// When an output is seen.
type When string

// The moments of a page.
const (
	Bad  When = "bad"  // while the alert is on
	Good When = "good" // after the fix
)

// Fence is one block of commands for a shell.
type Fence struct {
	// Name is unique on its page.
	Name   string `json:"name"`
	Effect Effect `json:"effect"`
	// Needs says what has to be there that a test can't bring along: systemd,
	// cluster or capture; mostly empty.
	Needs string `json:"needs,omitempty"`
	// Exit is the exit code that is expected where no output says another.
	Exit int `json:"exit"`
	// Section is the title of the section it is in.
	Section string `json:"section"`
	Code    string `json:"code"`
	// Outputs are what it prints, mostly one or none.
	Outputs []Output `json:"outputs,omitempty"`
}

// Output is what a fence prints.
type Output struct {
	When When   `json:"when"`
	Exit int    `json:"exit"`
	Text string `json:"text"`
}

// At returns what the fence prints at that time, and false if the page doesn't
// say.
func (f Fence) At(w When) (Output, bool) {
	for _, o := range f.Outputs {
		if o.When == w {
			return o, true
		}
	}
	return Output{}, false
}

// volatile is what differs from run to run: times of day, durations, addresses'
// ports, ids, hashes, and all other numbers but 0.
var volatile = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(Z|[+-][0-9:]+)?` +
	`|[0-9]{8}T[0-9]{6}Z` + // in the names of drill runs
	`|([0-9]+(\.[0-9]+)?(ns|µs|ms|s|m|h|d))+\b` +
	`|\b[0-9a-f]{6,}\b` +
	`|[0-9]+(\.[0-9]+)*`)

// plain replaces what differs from run to run and evens out white space.
func plain(line string) string {
	line = volatile.ReplaceAllStringFunc(line, func(s string) string {
		if s == "0" {
			return s
		}
		return "#"
	})
	return strings.Join(strings.Fields(line), " ")
}

// Match says whether what was printed is this output, and which line is missing
// if it is not. Each line of the output has to come, in that order; other lines
// may stand between. White space counts as one space; … stands for anything
// within a line; and a number other than 0, also one with a unit, a time or a
// hash, stands for any of its like.
func (o Output) Match(printed string) error {
	rest := strings.Split(printed, "\n")
	for want := range strings.Lines(o.Text) {
		want = strings.TrimSpace(want)
		if want == "" || want == "…" {
			continue
		}
		re, found := pattern(want), false
		for i, got := range rest {
			if re.MatchString(plain(got)) {
				rest, found = rest[i+1:], true
				break
			}
		}
		if !found {
			return fmt.Errorf("there is no line like: %s", want)
		}
	}
	return nil
}

// pattern is the expression for a line, of which … may be any part.
func pattern(line string) *regexp.Regexp {
	parts := strings.Split(line, "…")
	for i, p := range parts {
		p = plain(p)
		parts[i] = regexp.QuoteMeta(p)
	}
	return regexp.MustCompile(`^` + strings.Join(parts, `.*`) + `$`)
}

// attributes reads what stands behind the language of a fence: {a=b c="d e"}.
func attributes(s string) (map[string]string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return nil, nil
	}
	if !strings.HasPrefix(s, "{") || !strings.HasSuffix(s, "}") || len(s) < 2 {
		return nil, fmt.Errorf("attributes are written {name=…}, not %s", s)
	}
	inner := s[1 : len(s)-1]
	out := map[string]string{}
	for inner = strings.TrimSpace(inner); inner != ""; inner = strings.TrimSpace(inner) {
		key, rest, ok := strings.Cut(inner, "=")
		if !ok {
			return nil, fmt.Errorf("attribute %s has no value", inner)
		}
		var value string
		if quoted, err := strconv.QuotedPrefix(rest); err == nil {
			if value, err = strconv.Unquote(quoted); err != nil {
				return nil, fmt.Errorf("attribute %s: %w", key, err)
			}
			rest = rest[len(quoted):]
		} else {
			value, rest, _ = strings.Cut(rest, " ")
		}
		if _, twice := out[key]; twice {
			return nil, fmt.Errorf("attribute %s twice", key)
		}
		out[key], inner = value, rest
	}
	return out, nil
}
