package demo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// TestInterrupted: a run on real sockets that is interrupted once the webhook
// takes updates leaves no goroutine and no file, and no verdict.
func TestInterrupted(t *testing.T) {
	defer goleak.VerifyNone(t)
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var setup Setup
	var once sync.Once
	r, err := Run(ctx, Options{
		Started: func(s Setup) {
			setup = s
			if _, err := os.Stat(s.Config); err != nil {
				t.Error(err)
			}
		},
		Line: func(l Line) {
			if l.Kind == "first_webhook" {
				once.Do(cancel)
			}
		},
		Counted: func(c Counts) {
			if c.Polling > 0 {
				t.Errorf("%+v", c)
			}
		},
	})
	if !errors.Is(err, context.Canceled) || r.Schema != "" {
		t.Errorf("%v, report %+v", err, r)
	}
	if setup.Rate != 50 || setup.Chats != 40 || !strings.HasPrefix(setup.Log, tmp) {
		t.Errorf("%+v", setup)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestKeep: what is to be kept is, but not into somebody's files.
func TestKeep(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := filepath.Join(t.TempDir(), "new", "one")
	logFile := filepath.Join(t.TempDir(), "a.log")
	ctx, cancel := context.WithCancel(t.Context())
	o := Options{Dir: dir, Log: logFile, Line: func(Line) { cancel() }}
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join(dir, "dualgram.db"), filepath.Join(dir, "dualgram.yaml"), filepath.Join(dir, "cert.pem"), logFile} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("the second run into it: %v", err)
	}
	o.Dir, o.Log = "", filepath.Join(dir, "no", "such.log")
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "such.log") {
		t.Errorf("a log that can't be opened: %v", err)
	}
}
