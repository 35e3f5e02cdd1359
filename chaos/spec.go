package chaos

import (
	"errors"
	"fmt"
	"time"
)

const (
	// MaxLease bounds a fault's whole life, renewals included. It is compiled
	// in so that no configuration and no request can lift it.
	MaxLease = 15 * time.Minute
	// DefaultLease is the lease of a Spec without For.
	DefaultLease = time.Minute
)

// Kind names a fault in the catalogue, such as "tls.expired".
type Kind string

// Spec describes a fault to inject. The zero value of every field but Kind is
// a sensible default.
type Spec struct {
	Kind Kind `json:"kind"`
	// Scope keeps the fault to the injectors of a [Scope] with that name; empty means
	// all of them.
	Scope string `json:"scope,omitempty"`
	// For is the length of the lease, at most MaxLease; 0 means DefaultLease.
	For time.Duration `json:"for,omitempty"`
	// Most bounds the fault's whole life, renewals included, at least For; 0 means
	// MaxLease. Whoever renews it can't lift it.
	Most time.Duration `json:"most,omitempty"`
	// Share is the part of the units that is hit, in (0, 1]; 0 means all.
	Share float64 `json:"share,omitempty"`
	// Count is how many units are hit before the fault goes quiet; 0 means no
	// limit. A quiet fault stays listed until its lease ends.
	Count int `json:"count,omitempty"`
	// Delay is how long the fault makes a unit wait; what 0 means is the kind's
	// to say. Kinds that don't wait refuse it.
	Delay time.Duration `json:"delay,omitempty"`
	// Seed seeds the draws for Share.
	Seed uint64 `json:"seed,omitempty"`
	// Params are the kind's own parameters, see Info.Params.
	Params map[string]string `json:"params,omitempty"`
}

// Errors of Inject and Renew. Their texts say what to do.
var (
	// ErrDisabled: the process runs without chaos.
	ErrDisabled = errors.New("chaos: faults are disabled in this process; set chaos.enabled: true and restart to allow them")
	// ErrDestructive: the kind kills, and that was not allowed.
	ErrDestructive = errors.New("chaos: this fault is destructive; set chaos.destructive: true and restart to allow it")
	// ErrUnknownKind: there is no such kind.
	ErrUnknownKind = errors.New("chaos: no such fault; the catalogue lists them all")
	// ErrSpec: the Spec has a value that is out of range or means nothing.
	ErrSpec = errors.New("chaos: the fault's specification is wrong")
	// ErrEnded: the lease is over and can't be renewed; inject again.
	ErrEnded = errors.New("chaos: the fault's lease is over; inject it again")
	// ErrClosed: the registry was closed.
	ErrClosed = errors.New("chaos: the registry is closed")
)

// Injected is the error that a fault causes. It wraps the error that the real
// thing would have returned, so that errors.Is and errors.As see no difference.
type Injected struct {
	Kind Kind
	Err  error
}

// Error implements error.
func (e *Injected) Error() string { return fmt.Sprintf("%v (injected by %s)", e.Err, e.Kind) }

// Unwrap returns the error that the real thing would have returned.
func (e *Injected) Unwrap() error { return e.Err }

// Timeout and Temporary make an Injected a net.Error as far as what it wraps
// is one.
func (e *Injected) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// Temporary is there for net.Error.
func (e *Injected) Temporary() bool {
	var t interface{ Temporary() bool }
	return errors.As(e.Err, &t) && t.Temporary()
}

// normal fills in the defaults and checks what doesn't depend on the kind.
func (s Spec) normal(k kind) (Spec, error) {
	if s.For == 0 {
		s.For = DefaultLease
	}
	if s.Most == 0 {
		s.Most = MaxLease
	}
	if s.Share == 0 {
		s.Share = 1
	}
	switch {
	case s.For < 0 || s.For > MaxLease:
		return s, specErr(s.Kind, "for is %v, must be above 0 and at most %v", s.For, MaxLease)
	case s.Most < s.For || s.Most > MaxLease:
		return s, specErr(s.Kind, "most is %v, must be at least the %v of for and at most %v", s.Most, s.For, MaxLease)
	case !(s.Share > 0 && s.Share <= 1): // also NaN
		return s, specErr(s.Kind, "share is %v, must be above 0 and at most 1", s.Share)
	case s.Count < 0:
		return s, specErr(s.Kind, "count is %d, must not be negative", s.Count)
	case s.Delay < 0:
		return s, specErr(s.Kind, "delay is %v, must not be negative", s.Delay)
	case s.Delay > 0 && k.Delay == "":
		return s, specErr(s.Kind, "this fault takes no delay")
	case k.Whole && (s.Share < 1 || s.Count > 0):
		return s, specErr(s.Kind, "this fault is all or nothing: it takes no share and no count")
	}
	return s, nil
}

func specErr(k Kind, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrSpec, k, fmt.Sprintf(format, args...))
}
