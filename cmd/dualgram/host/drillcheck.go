package host

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/drill"
	"dualgram/cmd/dualgram/config"
)

// CheckDrills says all that is wrong with the drills of a configuration, and what
// is legal and will not do what was meant: a schedule that its own windows forbid
// is found out now, not in a quarter of a year. It reads the experiments that are
// scheduled, and asks nobody.
func CheckDrills(c *config.Config, now time.Time) (config.Errors, []config.Warning) {
	k := drillCheck{c: c, now: now}
	k.policy = drill.Policy{MinInterval: c.Drills.MinInterval}
	whole := true // else every schedule would seem to miss the window that is wrong
	for i, s := range c.Drills.Windows {
		w, err := parseWindow(s)
		if err != nil {
			k.wrong(fmt.Sprintf("drills.windows[%d]", i), err.Error(), fixWindow)
			whole = false
			continue
		}
		k.policy.Windows = append(k.policy.Windows, w)
	}
	for i, s := range c.Drills.Freeze {
		f, err := parseFreeze(s)
		if err != nil {
			k.wrong(fmt.Sprintf("drills.freeze[%d]", i), err.Error(), fixFreeze)
			whole = false
			continue
		}
		k.policy.Freezes = append(k.policy.Freezes, f)
	}
	for i := range c.Drills.Schedules {
		if s, e, ok := k.schedule(i); ok && whole {
			k.odd(i, s, e)
		}
	}
	if n := len(c.Drills.Schedules); n > 0 {
		switch {
		case !c.Chaos.Enabled:
			k.warn("drills_disabled", "drills.schedules", "no drill is run while chaos.enabled is false, and each will be overdue", "set chaos.enabled: true, or remove the schedules")
		case c.Chaos.Leashed:
			k.warn("drills_leashed", "drills.schedules", "drills are planned and break nothing while chaos.leashed is true, and each will be overdue", "set chaos.leashed: false once the plans look right")
		}
	}
	return config.Errors(nil).Join(k.problems), k.warnings
}

// How to write them.
const (
	fixWindow = `write it like "Mon-Fri 09:00-15:00 Europe/Berlin"`
	fixFreeze = `write it like "2026-12-20..2027-01-06 Europe/Berlin"`
	fixZone   = "write it like Europe/Berlin, or leave it out for UTC"
)

type drillCheck struct {
	c        *config.Config
	now      time.Time
	policy   drill.Policy
	problems config.Errors
	warnings []config.Warning
}

func (k *drillCheck) wrong(key, what, fix string) {
	k.problems = append(k.problems, config.Problem{Where: k.where(key), Key: key, What: what, Fix: fix})
}

func (k *drillCheck) warn(code, key, what, fix string) {
	k.warnings = append(k.warnings, config.Warning{Code: code, Where: k.where(key), Key: key, What: what, Fix: fix})
}

// where is the place of a key, or of what holds it if it isn't there.
func (k *drillCheck) where(key string) config.Origin {
	for {
		if o := k.c.Origin(key); o.Source != config.SourceDefault {
			return o
		}
		i := strings.LastIndexAny(key, ".[")
		if i < 0 {
			return config.Origin{}
		}
		key = key[:i]
	}
}

// schedule reads one, and says all that is wrong with it.
func (k *drillCheck) schedule(i int) (s drill.Schedule, e *drill.Experiment, ok bool) {
	c, before := k.c.Drills.Schedules[i], len(k.problems)
	key := func(name string) string { return fmt.Sprintf("drills.schedules[%d].%s", i, name) }
	var err error
	var wrong *scheduleError
	if s, err = readSchedule(c, i); errors.As(err, &wrong) {
		k.wrong(key(wrong.key), wrong.Error(), wrong.fix)
	}
	if c.Zone != "" && s.Zone == nil { // the zone is wrong; the rest may be as well
		rest := c
		rest.Zone = ""
		if _, err := readSchedule(rest, i); errors.As(err, &wrong) {
			k.wrong(key(wrong.key), wrong.Error(), wrong.fix)
		}
	}
	if c.Experiment == "" {
		k.wrong(key("experiment"), "is missing: nobody knows what is to be rehearsed", "see them: dualgram drill list")
	} else if e, err = lookupExperiment(k.c.Drills.Experiments, c.Experiment); err != nil {
		k.wrong(key("experiment"), strings.TrimPrefix(err.Error(), "drill: "), "see them: dualgram drill list")
	}
	if err := scheduledBot(k.c, c); err != nil {
		k.wrong(key("bot"), err.Error(), "name one of the bots: a drill is of one bot")
	}
	for j, other := range k.c.Drills.Schedules[:i] {
		if other == c {
			k.wrong(fmt.Sprintf("drills.schedules[%d]", i), fmt.Sprintf("is the same as drills.schedules[%d]", j), "remove one")
		}
	}
	return s, e, len(k.problems) == before
}

// odd says what keeps a schedule from what it is there for.
func (k *drillCheck) odd(i int, s drill.Schedule, e *drill.Experiment) {
	key := func(name string) string { return fmt.Sprintf("drills.schedules[%d].%s", i, name) }
	fit := k.policy.Fit(s, e, k.now)
	takes := config.FormatDuration(e.Hypothesis.Hold.D() + e.Length())
	switch {
	case fit.Never:
		k.warn("drill_outside_windows", key("cron"), fmt.Sprintf("%q never leaves %s %s inside drills.windows and outside drills.freeze: each run will be refused", s.Cron, e.Name, takes),
			"move it, mind its zone, or widen the windows")
	case !fit.Late.IsZero():
		k.warn("drill_jitter_outside_windows", key("jitter"), fmt.Sprintf("of %s puts a run such as that of %s out of drills.windows, and it will be refused",
			config.FormatDuration(s.Jitter), fit.Late.Format("2006-01-02 15:04 MST")), "lower it, plan the run earlier, or widen the windows")
	}
	// Two runs begin as far apart as planned, or less by the jitter and a moment.
	switch gap, least := fit.Gap, k.c.Drills.MinInterval; {
	case least <= 0 || gap == 0:
	case gap < least:
		k.warn("drill_too_often", key("cron"), fmt.Sprintf("%q comes as soon as %s after the last time, and drills.min_interval is %s: such a run will be refused",
			s.Cron, config.FormatDuration(gap), config.FormatDuration(least)), "plan it more seldom, or lower drills.min_interval")
	case gap-s.Jitter <= least:
		k.warn("drill_too_often", key("cron"), fmt.Sprintf("%q comes %s after the last time, with its jitter sooner, and drills.min_interval is %s: some runs will be refused",
			s.Cron, config.FormatDuration(gap), config.FormatDuration(least)), "lower drills.min_interval below the shortest time between two runs")
	}
	for _, kind := range chaos.Kinds() {
		if !slices.ContainsFunc(e.Method, func(a drill.Action) bool { return a.Fault == kind.Kind }) {
			continue
		}
		switch {
		case !kind.ProdSafe:
			k.warn("drill_not_for_production", key("experiment"), fmt.Sprintf("%s has the fault %s, which a scheduled drill of a live bot may not have: each run will be refused", e.Name, kind.Kind),
				"run it by hand, or in the simulator")
		case kind.Destructive && !k.c.Chaos.Destructive:
			k.warn("drill_not_for_production", key("experiment"), fmt.Sprintf("%s has the fault %s, which chaos.destructive has to allow", e.Name, kind.Kind), "leave it out, or set chaos.destructive")
		}
	}
	for j := range k.c.Bots {
		if b := &k.c.Bots[j]; (b.Name == k.c.Drills.Schedules[i].Bot || len(k.c.Bots) == 1) && b.Webhook.Off {
			k.warn("drill_without_webhook", key("bot"), fmt.Sprintf("bot %s has no webhook, and a drill begins from one: each run will be refused", b.Name), "remove the schedule")
		}
	}
}
