package config

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Source is the kind of place a value comes from.
type Source uint8

// Where a value can come from.
const (
	SourceDefault Source = iota
	SourceFile
	SourceEnv
	SourceCredential
)

// Origin is where a value came from. The zero Origin is the built-in default.
type Origin struct {
	Source Source
	// File is the configuration file, or the credential's file.
	File         string
	Line, Column int
	// Var is the environment variable's name.
	Var string
}

// String is short enough for a column: "default", "dualgram.yaml:3:5",
// "DUALGRAM_STORE_PATH" or the credential's path.
func (o Origin) String() string {
	switch o.Source {
	case SourceFile:
		if o.Line == 0 {
			return o.File
		}
		return fmt.Sprintf("%s:%d:%d", o.File, o.Line, o.Column)
	case SourceEnv:
		return o.Var
	case SourceCredential:
		return "credential " + o.File
	default:
		return "default"
	}
}

// Problem is one reason why a configuration is refused.
type Problem struct {
	Where Origin
	// Key is the path of the key concerned; empty if it is none.
	Key string
	// What is wrong, as the end of a sentence that starts with the place.
	What string
	// Fix says what to do, as an imperative.
	Fix string
}

// Error is one line: the place, the key and what is wrong there.
func (p Problem) Error() string {
	var b strings.Builder
	if p.Where.Source != SourceDefault {
		b.WriteString(p.Where.String())
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key)
		b.WriteString(": ")
	}
	b.WriteString(p.What)
	return b.String()
}

// Errors are all the reasons why a configuration is refused, in the order of
// the file and then of the variables' names.
type Errors []Problem

// Error has a line for each problem and for each fix.
func (e Errors) Error() string {
	lines := make([]string, 0, 2*len(e))
	for _, p := range e {
		lines = append(lines, p.Error())
		if p.Fix != "" {
			lines = append(lines, "fix: "+p.Fix)
		}
	}
	return strings.Join(lines, "\n")
}

// Join adds what others have found wrong, in the order of the file. A key that is
// wrong already is left out: what follows from it is no news.
func (e Errors) Join(more Errors) Errors {
	out := slices.Clone(e)
	for _, p := range more {
		if !slices.ContainsFunc(e, func(was Problem) bool { return was.Key == p.Key }) {
			out = append(out, p)
		}
	}
	out.sort()
	return out
}

func (e Errors) sort() {
	// What concerns the file as a whole (no line) comes behind its lines.
	line := func(o Origin) int { return (o.Line - 1) & math.MaxInt }
	slices.SortStableFunc(e, func(a, b Problem) int {
		// Defaults (what is missing) come last: often the cause stands above.
		rank := func(s Source) int { return (int(s) + 3) % 4 }
		return cmp.Or(
			cmp.Compare(rank(a.Where.Source), rank(b.Where.Source)),
			cmp.Compare(line(a.Where), line(b.Where)),
			cmp.Compare(a.Where.Column, b.Where.Column),
			cmp.Compare(a.Where.Var, b.Where.Var),
		)
	})
}

// Warning is something legal that is odd in production.
type Warning struct {
	// Code is stable: plain_http_api, loopback_public_url and so on.
	Code  string
	Where Origin
	Key   string
	What  string
	Fix   string
}

// String is one line without the fix.
func (w Warning) String() string {
	return Problem{Where: w.Where, Key: w.Key, What: w.What}.Error()
}
