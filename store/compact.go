package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// A file is compacted at Open if it is larger than this...
	compactAbove = 256 << 20
	// ...and at most one page in this many is in use.
	compactUse = 4
)

func (s shape) wasteful() bool {
	return s.size > compactAbove && s.used < s.pages/compactUse
}

// Compact rewrites a store that nobody has open without its free pages. If it
// fails the store is as it was.
func Compact(path string) error {
	o := Options{Path: path}
	if err := o.validate(); err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil {
		return &Error{Op: "compact", Path: path, Err: err}
	}
	deadline := time.Now().Add(o.LockTimeout)
	_, err := inspect(&o, deadline)
	if err == nil {
		err = lockedOr(&o, compact(path, remaining(deadline)))
	}
	if err != nil {
		return &Error{Op: "compact", Path: path, Err: err, Hint: hintFor(err)}
	}
	return nil
}

// compact copies a verified file and puts the copy in its place.
func compact(path string, timeout time.Duration) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = because(ErrCorrupt, fmt.Sprint(p), nil)
		}
	}()
	src, err := bolt.Open(path, 0o600, boltOptions(timeout))
	if err != nil {
		return err
	}
	defer src.Close()
	tmp := path + ".compact" // one name: the lock on the store guards it
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	defer os.Remove(tmp)
	opts := boltOptions(timeout)
	opts.NoSync = true
	dst, err := bolt.Open(tmp, 0o600, opts)
	if err != nil {
		return err
	}
	err = bolt.Compact(dst, src, 4<<20)
	if err == nil {
		err = dst.Sync()
	}
	if err := errors.Join(err, dst.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
