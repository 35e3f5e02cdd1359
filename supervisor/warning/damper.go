package warning

import (
	"cmp"
	"slices"
	"time"
)

// DampWindow is the time within which one warning of one bot makes at most two
// changes worth keeping: it is raised, and it is over. What flaps more often is
// told as often as that, with a count.
const DampWindow = 5 * time.Minute

// Change is a warning that was raised or is over.
type Change struct {
	Active
	Raised bool
	// At is when that was; Lasted, of one that is over, for how long it was up.
	At     time.Time
	Lasted time.Duration
	// Missed counts the changes of the same warning since the one told before that
	// were left out.
	Missed int
}

// Damper keeps a warning that flaps from filling a journal, and never leaves the
// journal with a wrong last word: what was held back is told once the window
// allows it. The zero value is ready; it is used by one goroutine.
type Damper struct{ of map[key]*damped }

type damped struct {
	up      time.Time    // since when it is raised
	last    [2]time.Time // of the last two changes told, the older first
	pending *Change
	missed  int
}

// Update takes in what [Log.Update] said, and returns what is to be told now, in
// the order of their times. It is called also when nothing is new.
func (d *Damper) Update(raised, cleared []Active, now time.Time) []Change {
	if d.of == nil {
		d.of = map[key]*damped{}
	}
	for _, a := range cleared {
		x := d.at(a.key())
		c := Change{Active: a, At: now}
		if !x.up.IsZero() {
			c.Lasted = now.Sub(x.up)
		}
		x.up = time.Time{}
		x.push(c)
	}
	for _, a := range raised {
		x := d.at(a.key())
		if x.up.IsZero() {
			x.up = now
		}
		x.push(Change{Active: a, Raised: true, At: now})
	}
	var out []Change
	for k, x := range d.of {
		if x.pending != nil && (x.last[0].IsZero() || now.Sub(x.last[0]) >= DampWindow) {
			c := *x.pending
			c.Missed = x.missed
			out = append(out, c)
			x.pending, x.missed = nil, 0
			x.last = [2]time.Time{x.last[1], now}
		}
		if x.pending == nil && x.up.IsZero() && now.Sub(x.last[1]) >= DampWindow {
			delete(d.of, k)
		}
	}
	slices.SortFunc(out, func(a, b Change) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(index[a.Code], index[b.Code]), cmp.Compare(a.Bot, b.Bot))
	})
	return out
}

func (d *Damper) at(k key) *damped {
	x := d.of[k]
	if x == nil {
		x = &damped{}
		d.of[k] = x
	}
	return x
}

func (x *damped) push(c Change) {
	if x.pending != nil {
		x.missed++
	}
	x.pending = &c
}
