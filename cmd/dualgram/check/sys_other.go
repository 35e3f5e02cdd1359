//go:build !unix

package check

import (
	"errors"
	"io/fs"
)

// space asks the file system.
func space(string) (Space, error) { return Space{}, errors.ErrUnsupported }

// owner is the user whose file it is.
func owner(fs.FileInfo) (uid int, known bool) { return 0, false }

// writable tells whether this user may make files in a directory.
func writable(string) bool { return true }
