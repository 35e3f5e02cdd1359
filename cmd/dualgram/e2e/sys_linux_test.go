package e2e_test

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithUs lets a child end with the test, however the test ends.
func dieWithUs(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }

// fileLimit changes how large a file a process may write, as ulimit -f does, for
// one that runs.
func fileLimit(pid int, bytes uint64) error {
	var old unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &old); err != nil {
		return err
	}
	return unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: min(bytes, old.Max), Max: old.Max}, nil)
}
