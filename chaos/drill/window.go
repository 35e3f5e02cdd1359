package drill

import (
	"fmt"
	"strings"
	"time"
)

// Window is a part of the week in which drills may run, by the clocks of a zone.
type Window struct {
	Days []time.Weekday // none means every day
	// From and To are times of the day as the clock shows them, since midnight; To
	// is later than From and at most 24 h.
	From, To time.Duration
	Zone     *time.Location // nil means UTC
}

const day = 24 * time.Hour

// Check says what is wrong with a window.
func (w Window) Check() error {
	if w.From < 0 || w.To > day || w.To <= w.From {
		return fmt.Errorf("a window from %s to %s: the second must be later, and at most 24:00; write two windows to span midnight", clock(w.From), clock(w.To))
	}
	return nil
}

// String is like "Mon, Tue 09:00-15:00 Europe/Berlin".
func (w Window) String() string {
	days := "daily"
	if len(w.Days) > 0 {
		names := make([]string, len(w.Days))
		for i, d := range w.Days {
			names[i] = d.String()[:3]
		}
		days = strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s %s-%s %s", days, clock(w.From), clock(w.To), zoneOf(w.Zone))
}

func clock(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60)
}

func zoneOf(z *time.Location) *time.Location {
	if z == nil {
		return time.UTC
	}
	return z
}

// holds says whether all of the time from start to end is inside. On the day of
// a change of the clocks a window is longer or shorter by it, as an office is.
func (w Window) holds(start, end time.Time) bool {
	s, e := wallClock(start, zoneOf(w.Zone)), wallClock(end, zoneOf(w.Zone))
	midnight := s.Truncate(day)
	if end.Sub(start) >= day || e.Before(midnight.Add(w.From)) || e.After(midnight.Add(w.To)) {
		return false
	}
	if s.Before(midnight.Add(w.From)) || !s.Before(midnight.Add(w.To)) {
		return false
	}
	if len(w.Days) == 0 {
		return true
	}
	for _, d := range w.Days {
		if d == s.Weekday() {
			return true
		}
	}
	return false
}

// Freeze is a range of days without drills, both ends included, by the calendar
// of a zone.
type Freeze struct {
	From, To Date
	Zone     *time.Location // nil means UTC
	Reason   string
}

// Date is a day of the calendar.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// ParseDate reads a day like 2026-12-24.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fmt.Errorf("%q is no day: write it like 2026-12-24", s)
	}
	return Date{t.Year(), t.Month(), t.Day()}, nil
}

// String is like 2026-12-24.
func (d Date) String() string { return d.wall().Format(time.DateOnly) }

// wall is the day's beginning on the wall clock.
func (d Date) wall() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

// Check says what is wrong with a freeze.
func (f Freeze) Check() error {
	if f.To.wall().Before(f.From.wall()) {
		return fmt.Errorf("a freeze from %s to %s ends before it begins", f.From, f.To)
	}
	return nil
}

// String is like "from 2026-12-20 to 2027-01-06 Europe/Berlin".
func (f Freeze) String() string {
	if f.From == f.To {
		return fmt.Sprintf("on %s %s", f.From, zoneOf(f.Zone))
	}
	return fmt.Sprintf("from %s to %s %s", f.From, f.To, zoneOf(f.Zone))
}

// touches says whether any of the time from start to end is on a frozen day.
func (f Freeze) touches(start, end time.Time) bool {
	s, e := wallClock(start, zoneOf(f.Zone)), wallClock(end, zoneOf(f.Zone))
	return !e.Before(f.From.wall()) && s.Before(f.To.wall().Add(day))
}
