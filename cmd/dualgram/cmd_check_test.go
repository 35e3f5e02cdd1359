package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dualgram/cmd/dualgram/check"
)

// A report in each of its forms.
func TestCheckForms(t *testing.T) {
	r := check.Report{Schema: check.Schema, Mode: check.ModePre, StartedAt: time.Date(2026, 11, 25, 18, 0, 0, 0, time.UTC), TookS: 1.5,
		Passed: 1, Warned: 1, Failed: 1, Skipped: 1, Checks: []check.Result{
			{Code: check.StoreSync, Category: "store", Name: "synced writes", Status: check.Warn, Detail: "half within 80ms,\nall \x1b[31mwithin 300ms",
				Fix: "Move the store to a faster disk.", Runbook: "store_slow"},
			{Code: check.DNSExists, Category: "dns", Name: "name", Bot: "orders", Status: check.Pass, Detail: "bot.example.com"},
			{Code: check.TLSDates, Category: "tls", Name: "dates", Bot: "orders", Status: check.Fail, Detail: "the certificate expired on 2026-11-24 00:00:00 UTC",
				Fix: "Renew it, and have the server take it up.", Runbook: "renew_certificate"},
			{Code: check.HTTPProof, Category: "http", Name: "dualgram answers", Bot: "orders", Status: check.Skip, Detail: "prerequisite failed: DG-TLS-005"},
		}}
	var all strings.Builder
	for _, form := range []string{"table", "short", "json"} {
		for _, color := range []string{"never", "always"} {
			if form == "json" && color == "always" {
				continue
			}
			var out bytes.Buffer
			a := &app{stdout: &out, stderr: &out, color: choice{value: color}}
			if err := a.printCheck(form, r); err != nil {
				t.Fatal(err)
			}
			text := out.String()
			if color == "never" && strings.Contains(text, "\x1b") {
				t.Errorf("%s: colours", form)
			}
			all.WriteString("--- " + form + ", colour " + color + "\n" + strings.ReplaceAll(text, "\x1b", "ESC"))
			var back check.Report
			if form == "json" && (json.Unmarshal(out.Bytes(), &back) != nil || len(back.Checks) != 4) {
				t.Errorf("it is not read back: %s", text)
			}
		}
	}
	golden(t, "testdata/check.golden", all.String())
}

// Only an answer that can't come from a process that lives counts as nobody's.
func TestNobody(t *testing.T) {
	dir := t.TempDir()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "stale"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	for name, want := range map[string]bool{"none": true, "stale": true} {
		a := &app{env: []string{"DUALGRAM_CONTROL_SOCKET=" + filepath.Join(dir, name)}}
		if _, err := (liveHost{a}).Status(t.Context()); errors.Is(err, check.ErrNobody) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, err := range []error{fs.ErrPermission, errors.New("it hangs")} {
		if errors.Is(nobody(err), check.ErrNobody) {
			t.Errorf("%v counts as nobody", err)
		}
	}
}
