package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dualgram/supervisor/console"
)

// fixedLog is a log whose level is debug for another hour.
type fixedLog struct{ order console.LogOrder }

func (f *fixedLog) Log(context.Context) (console.LogState, error) {
	s := console.LogState{Level: "info", Configured: "info"}
	if o := f.order; o.Level != "" {
		s.Level, s.By = o.Level, &console.Said{By: console.Caller{User: "alice", PID: 7}, Reason: o.Reason}
		if o.For > 0 {
			s.Until = time.Now().Add(o.For + 10*time.Second)
		}
	}
	return s, nil
}

func (f *fixedLog) SetLog(ctx context.Context, o console.LogOrder) (console.LogState, error) {
	f.order = o
	return f.Log(ctx)
}

// fixedReport has a part that is there, and one that fails.
type fixedReport struct{}

func (fixedReport) Parts() []console.ReportPart {
	return []console.ReportPart{{Name: "good.txt"}, {Name: "bad.txt"}}
}

func (fixedReport) Part(_ context.Context, name string) ([]byte, error) {
	if name == "bad.txt" {
		return nil, errors.New("it broke")
	}
	return []byte("good"), nil
}

func TestLogLevelCommand(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	host := &fakeHost{more: console.LogRoutes(&fixedLog{})}
	defer host.run(t, socket)()
	env := []string{"DUALGRAM_CONTROL_SOCKET=" + socket}
	var script strings.Builder
	for line := range strings.SplitSeq(strings.TrimSpace(`
log
log level
log level debug --for 2h --reason slow
log level
log level error
log level infos
log level --for 2h
log level debug info
log level debug --for 0s`), "\n") {
		code, stdout, stderr := dualgram(env, strings.Fields(line)...)
		fmt.Fprintf(&script, "$ dualgram %s\n%s%s[exit %d]\n", line, stdout, stderr, code)
	}
	golden(t, "testdata/log.golden", script.String())
}

// A report is whole, or says what is missing; without dualgram it has what can be told
// without it.
func TestBugreport(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	host := &fakeHost{more: console.ReportRoutes(fixedReport{})}
	stop := host.run(t, socket)
	env := []string{"DUALGRAM_CONTROL_SOCKET=" + socket}
	read := func(file string) map[string]string {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for r := tar.NewReader(z); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				return out
			}
			if err != nil {
				t.Fatal(err)
			}
			data, _ := io.ReadAll(r)
			out[strings.TrimPrefix(h.Name, "dualgram-report/")] = string(data)
		}
	}
	file := filepath.Join(dir, "a.tar.gz")
	code, stdout, stderr := dualgram(env, "bugreport", "--out", file)
	if code != exitNotOK || !strings.Contains(stdout, "missing: bad.txt: dualgram: bad.txt: it broke") || !strings.Contains(stdout, "written: "+file) || stderr != "" {
		t.Errorf("%d %s%s", code, stdout, stderr)
	}
	got := read(file)
	if got["good.txt"] != "good" || !strings.HasPrefix(got["bad.txt"], "missing: ") || !strings.Contains(got["README.txt"], "good.txt") || !strings.HasPrefix(got["client.txt"], "dualgram ") {
		t.Errorf("%v", got)
	}
	if code, _, stderr = dualgram(env, "bugreport", "--out", file); code != exitFailed || !strings.Contains(stderr, "it is there already") {
		t.Errorf("%d %s", code, stderr)
	}
	stop()
	file = filepath.Join(dir, "b.tar.gz")
	if code, stdout, stderr = dualgram(env, "bugreport", "--out", file, "-o", "json"); code != exitNotOK || !strings.Contains(stdout, `"schema": "dualgram/bugreport/v1"`) {
		t.Errorf("%d %s%s", code, stdout, stderr)
	}
	got = read(file)
	for _, want := range []string{"dualgram", "client.txt", "local-host.json", "local-build.txt"} {
		if _, ok := got[want]; !ok {
			t.Errorf("no %s in %v", want, slices.Sorted(maps.Keys(got)))
		}
	}
}
