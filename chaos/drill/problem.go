package drill

import "fmt"

// Problem is one thing that is wrong with an experiment's file.
type Problem struct {
	File         string
	Line, Column int
	// Key is the path of the key concerned; empty if it is none.
	Key string
	// What is wrong, and how to put it right.
	What, Fix string
}

// String is one line: file:line:column: key: what; fix.
func (p Problem) String() string {
	s := p.What
	if p.Key != "" {
		s = p.Key + ": " + s
	}
	if p.Line > 0 {
		s = fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, s)
	} else {
		s = p.File + ": " + s
	}
	if p.Fix != "" {
		s += "; " + p.Fix
	}
	return s
}

// ProblemError holds all that is wrong with an experiment's file, by place.
type ProblemError struct{ Problems []Problem }

// Error implements error: a line for each problem.
func (e *ProblemError) Error() string {
	s := ""
	for i, p := range e.Problems {
		if i > 0 {
			s += "\n"
		}
		s += p.String()
	}
	return s
}
