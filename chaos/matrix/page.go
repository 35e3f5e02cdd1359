package matrix

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Report is all that a page is made of.
type Report struct {
	// Command makes the page anew, Revision is what was measured.
	Command  string
	Revision string
	Results  []Results
}

// rows returns the rows of a kind, those in virtual time first.
func (r *Report) rows(k Kind) (out []Row) {
	for _, real := range []bool{false, true} {
		for _, res := range r.Results {
			for _, row := range res.Rows {
				if row.Kind == k && row.Real == real {
					out = append(out, row)
				}
			}
		}
	}
	return out
}

// Violations says where the rows break their bounds.
func (r *Report) Violations() (out []string) {
	for _, k := range Kinds() {
		for _, row := range r.rows(k) {
			for _, v := range row.Violations() {
				out = append(out, row.title()+": "+v)
			}
		}
	}
	return out
}

func (r *Row) title() string {
	if r.Real {
		return r.Name + " (real)"
	}
	return r.Name
}

// Figures of a sample, by which spreads are made.
func detect(s Sample) time.Duration   { return s.Detect }
func decide(s Sample) time.Duration   { return s.Decide }
func switched(s Sample) time.Duration { return s.Switch }
func first(s Sample) time.Duration    { return s.First }
func longest(s Sample) time.Duration  { return s.Longest }
func failback(s Sample) time.Duration { return s.Failback }

// total is the sum over samples.
func total(rows []Row, of func(Sample) int) (n int) {
	for _, r := range rows {
		for _, s := range r.Samples {
			n += of(s)
		}
	}
	return n
}

func most(r Row, of func(Sample) int) (n int) {
	for _, s := range r.Samples {
		n = max(n, of(s))
	}
	return n
}

func lost(s Sample) int      { return s.Lost }
func doubled(s Sample) int   { return s.Doubled }
func reordered(s Sample) int { return s.Reordered }
func failovers(s Sample) int { return s.Failovers }
func changes(s Sample) int   { return s.Changes }
func runs(Sample) int        { return 1 }
func sent(s Sample) int      { return s.Sent }
func eaten(s Sample) int     { return s.Eaten }

// Page writes the report as Markdown for people: a line for each row.
func (r *Report) Page(w io.Writer) error {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	outages, alarms, flaps := r.rows(Outage), r.rows(FalseAlarm), r.rows(Flapping)
	all := slices.Concat(outages, alarms, flaps)

	p("# The fault matrix\n")
	p("What dualgram does in each outage that we know of, and in each situation that only looks like one. This page is written by a program; don't edit it.\n")
	r.summary(p, outages, alarms, flaps)
	p("\n![When the standby brought the first update, for each outage](fault-matrix.svg)\n")
	p("## How to read it\n")
	p("Each run starts Telegram's side (a simulator that keeps the real server's rules), a supervisor with the product's defaults, and a bot; waits until the webhook is proven; and then breaks something at a moment that the seed decides. The Bot API takes 20 to 300 ms. Rows marked *real* run the real program on real sockets with a hold-down of a second.\n")
	p("- **Traffic** is updates per second. **Runs** are over all rates.")
	p("- **Detect** is when a signal that moves the mode held, **decide** when the decision was on disk, **switch** when getUpdates answered, **first** when the bot took the first update that polling brought. Median / 99th percentile / most, in seconds, from the fault's onset; or, where no update waited then, from the first one that the fault stranded.")
	p("- **Longest wait** is the longest that any update waited for the bot to take it, whichever way it came.")
	p("- **L/D/R** is lost, doubled, out of order: what Telegram handed out against what the bot wrote down. dualgram's own counters are not asked.")
	p("- **Changes** is registrations made and ended at Telegram, the most in a run. **Failback** is from the fault's end to the webhook's lasting registration; the hold-down is in it: 120 s here, since the faults come within ten minutes of the webhook's proof.")
	p("- Bounds that the program checks: each first update within %g s, %g s in the median for faults that the host itself sees; L/D/R all 0; no failover in a false alarm; at most %d in an hour of flapping; the webhook back within %g min of an outage's end; and a mode that takes updates in at the end.\n", Budget.Seconds(), LocalMedian.Seconds(), FlappingFailovers, FailbackMost.Minutes())

	p("## Outages\n")
	p("| What was done | Seen by | Traffic | Runs | Detect | Decide | Switch | First | Longest wait | L/D/R | Changes | Failback |")
	p("|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, row := range outages {
		p("| %s | %s | %s | %d | %s | %s | %s | %s | %s | %s | %d | %s |", row.words(), row.seen(), row.traffic(), len(row.Samples),
			row.three(detect), row.three(decide), row.three(switched), row.three(first), row.one(longest), row.ldr(), most(row, changes), row.two(failback))
	}
	p("\n## False alarms\n")
	p("| What was done | Traffic | Runs | Failovers | Changes | Longest wait | L/D/R |")
	p("|---|---|--:|--:|--:|--:|--:|")
	for _, row := range alarms {
		p("| %s | %s | %d | %d | %d | %s | %s |", row.words(), row.traffic(), len(row.Samples), most(row, failovers), most(row, changes), row.one(longest), row.ldr())
	}
	p("\n## Flapping\n")
	p("| What was done | Seen by | Traffic | Runs | Failovers in the hour | Changes | Ends in a working mode | Longest wait | L/D/R |")
	p("|---|---|---|--:|--:|--:|---|--:|--:|")
	for _, row := range flaps {
		p("| %s | %s | %s | %d | %d | %d | %s | %s | %s |", row.words(), row.seen(), row.traffic(), len(row.Samples), most(row, failovers), most(row, changes), row.working(), row.one(longest), row.ldr())
	}
	p("\n## Made by\n")
	p("```\n%s\n```\n", r.Command)
	p("at revision %s. %d runs, %d updates.", r.Revision, total(all, runs), total(all, sent))
	for _, res := range r.Results {
		p("\n- `%s`: %s", res.Command, res.versions())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) summary(p func(string, ...any), outages, alarms, flaps []Row) {
	if v := r.Violations(); len(v) > 0 {
		p("**%d bounds are broken:**\n", len(v))
		for _, s := range v {
			p("- %s", s)
		}
		p("")
	}
	every := Row{}
	for _, row := range outages {
		every.Samples = append(every.Samples, row.Samples...)
	}
	f := every.Spread(first)
	p("- %d outages, %d runs: the standby brought the first update after %s s in the median, %s s at the 99th percentile, %s s at most.",
		len(outages), total(outages, runs), seconds(f.P50), seconds(f.P99), seconds(f.Max))
	p("- %d false alarms, %d runs: %d failovers.", len(alarms), total(alarms, runs), total(alarms, failovers))
	n := 0
	for _, row := range flaps {
		n = max(n, most(row, failovers))
	}
	p("- %d kinds of flapping, %d hours: at most %d failovers in an hour.", len(flaps), total(flaps, runs), n)
	all := slices.Concat(outages, alarms, flaps)
	p("- %d updates sent: %d lost, %d doubled, %d out of order.", total(all, sent), total(all, lost), total(all, doubled), total(all, reordered))
	if n := total(all, eaten); n > 0 {
		p("- %d more were acknowledged by somebody in front of the webhook (the maintenance page): Telegram believes them taken, and they can't be had back. dualgram says so, and ends it.", n)
	}
}

// words is the row's first cell.
func (r *Row) words() string {
	return "**" + r.title() + "**: " + strings.ReplaceAll(r.Did, "|", "\\|")
}

func (r *Row) seen() string {
	if s := r.Signals(); len(s) > 0 {
		return strings.Join(s, ", ")
	}
	return "–"
}

func (r *Row) traffic() string {
	var s []string
	for _, rate := range r.Rates() {
		s = append(s, strconv.FormatFloat(rate, 'g', -1, 64))
	}
	return strings.Join(s, ", ")
}

func (r *Row) three(of func(Sample) time.Duration) string {
	s := r.Spread(of)
	if s.Count == 0 {
		return "–"
	}
	return seconds(s.P50) + " / " + seconds(s.P99) + " / " + seconds(s.Max)
}

func (r *Row) two(of func(Sample) time.Duration) string {
	s := r.Spread(of)
	if s.Count == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f / %.0f", s.P50.Seconds(), s.Max.Seconds())
}

func (r *Row) one(of func(Sample) time.Duration) string {
	s := r.Spread(of)
	if s.Count == 0 {
		return "–"
	}
	return seconds(s.Max)
}

func (r *Row) ldr() string {
	one := []Row{*r}
	s := fmt.Sprintf("%d/%d/%d", total(one, lost), total(one, doubled), total(one, reordered))
	if n := total(one, eaten); n > 0 {
		s += fmt.Sprintf(" (%d eaten)", n)
	}
	return s
}

func (r *Row) working() string {
	for _, s := range r.Samples {
		if !s.Working {
			return "no"
		}
	}
	return "yes"
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) }

func (r *Results) versions() string {
	s := append([]string{r.Go}, r.Modules...)
	return strings.Join(s, ", ") + fmt.Sprintf("; seeds from %d", r.Seed)
}
