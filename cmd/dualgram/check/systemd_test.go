package check

import (
	"os"
	"path/filepath"
	"testing"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/console"
)

// The unit that the running dualgram belongs to is found by its control group, read
// with its drop-ins, and judged.
func TestUnit(t *testing.T) {
	write := func(root, path, text string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const good = "[Unit]\nType=nonsense\n# Type=simple\n[Service]\nType=notify\nLimitNOFILE=1024:65536\nWatchdogSec=30s\n"
	for _, c := range []struct {
		name   string
		cgroup string // of the running one; empty: none runs
		files  map[string]string
		want   [3]Status
	}{
		{"none", "", nil, [3]Status{Skip, Skip, Skip}},
		{"good", "", map[string]string{"etc/systemd/system/dualgram.service": good}, [3]Status{Pass, Pass, Pass}},
		{"bare", "", map[string]string{"usr/lib/systemd/system/dualgram.service": "[Service]\nExecStart=x\n"}, [3]Status{Warn, Warn, Warn}},
		{"the operator's wins", "", map[string]string{"etc/systemd/system/dualgram.service": good, "usr/lib/systemd/system/dualgram.service": "[Service]\n"}, [3]Status{Pass, Pass, Pass}},
		{"drop-in", "", map[string]string{"usr/lib/systemd/system/dualgram.service": good,
			"etc/systemd/system/dualgram.service.d/10-limit.conf": "[Service]\nLimitNOFILE=128\nWatchdogSec=0\n"}, [3]Status{Pass, Warn, Warn}},
		{"running under it", "0::/system.slice/dualgram.service\n", map[string]string{"etc/systemd/system/dualgram.service": good}, [3]Status{Pass, Pass, Pass}},
		{"running under another", "0::/system.slice/system-dualgram.slice/dualgram@orders.service\n", map[string]string{"etc/systemd/system/dualgram.service": "[Service]\n",
			"etc/systemd/system/dualgram@.service": good}, [3]Status{Pass, Pass, Pass}},
		{"running in a shell", "0::/user.slice/user-0.slice/session-1.scope\n", map[string]string{"etc/systemd/system/dualgram.service": good}, [3]Status{Skip, Skip, Skip}},
		{"a name that leads elsewhere", "0::/system.slice/..%2f..%2fpasswd.service\n", map[string]string{}, [3]Status{Skip, Skip, Skip}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &checkup{o: Options{Root: t.TempDir()}, cfg: config.Defaults()}
			for path, text := range c.files {
				write(k.o.Root, path, text)
			}
			if c.cgroup != "" {
				k.vitals = &console.Vitals{PID: 7}
				write(k.o.Root, "proc/7/cgroup", c.cgroup)
			}
			f := &findings{}
			k.unit(t.Context(), f)
			for i, code := range []Code{UnitType, UnitFiles, UnitWatchdog} {
				if r, _ := f.has(code); r.Status != c.want[i] {
					t.Errorf("%s: %s %s, want %s", code, r.Status, r.Detail, c.want[i])
				}
			}
		})
	}
}
