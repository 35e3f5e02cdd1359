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
	mu sync.Mutex
	h  Health
}

func (s *healthState) init() { s.h.OK, s.h.Since = true, time.Now() }

func (s *healthState) begin(now time.Time) {
	s.mu.Lock()
	s.h.InProgress = now
	s.mu.Unlock()
}

func (s *healthState) end(err error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.h.InProgress.IsZero() {
		s.h.LastCommit = now.Sub(s.h.InProgress)
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
