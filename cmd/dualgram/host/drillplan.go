package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"dualgram/chaos/drill"
	"dualgram/cmd/dualgram/config"
)

// drillPolicy is what the configuration allows drills to do.
func drillPolicy(c *config.Config) (drill.Policy, error) {
	d := c.Drills
	p := drill.Policy{Enabled: c.Chaos.Enabled, Leashed: c.Chaos.Leashed, MinInterval: d.MinInterval,
		QuietAfterError: never(d.QuietAfterError), QuietAfterStart: never(d.QuietAfterStart)}
	for i, s := range d.Windows {
		w, err := parseWindow(s)
		if err != nil {
			return p, wrongKey(c, fmt.Sprintf("drills.windows[%d]", i), err, fixWindow)
		}
		p.Windows = append(p.Windows, w)
	}
	for i, s := range d.Freeze {
		f, err := parseFreeze(s)
		if err != nil {
			return p, wrongKey(c, fmt.Sprintf("drills.freeze[%d]", i), err, fixFreeze)
		}
		p.Freezes = append(p.Freezes, f)
	}
	return p, nil
}

// never is the policy's word for a time of zero, where zero means the default.
func never(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

func wrongKey(c *config.Config, key string, err error, fix string) error {
	return config.Errors{{Where: c.Origin(key), Key: key, What: err.Error(), Fix: fix}}
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// parseWindow reads "Mon-Fri,Sun 09:00-15:00 Europe/Berlin"; the days and the zone
// may be left out.
func parseWindow(s string) (drill.Window, error) {
	var w drill.Window
	words := strings.Fields(s)
	if len(words) > 0 && !strings.Contains(words[0], ":") {
		if !strings.EqualFold(words[0], "daily") {
			for part := range strings.SplitSeq(strings.ToLower(words[0]), ",") {
				from, to, isRange := strings.Cut(part, "-")
				if !isRange {
					to = from
				}
				a, b := slices.Index(weekdays, from), slices.Index(weekdays, to)
				if a < 0 || b < 0 {
					return w, fmt.Errorf("%q is no day of the week", part)
				}
				for d := a; ; d = (d + 1) % 7 {
					w.Days = append(w.Days, time.Weekday(d))
					if d == b {
						break
					}
				}
			}
		}
		words = words[1:]
	}
	if len(words) == 0 || len(words) > 2 {
		return w, fmt.Errorf("%q is no window", s)
	}
	from, to, ok := strings.Cut(words[0], "-")
	var err1, err2 error
	w.From, err1 = timeOfDay(from)
	w.To, err2 = timeOfDay(to)
	if err := errors.Join(err1, err2); err != nil || !ok {
		return w, fmt.Errorf("%q is no time from one of the day to another", words[0])
	}
	var err error
	if w.Zone, err = zone(words[1:]); err != nil {
		return w, err
	}
	return w, w.Check()
}

var clock = regexp.MustCompile(`^([01]\d|2[0-4]):([0-5]\d)$`)

// timeOfDay reads 09:00, up to 24:00.
func timeOfDay(s string) (time.Duration, error) {
	if !clock.MatchString(s) {
		return 0, fmt.Errorf("%q is no time of the day", s)
	}
	return time.ParseDuration(s[:2] + "h" + s[3:] + "m")
}

func zone(words []string) (*time.Location, error) {
	if len(words) == 0 {
		return time.UTC, nil
	}
	z, err := time.LoadLocation(words[0])
	if err != nil {
		return nil, fmt.Errorf("there is no time zone %q", words[0])
	}
	return z, nil
}

// parseFreeze reads "2026-12-20..2027-01-06 Europe/Berlin", or one day.
func parseFreeze(s string) (f drill.Freeze, err error) {
	words := strings.Fields(s)
	if len(words) == 0 || len(words) > 2 {
		return f, fmt.Errorf("%q is no range of days", s)
	}
	from, to, isRange := strings.Cut(words[0], "..")
	if !isRange {
		to = from
	}
	if f.From, err = drill.ParseDate(from); err != nil {
		return f, err
	}
	if f.To, err = drill.ParseDate(to); err != nil {
		return f, err
	}
	if f.Zone, err = zone(words[1:]); err != nil {
		return f, err
	}
	return f, f.Check()
}

// drillSchedules are those of one bot.
func drillSchedules(c *config.Config, bot string) (out []drill.Schedule, err error) {
	for i, s := range c.Drills.Schedules {
		key := func(name string) string { return fmt.Sprintf("drills.schedules[%d].%s", i, name) }
		if err := scheduledBot(c, s); err != nil {
			return nil, wrongKey(c, key("bot"), err, "name one of the bots: a drill is of one bot")
		}
		if s.Bot != bot && s.Bot != "" {
			continue
		}
		sc, err := readSchedule(s, i)
		var wrong *scheduleError
		if errors.As(err, &wrong) {
			return nil, wrongKey(c, key(wrong.key), wrong, wrong.fix)
		}
		if _, err := lookupExperiment(c.Drills.Experiments, s.Experiment); err != nil {
			return nil, wrongKey(c, key("experiment"), err, "see them: dualgram drill list")
		}
		out = append(out, sc)
	}
	return out, nil
}

// scheduleError is what is wrong with one key of a schedule.
type scheduleError struct {
	key, fix string
	err      error
}

func (e *scheduleError) Error() string { return e.err.Error() }
func (e *scheduleError) Unwrap() error { return e.err }

// readSchedule reads the i-th schedule but for its experiment and its bot. The
// error is a [*scheduleError].
func readSchedule(s config.Schedule, i int) (drill.Schedule, error) {
	out := drill.Schedule{Experiment: s.Experiment, Cron: s.Cron, Jitter: s.Jitter, Seed: uint64(i) + 1}
	if s.Cron == "" {
		return out, &scheduleError{"cron", drill.CronForm, errors.New("is missing: nobody knows when the drill is due")}
	}
	if s.Zone != "" {
		z, err := zone([]string{s.Zone})
		if err != nil {
			return out, &scheduleError{"zone", fixZone, err}
		}
		out.Zone = z
	}
	if s.Jitter < 0 || s.Jitter > drill.MaxJitter {
		return out, &scheduleError{"jitter", "write a duration such as 20m", fmt.Errorf("is %s, and a run is put off by at most %s", config.FormatDuration(s.Jitter), config.FormatDuration(drill.MaxJitter))}
	}
	var cron *drill.CronError
	switch err := out.Check(); {
	case errors.As(err, &cron):
		return out, &scheduleError{"cron", drill.CronForm, fmt.Errorf("%q %s", cron.Cron, cron.What)}
	case err != nil:
		return out, &scheduleError{"cron", drill.CronForm, err}
	}
	return out, nil
}

// scheduledBot says whether a schedule names its bot.
func scheduledBot(c *config.Config, s config.Schedule) error {
	switch {
	case s.Bot == "" && len(c.Bots) <= 1:
		return nil
	case s.Bot == "":
		return errors.New("is missing, and there are several bots")
	case len(c.Bots) > 0 && !slices.ContainsFunc(c.Bots, func(b config.Bot) bool { return b.Name == s.Bot }):
		return fmt.Errorf("%q is none of the bots", s.Bot)
	}
	return nil
}

var experimentName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// lookupExperiment finds an experiment in the directory, else among the shipped
// ones.
func lookupExperiment(dir, name string) (*drill.Experiment, error) {
	if dir != "" && experimentName.MatchString(name) {
		path := filepath.Join(dir, name+".yaml")
		data, err := os.ReadFile(path)
		if err == nil {
			return drill.Parse(path, data)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("experiment %s: %w", name, err)
		}
	}
	e, _, err := drill.Template(name)
	return e, err
}

// listExperiments lists those of the directory and the shipped ones, by name. What
// can't be read is left out of the list and shows when it is run.
func listExperiments(dir string) []drill.Experiment {
	out := drill.Templates()
	files, _ := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if dir == "" {
		files = nil
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		e, err := drill.Parse(path, data)
		if err != nil || e.Name+".yaml" != filepath.Base(path) {
			continue
		}
		out = slices.DeleteFunc(out, func(t drill.Experiment) bool { return t.Name == e.Name })
		out = append(out, *e)
	}
	slices.SortFunc(out, func(a, b drill.Experiment) int { return strings.Compare(a.Name, b.Name) })
	return out
}
