package store

import (
	"errors"
	"sync"
	"time"
)

// Health is how the store's last commit went.
type Health struct {
	// OK is false from a failed commit to the next one that succeeds.
	OK bool
	// Err is the failure; nil while OK.
	Err error
	// Since is when OK last changed; the time of Open at first.
	Since time.Time
	// Full is true if the failure was a lack of space.
	Full bool
	// InProgress is when the commit that is running began; the zero time if
	// none is. A disk that hangs shows here and nowhere else.
	InProgress time.Time
	// LastCommit and MaxCommit are how long the last commit took, and the
	// longest since Open, fsync and hook included.
	LastCommit, MaxCommit time.Duration
	// LastCommitAt is when the last successful commit ended.
	LastCommitAt time.Time
	// Commits and Failures count commits since Open.
	Commits, Failures uint64
}

type healthState struct {
	observe func(took time.Duration, err error) // nil: nobody wants to know

	mu sync.Mutex
	h  Health
}

func (s *healthState) init(observe func(time.Duration, error)) {
	s.observe = observe
	s.h.OK, s.h.Since = true, time.Now()
}

func (s *healthState) begin(now time.Time) {
	s.mu.Lock()
	s.h.InProgress = now
	s.mu.Unlock()
}

func (s *healthState) end(err error) {
	now := time.Now()
	var took time.Duration
	if s.observe != nil {
		defer func() { s.observe(took, err) }() // without the lock
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.h.InProgress.IsZero() {
		took = now.Sub(s.h.InProgress)
		s.h.LastCommit = took
		s.h.MaxCommit = max(s.h.MaxCommit, s.h.LastCommit)
		s.h.InProgress = time.Time{}
	}
	if (err == nil) != s.h.OK {
		s.h.OK = err == nil
		s.h.Since = now
	}
	s.h.Err = err
	s.h.Full = errors.Is(err, ErrDiskFull)
	if err == nil {
		s.h.Commits++
		s.h.LastCommitAt = now
	} else {
		s.h.Failures++
	}
}

// Health returns the present state. It never waits for a commit.
func (s *Store) Health() Health {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	return s.health.h
}

// Usage is what the store's file takes.
type Usage struct {
	// FileBytes is its size, which never shrinks while it is open; FreeBytes are
	// those of them that hold nothing and are used next.
	FileBytes, FreeBytes int64
}

// Usage returns the present size. It is false while the file is not open, such as
// after an I/O error. It never waits for a commit.
func (s *Store) Usage() (Usage, bool) {
	if !s.dbmu.TryRLock() { // the file is being opened again
		return Usage{}, false
	}
	defer s.dbmu.RUnlock()
	if s.db == nil || s.file == nil {
		return Usage{}, false
	}
	info, err := s.file.Stat()
	if err != nil {
		return Usage{}, false
	}
	// Not DB.Info for the size of a page: it touches the mapping, which a commit that
	// grows the file moves meanwhile.
	return Usage{FileBytes: info.Size(), FreeBytes: int64(s.db.Stats().FreeAlloc)}, true
}
