package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dualgram/cmd/dualgram/service"
)

// serviced runs a command with a systemctl that answers as it is told.
func serviced(answer string, fail error, args ...string) (code int, calls []string, stdout, stderr string) {
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs,
		output: choice{value: "table", allowed: []string{"table", "json"}}, color: choice{value: "never", allowed: []string{"never"}},
		runSystemctl: func(_ context.Context, args ...string) ([]byte, error) {
			calls = append(calls, strings.Join(args, " "))
			return []byte(answer), fail
		},
		// The checkout may lie anywhere.
		hidden: func(path string) string {
			if strings.HasPrefix(path, "/home/") {
				return service.Hidden(path)
			}
			return ""
		}}
	code = a.execute(args)
	return code, calls, out.String(), errs.String()
}

func TestServiceInstall(t *testing.T) {
	cfg, err := filepath.Abs("testdata/cli/good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "dualgram.service")
	install := func(more ...string) (int, []string, string, string) {
		return serviced("", nil, append([]string{"service", "install", "--config", cfg, "--unit", unit, "--binary", "/usr/local/bin/dualgram"}, more...)...)
	}
	code, calls, stdout, _ := install("--dry-run")
	if _, err := os.Stat(unit); code != exitOK || len(calls) != 0 || !os.IsNotExist(err) || !strings.Contains(stdout, "ExecStart=/usr/local/bin/dualgram run --config "+cfg) {
		t.Errorf("dry run: %d %q %v\n%s", code, calls, err, stdout)
	}
	code, calls, stdout, stderr := install("--now", "--user", "bots")
	data, err := os.ReadFile(unit)
	if code != exitOK || strings.Join(calls, "; ") != "daemon-reload; enable dualgram.service; restart dualgram.service" || err != nil || !strings.Contains(string(data), "User=bots") {
		t.Errorf("install: %d %q %v\n%s%s\n%s", code, calls, err, stdout, stderr, data)
	}
	// Once more brings it up to date.
	if code, _, _, stderr = install(); code != exitOK {
		t.Errorf("again: %d %s", code, stderr)
	}
	if data, _ = os.ReadFile(unit); !strings.Contains(string(data), "DynamicUser=yes") {
		t.Errorf("%s", data)
	}
	// Somebody else's unit is left alone.
	foreign := []byte("[Service]\nExecStart=/bin/true\n")
	if err := os.WriteFile(unit, foreign, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, do := range []string{"install", "uninstall"} {
		args := []string{"service", do, "--unit", unit}
		if do == "install" {
			args = append(args, "--config", cfg, "--binary", "/usr/local/bin/dualgram")
		}
		code, calls, _, stderr = serviced("", nil, args...)
		if data, _ = os.ReadFile(unit); code != exitNotOK || len(calls) != 0 || !bytes.Equal(data, foreign) || !strings.Contains(stderr, "was not written by") {
			t.Errorf("%s of another's: %d %q %s", do, code, calls, stderr)
		}
	}
}

func TestServiceRefused(t *testing.T) {
	for name, x := range map[string]struct {
		args []string
		code int
		want string
	}{
		"hidden binary": {[]string{"install", "--config", "testdata/cli/good.yaml", "--binary", "/home/ann/dualgram"}, exitMisuse, "hidden from the service"},
		"no config":     {[]string{"install", "--config", "/nonexistent.yaml"}, exitMisuse, "no such file"},
		"bad unit":      {[]string{"status", "--unit", "dualgram"}, exitMisuse, "full path"},
		"nothing there": {[]string{"uninstall", "--unit", "/nonexistent/x.service"}, exitNotOK, "there is no"},
	} {
		if code, calls, _, stderr := serviced("", nil, append([]string{"service"}, x.args...)...); code != x.code || len(calls) != 0 || !strings.Contains(stderr, x.want) {
			t.Errorf("%s: %d %q %s", name, code, calls, stderr)
		}
	}
}

func TestServiceUninstall(t *testing.T) {
	unit := filepath.Join(t.TempDir(), "dualgram.service")
	if err := os.WriteFile(unit, []byte(service.Marker+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, calls, _, stderr := serviced("", nil, "service", "uninstall", "--unit", unit, "--dry-run"); code != exitOK || len(calls) != 0 {
		t.Errorf("dry run: %d %q %s", code, calls, stderr)
	}
	code, calls, _, stderr := serviced("", nil, "service", "uninstall", "--unit", unit)
	if _, err := os.Stat(unit); code != exitOK || strings.Join(calls, "; ") != "disable --now dualgram.service; daemon-reload" || !os.IsNotExist(err) {
		t.Errorf("%d %q %v %s", code, calls, err, stderr)
	}
}

func TestServiceStatus(t *testing.T) {
	const runs = "LoadState=loaded\nActiveState=active\nSubState=running\nStatusText=orders: webhook\nActiveEnterTimestamp=Sun 2026-03-01 12:00:00 UTC\nMainPID=42\nNRestarts=0\nUnitFileState=enabled\nResult=success\n"
	code, calls, stdout, _ := serviced(runs, nil, "service", "status")
	if code != exitOK || len(calls) != 1 || !strings.HasPrefix(calls[0], "show dualgram.service") || !strings.Contains(stdout, "active (running)") || !strings.Contains(stdout, "orders: webhook") {
		t.Errorf("%d %q\n%s", code, calls, stdout)
	}
	code, _, stdout, _ = serviced("LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=watchdog\nNRestarts=3\n", nil, "service", "status", "--output", "json")
	if code != exitNotOK || !strings.Contains(stdout, `"result": "watchdog"`) || !strings.Contains(stdout, `"ok": false`) {
		t.Errorf("%d\n%s", code, stdout)
	}
	if code, _, _, stderr := serviced("", errors.New("no bus"), "service", "status"); code != exitFailed || !strings.Contains(stderr, "no bus") {
		t.Errorf("%d %s", code, stderr)
	}
}
