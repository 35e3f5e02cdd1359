package drill

import (
	"slices"
	"testing"
	"time"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// healthy is a situation in which a drill may begin.
func healthy(now time.Time) Situation {
	return Situation{
		Experiment: &Experiment{Name: "x", Hypothesis: Hypothesis{Hold: Duration(10 * time.Second)}, Method: []Action{{Fault: "tls.expired", For: Duration(90 * time.Second)}}},
		Facts:      Facts{At: now, Started: now.Add(-time.Hour), Mode: "webhook", StandbyReady: true},
	}
}

func TestPolicy(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	tue := time.Date(2026, 3, 3, 10, 30, 0, 0, berlin)
	office := Policy{Enabled: true, MinInterval: 6 * day,
		Windows: []Window{{Days: []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday}, From: 9 * time.Hour, To: 15 * time.Hour, Zone: berlin}},
		Freezes: []Freeze{{From: Date{2026, 12, 20}, To: Date{2027, 1, 6}, Zone: berlin, Reason: "year's end"}}}
	for name, c := range map[string]struct {
		now    time.Time
		policy func(*Policy)
		change func(*Situation)
		want   []RefusalCode
	}{
		"fine":                       {},
		"zero policy":                {policy: func(p *Policy) { *p = Policy{} }, want: []RefusalCode{RefusedDisabled}},
		"halted":                     {change: func(s *Situation) { s.Halt = &Halt{} }, want: []RefusalCode{RefusedHalted}},
		"running":                    {change: func(s *Situation) { s.Running = "id" }, want: []RefusalCode{RefusedRunning}},
		"too early":                  {now: time.Date(2026, 3, 3, 8, 59, 59, 0, berlin), want: []RefusalCode{RefusedWindow}},
		"on the dot":                 {now: time.Date(2026, 3, 3, 9, 0, 0, 0, berlin)},
		"fits to the second":         {now: time.Date(2026, 3, 3, 14, 58, 20, 0, berlin)},
		"doesn't fit":                {now: time.Date(2026, 3, 3, 14, 58, 21, 0, berlin), want: []RefusalCode{RefusedWindow}},
		"friday":                     {now: time.Date(2026, 3, 6, 10, 0, 0, 0, berlin), want: []RefusalCode{RefusedWindow}},
		"summer time":                {now: time.Date(2026, 3, 30, 7, 0, 0, 0, time.UTC)},
		"winter time":                {now: time.Date(2026, 3, 26, 7, 0, 0, 0, time.UTC), want: []RefusalCode{RefusedWindow}},
		"frozen first day":           {now: time.Date(2026, 12, 21, 10, 0, 0, 0, berlin), want: []RefusalCode{RefusedFreeze}},
		"frozen last day":            {now: time.Date(2027, 1, 6, 14, 0, 0, 0, berlin), want: []RefusalCode{RefusedFreeze}},
		"thawed":                     {now: time.Date(2027, 1, 7, 9, 0, 0, 0, berlin)},
		"too soon":                   {change: func(s *Situation) { s.LastRun = tue.Add(-6*day + time.Second) }, want: []RefusalCode{RefusedInterval}},
		"soon enough":                {change: func(s *Situation) { s.LastRun = tue.Add(-6 * day) }},
		"a run in the far future":    {change: func(s *Situation) { s.LastRun = tue.Add(400 * day) }},
		"polling":                    {change: func(s *Situation) { s.Facts.Mode = "polling" }, want: []RefusalCode{RefusedMode}},
		"trial":                      {change: func(s *Situation) { s.Facts.Trial = true }, want: []RefusalCode{RefusedMode}},
		"signal":                     {change: func(s *Situation) { s.Facts.Signals = []string{"stall"} }, want: []RefusalCode{RefusedSignal}},
		"critical":                   {change: func(s *Situation) { s.Facts.Critical = []string{"bot_down"} }, want: []RefusalCode{RefusedIncident}},
		"failed back 9m59s ago":      {change: func(s *Situation) { s.Facts.IncidentAt = tue.Add(-10*time.Minute + 1) }, want: []RefusalCode{RefusedIncident}},
		"failed back 10m ago":        {change: func(s *Situation) { s.Facts.IncidentAt = tue.Add(-10 * time.Minute) }},
		"somebody else's fault":      {change: func(s *Situation) { s.Facts.Faults = []string{"http.slow"} }, want: []RefusalCode{RefusedBroken}},
		"made too long":              {change: func(s *Situation) { s.Experiment = s.Experiment.with(0, maxLength+1) }, want: []RefusalCode{RefusedLength}},
		"held":                       {change: func(s *Situation) { s.Facts.Held = true }, want: []RefusalCode{RefusedAutomation}},
		"telegram error 9m59s":       {change: func(s *Situation) { s.Facts.TelegramErrorAt = tue.Add(-10*time.Minute + 1) }, want: []RefusalCode{RefusedTelegram}},
		"telegram error 10m":         {change: func(s *Situation) { s.Facts.TelegramErrorAt = tue.Add(-10 * time.Minute) }},
		"started 29m59s":             {change: func(s *Situation) { s.Facts.Started = tue.Add(-30*time.Minute + 1) }, want: []RefusalCode{RefusedStart}},
		"started 30m":                {change: func(s *Situation) { s.Facts.Started = tue.Add(-30 * time.Minute) }},
		"no quiet time":              {policy: func(p *Policy) { p.QuietAfterStart = -1 }, change: func(s *Situation) { s.Facts.Started = tue }},
		"standby":                    {change: func(s *Situation) { s.Facts.StandbyReady = false }, want: []RefusalCode{RefusedStandby}},
		"scheduled crash":            {change: func(s *Situation) { s.Scheduled, s.Experiment.Method[0].Fault = true, "crash.at" }, want: []RefusalCode{RefusedUnsafe}},
		"crash by hand":              {change: func(s *Situation) { s.Experiment.Method[0].Fault = "crash.at" }},
		"scheduled crash, simulator": {change: func(s *Situation) { s.Scheduled, s.Simulated, s.Experiment.Method[0].Fault = true, true, "crash.at" }},
		"all at once": {now: time.Date(2026, 12, 25, 3, 0, 0, 0, berlin), change: func(s *Situation) { s.Facts = Facts{} },
			want: []RefusalCode{RefusedWindow, RefusedFreeze, RefusedMode, RefusedStandby}},
	} {
		t.Run(name, func(t *testing.T) {
			now := c.now
			if now.IsZero() {
				now = tue
			}
			p, s := office, healthy(now)
			if c.policy != nil {
				c.policy(&p)
			}
			if c.change != nil {
				c.change(&s)
			}
			var got []RefusalCode
			for _, r := range p.Check(now, s) {
				got = append(got, r.Code)
				if r.Text == "" {
					t.Errorf("%s without a text", r.Code)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestWindowClockChange: on the day of a change of the clocks a window begins
// and ends when the clocks say so.
func TestWindowClockChange(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	w := Window{From: time.Hour, To: 4 * time.Hour, Zone: berlin}
	at := func(hour int, month time.Month, dayOf int) time.Time { // in UTC
		return time.Date(2026, month, dayOf, hour, 0, 0, 0, time.UTC)
	}
	for _, c := range []struct {
		now  time.Time
		want bool
	}{
		{at(0, 3, 29), true}, {at(1, 3, 29), true}, {at(2, 3, 29), false}, // 02:00 to 03:00 is left out: 01:00 UTC is 03:00
		{at(-1, 10, 25), true}, {at(0, 10, 25), true}, {at(1, 10, 25), true}, {at(2, 10, 25), true}, {at(3, 10, 25), false}, // 02:00 comes twice
	} {
		if got := w.holds(c.now, c.now.Add(time.Minute)); got != c.want {
			t.Errorf("%v (%v): %v", c.now, c.now.In(berlin), got)
		}
	}
	if w.holds(at(0, 3, 29), at(0, 3, 30)) {
		t.Error("a day fits into three hours")
	}
	for _, bad := range []Window{{}, {From: 5, To: 5}, {From: 6, To: 5}, {To: 25 * time.Hour}, {From: -1, To: 5}} {
		if bad.Check() == nil {
			t.Errorf("%v passes", bad)
		}
	}
}
