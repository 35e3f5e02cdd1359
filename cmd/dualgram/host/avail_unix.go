//go:build linux || darwin || freebsd

package host

import "syscall"

// available is how many bytes dualgram may still write to a path's file system.
func available(path string) (float64, bool) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return 0, false
	}
	return float64(st.Bavail) * float64(st.Bsize), true
}
