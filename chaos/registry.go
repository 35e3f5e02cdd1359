package chaos

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a Registry. The zero value is a disabled one.
type Options struct {
	// Enabled lets faults be injected at all.
	Enabled bool
	// Leashed plans and counts faults without letting them act.
	Leashed bool
	// Destructive allows the kinds that are marked so.
	Destructive bool
	// Exit ends the process for crash.at, as abruptly as it can. If it returns,
	// as in tests, the hook returns an error at that point.
	Exit func(point string)
	// OnChange is told of each injection and each end, one call at a time and in
	// the order in which they happened. It may call the registry.
	OnChange func(Change)
	// WallClock tells the wall clock's time, which may jump; nil means time.Now.
	WallClock func() time.Time
}

// Event says what happened to a fault.
type Event string

// What can happen to a fault.
const (
	EventInjected Event = "injected"
	EventRenewed  Event = "renewed"
	EventEnded    Event = "ended"   // by Lease.End
	EventExpired  Event = "expired" // the lease ran out
	EventCleared  Event = "cleared" // by Clear or Close
)

// Change is an event with the fault's state right after it.
type Change struct {
	Event Event  `json:"event"`
	Fault Status `json:"fault"`
}

// Status describes a fault in a list.
type Status struct {
	ID   uint64 `json:"id"`
	Spec Spec   `json:"spec"` // with defaults filled in and secrets blanked
	Info Info   `json:"info"`
	// Age is the time since the injection, Remaining what is left of the lease.
	Age       time.Duration `json:"age"`
	Remaining time.Duration `json:"remaining"`
	// Fired counts the units that were hit; Would those that a leashed fault
	// would have hit.
	Fired uint64 `json:"fired"`
	Would uint64 `json:"would"`
	// Leashed: the fault does nothing.
	Leashed bool `json:"leashed"`
	// Attached: an injector for this kind exists in the process. A fault without
	// one can never fire.
	Attached bool `json:"attached"`
}

// Registry holds the active faults of a process or a bot and makes the
// injectors that carry them out. All methods may be called from any goroutine.
// A nil Registry is a disabled one.
type Registry struct {
	opts  Options
	start time.Time             // the monotonic zero of every deadline
	table atomic.Pointer[table] // nil while no fault is active

	attachMu sync.Mutex
	attached map[attachment]int      // injectors that are in use
	fired    map[Kind]*atomic.Uint64 // never changed

	mu        sync.Mutex
	closed    bool
	lastID    uint64
	active    []*fault
	listeners map[*listener]struct{}
	dialed    dialed
	changes   []Change
	telling   bool
	expiries  sync.WaitGroup // timers that are armed or running
}

// table holds the active faults by the seam at which they act.
type table struct {
	conn, tls, request, http, api, dial, hook, probe, clock []*fault
	scoped                                                  bool // one of them has a scope
}

type seam int

const (
	seamConn seam = iota
	seamTLS
	seamRequest
	seamHTTP
	seamAPI
	seamDial
	seamHook
	seamProbe
	seamClock
)

// New returns an empty registry.
func New(o Options) *Registry {
	if o.WallClock == nil {
		o.WallClock = time.Now
	}
	r := &Registry{opts: o, start: time.Now(), listeners: make(map[*listener]struct{}), attached: make(map[attachment]int), fired: make(map[Kind]*atomic.Uint64)}
	for _, k := range Kinds() {
		r.fired[k.Kind] = new(atomic.Uint64)
	}
	return r
}

// Enabled reports whether faults can be injected at all.
func (r *Registry) Enabled() bool { return r != nil && r.opts.Enabled }

// Leashed reports whether faults are planned and counted without acting.
func (r *Registry) Leashed() bool { return r != nil && r.opts.Leashed }

// Destructive reports whether the kinds that are marked so are allowed.
func (r *Registry) Destructive() bool { return r != nil && r.opts.Destructive }

// prepare checks the spec and makes the fault that it describes.
func (r *Registry) prepare(s Spec) (*fault, error) {
	if !r.Enabled() {
		return nil, ErrDisabled
	}
	k, ok := lookup(s.Kind)
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknownKind, s.Kind)
	}
	if k.Destructive && !r.opts.Destructive {
		return nil, fmt.Errorf("%w: %s", ErrDestructive, s.Kind)
	}
	s, err := s.normal(k)
	if err != nil {
		return nil, err
	}
	s.Params = maps.Clone(s.Params)
	p := newParams(k, s.Params)
	b, err := k.prepare(r, s, p)
	if err == nil {
		err = p.err
	}
	if err != nil {
		return nil, err
	}
	return &fault{
		reg: r, spec: s, info: k.Info, b: b,
		done:    make(chan struct{}),
		rng:     rand.New(rand.NewPCG(s.Seed, 0x6475616c6772616d)),
		adopted: make(map[*conn]struct{}),
	}, nil
}

// Plan returns what Inject would make active, or the error that it would return.
// Nothing changes.
func (r *Registry) Plan(s Spec) (Status, error) {
	f, err := r.prepare(s)
	if err != nil {
		return Status{}, err
	}
	f.born = r.now()
	f.lease(f.spec.For)
	return f.status(), nil
}

// Inject makes a fault active until its lease ends. Faults of one kind may be
// active together; the one injected first is asked first.
func (r *Registry) Inject(s Spec) (*Lease, error) {
	f, err := r.prepare(s)
	if err != nil {
		return nil, err
	}
	s = f.spec
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, ErrClosed
	}
	r.lastID++
	f.id = r.lastID
	f.born = r.now()
	f.lease(s.For)
	r.active = append(r.active, f)
	r.rebuild()
	r.expiries.Add(1)
	f.timer = time.AfterFunc(min(s.For, lookEvery), f.expire)
	ls := slices.Collect(maps.Keys(r.listeners))
	r.note(EventInjected, f)
	r.mu.Unlock()

	if !r.opts.Leashed {
		for _, l := range ls {
			l.injected(f)
		}
		r.dialed.injected(f)
	}
	r.tell()
	return &Lease{f}, nil
}

// Clear ends every active fault.
func (r *Registry) Clear() {
	if r == nil {
		return
	}
	r.mu.Lock()
	all := slices.Clone(r.active)
	r.mu.Unlock()
	for _, f := range all {
		f.end(EventCleared)
	}
}

// Close ends every fault, refuses new ones, and waits for the registry's own
// goroutines. It must not be called from OnChange. Injectors made earlier stay
// usable and do nothing.
func (r *Registry) Close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.Clear()
	r.expiries.Wait()
	return nil
}

// List returns the active faults in the order of their injection.
func (r *Registry) List() []Status {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	all := slices.Clone(r.active)
	r.mu.Unlock()
	out := make([]Status, 0, len(all))
	for _, f := range all {
		if f.live() {
			out = append(out, f.status())
		}
	}
	return out
}

// Fired returns how many units each kind of the catalogue has hit since the
// registry was made, by faults that have ended too.
func (r *Registry) Fired() map[Kind]uint64 {
	out := make(map[Kind]uint64)
	for _, k := range Kinds() {
		out[k.Kind] = 0
		if r != nil {
			out[k.Kind] = r.fired[k.Kind].Load()
		}
	}
	return out
}

// Acting returns the kinds of the faults that act now, in the order of their
// injection. It costs one atomic load if there is none.
func (r *Registry) Acting() []Kind {
	if r == nil || r.opts.Leashed || r.load() == nil {
		return nil
	}
	var out []Kind
	for _, s := range r.List() {
		out = append(out, s.Spec.Kind)
	}
	return out
}

func (r *Registry) now() time.Duration { return time.Since(r.start) }

func (r *Registry) wall() time.Time { return r.opts.WallClock() }

// load returns the active faults, or nil. It is the whole cost of an injector
// when nothing is wrong.
func (r *Registry) load() *table { return r.table.Load() }

// rebuild makes the table anew. r.mu is held.
func (r *Registry) rebuild() {
	if len(r.active) == 0 {
		r.table.Store(nil)
		return
	}
	t := &table{}
	for _, f := range r.active {
		t.scoped = t.scoped || f.spec.Scope != ""
		add := func(l *[]*fault, acts bool) {
			if acts {
				*l = append(*l, f)
			}
		}
		add(&t.conn, f.b.conn != nil)
		add(&t.tls, f.b.tls != nil)
		add(&t.request, f.b.request != nil)
		add(&t.http, f.b.http != nil)
		add(&t.api, f.b.api != nil)
		add(&t.dial, f.b.dial != nil)
		add(&t.hook, f.b.hook != nil)
		add(&t.probe, f.b.probe != nil || f.b.look != nil)
		add(&t.clock, f.b.clock != nil)
	}
	r.table.Store(t)
}

// note queues a change for OnChange. r.mu is held.
func (r *Registry) note(e Event, f *fault) {
	if r.opts.OnChange != nil {
		r.changes = append(r.changes, Change{Event: e, Fault: f.status()})
	}
}

// tell hands the queued changes to OnChange. Whoever comes first tells for
// all, so that calls never overlap and keep their order.
func (r *Registry) tell() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.telling {
		return
	}
	r.telling = true
	for len(r.changes) > 0 {
		c := r.changes[0]
		r.changes = r.changes[1:]
		r.mu.Unlock()
		r.opts.OnChange(c)
		r.mu.Lock()
	}
	r.telling = false
}
