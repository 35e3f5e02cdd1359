package drill

import (
	"errors"
	"fmt"
)

// Parse reads an experiment. The name of the file is for messages only. The
// error is a [*ProblemError] with all that is wrong.
func Parse(file string, data []byte) (*Experiment, error) { return nil, errors.ErrUnsupported }

// Templates lists the experiments that the program ships, by name.
func Templates() []Experiment { return nil }

// Template returns a shipped experiment and its file's text.
func Template(name string) (*Experiment, []byte, error) { return nil, nil, errors.ErrUnsupported }

// Schema returns the JSON Schema (draft 2020-12) of an experiment's file.
func Schema() []byte { return nil }

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
