package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// schema is the version of the layout described in the package documentation.
const schema = 1

var (
	rootBucket = []byte("dualgram")
	schemaKey  = []byte("schema")
	cleanKey   = []byte("clean")
)

// handle is an open and verified file.
type handle struct {
	db    *bolt.DB
	file  *os.File
	clean bool
}

// boltOptions: with a free list on disk bbolt falls to a tenth of its speed for
// good after a large backlog was stored and deleted; without it Open scans the
// file, which takes less than 0.1 s for a million records.
func boltOptions(timeout time.Duration) *bolt.Options {
	return &bolt.Options{
		Timeout:         timeout,
		NoFreelistSync:  true,
		FreelistType:    bolt.FreelistMapType,
		PreLoadFreelist: true,
		NoStatistics:    true,
	}
}

// openFile creates the file if there is none, verifies and opens it.
func openFile(o *Options) (*handle, error) {
	deadline := time.Now().Add(o.LockTimeout)
	fail := func(err error, hint string) (*handle, error) {
		var e *Error
		if errors.As(err, &e) {
			return nil, err
		}
		return nil, &Error{Op: "open", Path: o.Path, Err: err, Hint: hint}
	}
	for {
		info, err := os.Stat(o.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			dir := filepath.Dir(o.Path)
			if _, err := os.Stat(dir); err != nil {
				return fail(err, "create the directory "+dir+" and let the user of this process write there")
			}
			if err := create(o.Path); err != nil {
				return fail(err, "")
			}
			continue
		case err != nil:
			return fail(err, "")
		case !info.Mode().IsRegular():
			return fail(because(ErrCorrupt, "it is not a regular file", nil), "set store.path to a file")
		case info.Size() == 0:
			return fail(because(ErrCorrupt, "it is empty", nil), hintCorrupt)
		}
		shape, err := inspect(o, deadline)
		if err != nil {
			return fail(err, hintFor(err))
		}
		if shape.wasteful() {
			// If it fails the store is as it was, only large.
			_ = compact(o.Path, remaining(deadline))
		}
		h, err := openBolt(o, deadline)
		if errors.Is(err, errExchanged) {
			continue
		}
		if err != nil {
			return fail(err, hintFor(err))
		}
		return h, nil
	}
}

func hintFor(err error) string {
	switch {
	case errors.Is(err, ErrLocked):
		return "stop the other process first; only one may use a store"
	case errors.Is(err, ErrNewer):
		return "nothing was changed; install the newer dualgram again, or restore the copy of the store from before the upgrade; store.path names another one"
	case errors.Is(err, ErrCorrupt):
		return hintCorrupt
	case noRoom(err):
		return hintDiskFull
	case errors.Is(err, fs.ErrPermission):
		return "the user of this process needs to read and write the file and its directory"
	}
	return ""
}

func remaining(deadline time.Time) time.Duration {
	return max(time.Until(deadline), 60*time.Millisecond) // bbolt tries each 50 ms, 0 is without end
}

// lockedOr turns bbolt's time-out into ErrLocked, with the holder's name.
func lockedOr(o *Options, err error) error {
	if errors.Is(err, berrors.ErrTimeout) {
		return because(ErrLocked, readHolder(o.Path), nil)
	}
	return err
}

// inspect verifies the file before bbolt maps it into memory: bbolt panics on a
// damaged page, in a goroutine of its own too, and a file that is shorter than
// it says is a fault that ends the process. It holds the shared lock meanwhile.
func inspect(o *Options, deadline time.Time) (shape, error) { return inspectFor(0, o, deadline) }

// inspectFor is inspect that gives up, with ErrTooLarge, when it has held the lock for
// most; 0: it doesn't.
func inspectFor(most time.Duration, o *Options, deadline time.Time) (sh shape, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = because(ErrCorrupt, fmt.Sprint(p), nil)
		}
	}()
	opts := boltOptions(remaining(deadline))
	opts.ReadOnly, opts.PreLoadFreelist = true, false
	db, err := bolt.Open(o.Path, 0o600, opts)
	if err != nil {
		if notBolt(err) {
			return sh, because(ErrCorrupt, "", err)
		}
		return sh, lockedOr(o, err)
	}
	defer db.Close()
	f, err := os.Open(o.Path)
	if err != nil {
		return sh, err
	}
	defer f.Close()
	if most > 0 {
		return verifyUntil(f, time.Now().Add(most))
	}
	return verify(f)
}

func notBolt(err error) bool {
	if errors.Is(err, berrors.ErrInvalid) || errors.Is(err, berrors.ErrVersionMismatch) || errors.Is(err, berrors.ErrChecksum) {
		return true
	}
	// What is left without a type is bbolt's "file size too small".
	var pe *fs.PathError
	return !errors.Is(err, berrors.ErrTimeout) && !errors.As(err, &pe)
}

var errExchanged = errors.New("the file was exchanged meanwhile")

// openBolt opens a verified file for writing and brings everything that can be
// read of it to disk.
func openBolt(o *Options, deadline time.Time) (_ *handle, err error) {
	h := &handle{}
	opts := boltOptions(remaining(deadline))
	opts.MaxSize = o.MaxSize
	opts.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errExchanged
		}
		h.file = f
		return f, err
	}
	defer func() {
		if p := recover(); p != nil {
			err = because(ErrCorrupt, fmt.Sprint(p), nil)
		}
		if err != nil {
			_ = closeHandle(h.db, h.file)
		}
	}()
	if h.db, err = bolt.Open(o.Path, 0o600, opts); err != nil {
		return nil, lockedOr(o, err)
	}
	// The lock belongs to a file, not to a path: whoever waited for it while
	// the file was compacted holds the old one.
	mine, err := h.file.Stat()
	if err != nil {
		return nil, err
	}
	now, err := os.Stat(o.Path)
	if err != nil || !os.SameFile(mine, now) {
		return nil, errExchanged
	}
	// A process that was killed may have left pages that are not synced.
	if err := h.file.Sync(); err != nil {
		return nil, err
	}
	err = h.db.View(func(tx *bolt.Tx) (err error) {
		_, h.clean, err = readSchema(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

func closeHandle(db *bolt.DB, file *os.File) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = because(ErrCorrupt, fmt.Sprint(p), nil)
		}
	}()
	if db != nil {
		err = db.Close()
	}
	if file != nil {
		_ = file.Close() // closed already unless bbolt could not
	}
	return err
}

// create makes an empty store under a temporary name and gives it its real one
// when it is complete, so that a partial file is always a damaged one.
func create(path string) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return err
	}
	tmp := f.Name()
	defer os.Remove(tmp)
	if err := f.Close(); err != nil {
		return err
	}
	db, err := bolt.Open(tmp, 0o600, boltOptions(time.Second))
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket(rootBucket)
		if err != nil {
			return err
		}
		return b.Put(schemaKey, binary.BigEndian.AppendUint32(nil, schema))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	// A link fails if another process was quicker; a rename would replace its
	// file. Some file systems have no links.
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, err := os.Lstat(path); err == nil {
			return nil
		}
		if err := os.Rename(tmp, path); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// rewrite writes the file's own bytes over themselves and syncs. After a failed
// fsync Linux takes the pages for clean, so a later fsync would not bring what
// can be read of them to disk.
func rewrite(f *os.File) error {
	buf := make([]byte, 1<<20)
	for off := int64(0); ; {
		n, err := f.ReadAt(buf, off)
		if n > 0 {
			if _, err := f.WriteAt(buf[:n], off); err != nil {
				return err
			}
			off += int64(n)
		}
		if err == io.EOF {
			return f.Sync()
		}
		if err != nil {
			return err
		}
	}
}

// holder is the content of the file beside a store that says who has it.
type holder struct {
	PID     int       `json:"pid"`
	Purpose string    `json:"purpose"`
	Since   time.Time `json:"since"`
}

func holderPath(path string) string { return path + ".holder" }

// writeHolder is a courtesy: without it the next one's error names nobody.
func writeHolder(o *Options) {
	b, err := json.Marshal(holder{os.Getpid(), o.Holder, time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return
	}
	_ = os.Remove(holderPath(o.Path)) // for the mode, and not to follow a link
	f, err := os.OpenFile(holderPath(o.Path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return
	}
	_, _ = f.Write(append(b, '\n'))
	_ = f.Close()
}

func removeHolder(path string) { _ = os.Remove(holderPath(path)) }

func readHolder(path string) string {
	var h holder
	b, err := os.ReadFile(holderPath(path))
	if err != nil || json.Unmarshal(b, &h) != nil {
		return "by an unknown process"
	}
	return fmt.Sprintf("by %s, process %d, since %s", h.Purpose, h.PID, h.Since.Format(time.RFC3339))
}
