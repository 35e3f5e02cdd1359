package config

import (
	"fmt"
	"strings"
	"time"
)

// BudgetCosts are the times that a failover takes besides what is configured.
// They have to agree with what the detector and the handover do.
type BudgetCosts struct {
	// Veto is the deadline of one veto hook.
	Veto time.Duration
	// Delete is the deadline of deleteWebhook, DeleteRetry that of its one
	// retry.
	Delete, DeleteRetry time.Duration
	// FirstPoll is the first getUpdates: timeout=0 and an answer within 500 ms.
	FirstPoll time.Duration
}

// Costs returns the times that the budget is checked against.
func Costs() BudgetCosts {
	return BudgetCosts{
		Veto:        500 * time.Millisecond,
		Delete:      time.Second,
		DeleteRetry: time.Second,
		FirstPoll:   500 * time.Millisecond,
	}
}

// BudgetPart is one line of the arithmetic.
type BudgetPart struct {
	Name string
	Time time.Duration
	// Why says what happens in that time.
	Why string
}

// Budget is the longest time a failover may take, part by part, against the
// limit.
type Budget struct {
	Parts []BudgetPart
	Sum   time.Duration
	Limit time.Duration
}

// OK says whether the sum is within the limit.
func (b Budget) OK() bool { return b.Sum <= b.Limit }

// String is the arithmetic, a line for each part, without a line break at the
// end.
func (b Budget) String() string {
	var s strings.Builder
	for _, p := range b.Parts {
		fmt.Fprintf(&s, "  %-16s %7s  %s\n", p.Name, FormatDuration(p.Time), p.Why)
	}
	sign := "≤"
	if !b.OK() {
		sign = ">"
	}
	fmt.Fprintf(&s, "  %-16s %7s  %s %s (failover.budget)", "sum", FormatDuration(b.Sum), sign, FormatDuration(b.Limit))
	return s.String()
}

// BudgetSum adds up the longest time from the first update that a fault strands
// to the first update taken by polling, if the Bot API answers within 500 ms
// and at most one call is lost. A configuration with a larger sum than
// failover.budget is refused by [Load].
func BudgetSum(cfg *Config) Budget {
	c := Costs()
	b := Budget{Limit: cfg.Failover.Budget}
	add := func(name string, d time.Duration, why string) {
		b.Parts = append(b.Parts, BudgetPart{name, d, why})
		b.Sum += d
	}
	add("info_interval", cfg.Failover.InfoInterval, "until the next getWebhookInfo")
	add("lost call", cfg.Signals.Info.Deadline, "its deadline, if the answer is lost")
	confirm, name := slowestSignal(cfg.Signals)
	add("confirm", confirm, "the window of the slowest signal ("+name+")")
	if n := len(cfg.Failover.Hooks.Veto); n > 0 {
		add("veto hooks", time.Duration(n)*c.Veto, fmt.Sprintf("%d × %s", n, FormatDuration(c.Veto)))
	}
	add("delete", c.Delete, "deadline of deleteWebhook")
	add("delete retry", c.DeleteRetry, "deadline of its one retry")
	add("first poll", c.FirstPoll, "the first getUpdates")
	return b
}

// slowestSignal is the longest that a signal which acts alone takes from the first
// sample on.
func slowestSignal(s Signals) (time.Duration, string) {
	longest, name := s.Hole.After, "hole"
	for n, d := range map[string]time.Duration{"stall": s.Stall.After, "timeout": s.Timeout.After} {
		if d > longest {
			longest, name = d, n
		}
	}
	return longest, name
}

func (l *loader) budget() {
	if l.cfg.PollingOnly() {
		return
	}
	keys := []string{"failover.info_interval", "failover.hooks.veto", "failover.hooks",
		"signals.hole.after", "signals.stall.after", "signals.timeout.after", "signals.info.deadline"}
	for _, k := range append(keys, "failover.budget") {
		if l.isBad(k) {
			return
		}
	}
	b := BudgetSum(l.cfg)
	if b.OK() {
		return
	}
	fix := fmt.Sprintf("raise failover.budget to %s", FormatDuration(b.Sum))
	if over := b.Sum - b.Limit; l.cfg.Failover.InfoInterval > over {
		fix = fmt.Sprintf("lower failover.info_interval to %s, or raise failover.budget to %s", FormatDuration(l.cfg.Failover.InfoInterval-over), FormatDuration(b.Sum))
	}
	if len(l.cfg.Failover.Hooks.Veto) > 0 {
		fix += ", or remove a veto hook"
	}
	// Named at the key that somebody wrote: the limit, else what is large.
	where := l.cfg.Origin("failover.budget")
	for _, k := range keys {
		if where.Source == SourceDefault {
			where = l.cfg.Origin(k)
		}
	}
	l.problem(where, "failover.budget", "a failover would take longer than the budget:\n"+b.String(), fix)
}
