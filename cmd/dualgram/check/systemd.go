package check

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// defaultUnit is the unit that dualgram service install makes.
const defaultUnit = "dualgram.service"

// unitDirs are where systemd looks, the first wins (systemd.unit(5)).
var unitDirs = []string{"etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"}

// unit looks at the systemd unit: that of the running dualgram, or the usual one if it
// is there.
func (k *checkup) unit(_ context.Context, f *findings) {
	codes := []Code{UnitType, UnitFiles, UnitWatchdog}
	name := defaultUnit
	if k.vitals != nil {
		if name = k.unitOf(k.vitals.PID); name == "" {
			f.skipAll(codes, "it doesn't run under a unit of systemd")
			return
		}
	}
	u, path := k.readUnit(name)
	if path == "" {
		f.skipAll(codes, "there is no unit "+name+" on this host")
		return
	}
	switch t := u["Type"]; t {
	case "notify", "notify-reload":
		f.pass(UnitType, "%s: Type=%s", path, t)
	case "":
		f.warn(UnitType, "", "%s has no Type=", path)
	default:
		f.warn(UnitType, "", "%s: Type=%s", path, t)
	}
	need := k.filesNeeded()
	limit, isNumber := unitLimit(u["LimitNOFILE"])
	switch {
	case u["LimitNOFILE"] == "":
		f.warn(UnitFiles, "", "%s has no LimitNOFILE=", path)
	case isNumber && limit < 4*need:
		f.warn(UnitFiles, "", "%s: LimitNOFILE=%s, and %d may be needed besides those of strangers", path, u["LimitNOFILE"], need)
	default:
		f.pass(UnitFiles, "%s: LimitNOFILE=%s", path, u["LimitNOFILE"])
	}
	if w := u["WatchdogSec"]; w == "" || w == "0" || w == "infinity" {
		f.warn(UnitWatchdog, "", "%s has no WatchdogSec=", path)
	} else {
		f.pass(UnitWatchdog, "%s: WatchdogSec=%s", path, w)
	}
}

// unitLimit reads "65536" and "1024:65536", of which the second, the hard limit, is
// what Go raises the soft one to.
func unitLimit(s string) (n uint64, ok bool) {
	if _, hard, two := strings.Cut(s, ":"); two {
		s = hard
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

var unitName = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]+\.service$`)

// unitOf is the system's unit that a process runs in; empty if it runs in none.
func (k *checkup) unitOf(pid int) string {
	raw, err := os.ReadFile(filepath.Join(k.o.Root, "proc", strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(raw)) {
		// hierarchy:controllers:/system.slice/dualgram.service
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 || !strings.HasPrefix(parts[2], "/system.slice/") {
			continue
		}
		for _, p := range slices.Backward(strings.Split(parts[2], "/")) {
			if unitName.MatchString(p) {
				return p
			}
		}
	}
	return ""
}

// readUnit returns the settings of the unit's [Service] section, with those of its
// drop-ins; path is empty if there is no such unit.
func (k *checkup) readUnit(name string) (settings map[string]string, path string) {
	settings = map[string]string{}
	names := []string{name}
	if before, _, instance := strings.Cut(name, "@"); instance { // its template
		names = append(names, before+"@.service")
	}
	for _, n := range names {
		for _, dir := range unitDirs {
			at := filepath.Join(k.o.Root, dir, n)
			raw, err := os.ReadFile(at)
			if err != nil {
				continue
			}
			parseUnit(string(raw), settings)
			for _, d := range unitDirs {
				drops, _ := filepath.Glob(filepath.Join(k.o.Root, d, n+".d", "*.conf"))
				for _, drop := range drops {
					if raw, err := os.ReadFile(drop); err == nil {
						parseUnit(string(raw), settings)
					}
				}
			}
			return settings, fmt.Sprintf("/%s/%s", dir, n)
		}
	}
	return settings, ""
}

// parseUnit reads a [Service] section; later settings win.
func parseUnit(text string, into map[string]string) {
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			section = line
		case section == "[Service]":
			if key, value, ok := strings.Cut(line, "="); ok {
				into[strings.TrimSpace(key)] = strings.TrimSpace(value)
			}
		}
	}
}
