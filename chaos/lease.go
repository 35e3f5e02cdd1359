package chaos

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Lease is the caller's hold on an injected fault. Losing it loses nothing:
// the fault ends by itself.
type Lease struct{ f *fault }

// ID is the fault's number in the registry.
func (l *Lease) ID() uint64 { return l.f.id }

// Renew makes the lease end in d from now, sooner or later than before, but
// never later than the Spec's Most after the injection: a longer d is cut there. It
// returns ErrEnded if the lease is over.
func (l *Lease) Renew(d time.Duration) error {
	f, r := l.f, l.f.reg
	if d <= 0 {
		return specErr(f.spec.Kind, "renewing for %v: must be above 0", d)
	}
	r.mu.Lock()
	if !f.live() {
		r.mu.Unlock()
		return ErrEnded
	}
	left := min(d, f.born+f.spec.Most-r.now())
	f.lease(left)
	if f.timer.Stop() { // else it is about to look, and arms itself anew
		f.timer.Reset(min(left, lookEvery))
	}
	r.note(EventRenewed, f)
	r.mu.Unlock()
	r.tell()
	return nil
}

// End ends the fault now. When it returns the fault acts no more, and what
// waited in it has been told. Ending twice is fine.
func (l *Lease) End() { l.f.end(EventEnded) }

// Done is closed when the fault has ended, for whatever reason.
func (l *Lease) Done() <-chan struct{} { return l.f.done }

// Fired returns how many units the fault has hit, also after its end.
func (l *Lease) Fired() uint64 { return l.f.status().Fired }

// Status describes the fault, also after its end.
func (l *Lease) Status() Status { return l.f.status() }

// fault is an injected fault.
type fault struct {
	reg  *Registry
	id   uint64
	spec Spec
	info Info
	b    behaviour

	born     time.Duration // by Registry.now
	deadline atomic.Int64  // by Registry.now, in nanoseconds
	wall     atomic.Int64  // the same by the wall clock, in nanoseconds of Unix time
	ended    atomic.Bool
	done     chan struct{}
	timer    *time.Timer // guarded by reg.mu

	mu      sync.Mutex
	rng     *rand.Rand
	fired   uint64
	would   uint64
	adopted map[*conn]struct{}
}

// lookEvery is how often a fault that runs is looked at, so that what waits in it
// learns of an end by the wall clock.
const lookEvery = time.Second

// lease makes the fault end in d, by whichever clock gets there first: the
// monotonic one stands still while the host is suspended, the wall clock can be
// set back.
func (f *fault) lease(d time.Duration) {
	f.deadline.Store(int64(f.reg.now() + d))
	f.wall.Store(f.reg.wall().Add(d).UnixNano())
}

// live reports whether the lease still runs. It reads the clocks each time, so
// no timer, goroutine or runner has to work for a fault to be over.
func (f *fault) live() bool { return !f.ended.Load() && !f.late() }

// late reports whether the lease is over by one of the clocks.
func (f *fault) late() bool {
	return int64(f.reg.now()) >= f.deadline.Load() || f.reg.wall().UnixNano() >= f.wall.Load()
}

// fire decides whether this unit is hit, and counts it. It is called once for
// a unit.
func (f *fault) fire() bool {
	if !f.live() {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.spec.Count; n > 0 && f.fired+f.would >= uint64(n) {
		return false
	}
	if f.spec.Share < 1 && f.rng.Float64() >= f.spec.Share {
		return false
	}
	if f.reg.opts.Leashed {
		f.would++
		return false
	}
	f.fired++
	f.reg.fired[f.info.Kind].Add(1)
	return true
}

// wait returns after d, or as soon as the fault is over; without d only then.
// It returns the context's error if that ends first.
func (f *fault) wait(ctx context.Context, d time.Duration) error {
	if !f.live() {
		return ctx.Err()
	}
	var after <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		after = t.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-f.done:
		return nil
	case <-after:
		return nil
	}
}

// adopt makes f reset c when it ends. It returns false if it has ended.
func (f *fault) adopt(c *conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.adopted == nil {
		return false
	}
	f.adopted[c] = struct{}{}
	return true
}

func (f *fault) disown(c *conn) {
	f.mu.Lock()
	delete(f.adopted, c)
	f.mu.Unlock()
}

// expire runs when the timer fires. It only tidies up and tells: the fault has
// been inert since its deadline.
func (f *fault) expire() {
	r := f.reg
	r.mu.Lock()
	if f.live() { // it was renewed, or this was only a look
		f.timer.Reset(min(max(time.Duration(f.deadline.Load())-r.now(), 1), lookEvery))
		r.mu.Unlock()
		return
	}
	r.mu.Unlock()
	defer r.expiries.Done()
	f.end(EventExpired)
}

// end makes the fault inert, frees what waits in it, and resets the connections
// that it has spoilt.
func (f *fault) end(e Event) {
	r := f.reg
	r.mu.Lock()
	if f.ended.Swap(true) {
		r.mu.Unlock()
		return
	}
	if f.late() {
		e = EventExpired // whoever came to end it was too late
	}
	if f.timer.Stop() {
		r.expiries.Done()
	}
	r.active = slices.DeleteFunc(r.active, func(g *fault) bool { return g == f })
	r.rebuild()
	close(f.done)
	r.note(e, f)
	r.mu.Unlock()

	f.mu.Lock()
	spoilt := f.adopted
	f.adopted = nil
	f.mu.Unlock()
	for c := range spoilt {
		c.abort()
	}
	r.tell()
}

func (f *fault) status() Status {
	now := f.reg.now()
	left := min(time.Duration(f.deadline.Load())-now, time.Duration(f.wall.Load()-f.reg.wall().UnixNano()))
	if f.ended.Load() {
		left = 0
	}
	s := Status{
		ID: f.id, Spec: f.spec, Info: f.info,
		Age: now - f.born, Remaining: max(left, 0),
		Leashed: f.reg.opts.Leashed, Attached: f.isAttached(),
	}
	s.Spec.Params = maps.Clone(s.Spec.Params)
	for _, p := range f.info.Params {
		if _, ok := s.Spec.Params[p.Name]; ok && p.Secret {
			s.Spec.Params[p.Name] = "[secret]"
		}
	}
	f.mu.Lock()
	s.Fired, s.Would = f.fired, f.would
	f.mu.Unlock()
	return s
}

// error makes the error that a fault causes.
func (f *fault) error(err error) error { return &Injected{Kind: f.info.Kind, Err: err} }
