package chaos

import "time"

// Clock returns now with the clock.* faults in it. It belongs where a process reads
// the wall clock to learn whether that was set. The leases of faults are judged by
// the true clock: a fault can't prolong its own.
func (s *Scope) Clock(now func() time.Time) func() time.Time {
	if !s.Enabled() {
		return now
	}
	s.attach(seamClock)
	return func() time.Time {
		at := now()
		if t := s.load(); t != nil {
			for _, f := range t.clock {
				if f.fire() {
					at = at.Add(f.b.clock.offset)
				}
			}
		}
		return at
	}
}

func clockOffset() kind {
	return kind{Info{
		Kind:  "clock.offset",
		Layer: "clock",
		Unit:  "look at the clock",
		Doc: "The wall clock is wrong, as after it was set or the host was suspended: it jumps when the fault begins and back when it ends, and dualgram " +
			"reads everything anew both times. Monotonic times, leases and schedules are untouched.",
		Params: []Param{{Name: "by", Doc: "how far it is ahead, or behind if negative: up to 8760h, such as 1h or -24h", Default: "1h"}},
		Whole:  true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		const most = 8760 * time.Hour
		d, err := time.ParseDuration(p.str("by"))
		if err != nil || d == 0 || d.Abs() > most {
			p.fail("by is %q, must be a time such as 1h or -24h, at most a year", p.str("by"))
		}
		return behaviour{clock: &clockRule{d}}, nil
	}}
}
