//go:build unix

package config

import (
	"io/fs"
	"syscall"
)

// owner is whose a file is.
func owner(st fs.FileInfo) (uid, gid int, known bool) {
	s, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(s.Uid), int(s.Gid), true
}
