package drill

import (
	"testing"
	"time"
)

func TestFit(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	office := Window{Days: []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday}, From: 9 * time.Hour, To: 15 * time.Hour, Zone: berlin}
	e := plan(t, expectPolling) // takes a minute
	for name, c := range map[string]struct {
		p     Policy
		s     Schedule
		never bool
		late  bool
		gap   time.Duration
	}{
		"no windows": {Policy{}, Schedule{Cron: "0 3 * * SUN"}, false, false, 7 * 24 * time.Hour},
		"inside":     {Policy{Windows: []Window{office}}, Schedule{Cron: "30 10 * * TUE", Zone: berlin, Jitter: time.Hour}, false, false, 7*24*time.Hour - time.Hour},
		"on another day": {Policy{Windows: []Window{office}}, Schedule{Cron: "30 10 * * FRI", Zone: berlin}, true, false,
			7*24*time.Hour - time.Hour},
		"at night, by the clocks of its zone": {Policy{Windows: []Window{office}}, Schedule{Cron: "0 14 * * TUE", Zone: zone(t, "America/New_York")}, true, false, 7*24*time.Hour - time.Hour},
		"too late for its length":             {Policy{Windows: []Window{office}}, Schedule{Cron: "59 14 * * TUE", Zone: berlin}, true, false, 7*24*time.Hour - time.Hour},
		"with its jitter too late":            {Policy{Windows: []Window{office}}, Schedule{Cron: "50 14 * * TUE", Zone: berlin, Jitter: 20 * time.Minute}, false, true, 7*24*time.Hour - time.Hour},
		"with its jitter only":                {Policy{Windows: []Window{office}}, Schedule{Cron: "50 8 * * TUE", Zone: berlin, Jitter: 20 * time.Minute}, false, false, 7*24*time.Hour - time.Hour},
		"frozen":                              {Policy{Freezes: []Freeze{{From: Date{2026, 12, 1}, To: Date{2026, 12, 31}}, {From: Date{2027, 12, 1}, To: Date{2027, 12, 31}}}}, Schedule{Cron: "0 12 24 12 *"}, true, false, 365 * 24 * time.Hour},
		"frozen once":                         {Policy{Freezes: []Freeze{{From: Date{2026, 12, 1}, To: Date{2026, 12, 31}}}}, Schedule{Cron: "0 12 24 12 *"}, false, false, 365 * 24 * time.Hour},
		"each minute":                         {Policy{Windows: []Window{office}}, Schedule{Cron: "* * * * *"}, false, false, time.Minute},
		"daily, over a change of the clocks":  {Policy{}, Schedule{Cron: "0 9 * * *", Zone: berlin}, false, false, 23 * time.Hour},
	} {
		got := c.p.Fit(c.s, e, from)
		if got.Never != c.never || got.Late.IsZero() == c.late || got.Gap != c.gap {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
