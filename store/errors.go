package store

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"
)

// What can be wrong with a store. Test with [errors.Is].
var (
	// ErrLocked: another process, or another Store of this one, has the file.
	ErrLocked = errors.New("the store is in use")
	// ErrCorrupt: the file is damaged, truncated or not a store.
	ErrCorrupt = errors.New("the store file is damaged")
	// ErrNewer: the file was written by a newer version of dualgram.
	ErrNewer = errors.New("the store was written by a newer version")
	// ErrDiskFull: there is no room for what should be written. Nothing of the
	// call is stored; the store goes on and recovers when there is room.
	ErrDiskFull = errors.New("no space left for the store")
	// ErrClosed: the store was closed or abandoned.
	ErrClosed = errors.New("the store is closed")
	// ErrUnhealthy: an earlier I/O error could not be repaired yet. Each call
	// lets the store try again.
	ErrUnhealthy = errors.New("the store is not usable at the moment")
	// ErrNotTaken: the record was not handed out by Next, or is settled already.
	ErrNotTaken = errors.New("the record is not in delivery")
	// ErrNotFound: there is no such record.
	ErrNotFound = errors.New("no such record")
	// ErrSequence: the evidence does not follow the last one.
	ErrSequence = errors.New("not the next in the sequence")
	// ErrArgument: the call itself makes no sense.
	ErrArgument = errors.New("bad argument")
)

// Error is what every operation of this package returns. It never holds any
// content of an update.
type Error struct {
	Op   string // what was tried, such as "open" or "accept"
	Path string // the store's file
	Hint string // what the operator can do; may be empty
	Err  error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("store: ")
	b.WriteString(e.Op)
	b.WriteString(" ")
	b.WriteString(e.Path)
	b.WriteString(": ")
	b.WriteString(e.Err.Error())
	if e.Hint != "" {
		b.WriteString(" (")
		b.WriteString(e.Hint)
		b.WriteString(")")
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// detail is a sentinel with what is known about this case.
type detail struct {
	is   error
	text string
	err  error // may be nil
}

func (d *detail) Error() string {
	s := d.is.Error()
	if d.text != "" {
		s += ": " + d.text
	}
	if d.err != nil {
		s += ": " + d.err.Error()
	}
	return s
}

func (d *detail) Unwrap() []error {
	if d.err == nil {
		return []error{d.is}
	}
	return []error{d.is, d.err}
}

func because(sentinel error, text string, err error) error {
	return &detail{is: sentinel, text: text, err: err}
}

const (
	hintCorrupt = "nothing was changed; restore the file from a copy, or move it away and start with an empty store: " +
		"what Telegram still holds is sent again, what only the damaged file held is not"
	hintDiskFull = "free some space on the store's file system; updates are refused until then and Telegram keeps them"
	hintIO       = "look at the kernel log and the state of the disk"
)

// isDiskFull reports whether a failed commit only lacked room, so that bbolt's
// own rollback is enough. An out-of-space error of the sync itself comes as a
// bare errno and is not among these: after it nothing is known of the pages.
func isDiskFull(err error) bool {
	if errors.Is(err, berrors.ErrMaxSizeReached) {
		return true
	}
	var pe *fs.PathError
	return errors.As(err, &pe) && noRoom(err)
}

func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, berrors.ErrMaxSizeReached)
}
