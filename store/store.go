package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"dualgram/transport"

	bolt "go.etcd.io/bbolt"
)

// Options of a store. Path is required; zero values mean the default.
type Options struct {
	// Path is the file. It is created (mode 0600) if it doesn't exist; its
	// directory must exist.
	Path string
	// LockTimeout is how long Open waits for another process to let go of the
	// file. Default 2 s.
	LockTimeout time.Duration
	// MaxSize limits the file, in bytes; beyond it writes fail with
	// ErrDiskFull. 0: no limit. bbolt grows a file by doubling it, from 16 MiB
	// on by 16 MiB more than it needs, and counts that.
	MaxSize int
	// Hook is called at "commit" (by the writer, when a group is about to be
	// committed), at "reopen" (before the file is opened again after an I/O
	// error) and at "close" (before the clean-end mark is written). An error
	// fails that step; a wait delays it. Its context ends when the store is
	// closed or abandoned.
	Hook transport.Hook
	// Observe, if not nil, is called by the writer after each commit with how
	// long it took, fsync included, and with its error. It must not block.
	Observe func(took time.Duration, err error)
	// Holder says who has the store; it is written beside the file for the
	// error that the next one gets. Default: the program's name.
	Holder string
}

const defaultLockTimeout = 2 * time.Second

func (o *Options) validate() error {
	if o.Path == "" {
		return &Error{Op: "open", Path: `""`, Err: because(ErrArgument, "the path of the store is empty", nil), Hint: "set store.path"}
	}
	if o.LockTimeout < 0 || o.MaxSize < 0 {
		return &Error{Op: "open", Path: o.Path, Err: because(ErrArgument, "negative lock time-out or size", nil)}
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = defaultLockTimeout
	}
	if o.Holder == "" {
		o.Holder = "dualgram"
	}
	return nil
}

// Store is an open file. Its methods may be called from many goroutines.
type Store struct {
	opts   Options
	ctx    context.Context // for hooks; ends with Close or Abandon
	cancel context.CancelFunc

	// dbmu keeps the handle from being exchanged while it is read. Only the
	// writer takes it for writing, after an I/O error and at the end.
	dbmu sync.RWMutex
	db   *bolt.DB
	file *os.File // of db

	queue  queue
	health healthState
	// suspect is set by a reader that met a damaged page: the writer opens
	// and verifies the file before it does anything else.
	suspect atomic.Bool

	// Of the writer alone:
	ledgers    map[int64]*Ledger
	proven     bool // the last commit succeeded, so what can be read is on disk
	broken     error
	lastReopen time.Time
	marked     bool // the clean-end mark is in the file
	stuck      bool // bbolt has panicked with its lock held

	stop      chan struct{}
	abandoned atomic.Bool
	done      chan struct{} // closed when the writer has ended
	closeOnce sync.Once
	closeErr  error

	cleanAtOpen bool
}

// Open opens the store, or creates it if there is no file at the path. A file
// that is damaged, truncated or empty is refused with ErrCorrupt and left as it
// is, one that another process holds with ErrLocked, one of a newer schema with
// ErrNewer.
func Open(o Options) (*Store, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	h, err := openFile(&o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Store{
		opts: o, ctx: ctx, cancel: cancel,
		db: h.db, file: h.file,
		ledgers:     make(map[int64]*Ledger),
		stop:        make(chan struct{}),
		done:        make(chan struct{}),
		marked:      h.clean,
		cleanAtOpen: h.clean,
		proven:      true, // openFile has synced
	}
	s.queue.wake = make(chan struct{}, 1)
	s.health.init(o.Observe)
	writeHolder(&o)
	go s.write()
	return s, nil
}

// Close writes what waits, then the clean-end mark, and lets go of the file. A
// store that isn't healthy gets no mark. Close waits for a commit in progress.
func (s *Store) Close() error { return s.end(false) }

// Abandon lets go of the file as a crash would: what waits fails with
// ErrClosed, nothing is written any more, no clean-end mark either.
func (s *Store) Abandon() error { return s.end(true) }

func (s *Store) end(abandon bool) error {
	s.closeOnce.Do(func() {
		s.abandoned.Store(abandon)
		s.queue.close()
		s.cancel()
		close(s.stop)
		<-s.done
		s.dbmu.Lock()
		db, file := s.db, s.file
		s.db, s.file = nil, nil
		s.dbmu.Unlock()
		if s.stuck {
			db = nil
		}
		if !abandon && file != nil {
			removeHolder(s.opts.Path) // while the lock still keeps the next one out
		}
		if err := closeHandle(db, file); err != nil && !abandon {
			s.closeErr = errors.Join(s.closeErr, &Error{Op: "close", Path: s.opts.Path, Err: err})
		}
	})
	<-s.done
	return s.closeErr
}

// Clean reports whether the store had ended cleanly before this Open.
func (s *Store) Clean() bool { return s.cleanAtOpen }

// view reads. The function must not keep anything of the transaction.
func (s *Store) view(fn func(tx *bolt.Tx) error) (err error) {
	s.dbmu.RLock()
	defer s.dbmu.RUnlock()
	if s.db == nil {
		if s.queue.isClosed() {
			return ErrClosed
		}
		return ErrUnhealthy
	}
	defer func() {
		if p := recover(); p != nil {
			s.suspect.Store(true)
			err = because(ErrCorrupt, fmt.Sprintf("a page can't be read: %v", p), nil)
		}
	}()
	// A page that can't be read from the disk is a fault in the memory map.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return s.db.View(fn)
}

// fail dresses an error for the caller.
func (s *Store) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	e = &Error{Op: op, Path: s.opts.Path, Err: err}
	switch {
	case errors.Is(err, ErrCorrupt):
		e.Hint = hintCorrupt
	case errors.Is(err, ErrDiskFull):
		e.Hint = hintDiskFull
	case errors.Is(err, ErrUnhealthy):
		e.Hint = hintIO
	}
	return e
}
