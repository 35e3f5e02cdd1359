package main

import (
	"errors"

	"dualgram/cmd/dualgram/config"
)

// Exit codes.
const (
	exitOK     = 0
	exitNotOK  = 1 // a warning, a failed check
	exitMisuse = 2 // misuse or configuration
	exitFailed = 3 // could not run

	exitInterrupted = 130 // by Ctrl-C, with nothing to show
)

// failure ends a command with an exit code. An empty message prints nothing:
// the output has said it.
type failure struct {
	code    int
	message string
	fix     string
	err     error
}

// Error is the message, or the cause's.
func (f *failure) Error() string {
	if f.message == "" && f.err != nil {
		return f.err.Error()
	}
	return f.message
}

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.err }

// misuse: the command line is wrong.
func misuse(message, fix string) error {
	return &failure{code: exitMisuse, message: message, fix: fix}
}

// couldNotRun: the surroundings don't allow it.
func couldNotRun(message, fix string, err error) error {
	return &failure{code: exitFailed, message: message, fix: fix, err: err}
}

// notOK: the answer is no, and has been printed.
func notOK() error { return &failure{code: exitNotOK} }

// exit prints the error, if any, and returns the code.
func (a *app) exit(err error) int {
	if err == nil {
		return exitOK
	}
	p := a.printer(a.stderr)
	var problems config.Errors
	if errors.As(err, &problems) {
		for _, pr := range problems {
			p.failure(pr.Error(), pr.Fix)
		}
		return exitMisuse
	}
	var f *failure
	if !errors.As(err, &f) {
		// Whatever gets here is the command's own failure: cobra's complaints
		// about the command line go through misuse.
		f = &failure{code: exitFailed, message: err.Error()}
	}
	if msg := f.Error(); msg != "" {
		p.failure(msg, f.fix)
	}
	return f.code
}
