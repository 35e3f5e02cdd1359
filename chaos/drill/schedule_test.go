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

func TestOverdue(t *testing.T) {
	s := Schedule{Cron: "0 9 * * *"}
	last := time.Date(2026, 1, 1, 9, 0, 5, 0, time.UTC)
	due := time.Date(2026, 1, 2, 9, 0, 0, 0, time.UTC)
	if at, ok := s.Overdue(last, due.Add(OverdueAfter)); ok {
		t.Errorf("overdue in time: %v", at)
	}
	if at, ok := s.Overdue(last, due.Add(OverdueAfter+1)); !ok || !at.Equal(due) {
		t.Errorf("%v %v", at, ok)
	}
}

// TestYear runs a year of quarterly drills in a running host, across two changes
// of the clocks, with a restart and a halt in between.
func TestYear(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	synctest.Test(t, func(t *testing.T) {
		h := newHost() // the bubble begins on 2000-01-01
		s := &memStore{}
		e := plan(t, expectPolling)
		options := func(o *Options) {
			o.Schedules = []Schedule{
				{Experiment: "test", Cron: "30 10 * 1,4,7,10 TUE#1", Zone: berlin},
				{Experiment: "other", Cron: "30 10 * 1,4,7,10 TUE#1", Zone: berlin, Jitter: time.Second},
			}
			o.Policy.Windows = []Window{{Days: []time.Weekday{time.Tuesday}, From: 10 * time.Hour, To: 11 * time.Hour, Zone: berlin}}
			o.Lookup = func(name string) (*Experiment, error) { c := *e; c.Name = name; return &c, nil }
		}
		run := func(d *Drills, until time.Time) {
			ctx, cancel := contextUntil(until)
			defer cancel()
			d.Run(ctx)
		}
		d := office(t, h, s, options)
		run(d, time.Date(2000, 6, 30, 0, 0, 0, 0, time.UTC))
		// The host is down for the third quarter's drill: it is not caught up.
		time.Sleep(time.Until(time.Date(2000, 7, 20, 0, 0, 0, 0, time.UTC)))
		d = office(t, h, s, options)
		plans, err := d.Plans(t.Context(), time.Now())
		if err != nil || len(plans) != 2 || plans[0].OverdueSince.IsZero() {
			t.Fatalf("%v, %+v", err, plans)
		}
		if got := plans[0].OverdueSince.In(berlin).Format(time.RFC3339); got != "2000-07-04T10:30:00+02:00" {
			t.Errorf("overdue since %s", got)
		}
		run(d, time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC))
		js, err := d.Journals(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, j := range js {
			if j.Outcome != Held || j.Trigger != TriggerSchedule || j.Who.User != "schedule" || j.Planned.IsZero() {
				t.Errorf("%s %s %+v %q", j.ID, j.Outcome, j.Who, j.Reasons)
			}
			got = append(got, j.Experiment.Name+" "+j.Start.In(berlin).Truncate(time.Minute).Format(time.RFC3339))
		}
		want := []string{"test 2000-01-04T10:30:00+01:00", "other 2000-01-04T10:32:00+01:00", "test 2000-04-04T10:30:00+02:00", "other 2000-04-04T10:32:00+02:00",
			"test 2000-10-03T10:30:00+02:00", "other 2000-10-03T10:32:00+02:00"}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if plans, _ = d.Plans(t.Context(), time.Now()); !plans[0].OverdueSince.IsZero() || plans[0].LastOutcome != Held {
			t.Errorf("%+v", plans[0])
		}
		records, _ := s.List(t.Context())
		if _, err := Verify(records, ""); err != nil {
			t.Error(err)
		}
		_ = h.reg.Close()
	})
}
