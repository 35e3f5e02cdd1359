package host

import (
	"fmt"
	"strings"
	"time"

	"dualgram/chaos/drill"
	"dualgram/supervisor/warning"
)

// drillConditions is what is so now with the drills of each bot.
func (h *Host) drillConditions(now time.Time) []warning.Condition {
	var all []warning.Condition
	offices := h.drilling.Load()
	if offices == nil {
		return nil
	}
	for _, d := range *offices {
		if halt := d.Halted(); halt != nil {
			all = append(all, warning.Condition{Bot: d.Bot(), Code: warning.DrillHalted, Since: halt.At, Evidence: haltWords(halt)})
		}
		if c, ok := overdueCondition(d.Bot(), d.Plans(now), h.cfg.Chaos.Enabled, h.cfg.Chaos.Leashed); ok {
			all = append(all, c)
		}
	}
	return all
}

func haltWords(h *drill.Halt) string {
	s := "By " + h.Who.User
	if h.Reason != "" {
		s += ": " + h.Reason
	}
	return s
}

// overdueCondition is the one warning of a bot about its overdue drills.
func overdueCondition(bot string, plans []drill.Plan, enabled, leashed bool) (c warning.Condition, ok bool) {
	var words []string
	for _, p := range plans {
		if p.OverdueSince.IsZero() {
			continue
		}
		w := p.Experiment + " has never succeeded"
		if !p.LastSuccess.IsZero() {
			w = p.Experiment + " last succeeded at " + p.LastSuccess.UTC().Format(time.RFC3339)
		}
		switch {
		case !enabled:
			w += " (chaos.enabled is false)"
		case leashed:
			w += " (chaos.leashed is true: nothing is broken)"
		case p.LastOutcome != "":
			w += fmt.Sprintf(" (its last run ended as %s)", p.LastOutcome)
		}
		words = append(words, w)
		if c.Since.IsZero() || p.OverdueSince.Before(c.Since) {
			c.Since = p.OverdueSince
		}
	}
	c.Bot, c.Code, c.Evidence = bot, warning.DrillOverdue, strings.Join(words, "; ")
	return c, len(words) > 0
}
