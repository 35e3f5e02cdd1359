package drill

import "time"

const (
	// fitAhead is how far ahead a schedule is held against windows and freezes: two
	// years have every change of the clocks and every day of the year.
	fitAhead = 2 * 366 * 24 * time.Hour
	// fitLooks bounds the work for a schedule that is due each minute.
	fitLooks = 4000
)

// Fit is how a schedule lies in a policy's calendar, two years ahead.
type Fit struct {
	// Never: none of its runs is inside a window and outside the freezes, so that
	// each would be refused.
	Never bool
	// Late is a planned time whose run fits as long as it isn't put off: with all of
	// the jitter it is refused. Zero if there is none.
	Late time.Time
	// Gap is the shortest time between two planned times; 0 if there is only one.
	Gap time.Duration
}

// Fit holds a schedule against windows and freezes, from a time on.
func (p Policy) Fit(s Schedule, e *Experiment, from time.Time) Fit {
	f := Fit{Never: len(p.Windows)+len(p.Freezes) > 0}
	fits := func(at time.Time) bool {
		ok := true
		p.checkTimes(at, Situation{Experiment: e}, func(RefusalCode, string, ...any) { ok = false })
		return ok
	}
	last, end := time.Time{}, from.Add(fitAhead)
	d, ok := s.Next(from)
	for looks := 0; ok && d.Planned.Before(end); looks++ {
		if looks == fitLooks {
			f.Never = false // who is due that often will fit some day
			break
		}
		if gap := d.Planned.Sub(last); !last.IsZero() && (f.Gap == 0 || gap < f.Gap) {
			f.Gap = gap
		}
		last = d.Planned
		early, late := fits(d.Planned), fits(d.Planned.Add(s.Jitter))
		if early || late {
			f.Never = false
		}
		if early && !late && f.Late.IsZero() {
			f.Late = d.Planned
		}
		d, ok = s.Next(d.Planned)
	}
	return f
}
