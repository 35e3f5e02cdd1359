package drill

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestNext: when a schedule is due, by the clocks of its zone.
func TestNext(t *testing.T) {
	berlin, sydney, saoPaulo := zone(t, "Europe/Berlin"), zone(t, "Australia/Sydney"), zone(t, "America/Sao_Paulo")
	for name, c := range map[string]struct {
		s     Schedule
		after time.Time
		want  []string
	}{
		"quarterly in Berlin": {Schedule{Cron: "30 10 * 1,4,7,10 TUE#1", Zone: berlin}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
			[]string{"2026-01-06T10:30:00+01:00", "2026-04-07T10:30:00+02:00", "2026-07-07T10:30:00+02:00", "2026-10-06T10:30:00+02:00", "2027-01-05T10:30:00+01:00"}},
		"quarterly in Sydney": {Schedule{Cron: "0 9 1 */3 *", Zone: sydney}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
			[]string{"2026-04-01T09:00:00+11:00", "2026-07-01T09:00:00+10:00", "2026-10-01T09:00:00+10:00", "2027-01-01T09:00:00+11:00"}},
		"a time that is skipped": {Schedule{Cron: "30 2 * * *", Zone: berlin}, time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC),
			[]string{"2026-03-28T02:30:00+01:00", "2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"}},
		"a time that comes twice": {Schedule{Cron: "30 2 * * *", Zone: berlin}, time.Date(2026, 10, 24, 12, 0, 0, 0, time.UTC),
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"}},
		"asked in the second of the two": {Schedule{Cron: "30,50 2 * * *", Zone: berlin}, time.Date(2026, 10, 25, 1, 20, 0, 0, time.UTC),
			[]string{"2026-10-26T02:30:00+01:00"}},
		"a midnight that is skipped": {Schedule{Cron: "0 0 * * *", Zone: saoPaulo}, time.Date(2018, 11, 3, 12, 0, 0, 0, time.UTC),
			[]string{"2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"}},
		"a leap day": {Schedule{Cron: "0 12 29 2 *"}, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), []string{"2028-02-29T12:00:00Z"}},
		"last day":   {Schedule{Cron: "0 12 L * *"}, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), []string{"2026-02-28T12:00:00Z", "2026-03-31T12:00:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			at := c.after
			for _, want := range c.want {
				d, ok := c.s.Next(at)
				if !ok || d.Planned.Format(time.RFC3339) != want || !d.At.Equal(d.Planned) {
					t.Fatalf("after %v: %v %v, want %s", at, d, ok, want)
				}
				at = d.Planned
			}
		})
	}
}

// TestNextOnce: over ten years, a daily time in the hour of the change is due
// once a day whatever the moment of asking.
func TestNextOnce(t *testing.T) {
	s := Schedule{Cron: "30 2 * * *", Zone: zone(t, "Europe/Berlin")}
	at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 3650 {
		d, _ := s.Next(at)
		if gap := d.Planned.Sub(at); gap <= 0 || gap > 25*time.Hour {
			t.Fatalf("after %v comes %v", at, d.Planned)
		}
		if again, _ := s.Next(d.Planned.Add(-time.Second)); !again.Planned.Equal(d.Planned) {
			t.Fatalf("%v is %v a second before", d.Planned, again.Planned)
		}
		at = d.Planned
	}
}

func TestScheduleCheck(t *testing.T) {
	for _, bad := range []Schedule{{}, {Cron: "* * * *"}, {Cron: "* * * * * *"}, {Cron: "61 * * * *"}, {Cron: "0 0 30 2 *"}, {Cron: "TZ=UTC 0 0 * * *"},
		{Cron: "a b c d e"}, {Cron: "0 0 * * *", Jitter: -1}, {Cron: "0 0 * * *", Jitter: day}, {Cron: "@daily"}, {Cron: "0 0 * * TUE#9"}} {
		if bad.Check() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
	if err := (Schedule{Cron: "30 10 * 1,4,7,10 TUE#1", Jitter: time.Hour}).Check(); err != nil {
		t.Error(err)
	}
}

func TestJitter(t *testing.T) {
	s := Schedule{Cron: "0 9 * * *", Jitter: 20 * time.Minute, Seed: 7}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	seen := map[time.Duration]bool{}
	for range 100 {
		d, _ := s.Next(at)
		late := d.At.Sub(d.Planned)
		if again, _ := s.Next(at.Add(time.Minute)); again != d || late < 0 || late > s.Jitter {
			t.Fatalf("%v, %v", d, again)
		}
		seen[late] = true
		at = d.Planned
	}
	if len(seen) < 80 {
		t.Errorf("only %d different", len(seen))
	}
}

func TestMissed(t *testing.T) {
	s := Schedule{Cron: "0 9 * * *"}
	last := time.Date(2026, 1, 1, 9, 0, 5, 0, time.UTC)
	due := time.Date(2026, 1, 2, 9, 0, 0, 0, time.UTC)
	if at, ok := s.Missed(last, due.Add(OverdueAfter)); ok {
		t.Errorf("missed in time: %v", at)
	}
	if at, ok := s.Missed(last, due.Add(OverdueAfter+1)); !ok || !at.Equal(due) {
		t.Errorf("%v %v", at, ok)
	}
}

// TestOverdue: one run without a success is no reason to be called, the second
// in a row is, by the schedule's own periods.
func TestOverdue(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	for name, c := range map[string]struct {
		s       Schedule
		success time.Time
		want    time.Time // when the second run is due
	}{
		"daily":     {Schedule{Cron: "0 9 * * *"}, time.Date(2026, 1, 1, 9, 0, 5, 0, time.UTC), time.Date(2026, 1, 3, 9, 0, 0, 0, time.UTC)},
		"quarterly": {Schedule{Cron: "30 10 * 1,4,7,10 TUE#1", Zone: berlin}, time.Date(2026, 1, 6, 9, 30, 5, 0, time.UTC), time.Date(2026, 7, 7, 8, 30, 0, 0, time.UTC)},
		"uneven":    {Schedule{Cron: "0 0 1,2 * *"}, time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC), time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if at, ok := c.s.Overdue(c.success, c.want.Add(OverdueAfter)); ok {
			t.Errorf("%s: overdue in time: %v", name, at)
		}
		if at, ok := c.s.Overdue(c.success, c.want.Add(OverdueAfter+1)); !ok || !at.Equal(c.want) {
			t.Errorf("%s: %v %v", name, at, ok)
		}
	}
}

// TestYear runs a year of quarterly drills in a running host, across two changes
// of the clocks. The host is restarted in mid-jitter, is down when the third
// quarter's drill is due, and is halted at the fourth's.
func TestYear(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	synctest.Test(t, func(t *testing.T) {
		h := newHost() // the bubble begins on 2000-01-01
		s := &memStore{}
		e := plan(t, expectPolling)
		const jitter = 20 * time.Minute
		options := func(o *Options) {
			o.Schedules = []Schedule{
				{Experiment: "test", Cron: "30 10 * 1,4,7,10 TUE#1", Zone: berlin},
				{Experiment: "other", Cron: "30 10 * 1,4,7,10 TUE#1", Zone: berlin, Jitter: time.Second},
				{Experiment: "late", Cron: "0 14 * 1,4,7,10 WED#1", Zone: berlin, Jitter: jitter},
			}
			o.Policy.Windows = []Window{{Days: []time.Weekday{time.Tuesday}, From: 10 * time.Hour, To: 11 * time.Hour, Zone: berlin},
				{Days: []time.Weekday{time.Wednesday}, From: 14 * time.Hour, To: 15 * time.Hour, Zone: berlin}}
			o.Lookup = func(name string) (*Experiment, error) { c := *e; c.Name = name; return &c, nil }
		}
		run := func(d *Drills, until time.Time) {
			ctx, cancel := contextUntil(until)
			defer cancel()
			d.Run(ctx)
		}
		day := func(m time.Month, d, hour, minute int) time.Time {
			return time.Date(2000, m, d, hour, minute, 0, 0, berlin)
		}
		d := office(t, h, s, options)
		coming := d.Plans(day(1, 1, 12, 0))[2].Next.At
		if put := coming.Sub(day(1, 5, 14, 0)); put < 2*time.Second || put > jitter {
			t.Fatalf("put off by %v", put)
		}
		// It goes down a second after the planned time, and is back before the drawn one.
		run(d, day(1, 5, 14, 0).Add(time.Second))
		d = office(t, h, s, options)
		if again := d.Plans(time.Now())[2].Next.At; !again.Equal(coming) {
			t.Errorf("after the restart it comes at %v, and was to at %v", again, coming)
		}
		run(d, day(6, 30, 0, 0))
		time.Sleep(time.Until(day(7, 20, 0, 0)))
		d = office(t, h, s, options)
		plans := d.Plans(time.Now())
		if got := plans[0].MissedSince.In(berlin).Format(time.RFC3339); got != "2000-07-04T10:30:00+02:00" {
			t.Errorf("missed since %s", got)
		}
		if !plans[0].OverdueSince.IsZero() {
			t.Errorf("one missed run is overdue: %+v", plans[0])
		}
		run(d, day(10, 3, 0, 0))
		if err := d.Halt(t.Context(), Who{User: "ann", Reason: "no time"}); err != nil {
			t.Fatal(err)
		}
		run(d, day(10, 3, 11, 29))
		if p := d.Plans(time.Now())[0]; !p.OverdueSince.IsZero() {
			t.Errorf("overdue within the hour: %+v", p)
		}
		run(d, day(10, 3, 12, 0))
		if p := d.Plans(time.Now())[0]; !p.OverdueSince.Equal(day(10, 3, 10, 30)) || p.LastOutcome != NotStarted || !p.LastSuccess.Equal(day(4, 4, 10, 30)) {
			t.Errorf("after two quarters: %+v", p)
		}
		if p := d.Plans(time.Now())[2]; !p.OverdueSince.IsZero() {
			t.Errorf("its second is tomorrow: %+v", p)
		}
		d = office(t, h, s, options) // a restart lifts neither
		if p := d.Plans(time.Now())[0]; !p.OverdueSince.Equal(day(10, 3, 10, 30)) || d.Halted() == nil {
			t.Errorf("after a restart: %+v", p)
		}
		if err := d.Resume(t.Context(), Who{User: "ann", Reason: "time"}); err != nil {
			t.Fatal(err)
		}
		run(d, day(12, 31, 0, 0))
		run(d, day(1, 1, 0, 0).AddDate(1, 0, 0))
		js, err := d.Journals(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, j := range js {
			if j.Trigger != TriggerSchedule || j.Who.User != "schedule" || j.Planned.IsZero() {
				t.Errorf("%s %s %+v %q", j.ID, j.Outcome, j.Who, j.Reasons)
			}
			at := j.Start
			if j.Experiment.Name == "late" {
				due, _ := d.o.Schedules[2].Next(j.Planned.Add(-time.Second))
				if at.Before(due.At) || at.Sub(due.At) > time.Second || !due.Planned.Equal(j.Planned) || due.At.Sub(due.Planned) > jitter {
					t.Errorf("%s began at %v, drawn was %v", j.ID, at, due)
				}
				at = j.Planned
			}
			got = append(got, j.Experiment.Name+" "+at.In(berlin).Truncate(time.Minute).Format(time.RFC3339)+" "+string(j.Outcome))
		}
		want := []string{
			"test 2000-01-04T10:30:00+01:00 held", "other 2000-01-04T10:32:00+01:00 held", "late 2000-01-05T14:00:00+01:00 held",
			"test 2000-04-04T10:30:00+02:00 held", "other 2000-04-04T10:32:00+02:00 held", "late 2000-04-05T14:00:00+02:00 held",
			"test 2000-10-03T10:30:00+02:00 not_started", "other 2000-10-03T10:30:00+02:00 not_started", "late 2000-10-04T14:00:00+02:00 held",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if p := d.Plans(time.Now())[2]; !p.OverdueSince.IsZero() || !p.MissedSince.IsZero() || p.LastOutcome != Held {
			t.Errorf("%+v", p)
		}
		records, _ := s.List(t.Context())
		if _, err := Verify(records, ""); err != nil {
			t.Error(err)
		}
		_ = h.reg.Close()
	})
}

// TestStanding: since when a schedule has been in force outlives restarts, also
// where an experiment has several.
func TestStanding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s, e := newHost(), &memStore{}, plan(t, expectPolling)
		options := func(o *Options) {
			o.Schedules = []Schedule{{Experiment: "test", Cron: "0 9 * * *"}, {Experiment: "test", Cron: "0 21 * * *"}}
			o.Lookup = func(string) (*Experiment, error) { return e, nil }
		}
		began := time.Now()
		office(t, h, s, options)
		for range 3 {
			time.Sleep(24 * time.Hour)
			for _, p := range office(t, h, s, options).Plans(time.Now()) {
				if !p.InForce.Equal(began) {
					t.Errorf("in force since %v", p.InForce)
				}
			}
		}
		if records, _ := s.List(t.Context()); len(records) != 2 {
			t.Errorf("%d records", len(records))
		}
		for _, p := range office(t, h, s, options).Plans(time.Now()) {
			if p.OverdueSince.IsZero() || !p.LastSuccess.IsZero() {
				t.Errorf("never run for three days: %+v", p)
			}
		}
		_ = h.reg.Close()
	})
}
