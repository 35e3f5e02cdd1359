// Package warning is the registry of everything that a person is warned about.
//
// The guarantee: a condition is shown, logged and measured under one code, with
// one title, one text and one severity, wherever it is found; what only follows
// from something worse is muted by it; and what lasts shorter than its time to
// visible is never shown. [Evaluate] is pure: it is given the conditions and the
// time. [Log] tells each warning once when it is raised and once when its
// condition has ended.
//
// A new warning is a line in the table of kinds and a [Condition] where it is
// seen. Its code is also the name of its runbook.
package warning
