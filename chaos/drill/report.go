package drill

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Report is all that a report of one run is made of.
type Report struct {
	Journal Journal
	// Head is the hash of the run's record: with it, a history that was changed
	// later is told from the one that was reported.
	Head string
	// Past are earlier runs of the same experiment, oldest first, for the trend.
	Past []Journal
}

// SchemaReport names the format of a report in JSON.
const SchemaReport = "dualgram.drill.report/v1"

// Format is a form of a report.
type Format string

// The formats.
const (
	JSON     Format = "json"
	Markdown Format = "markdown"
	HTML     Format = "html"
	JUnit    Format = "junit"
)

// Formats lists them all.
func Formats() []Format { return []Format{JSON, Markdown, HTML, JUnit} }

// Write writes the report. It says the same at any time: what it holds is from
// the record alone.
func (r *Report) Write(w io.Writer, f Format) error {
	var s string
	var err error
	switch f {
	case JSON:
		s, err = r.json()
	case Markdown:
		s = r.markdown()
	case HTML:
		s, err = r.html()
	case JUnit:
		s, err = r.junit()
	default:
		return fmt.Errorf("drill: there is no report in %q; the formats are json, markdown, html, junit", f)
	}
	if err != nil {
		return fmt.Errorf("drill: writing the report: %w", err)
	}
	_, err = io.WriteString(w, s)
	return err
}

func (r *Report) json() (string, error) {
	b, err := json.MarshalIndent(struct {
		Schema string  `json:"schema"`
		Hash   string  `json:"hash"`
		Run    Journal `json:"run"`
	}{SchemaReport, r.Head, r.Journal}, "", "  ")
	return string(b) + "\n", err
}

// fact is a line of a table: what, and how it was.
type fact struct{ Name, Value string }

// summary is the head of a report.
func (r *Report) summary() []fact {
	j := &r.Journal
	who := orUnknown(j.Who.User) + because(j.Who.Reason)
	if j.Trigger == TriggerSchedule {
		who = "the schedule, planned for " + stamp(j.Planned)
	}
	out := []fact{
		{"Run", j.ID},
		{"Bot", j.Bot},
		{"Started", stamp(j.Start)},
		{"Ended", stamp(j.End) + " (after " + secs(j.Duration) + ")"},
		{"By", who},
		{"Against", map[bool]string{false: "the live host " + j.Node, true: "the simulator on " + j.Node}[j.Simulated]},
		{"Faults fired", fmt.Sprint(j.Fired)},
		{"Version", j.Version + " on " + j.Platform},
		{"Configuration", j.ConfigHash},
		{"Seed", fmt.Sprint(j.Seed)},
		{"Record", r.Head},
	}
	if s := j.Simulator; s != nil {
		out = append(out, fact{"Traffic", fmt.Sprintf("%v updates a second from %d chats, made by the simulator", s.Rate, s.Chats)})
		if len(s.Shortened) > 0 {
			out = append(out, fact{"Unlike a live host", strings.Join(s.Shortened, "; ")})
		}
	}
	if j.Experiment.Runbook != "" {
		out = append(out, fact{"Runbook", j.Experiment.Runbook})
	}
	return out
}

// headline says in a sentence how it ended.
func (r *Report) headline() string {
	j := &r.Journal
	switch j.Outcome {
	case Held:
		s := "The host did as it promises"
		if t := j.Timings.Switch; t != nil {
			s += ": polling took over after " + secs(*t)
		}
		return s + fmt.Sprintf(". %d updates came, %d were lost.", j.Counts.ReceivedWebhook+j.Counts.ReceivedPolling, j.Counts.Lost)
	case Deviated:
		return "The drill ran to its end, and something was not as expected."
	case NotStarted:
		return "The drill did not begin; nothing was broken."
	case Aborted:
		return "The drill was ended early, and its faults with it."
	case NotRecovered:
		return "The steady state did not return in time. This needs a person."
	case Invalid:
		return "Nothing was proved."
	default:
		return "The drill was interrupted, and its faults ended with it."
	}
}

// timings are the durations for people.
func (r *Report) timings() []fact {
	t := r.Journal.Timings
	return []fact{
		{"Detected, from the injection", optional(t.Detect)},
		{"Switched to polling, from the onset", optional(t.Switch)},
		{"First update by polling, from the onset", optional(t.FirstUpdate)},
		{"Webhook proven again, from the removal", optional(t.Failback)},
		{"Steady state back, from the removal", optional(t.Recovery)},
	}
}

// timeline is what happened when, in order.
func (r *Report) timeline() (out []fact) {
	t := &r.Journal.Timeline
	type moment struct {
		name string
		at   time.Time
	}
	var moments []moment
	for _, e := range []moment{
		{"the first fault is injected", t.Inject}, {"earliest time at which an update can have been left waiting", t.Stranded},
		{"detected", t.Detect}, {"decided", t.Decide}, {"deleteWebhook acknowledged", t.DeleteAck},
		{"getUpdates answered", t.FirstPoll}, {"first update by polling", t.FirstUpdate}, {"the last fault is gone", t.Remove},
		{"webhook proven", t.WebhookOK}, {"steady state back", t.Recovered},
	} {
		if !e.at.IsZero() {
			moments = append(moments, e)
		}
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return a.at.Compare(b.at) })
	for _, e := range moments {
		out = append(out, fact{fmt.Sprintf("%+.3f s", e.at.Sub(t.Inject).Seconds()), e.name})
	}
	return out
}

// counts are the updates of the run.
func (r *Report) counts() []fact {
	c := r.Journal.Counts
	most := "unknown"
	if p := r.Journal.MaxPending; p != nil {
		most = fmt.Sprint(*p)
	}
	return []fact{
		{"Received by webhook", fmt.Sprint(c.ReceivedWebhook)}, {"Received by polling", fmt.Sprint(c.ReceivedPolling)},
		{"Came again, and were not doubled", fmt.Sprint(c.Duplicates)}, {"Taken by the bot", fmt.Sprint(c.Delivered)},
		{"Lost", fmt.Sprint(c.Lost)}, {"Buried", fmt.Sprint(c.Dead)}, {"Most that waited at Telegram", most},
	}
}

// books are the simulator's; none for a live host.
func (r *Report) books() []fact {
	s := r.Journal.Simulator
	if s == nil || s.Books == nil {
		return nil
	}
	b := s.Books
	return []fact{
		{"Sent, from the simulator's start on", fmt.Sprint(b.Sent)}, {"With the bot", fmt.Sprintf("%d: %d by webhook, %d by polling", b.Delivered, b.ByWebhook, b.ByPolling)},
		{"Lost", fmt.Sprint(b.Lost)}, {"Doubled", fmt.Sprint(b.Doubled)}, {"Out of order", fmt.Sprint(b.OutOfOrder)},
		{"First update by polling, from the onset", optional(b.Switch)}, {"Not yet delivered", fmt.Sprint(b.Waiting)}, {"Altered", fmt.Sprint(b.Altered)},
	}
}

// verdictLine is one line of the hypothesis.
type verdictLine struct {
	Phase, Name, Expr, Detail string
	Met                       bool
}

func (r *Report) hypothesis() (out []verdictLine) {
	add := func(p Phase, s *SteadyState) {
		if s == nil {
			return
		}
		for _, x := range s.Probes {
			d := x.Detail
			if d == "" {
				d = valuesText(x.Values)
			}
			out = append(out, verdictLine{string(p), x.Activity.Name, x.Expr, d, x.ToleranceMet})
		}
	}
	s := &r.Journal.SteadyStates
	add(Before, s.Before)
	for i := range s.During {
		add(During, &s.During[i])
	}
	add(After, s.After)
	return out
}

// stepLine is one line of the method.
type stepLine struct{ Name, Fault, Lasted, Fired, Status string }

func (r *Report) steps() (out []stepLine) {
	for _, s := range append(append([]Step{}, r.Journal.Run...), r.Journal.Rollbacks...) {
		l := stepLine{Name: s.Activity.Name, Fault: s.Activity.Provider.Func, Lasted: secs(s.Duration), Status: s.Status, Fired: "–"}
		if s.Fault != nil {
			l.Fired = fmt.Sprint(s.Fault.Fired)
		}
		if s.Error != "" {
			l.Status += ": " + s.Error
		}
		out = append(out, l)
	}
	return out
}

// warningLine is one line of the warnings.
type warningLine struct{ Code, From, To, Expected string }

func (r *Report) warnings() (out []warningLine) {
	at := func(t time.Time) string { return fmt.Sprintf("%+.0f s", t.Sub(r.Journal.Timeline.Inject).Seconds()) }
	for _, w := range r.Journal.Warnings {
		out = append(out, warningLine{w.Code, at(w.First), at(w.Last), map[bool]string{true: "yes", false: "no"}[w.Expected]})
	}
	return out
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func secs(f float64) string { return fmt.Sprintf("%.1f s", f) }

func optional(f *float64) string {
	if f == nil {
		return "–"
	}
	return fmt.Sprintf("%.2f s", *f)
}

// markdown is the report for a ticket or a wiki.
func (r *Report) markdown() string {
	var b strings.Builder
	j := &r.Journal
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Drill: %s\n", mdText(j.Experiment.Title))
	p("**%s.** %s\n", j.Outcome, r.headline())
	for _, why := range j.Reasons {
		p("- %s", mdText(why))
	}
	if len(j.Reasons) > 0 {
		p("")
	}
	p("%s\n", mdText(j.Experiment.Description))
	table := func(title string, head []string, rows [][]string) {
		if len(rows) == 0 {
			return
		}
		p("## %s\n", title)
		p("| %s |", strings.Join(head, " | "))
		p("|%s", strings.Repeat("---|", len(head)))
		for _, row := range rows {
			for i := range row {
				row[i] = strings.ReplaceAll(mdText(row[i]), "|", `\|`)
			}
			p("| %s |", strings.Join(row, " | "))
		}
		p("")
	}
	facts := func(fs []fact) (rows [][]string) {
		for _, f := range fs {
			rows = append(rows, []string{f.Name, f.Value})
		}
		return rows
	}
	table("Run", []string{"", ""}, facts(r.summary()))
	table("Times", []string{"", ""}, facts(r.timings()))
	table("Timeline", []string{"From the injection", "What"}, facts(r.timeline()))
	table("Updates", []string{"", ""}, facts(r.counts()))
	table("By the simulator's own books", []string{"", ""}, facts(r.books()))
	var rows [][]string
	for _, h := range r.hypothesis() {
		rows = append(rows, []string{h.Phase, h.Name, h.Expr, map[bool]string{true: "held", false: "**did not hold**"}[h.Met], h.Detail})
	}
	table("Hypothesis", []string{"Phase", "Probe", "Expression", "", "Seen"}, rows)
	rows = nil
	for _, s := range r.steps() {
		rows = append(rows, []string{s.Name, s.Fault, s.Lasted, s.Fired, s.Status})
	}
	table("Method", []string{"Step", "What", "Lasted", "Fired", "Status"}, rows)
	rows = nil
	for _, w := range r.warnings() {
		rows = append(rows, []string{w.Code, w.From, w.To, w.Expected})
	}
	table("Warnings shown", []string{"Code", "From", "To", "Expected"}, rows)
	rows = nil
	for _, t := range r.trend() {
		rows = append(rows, []string{stamp(t.at), string(t.outcome), optional(t.took)})
	}
	if len(rows) > 1 {
		table("Trend", []string{"Run", "Outcome", "Switched after"}, rows)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// mdText keeps what others wrote on one line, and makes no HTML of it.
func mdText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(strings.Join(strings.Fields(s), " "))
}

// point is one run in the trend.
type point struct {
	at      time.Time
	outcome Outcome
	took    *float64
}

// trend is the time to switch over the past runs and this one.
func (r *Report) trend() (out []point) {
	for _, j := range append(append([]Journal{}, r.Past...), r.Journal) {
		if j.ran() {
			out = append(out, point{j.Start, j.Outcome, j.Timings.Switch})
		}
	}
	return out
}
