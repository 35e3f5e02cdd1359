package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// lookTimeout is how long Look waits for whoever has the file: bbolt tries twice.
	lookTimeout = 60 * time.Millisecond
	// lookMost is how long Look may hold the lock: half of what Open waits for it.
	lookMost = defaultLockTimeout / 2
)

// ErrTooLarge says that the store can't be read within the time for which Look may keep
// others from opening it. Open has no such bound.
var ErrTooLarge = errors.New("the store is too large to be looked at in passing")

// Shape is what Look found.
type Shape struct {
	// Exists is false if there is no file; the rest is zero then.
	Exists bool
	Size   int64
	// Schema is the version of the layout.
	Schema int
	// Clean says whether the store had ended cleanly.
	Clean bool
}

// Look reads and verifies the store at path, and changes nothing. It refuses what
// [Open] would refuse, with the same errors. While it reads it shares the file's lock,
// so that a process which opens the store then waits for it, but never for longer than
// a second (ErrTooLarge); and it doesn't wait for one that has it (ErrLocked).
func Look(path string) (Shape, error) {
	o := Options{Path: path}
	fail := func(err error) (Shape, error) {
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{Op: "look", Path: path, Err: err, Hint: hintFor(err)}
		}
		return Shape{}, e
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Shape{}, nil
	case err != nil:
		return fail(err)
	case !info.Mode().IsRegular():
		return fail(because(ErrCorrupt, "it is not a regular file", nil))
	case info.Size() == 0:
		return fail(because(ErrCorrupt, "it is empty", nil))
	}
	if _, err := inspectFor(lookMost, &o, time.Now().Add(lookTimeout)); err != nil {
		return fail(err)
	}
	s := Shape{Exists: true, Size: info.Size()}
	if err := s.read(&o); err != nil {
		return fail(err)
	}
	return s, nil
}

// read takes from the verified file what says that it is a store.
func (s *Shape) read(o *Options) (err error) {
	defer func() {
		if p := recover(); p != nil { // it was exchanged meanwhile
			err = because(ErrCorrupt, fmt.Sprint(p), nil)
		}
	}()
	opts := boltOptions(lookTimeout)
	opts.ReadOnly, opts.PreLoadFreelist = true, false
	db, err := bolt.Open(o.Path, 0o600, opts)
	if err != nil {
		return lockedOr(o, err)
	}
	defer db.Close()
	return db.View(func(tx *bolt.Tx) error {
		n, clean, err := readSchema(tx)
		s.Schema, s.Clean = n, clean
		return err
	})
}

// readSchema returns the version of the layout, which has to be one that this version
// of dualgram knows, and whether the store had ended cleanly.
func readSchema(tx *bolt.Tx) (version int, clean bool, err error) {
	b := tx.Bucket(rootBucket)
	if b == nil {
		return 0, false, because(ErrCorrupt, "it is a bbolt file, but not a store of dualgram", nil)
	}
	v := b.Get(schemaKey)
	if len(v) != 4 {
		return 0, false, because(ErrCorrupt, "it has no schema version", nil)
	}
	n := binary.BigEndian.Uint32(v)
	if n > schema {
		return int(n), false, because(ErrNewer, fmt.Sprintf("it has schema %d, this one knows up to %d", n, schema), nil)
	}
	return int(n), len(b.Get(cleanKey)) == 1, nil
}
