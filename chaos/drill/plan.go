package drill

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"dualgram/chaos"
)

// deed is one thing that the method does at a time after its beginning.
type deed struct {
	at     time.Duration
	action int
	inject bool // else remove
}

// deeds lays the method out in time. Removals come before injections of the
// same time, so that a fault that follows another doesn't meet it.
func (e *Experiment) deeds() []deed {
	var out []deed
	var at time.Duration
	for i, a := range e.Method {
		at += a.Pauses.Before.D()
		if a.Fault != "" {
			out = append(out, deed{at, i, true}, deed{at + a.For.D(), i, false})
		}
		if !a.Background {
			at += a.For.D()
		}
		at += a.Pauses.After.D()
	}
	slices.SortStableFunc(out, func(a, b deed) int {
		switch {
		case a.at != b.at:
			return int(min(max(a.at-b.at, -1), 1))
		case a.inject == b.inject:
			return 0
		case b.inject:
			return -1
		default:
			return 1
		}
	})
	return out
}

// Lasting returns a copy in which each fault lasts so long. The error says that it is
// too short for something to be judged.
func (e *Experiment) Lasting(d time.Duration) (*Experiment, error) {
	c := e.with(0, d)
	for _, p := range c.Hypothesis.Probes {
		if n := c.Length(); slices.Contains(p.Phase, During) && p.Within.D() >= n {
			return nil, fmt.Errorf("drill: %s is judged from %s on, and the method would take %s: choose a longer time", p.Name, p.Within, Duration(n))
		}
	}
	return c, nil
}

// with returns a copy whose faults have another share or length, where given.
func (e *Experiment) with(share float64, length time.Duration) *Experiment {
	c := *e
	c.Method = slices.Clone(e.Method)
	for i := range c.Method {
		if a := &c.Method[i]; a.Fault != "" {
			if share != 0 {
				a.Share = share
			}
			if length != 0 {
				a.For = Duration(length)
			}
		}
	}
	return &c
}

// redacted returns a copy without the values of secret parameters, as it goes
// on record.
func (e *Experiment) redacted() *Experiment {
	c := *e
	c.Method = slices.Clone(e.Method)
	for i := range c.Method {
		a := &c.Method[i]
		a.Params = maps.Clone(a.Params)
		for _, k := range chaos.Kinds() {
			if k.Kind != a.Fault {
				continue
			}
			for _, p := range k.Params {
				if _, ok := a.Params[p.Name]; ok && p.Secret {
					a.Params[p.Name] = "[secret]"
				}
			}
		}
	}
	return &c
}
