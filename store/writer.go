package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// A group is bounded so that one commit doesn't hold up the next for long
	// and so that its dirty pages fit into a small host's memory.
	maxGroupOps   = 4096
	maxGroupBytes = 4 << 20
	// reopenEvery bounds how often a broken file is verified again.
	reopenEvery = time.Second
)

// task is one call's part of a transaction. It is run again if a neighbour in
// the group has to be left out, so it starts its results anew each time.
type task interface {
	// stage writes. An error means that this task alone is refused.
	stage(g *group) error
}

// op is a task that waits for its commit.
type op struct {
	task
	bytes int
	grows bool // needs room; left out when a group doesn't fit
	done  chan error
}

// queue holds the ops that wait for the writer.
type queue struct {
	mu     sync.Mutex
	ops    []*op
	closed bool
	wake   chan struct{}
}

func (q *queue) put(o *op) bool {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false
	}
	q.ops = append(q.ops, o)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

// take returns everything that waits, within the bounds of a group.
func (q *queue) take(into []*op) []*op {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < len(q.ops) && n < maxGroupOps && (n == 0 || size+q.ops[n].bytes <= maxGroupBytes) {
		size += q.ops[n].bytes
		n++
	}
	into = append(into[:0], q.ops[:n]...)
	rest := copy(q.ops, q.ops[n:])
	clear(q.ops[rest:])
	q.ops = q.ops[:rest]
	return into
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// do hands a task to the writer and waits for its commit. If the context ends
// first the task may be committed all the same.
func (s *Store) do(ctx context.Context, name string, t task, bytes int, grows bool) error {
	if err := ctx.Err(); err != nil {
		return s.fail(name, err)
	}
	o := &op{task: t, bytes: bytes, grows: grows, done: make(chan error, 1)}
	if !s.queue.put(o) {
		return s.fail(name, ErrClosed)
	}
	select {
	case err := <-o.done:
		return s.fail(name, err)
	case <-ctx.Done():
		return s.fail(name, ctx.Err())
	}
}

// write is the writer's goroutine.
func (s *Store) write() {
	defer close(s.done)
	debug.SetPanicOnFault(true)
	var ops []*op
	for {
		select {
		case <-s.queue.wake:
		case <-s.stop:
			for {
				if ops = s.queue.take(ops); len(ops) == 0 {
					break
				}
				s.commit(ops)
			}
			if !s.abandoned.Load() {
				s.closeErr = s.markClean()
			}
			return
		}
		for {
			if ops = s.queue.take(ops); len(ops) == 0 {
				break
			}
			s.commit(ops)
		}
	}
}

// commit brings a group to disk and answers its callers.
func (s *Store) commit(ops []*op) {
	for len(ops) > 0 {
		if s.abandoned.Load() {
			answer(ops, ErrClosed)
			return
		}
		if err := s.repair(); err != nil {
			answer(ops, err)
			return
		}
		bad, err := s.attempt(ops)
		switch {
		case err == nil:
			answer(ops, nil)
			return
		case bad != nil: // its own fault: the others go on without it
			bad.done <- err
			ops = without(ops, func(o *op) bool { return o == bad })
		case errors.Is(err, ErrDiskFull) && mixed(ops):
			// What removes records needs little room, and makes some.
			refused := without(ops, func(o *op) bool { return !o.grows })
			answer(refused, err)
			ops = without(ops, func(o *op) bool { return o.grows })
		default:
			answer(ops, err)
			return
		}
	}
}

func answer(ops []*op, err error) {
	for _, o := range ops {
		o.done <- err
	}
}

func without(ops []*op, drop func(*op) bool) []*op {
	rest := make([]*op, 0, len(ops))
	for _, o := range ops {
		if !drop(o) {
			rest = append(rest, o)
		}
	}
	return rest
}

func mixed(ops []*op) bool {
	for _, o := range ops[1:] {
		if o.grows != ops[0].grows {
			return true
		}
	}
	return false
}

// attempt runs the group in one transaction. It returns the op at fault if the
// group failed because of one.
func (s *Store) attempt(ops []*op) (bad *op, err error) {
	g := &group{s: s, now: time.Now()}
	bad, err = s.transact(g, ops)
	if err != nil {
		return bad, err
	}
	g.apply()
	return nil, nil
}

func (s *Store) transact(g *group, ops []*op) (bad *op, err error) {
	var tx *bolt.Tx
	committing, panicked := false, false
	defer func() {
		if p := recover(); p != nil {
			bad, panicked = nil, true
			err = because(ErrCorrupt, fmt.Sprintf("a page can't be used: %v", p), nil)
		}
		if err == nil {
			return
		}
		g.results = nil
		if tx == nil { // not even begun: if that was a panic, with the lock held
			s.stuck = panicked
		} else if !rollback(tx) {
			s.stuck = true
		}
		if bad == nil {
			err = s.failed(err, committing)
		}
	}()
	if tx, err = s.db.Begin(true); err != nil {
		return nil, err
	}
	g.tx = tx
	for _, o := range ops {
		if err := o.stage(g); err != nil {
			return o, err
		}
	}
	if !g.wrote && s.proven {
		rollback(tx)
		return nil, nil
	}
	if err := g.finish(); err != nil {
		return nil, err
	}
	s.health.begin(time.Now())
	if err := s.opts.Hook.At(s.ctx, "commit"); err != nil {
		return nil, &hookError{err}
	}
	if s.abandoned.Load() {
		return nil, ErrClosed
	}
	committing = true
	if err := tx.Commit(); err != nil {
		return nil, err
	}
	s.health.end(nil)
	s.proven = true
	s.marked = false
	return nil, nil
}

// hookError marks a failure that was handed in: a rollback is enough.
type hookError struct{ err error }

func (e *hookError) Error() string { return e.err.Error() }
func (e *hookError) Unwrap() error { return e.err }

// failed notes a failed group, and decides what it takes to go on.
func (s *Store) failed(err error, committing bool) error {
	s.proven = false
	var hook *hookError
	switch {
	case errors.As(err, &hook):
		if noRoom(err) && !errors.Is(err, ErrDiskFull) {
			err = because(ErrDiskFull, "", err)
		}
	case errors.Is(err, ErrClosed):
	case isDiskFull(err):
		err = because(ErrDiskFull, "", err)
	default:
		if committing && noRoom(err) {
			err = because(ErrDiskFull, "", err)
		}
		s.broken = err
		s.lastReopen = time.Time{}
	}
	s.health.end(s.fail("commit", err))
	return err
}

// rollback ends a transaction that was not committed. It does not ask bbolt to
// scan the file, and survives a page that can't be read.
// It returns false if bbolt is left with its lock held: it can't be closed then.
func rollback(tx *bolt.Tx) (ok bool) {
	defer func() { _ = recover() }()
	_ = tx.Rollback() // an ended one reports ErrTxClosed
	return true
}

// repair opens the file again if it is needed: after an I/O error nothing that
// the old handle shows can be trusted to be on disk.
func (s *Store) repair() error {
	if s.suspect.CompareAndSwap(true, false) && s.broken == nil {
		s.proven = false
		s.broken = because(ErrCorrupt, "a reader met a damaged page", nil)
		s.lastReopen = time.Time{}
	}
	if s.broken == nil {
		return nil
	}
	now := time.Now()
	if !s.lastReopen.IsZero() && now.Sub(s.lastReopen) < reopenEvery {
		return because(ErrUnhealthy, "", s.broken)
	}
	s.lastReopen = now
	s.health.begin(now)
	if err := s.reopen(); err != nil {
		s.broken = err
		err = because(ErrUnhealthy, "", err)
		s.health.end(s.fail("reopen", err))
		return err
	}
	s.broken = nil
	return nil
}

func (s *Store) reopen() error {
	if err := s.opts.Hook.At(s.ctx, "reopen"); err != nil {
		return err
	}
	s.dbmu.Lock()
	db, file := s.db, s.file
	s.db, s.file = nil, nil
	s.dbmu.Unlock()
	if s.stuck {
		db, s.stuck = nil, false // Close would wait for ever: only the file goes
	}
	_ = closeHandle(db, file) // it is broken; its error tells nothing new
	h, err := openFile(&s.opts)
	if err != nil {
		return err
	}
	if err := rewrite(h.file); err != nil {
		_ = closeHandle(h.db, h.file)
		return err
	}
	s.dbmu.Lock()
	s.db, s.file = h.db, h.file
	s.dbmu.Unlock()
	s.marked = h.clean
	writeHolder(&s.opts)
	for _, l := range s.ledgers {
		if err := l.load(false); err != nil {
			return err
		}
	}
	return nil
}

// markClean writes the clean-end mark.
func (s *Store) markClean() (err error) {
	if s.broken != nil || !s.proven || s.db == nil || s.marked {
		return nil
	}
	if err := s.opts.Hook.At(s.ctx, "close"); err != nil {
		return s.fail("close", err)
	}
	defer func() {
		if p := recover(); p != nil {
			err = s.fail("close", because(ErrCorrupt, fmt.Sprint(p), nil))
		}
	}()
	tx, err := s.db.Begin(true)
	if err != nil {
		return s.fail("close", err)
	}
	defer rollback(tx)
	if err := tx.Bucket(rootBucket).Put(cleanKey, []byte{1}); err != nil {
		return s.fail("close", err)
	}
	return s.fail("close", tx.Commit())
}
