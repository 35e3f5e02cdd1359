//go:build unix

package check

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// space asks the file system.
func space(dir string) (Space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return Space{}, err
	}
	unit := uint64(s.Bsize)
	out := Space{Free: uint64(s.Bavail) * unit, Total: uint64(s.Blocks) * unit, Inodes: -1} //nolint:unconvert // so are these
	if s.Files > 0 {
		out.Inodes = int64(s.Ffree)
	}
	return out, nil
}

// owner is the user whose file it is.
func owner(st fs.FileInfo) (uid int, known bool) {
	s, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Uid), true
}

// writable tells whether this user may make files in a directory.
func writable(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil }
