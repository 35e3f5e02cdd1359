package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dualgram/chaos/drill"
	"dualgram/cmd/dualgram/config"
)

func TestParseWindow(t *testing.T) {
	for s, want := range map[string]string{
		"Mon-Fri 09:00-15:00 Europe/Berlin": "ok", "daily 00:00-24:00": "ok", "09:00-15:00": "ok", "Sat,Sun-Mon 01:00-02:00 UTC": "ok",
		"": "", "Mon": "", "Mon 9:00-15:00": "", "Mon 15:00-09:00": "", "Mon 09:00": "", "Foo 09:00-10:00": "", "Mon 09:00-10:00 Mars/Base": "",
		"Mon 09:00-25:00": "", "Mon 09:00-24:30": "", "Mon 09:00-10:00 UTC x": "",
	} {
		if _, err := parseWindow(s); (err == nil) != (want == "ok") {
			t.Errorf("%q: %v", s, err)
		}
	}
	w, err := parseWindow("Fri-Mon 09:00-15:30 Europe/Berlin")
	if err != nil || len(w.Days) != 4 || w.Days[0] != time.Friday || w.Days[3] != time.Monday || w.From != 9*time.Hour || w.To != 15*time.Hour+30*time.Minute || w.Zone.String() != "Europe/Berlin" {
		t.Errorf("%+v %v", w, err)
	}
}

func TestParseFreeze(t *testing.T) {
	f, err := parseFreeze("2026-12-20..2027-01-06 Europe/Berlin")
	if err != nil || f.From != (drill.Date{Year: 2026, Month: 12, Day: 20}) || f.To != (drill.Date{Year: 2027, Month: 1, Day: 6}) {
		t.Errorf("%+v %v", f, err)
	}
	if f, err := parseFreeze("2026-12-24"); err != nil || f.From != f.To {
		t.Errorf("%+v %v", f, err)
	}
	for _, s := range []string{"", "2027-01-06..2026-12-20", "24.12.", "2026-12-24 Mars/Base", "2026-12-24..x"} {
		if _, err := parseFreeze(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

// A schedule that can't come true is refused at the start, not found out in a
// quarter of a year.
func TestDrillSchedules(t *testing.T) {
	cfg := config.Defaults()
	cfg.Bots = []config.Bot{{Name: "a"}, {Name: "b"}}
	good := config.Schedule{Experiment: "certificate-expired", Cron: "30 10 * 1,4,7,10 TUE#1", Zone: "Europe/Berlin", Jitter: time.Minute, Bot: "b"}
	for name, c := range map[string]struct {
		change func(*config.Schedule)
		ok     bool
	}{
		"good":             {func(*config.Schedule) {}, true},
		"no bot":           {func(s *config.Schedule) { s.Bot = "" }, false},
		"another bot":      {func(s *config.Schedule) { s.Bot = "c" }, false},
		"no such day":      {func(s *config.Schedule) { s.Cron = "0 0 30 2 *" }, false},
		"six fields":       {func(s *config.Schedule) { s.Cron = "0 0 0 1 1 *" }, false},
		"no zone":          {func(s *config.Schedule) { s.Zone = "Mars/Base" }, false},
		"no experiment":    {func(s *config.Schedule) { s.Experiment = "certificate-expird" }, false},
		"out of directory": {func(s *config.Schedule) { s.Experiment = "../x" }, false},
	} {
		s := good
		c.change(&s)
		cfg.Drills.Schedules = []config.Schedule{s}
		got, err := drillSchedules(cfg, "b")
		if (err == nil) != c.ok || c.ok && len(got) != 1 {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
	cfg.Drills.Schedules = []config.Schedule{good}
	if got, err := drillSchedules(cfg, "a"); err != nil || len(got) != 0 {
		t.Errorf("of the other bot: %v %v", got, err)
	}
}

// TestOddSchedules: what is legal and would not do what was meant is said, with
// where it stands and what to do.
func TestOddSchedules(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "unsafe.yaml"), []byte(strings.NewReplacer("name: short", "name: unsafe", "http.status", "botapi.answer_lost").Replace(shortDrill)), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	good := config.Schedule{Experiment: "certificate-expired", Cron: "30 10 * 1,4,7,10 TUE#1", Zone: "Europe/Berlin", Jitter: 20 * time.Minute}
	for name, c := range map[string]struct {
		change func(*config.Config, *config.Schedule)
		want   string // the code; empty if it is fine
		says   string
	}{
		"fine":      {func(*config.Config, *config.Schedule) {}, "", ""},
		"disabled":  {func(c *config.Config, _ *config.Schedule) { c.Chaos.Enabled = false }, "drills_disabled", "overdue"},
		"leashed":   {func(c *config.Config, _ *config.Schedule) { c.Chaos.Leashed = true }, "drills_leashed", "overdue"},
		"at night":  {func(_ *config.Config, s *config.Schedule) { s.Cron = "30 2 * * TUE" }, "drill_outside_windows", `"30 2 * * TUE"`},
		"elsewhere": {func(_ *config.Config, s *config.Schedule) { s.Zone = "America/New_York" }, "drill_outside_windows", ""},
		"frozen": {func(c *config.Config, _ *config.Schedule) { c.Drills.Freeze = []string{"2026-01-01..2029-01-01"} },
			"drill_outside_windows", ""},
		"put off too far": {func(_ *config.Config, s *config.Schedule) { s.Jitter = 6 * time.Hour }, "drill_jitter_outside_windows", "2027-01-05 10:30 CET"},
		"too often":       {func(c *config.Config, _ *config.Schedule) { c.Drills.MinInterval = 100 * 24 * time.Hour }, "drill_too_often", "min_interval is 100d"},
		"too often by the jitter": {func(c *config.Config, s *config.Schedule) {
			s.Cron, c.Drills.MinInterval = "30 10 * * TUE", 7*24*time.Hour-time.Hour
		}, "drill_too_often", "jitter"},
		"not for production": {func(_ *config.Config, s *config.Schedule) { s.Experiment = "unsafe" }, "drill_not_for_production", "botapi.answer_lost"},
		"without a webhook":  {func(c *config.Config, _ *config.Schedule) { c.Bots[0].Webhook.Off = true }, "drill_without_webhook", "bot a"},
	} {
		cfg := config.Defaults()
		cfg.Chaos = config.Chaos{Enabled: true}
		cfg.Drills.Experiments = dir
		cfg.Bots = []config.Bot{{Name: "a"}}
		cfg.Drills.Windows = []string{"Tue 09:00-15:00 Europe/Berlin"}
		s := good
		c.change(cfg, &s)
		cfg.Drills.Schedules = []config.Schedule{s}
		bad, odd := CheckDrills(cfg, now)
		if len(bad) > 0 {
			t.Errorf("%s: %v", name, bad)
		}
		switch {
		case c.want == "" && len(odd) == 0:
		case len(odd) != 1 || odd[0].Code != c.want || !strings.Contains(odd[0].What, c.says) || odd[0].Fix == "" || odd[0].Key == "":
			t.Errorf("%s: %+v", name, odd)
		}
	}
}
