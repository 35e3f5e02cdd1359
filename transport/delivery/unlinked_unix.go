//go:build unix

package delivery

import (
	"os"
	"syscall"
)

// unlinked reports whether the open file has no name any more, so that its
// content goes away with its last handle.
func unlinked(f *os.File) bool {
	st, err := f.Stat()
	if err != nil {
		return false
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && sys.Nlink == 0
}
