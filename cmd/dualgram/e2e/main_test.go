// Package e2e_test runs the real binary as a process of its own, over real
// sockets and real TLS, between a simulated Telegram and a sample bot.
//
// The verdict of every test comes from the other two: what the simulator sent,
// to whom it was acknowledged, and what the bot has got. What dualgram says of
// itself (status, log, metrics) is checked too, and never believed in its place.
//
// Faults come from outside of the process: relays and proxies on the way, files,
// limits, signals. Only where a process has to die at a named step does the test
// binary itself take the place of the product (see [childHost]), and the real
// binary then takes over what it left.
package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// binary is the product under test.
var binary string

// elsewhere, if set, runs the tests in another process and returns its exit code;
// done is false in that process.
var elsewhere func() (code int, done bool)

// parallelTests is how many tests run at once where no -parallel is given. They
// wait for most of their time.
const parallelTests = 16

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case childIsHost:
		os.Exit(childHost())
	case childIsTmpfs:
		os.Exit(childTmpfs())
	}
	flag.Parse()
	if testing.Short() {
		fmt.Println("the end-to-end tests need processes and time; not with -short")
		os.Exit(0)
	}
	if elsewhere != nil {
		if code, done := elsewhere(); done {
			os.Exit(code)
		}
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "e2e-bin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "dualgram")
	build := exec.Command("go", "build", "-o", binary, "dualgram/cmd/dualgram")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "go build:", err)
		return 1
	}
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(parallelTests))
	}
	return m.Run()
}
