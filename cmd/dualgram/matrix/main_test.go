package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dualgram/chaos/matrix"
)

// The pages are written also where a bound is broken, and the exit code tells.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	sample := matrix.Sample{Seed: 1, Rate: 1, First: time.Second, Failovers: 1, Fired: 1, Working: true}
	file := func(name string, s matrix.Sample) string {
		r := matrix.NewResults("a command", 1, 1)
		r.Rows = []matrix.Row{{Name: "a fault", Kind: matrix.Outage, Did: "something", Samples: []matrix.Sample{s}}}
		path := filepath.Join(dir, name)
		if err := r.Write(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good.json", sample)
	sample.Lost = 1
	bad := file("bad.json", sample)
	odd := filepath.Join(dir, "odd.json")
	if err := os.WriteFile(odd, []byte(`{"schema":"other"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		err  string
	}{
		{nil, 2, "-matrix.json"},
		{[]string{"-nonsense"}, 2, "nonsense"},
		{[]string{good}, 0, ""},
		{[]string{"-out", dir, good, bad}, 1, "a fault: rate 1, seed 1: 1 lost"},
		{[]string{odd}, 3, "measure again"},
		{[]string{filepath.Join(dir, "none.json")}, 3, "none.json"},
		{[]string{"-out", filepath.Join(dir, "none"), good}, 3, "write the page"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(c.args, &stdout, &stderr); code != c.code || !strings.Contains(stderr.String(), c.err) {
			t.Errorf("%v: code %d, want %d: %s", c.args, code, c.code, stderr.String())
		}
	}
	for _, name := range []string{"md", "json", "svg"} {
		if b, err := os.ReadFile(filepath.Join(dir, "fault-matrix."+name)); err != nil || !bytes.Contains(b, []byte("a fault")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
