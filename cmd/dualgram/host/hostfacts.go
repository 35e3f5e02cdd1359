package host

import (
	"os"
	"runtime"
	"strings"
	"time"
)

// Facts describe the machine, for whoever is to understand what happened on it.
// Nothing in them names it.
type Facts struct {
	At     time.Time `json:"at"`
	OS     string    `json:"os"`
	Arch   string    `json:"arch"`
	CPUs   int       `json:"cpus"`
	MaxPro int       `json:"gomaxprocs"`
	PID    int       `json:"pid"`
	UID    int       `json:"uid"`
	// Files are open descriptors, FileLimit how many there may be; 0 if not known.
	Files     int    `json:"files"`
	FileLimit uint64 `json:"file_limit"`
	// Texts are files of the kernel, by name, that exist here.
	Texts map[string]string `json:"texts"`
}

// factFiles are those of Linux that tell of load, memory and pressure.
var factFiles = []string{
	"/proc/version", "/proc/loadavg", "/proc/uptime", "/proc/meminfo", "/proc/pressure/cpu", "/proc/pressure/io", "/proc/pressure/memory",
	"/proc/self/status", "/proc/self/limits", "/proc/self/cgroup", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/cpu.max", "/etc/os-release",
}

// maxFact bounds one of them.
const maxFact = 16 << 10

// MachineFacts gathers them.
func MachineFacts() Facts {
	f := Facts{At: time.Now(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), MaxPro: runtime.GOMAXPROCS(0),
		PID: os.Getpid(), UID: os.Geteuid(), FileLimit: FileLimit(), Texts: map[string]string{}}
	if list, err := os.ReadDir("/proc/self/fd"); err == nil {
		f.Files = len(list)
	}
	for _, path := range factFiles {
		if data, err := os.ReadFile(path); err == nil {
			f.Texts[path] = strings.TrimSpace(string(data[:min(len(data), maxFact)]))
		}
	}
	return f
}
