// Command dualgram takes in the updates of Telegram bots by webhook, and by
// getUpdates whenever the webhook fails, and never loses one.
//
// This package is the command line: it parses, calls and prints. Exit codes are
// a contract: 0 ok, 1 not ok (a warning, a failed check), 2 misuse or
// configuration, 3 could not run.
//
// What is printed follows four rules. What was asked for goes to standard
// output, all else to standard error. With --output json a command prints one
// JSON object that names its schema. An error is a line "error: …", and what to
// do about it a line "fix: …". Text that comes from elsewhere is printed
// without its control characters.
package main

import (
	"os"
	_ "time/tzdata" // the zones of drills, where the host or its image has none
)

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
