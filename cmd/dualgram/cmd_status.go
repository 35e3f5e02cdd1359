package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/console"
	"dualgram/supervisor/warning"

	"github.com/spf13/cobra"
)

const statusLong = `Asks the running dualgram over its control socket, and shows for each bot by
which transport updates come in, since when and why, what waits, and what is
wrong.

With --watch it goes on until Ctrl-C: on a terminal the picture is drawn anew each
second; elsewhere, or with --output json, a line of JSON is printed for each change
of what counts (mode, signals, warnings, faults, drills), not of counters.

Exit codes: 0 all is well; 1 there is a warning (severity warning or critical), or a
bot takes nothing; 2 misuse or configuration; 3 dualgram doesn't answer.`

// statusFlags are those of status.
type statusFlags struct {
	bots  []string
	watch bool
	every time.Duration
}

func (a *app) statusCommand() *cobra.Command {
	f := &statusFlags{every: watchEvery}
	c := &cobra.Command{
		Use: "status", Short: "Show what each bot does, and what is wrong", Long: statusLong, GroupID: groupWatch,
		Example: "  dualgram status\n  dualgram status --watch --bot orders\n  dualgram status --watch --output json | jq .bots[0].phase",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.control()
			if err != nil {
				return err
			}
			if f.watch {
				return a.watchStatus(cmd.Context(), c, f)
			}
			st, err := f.ask(cmd.Context(), c)
			if err != nil {
				return err
			}
			if a.json() {
				err = a.printJSON(st)
			} else {
				printStatus(a.printer(a.stdout), st, time.Now())
			}
			if err == nil && !statusOK(st) {
				err = notOK()
			}
			return err
		},
	}
	c.Flags().StringArrayVar(&f.bots, "bot", nil, "only this bot, by `name`; may be repeated")
	c.Flags().BoolVarP(&f.watch, "watch", "w", false, "go on until Ctrl-C")
	return c
}

// ask gets the status of the bots that are meant.
func (f *statusFlags) ask(ctx context.Context, c *control) (console.Status, error) {
	var st console.Status
	if err := c.get(contextOr(ctx), "/v1/status", nil, console.SchemaStatus, &st); err != nil {
		return st, err
	}
	return only(st, f.bots)
}

// statusOK says whether nothing needs a person.
func statusOK(st console.Status) bool {
	bad := func(ws []console.Warning) bool {
		return slices.ContainsFunc(ws, func(w console.Warning) bool { return w.Severity != console.SeverityInfo })
	}
	return !bad(st.Warnings) && !slices.ContainsFunc(st.Bots, func(b console.Bot) bool { return bad(b.Warnings) || b.Phase == "held" })
}

// printStatus prints for people; now is what ages are counted from.
func printStatus(p *printer, st console.Status, now time.Time) {
	p.printf("dualgram %s, up %s, %s\n", oneLine(st.Version), age(st.StartedAt, now), plural(len(st.Bots), "bot"))
	for _, f := range st.Faults {
		p.printf("%s\n", p.paint(red, faultBanner(f)))
	}
	for _, w := range st.Warnings {
		if w.Code != faultActive || len(st.Faults) == 0 { // the banner says it
			p.printf("%s\n", warningLine(p, w))
		}
	}
	for _, b := range st.Bots {
		p.printf("\n")
		printBot(p, b, st.Warnings, now)
	}
	if page := worstPage(st); page != "" {
		p.printf("\n%s dualgram runbook %s\n", p.paint(bold, "what to do:"), oneLine(page))
	}
}

// worstPage is the runbook of the most severe warning that needs a person; empty if
// there is none.
func worstPage(st console.Status) (page string) {
	all := slices.Clone(st.Warnings)
	for _, b := range st.Bots {
		all = append(all, b.Warnings...)
	}
	for _, severity := range []string{console.SeverityCritical, console.SeverityWarning} {
		for _, w := range all {
			if w.Severity == severity && w.Runbook != "" {
				return w.Runbook
			}
		}
	}
	return ""
}

// faultActive is the warning that the banner stands for.
const faultActive = string(warning.FaultActive)

// faultBanner says what is broken on purpose.
func faultBanner(f console.Fault) string {
	word := "FAULT INJECTED"
	if f.State == console.FaultLeashed {
		word = "FAULT PLANNED (leashed)"
	}
	s := fmt.Sprintf("*** %s: %s, %s left, hit %d, by %s", word, f.Kind, leftWords(f), f.Fired+f.Would, f.By)
	if f.Bot != "" {
		s += ", bot " + f.Bot
	}
	if f.Reason != "" {
		s += " (" + f.Reason + ")"
	}
	return oneLine(s + fmt.Sprintf(". To end it: dualgram chaos clear %d ***", f.ID))
}

// printBot prints one bot; the warnings of the process stand above all bots.
func printBot(p *printer, b console.Bot, process []console.Warning, now time.Time) {
	head := fmt.Sprintf("  %s", phaseWords(b))
	if !b.Since.IsZero() {
		head += ", for " + age(b.Since, now)
	}
	p.printf("%s%s\n", p.paint(bold, oneLine(b.Name)), head)

	var rows [][]cell
	row := func(name string, c cell) { rows = append(rows, []cell{styled(dim, name), c}) }
	if b.Reason != "" {
		row("because", text(joinWords(": ", b.Reason, b.Evidence)))
	}
	if m := modifiers(b, now); m != "" {
		row("automation", styled(yellow, m))
	}
	row("telegram", text(pendingWords(b)))
	row("store", storeCell(b, now))
	if w := b.Webhook; w != nil {
		row("webhook", webhookCell(*w, now))
		if w.ProbeDetail != "" && (b.Phase != "webhook" || w.Probe == "bad") {
			row("from here", styled(yellow, w.ProbeDetail))
		}
	} else {
		row("webhook", text("none (webhook: off)"))
	}
	if b.StandbyReady {
		row("standby", text("polling is ready"))
	} else {
		row("standby", styled(yellow, joinWords(": ", "polling would not work now", b.StandbyError)))
	}
	row("signals", signalsCell(b.Signals, now))
	if b.Breakers != (console.Breakers{}) {
		row("breakers", breakersCell(b.Breakers))
	}
	if b.Drill != nil || b.DrillsHalted != nil {
		row("drill", drillCell(b, now))
	}
	if h := b.LastHandover; h != nil {
		row("last change", handoverCell(*h, now))
	}
	p.table(rows...)
	for _, w := range b.Warnings {
		if !slices.ContainsFunc(process, func(x console.Warning) bool { return x.Code == w.Code }) {
			p.printf("  %s\n", warningLine(p, w))
		}
	}
}

func warningLine(p *printer, w console.Warning) string {
	s := yellow
	if w.Severity == console.SeverityCritical {
		s = red
	} else if w.Severity == console.SeverityInfo {
		s = dim
	}
	return p.paint(s, oneLine(w.Severity)+":") + " " + oneLine(joinWords(": ", w.Title, w.Text)) + p.paint(dim, " ["+oneLine(w.Code)+"]")
}

// phaseName is a phase in words.
func phaseName(phase string) string {
	words := map[string]string{"to_polling": "changing to polling", "to_webhook": "changing to webhook", "held": "taking nothing"}
	if s, ok := words[phase]; ok {
		return s
	}
	return oneLine(phase)
}

func phaseWords(b console.Bot) string {
	s := phaseName(b.Phase)
	if b.Trial {
		s += " (on trial)"
	}
	return s
}

func modifiers(b console.Bot, now time.Time) string {
	var m []string
	if b.Pinned {
		m = append(m, overruled(joinWords(" to ", "pinned", b.Pin), b.PinnedBy, b.PinUntil, now))
	}
	if b.Held {
		m = append(m, overruled("held", b.HeldBy, b.HeldUntil, now))
	}
	if b.DryRun {
		m = append(m, "dry run: it decides and does nothing")
	}
	if b.Frozen {
		m = append(m, "frozen: no failback until dualgram ack")
	}
	if b.HoldDownLeft > 0 {
		m = append(m, "hold-down for another "+short(time.Duration(b.HoldDownLeft*float64(time.Second))))
	}
	if !b.NextFailbackAt.IsZero() && b.NextFailbackAt.After(now) {
		m = append(m, "next failback in "+short(b.NextFailbackAt.Sub(now)))
	}
	return strings.Join(m, ", ")
}

// overruled says whose word is in force and for how long.
func overruled(what string, by *console.Said, until, now time.Time) string {
	who := "an operator"
	if by != nil {
		who = oneLine(by.By.String())
	}
	s := what + " by " + who
	if !until.IsZero() {
		s += " for another " + short(until.Sub(now))
	}
	if by != nil && by.Reason != "" {
		s += " (" + oneLine(by.Reason) + ")"
	}
	return s
}

func pendingWords(b console.Bot) string {
	if b.PendingAtTelegram == nil {
		return "pending updates not known yet"
	}
	return fmt.Sprintf("%d pending", *b.PendingAtTelegram)
}

func storeCell(b console.Bot, now time.Time) cell {
	s := fmt.Sprintf("%d waiting", b.Waiting)
	if b.Waiting > 0 {
		s += " in " + plural(int(b.Lanes), "lane")
		if !b.OldestWaitingAt.IsZero() {
			s += ", the oldest for " + age(b.OldestWaitingAt, now)
		}
	}
	bad := false
	for _, c := range []struct {
		n    int64
		word string
	}{{b.Dead, "dead"}, {b.Quarantined, "quarantined"}, {b.OpenHoles, "missing so far"}, {b.Lost, "lost"}} {
		if c.n > 0 {
			s += fmt.Sprintf(", %d %s", c.n, c.word)
			bad = true
		}
	}
	if bad {
		return styled(yellow, s)
	}
	return text(s)
}

func webhookCell(w console.Webhook, now time.Time) cell {
	s, st := w.URLHost, plain
	if w.Listening {
		s += ", listening on " + w.Listen
	} else {
		s, st = s+", not listening on "+w.Listen, red
	}
	if !w.CertificateNotAfter.IsZero() {
		left := w.CertificateNotAfter.Sub(now)
		if left <= 0 {
			s, st = s+", certificate expired "+short(-left)+" ago", red
		} else {
			s += ", certificate good for " + short(left)
		}
	}
	if !w.LastArrivalAt.IsZero() {
		s += ", last delivery " + age(w.LastArrivalAt, now) + " ago"
	}
	return styled(st, s)
}

func signalsCell(list []console.Signal, now time.Time) cell {
	var bad []string
	st, watching := plain, 0
	for _, s := range list {
		if s.State != console.SignalDisabled {
			watching++
		}
		if s.State != console.SignalSuspect && s.State != console.SignalTripped {
			continue
		}
		if s.State == console.SignalTripped {
			st = red
		} else if st == plain {
			st = yellow
		}
		words := s.Name + " " + s.State
		if !s.Since.IsZero() {
			words += " for " + age(s.Since, now)
		}
		bad = append(bad, joinWords(": ", words, s.Detail))
	}
	if len(bad) == 0 {
		return textf("%d watching, all quiet", watching)
	}
	return styled(st, strings.Join(bad, "; "))
}

func breakersCell(b console.Breakers) cell {
	st := plain
	var words []string
	for _, x := range []struct{ name, state string }{{"deliveries", b.Deliveries}, {"Bot API", b.BotAPI}} {
		if x.state == "" {
			continue
		}
		words = append(words, x.name+" "+x.state)
		if x.state != "closed" {
			st = yellow
		}
	}
	return styled(st, strings.Join(words, ", "))
}

func drillCell(b console.Bot, now time.Time) cell {
	var words []string
	if d := b.Drill; d != nil {
		s := fmt.Sprintf("%s, %s, for %s", d.Experiment, d.Stage, age(d.StartedAt, now))
		words = append(words, joinWords(": ", s, d.Text))
	}
	if h := b.DrillsHalted; h != nil {
		s := "halted"
		if h.By != "" {
			s += " by " + h.By
		}
		if h.Reason != "" {
			s += " (" + h.Reason + ")"
		}
		words = append(words, s+": none begins until dualgram drill resume")
	}
	return styled(yellow, strings.Join(words, "; "))
}

func handoverCell(h console.Handover, now time.Time) cell {
	s := fmt.Sprintf("%s to %s (%s)", h.From, h.To, h.By)
	st := plain
	switch {
	case h.FinishedAt.IsZero():
		s += fmt.Sprintf(", running for %s", age(h.StartedAt, now))
	case h.OK:
		s += fmt.Sprintf(" %s ago, took %s", age(h.FinishedAt, now), short(time.Duration(h.TookMS*float64(time.Millisecond))))
	default:
		s, st = s+fmt.Sprintf(" failed %s ago: %s", age(h.FinishedAt, now), h.Error), red
	}
	return styled(st, joinWords(", ", s, joinWords(": ", h.Reason, h.Evidence)))
}

// joinWords joins what is not empty.
func joinWords(sep string, words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), sep)
}

// age is the time from then to now, "?" if it is not known.
func age(then, now time.Time) string {
	if then.IsZero() {
		return "?"
	}
	return short(now.Sub(then))
}

// short is a duration with two digits or units at most: what matters at a
// glance.
func short(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "0s" // the clocks of the two processes are one; this is rounding
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return config.FormatDuration(d.Round(time.Second))
	case d < 2*day:
		return config.FormatDuration(d.Round(time.Minute))
	}
	return fmt.Sprintf("%dd", int(d/day))
}
