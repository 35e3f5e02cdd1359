// Package runbooks holds the pages for whoever is paged: one for each alert and
// warning, one for each shipped drill, and one for each task of running dualgram.
//
// The guarantee: the pages are those of this binary. They are compiled in, so
// that they open without a network and describe the version that runs; every
// one of them parses (a test holds that, and a page that doesn't is a panic at
// the first look, not a page that is silently missing); and each command in
// them is marked as reading only or as changing something.
//
// # A page
//
// A page is Markdown with YAML front matter between two lines of three dashes.
// Its file name is its name: NAME.md for an alert, a warning or a task, and
// drills/NAME.md for a drill. An alert's page has these sections in this order
// ([Sections]): TL;DR, Impact, Is it real?, What dualgram already did, Stop the
// bleeding, Diagnose, Fix, Verify and switch back, Escalate, Why this alert,
// Rehearse it, Change log.
//
// # Fences
//
// A command is a fenced block of language sh, with attributes behind the
// language in the way of runme (https://runme.dev):
//
//	```sh {name=is-it-real effect=ro}
//	dualgram status
//	```
//
//	```text {of=is-it-real when=bad exit=1}
//	critical: Somebody else's webhook is set: …
//	```
//
// The block of language text behind it is what it prints. The lines given have
// to come in that order, and others may stand between them; … stands for
// anything, and a number other than 0, with or without a unit, for every number
// other than 0: see [Output.Match]. All of it is executed in CI against a host
// in the page's state.
package runbooks
