//go:build unix

package webhook

import "syscall"

// fdLimit returns how many files this process may have open; 0 if unknown. Go
// raises the soft limit to the hard one at start.
func fdLimit() uint64 {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return uint64(l.Cur) //nolint:unconvert // signed on some systems
}
