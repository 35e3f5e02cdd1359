package drill

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"dualgram/chaos"
)

// Policy is what a configuration allows drills to do. The zero value allows
// nothing.
type Policy struct {
	// Enabled lets drills run; Leashed lets them run without effect, so that they
	// are planned, gated, sampled and journaled.
	Enabled bool
	Leashed bool
	// Windows are the times in which a drill may begin and must fit; none means
	// any time. Freezes are whole days without drills.
	Windows []Window
	Freezes []Freeze
	// MinInterval is the least time between the starts of two runs of one
	// experiment in which something was injected.
	MinInterval time.Duration
	// QuietAfterError is how long after Telegram's last error, and after the last
	// handover that nobody asked for, QuietAfterStart how long after the host's
	// start no drill may begin; 0 means [DefaultQuietAfterError]
	// and [DefaultQuietAfterStart], below 0 no time at all.
	QuietAfterError time.Duration
	QuietAfterStart time.Duration
}

// The quiet times of a Policy that names none.
const (
	DefaultQuietAfterError = 10 * time.Minute
	DefaultQuietAfterStart = 30 * time.Minute
)

// Situation is what a Policy judges.
type Situation struct {
	Experiment *Experiment
	Facts      Facts
	// LastRun is when the last run of the same experiment began that injected
	// something; zero if never.
	LastRun time.Time
	// Running is the ID of the run under way for this bot; empty if there is none.
	Running string
	// Halt is the halt lever, nil if it is not pulled.
	Halt *Halt
	// Simulated: the host is no live bot. Scheduled: nobody asked for it just now.
	Simulated, Scheduled bool
}

// Refusal is a reason not to begin.
type Refusal struct {
	Code RefusalCode `json:"code"`
	// Text says why and what to do.
	Text string `json:"text"`
}

// RefusalCode names a reason not to begin.
type RefusalCode string

// The reasons not to begin.
const (
	RefusedDisabled   RefusalCode = "disabled"
	RefusedHalted     RefusalCode = "halted"
	RefusedRunning    RefusalCode = "running"
	RefusedWindow     RefusalCode = "outside_window"
	RefusedFreeze     RefusalCode = "frozen_date"
	RefusedInterval   RefusalCode = "too_soon"
	RefusedMode       RefusalCode = "not_on_webhook"
	RefusedSignal     RefusalCode = "signal"
	RefusedAutomation RefusalCode = "automation"
	RefusedTelegram   RefusalCode = "telegram_error"
	RefusedIncident   RefusalCode = "incident"
	RefusedBroken     RefusalCode = "fault_active"
	RefusedLength     RefusalCode = "too_long"
	RefusedStart      RefusalCode = "started_lately"
	RefusedStandby    RefusalCode = "standby"
	RefusedUnsafe     RefusalCode = "not_for_production"
	RefusedFacts      RefusalCode = "facts_unknown"
	RefusedSeam       RefusalCode = "fault_not_possible"
)

// Check returns the reasons against a drill that would begin at now, nil if
// there is none.
func (p Policy) Check(now time.Time, s Situation) []Refusal {
	var out []Refusal
	no := func(c RefusalCode, format string, args ...any) {
		out = append(out, Refusal{c, fmt.Sprintf(format, args...)})
	}
	if !p.Enabled {
		no(RefusedDisabled, "drills are disabled; set chaos.enabled: true and restart")
	}
	if h := s.Halt; h != nil {
		no(RefusedHalted, "drills were halted at %s by %s%s; to allow them again: dualgram drill resume", h.At.Format(time.RFC3339), orUnknown(h.Who.User), because(h.Reason))
	}
	if s.Running != "" {
		no(RefusedRunning, "drill %s is under way for this bot; wait, or end it: dualgram drill halt", s.Running)
	}
	if s.Experiment != nil && s.Scheduled && !s.Simulated {
		for _, k := range chaos.Kinds() {
			if !k.ProdSafe && slices.ContainsFunc(s.Experiment.Method, func(a Action) bool { return a.Fault == k.Kind }) {
				no(RefusedUnsafe, "%s is not fit for a scheduled drill of a live bot; run it by hand, or in the simulator", k.Kind)
			}
		}
	}
	if s.Experiment != nil && s.Experiment.Length() > maxLength { // by what the request made of it
		no(RefusedLength, "the faults would take %s, and a drill takes at most %s", Duration(s.Experiment.Length()), Duration(maxLength))
	}
	p.checkTimes(now, s, no)
	p.checkIncident(now, s.Facts, no)
	return out
}

// checkTimes looks at the calendar.
func (p Policy) checkTimes(now time.Time, s Situation, no func(RefusalCode, string, ...any)) {
	end := now
	if s.Experiment != nil {
		end = now.Add(s.Experiment.Hypothesis.Hold.D() + s.Experiment.Length())
	}
	if len(p.Windows) > 0 {
		inside := false
		texts := make([]string, len(p.Windows))
		for i, w := range p.Windows {
			inside = inside || w.holds(now, end)
			texts[i] = w.String()
		}
		if !inside {
			no(RefusedWindow, "a drill from %s to %s is not inside a window; drills may run %s", now.UTC().Format("Mon 15:04:05"), end.UTC().Format("15:04:05 MST"), strings.Join(texts, " or "))
		}
	}
	for _, f := range p.Freezes {
		if f.touches(now, end) {
			no(RefusedFreeze, "no drills %s%s", f, because(f.Reason))
		}
	}
	if p.MinInterval > 0 && !s.LastRun.IsZero() {
		// A clock that was put back must not forbid drills for longer than that.
		if since := now.Sub(s.LastRun); since < p.MinInterval && since > -p.MinInterval {
			no(RefusedInterval, "this drill last ran at %s; it may run again from %s on", s.LastRun.Format(time.RFC3339), s.LastRun.Add(p.MinInterval).Format(time.RFC3339))
		}
	}
}

// checkIncident looks for something real that is wrong, or was lately.
func (p Policy) checkIncident(now time.Time, f Facts, no func(RefusalCode, string, ...any)) {
	if f.Mode != "webhook" || f.Trial {
		mode := f.Mode
		if f.Trial {
			mode += ", in its trial"
		}
		no(RefusedMode, "the bot is in mode %s: a drill begins from a proven webhook; see dualgram status", orUnknown(mode))
	}
	if len(f.Signals) > 0 {
		no(RefusedSignal, "something is wrong already: %s; see dualgram status", strings.Join(f.Signals, ", "))
	}
	if len(f.Critical) > 0 {
		no(RefusedIncident, "something is critical already: %s; see dualgram status", strings.Join(f.Critical, ", "))
	}
	if len(f.Faults) > 0 {
		no(RefusedBroken, "faults are injected already: %s; wait for their end, or: dualgram chaos clear", strings.Join(f.Faults, ", "))
	}
	if f.Frozen || f.Held || f.Pinned {
		no(RefusedAutomation, "the automation is frozen, held or pinned and would not do what the drill rehearses; dualgram switch auto, or dualgram ack")
	}
	if quiet := orDefault(p.QuietAfterError, DefaultQuietAfterError); !f.TelegramErrorAt.IsZero() && now.Sub(f.TelegramErrorAt) < quiet {
		no(RefusedTelegram, "Telegram reported a failed delivery at %s; wait until %v have passed without one", f.TelegramErrorAt.Format(time.RFC3339), Duration(quiet))
	}
	if quiet := orDefault(p.QuietAfterError, DefaultQuietAfterError); !f.IncidentAt.IsZero() && now.Sub(f.IncidentAt) < quiet {
		no(RefusedIncident, "the last failover, or the failback from it, was at %s; wait until %v have passed", f.IncidentAt.Format(time.RFC3339), Duration(quiet))
	}
	if quiet := orDefault(p.QuietAfterStart, DefaultQuietAfterStart); !f.Started.IsZero() && now.Sub(f.Started) < quiet {
		no(RefusedStart, "the host started at %s; wait until %v have passed", f.Started.Format(time.RFC3339), Duration(quiet))
	}
	if !f.StandbyReady {
		no(RefusedStandby, "polling could not take over now; see dualgram status")
	}
}

// orDefault is the quiet time meant.
func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
