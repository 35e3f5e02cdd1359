// Command matrix makes the pages of the fault matrix, fault-matrix.md, .json and
// .svg, from what the tests measured (see make matrix). It exits with 1 if a row
// breaks its bounds, after it has written the pages.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"dualgram/chaos/matrix"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("matrix", flag.ContinueOnError)
	fs.SetOutput(stderr)
	out := fs.String("out", "", "directory to write the pages to; empty: only check")
	command := fs.String("command", "make matrix", "the command that made the measurements, for the page")
	revision := fs.String("revision", "unknown", "the revision that was measured, for the page")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if fs.NArg() == 0 {
		fmt.Fprintln(stderr, "matrix: name the files that TestMatrix wrote with -matrix.json")
		return 2
	}
	r := matrix.Report{Command: *command, Revision: *revision}
	for _, path := range fs.Args() {
		res, err := matrix.Read(path)
		if err != nil {
			fmt.Fprintln(stderr, err)
			return 3
		}
		r.Results = append(r.Results, *res)
	}
	if *out != "" {
		if err := write(&r, *out); err != nil {
			fmt.Fprintln(stderr, err)
			return 3
		}
		fmt.Fprintln(stdout, filepath.Join(*out, "fault-matrix.md"))
	}
	broken := r.Violations()
	for _, v := range broken {
		fmt.Fprintln(stderr, v)
	}
	if len(broken) > 0 {
		return 1
	}
	return 0
}

func write(r *matrix.Report, dir string) error {
	for name, make := range map[string]func(io.Writer) error{"md": r.Page, "json": r.JSON, "svg": r.Chart} {
		var b bytes.Buffer
		if err := make(&b); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "fault-matrix."+name), b.Bytes(), 0o644); err != nil {
			return fmt.Errorf("matrix: write the page: %w", err)
		}
	}
	return nil
}
