package main

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"dualgram/chaos/drill"
)

// printMatrix prints it in the form that is asked for.
func (a *app) printMatrix(m *drillMatrix) error {
	switch a.output.value {
	case "json":
		return a.printJSON(m)
	case "junit":
		s, err := m.junit()
		if err != nil {
			return couldNotRun(err.Error(), "", err)
		}
		a.printer(a.stdout).printf("%s", s)
	case "markdown":
		a.printer(a.stdout).printf("%s", m.markdown())
	default:
		printMatrixTables(a.printer(a.stdout), m)
	}
	return nil
}

// coverage is the head and the lines of what is covered.
func (m *drillMatrix) coverage() [][]string {
	rows := [][]string{{"DRILL", "LAYER", "FAULT", "MODE", "SIGNAL", "WARNING", "RUNBOOK"}}
	for _, r := range m.Rows {
		rows = append(rows, []string{r.Name, strings.Join(r.Layers, " "), strings.Join(r.Faults, " "), orEither(r.Mode), strings.Join(r.Signals, " "), strings.Join(r.Warnings, " "), r.Runbook})
	}
	return rows
}

func orEither(mode string) string {
	if mode == "" {
		return "either"
	}
	return mode
}

// results is the head and the lines of the runs; only the head if there was none.
func (m *drillMatrix) results() [][]string {
	rows := [][]string{{"DRILL", "LAST RUN", "OUTCOME", "SWITCH", "HIT"}}
	if m.Simulated {
		rows = [][]string{{"DRILL", "OUTCOME", "DETECT", "SWITCH", "RECOVER", "HIT", "DETECTED BY", "WARNINGS SHOWN", "PENDING", "SENT", "LOST", "DOUBLED", "OUT OF ORDER"}}
	}
	for _, r := range m.Rows {
		run := r.Run
		switch {
		case run == nil:
		case !m.Simulated:
			rows = append(rows, []string{r.Name, shortDay(run.At), run.Outcome, seconds1(run.Switch), fmt.Sprint(run.Fired)})
		default:
			row := []string{r.Name, run.Outcome, seconds1(run.Detect), seconds1(run.Switch), seconds1(run.Recovery), fmt.Sprint(run.Fired), strings.Join(run.Detected, " "), strings.Join(run.Shown, " "), "", "", "", "", ""}
			if run.Pending != nil {
				row[8] = fmt.Sprint(*run.Pending)
			}
			if b := run.Books; b != nil {
				row[9], row[10], row[11], row[12] = fmt.Sprint(b.Sent), fmt.Sprint(b.Lost), fmt.Sprint(b.Doubled), fmt.Sprint(b.OutOfOrder)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func seconds1(v *float64) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf("%.1fs", *v)
}

// gaps says what no shipped drill is about.
func (u uncovered) gaps() (out [][2]string) {
	for _, g := range []struct {
		what  string
		names []string
	}{{"faults", u.Faults}, {"signals", u.Signals}, {"warnings", u.Warnings}} {
		if len(g.names) > 0 {
			out = append(out, [2]string{g.what, strings.Join(g.names, ", ")})
		}
	}
	return out
}

// sums says how many ended how.
func (m *drillMatrix) sums() string {
	count := map[string]int{}
	n := 0
	for _, r := range m.Rows {
		if r.Run != nil {
			n++
			count[r.Run.Outcome]++
		}
	}
	if n == 0 {
		return ""
	}
	words := []string{fmt.Sprintf("%d of %d held", count[string(drill.Held)], n)}
	for _, o := range append(drill.Outcomes(), "could_not_run") {
		if c := count[string(o)]; o != drill.Held && c > 0 {
			words = append(words, fmt.Sprintf("%d %s", c, o))
		}
	}
	if m.Took > 0 {
		words = append(words, "in "+short(time.Duration(m.Took*float64(time.Second))))
	}
	return strings.Join(words, ", ")
}

func printMatrixTables(p *printer, m *drillMatrix) {
	show := func(rows [][]string, outcome int) {
		out := [][]cell{header(rows[0]...)}
		for _, r := range rows[1:] {
			line := cells(plain, r...)
			if outcome >= 0 {
				line[outcome].style = outcomeStyle(r[outcome])
			}
			out = append(out, line)
		}
		p.table(out...)
	}
	if !m.Simulated {
		show(m.coverage(), -1)
		for _, g := range m.Uncovered.gaps() {
			p.printf("%s\n", p.paint(dim, "No shipped drill is about the "+g[0]+" "+g[1]+"."))
		}
	}
	if runs := m.results(); len(runs) > 1 {
		if !m.Simulated {
			p.printf("\n")
		}
		outcome := 1
		if !m.Simulated {
			outcome = 2
		}
		show(runs, outcome)
		p.printf("%s\n", m.sums())
		for _, r := range m.Rows {
			if r.Run != nil && len(r.Run.Reasons) > 0 {
				p.printf("%s: %s\n", p.paint(bold, r.Name), oneLine(strings.Join(r.Run.Reasons, "; ")))
			}
		}
	}
}

// markdown is for a wiki.
func (m *drillMatrix) markdown() string {
	var b strings.Builder
	table := func(rows [][]string) {
		for i, r := range rows {
			for j := range r {
				r[j] = strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(oneLine(r[j]))
			}
			fmt.Fprintf(&b, "| %s |\n", strings.Join(r, " | "))
			if i == 0 {
				fmt.Fprintf(&b, "|%s\n", strings.Repeat("---|", len(r)))
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("# Drills\n\n## What they cover\n\n")
	table(m.coverage())
	for _, g := range m.Uncovered.gaps() {
		fmt.Fprintf(&b, "No shipped drill is about the %s %s.\n\n", g[0], g[1])
	}
	if runs := m.results(); len(runs) > 1 {
		title := "How each last ended"
		if m.Simulated {
			title = "On the simulator"
		}
		fmt.Fprintf(&b, "## %s\n\n", title)
		table(runs)
		b.WriteString(m.sums() + "\n")
		for _, r := range m.Rows {
			if r.Run != nil {
				for _, why := range r.Run.Reasons {
					fmt.Fprintf(&b, "\n- %s: %s", r.Name, strings.ReplaceAll(oneLine(why), "<", "&lt;"))
				}
			}
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// junit is for a CI system: a case for each drill.
func (m *drillMatrix) junit() (string, error) {
	type fault struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	type testCase struct {
		Class   string `xml:"classname,attr"`
		Name    string `xml:"name,attr"`
		Time    string `xml:"time,attr"`
		Failure *fault `xml:"failure,omitempty"`
		Error   *fault `xml:"error,omitempty"`
		Skipped *fault `xml:"skipped,omitempty"`
		Out     string `xml:"system-out,omitempty"`
	}
	s := struct {
		XMLName  xml.Name   `xml:"testsuite"`
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Errors   int        `xml:"errors,attr"`
		Skipped  int        `xml:"skipped,attr"`
		Time     string     `xml:"time,attr"`
		Cases    []testCase `xml:"testcase"`
	}{Name: "dualgram drills", Time: fmt.Sprintf("%.3f", m.Took)}
	for _, r := range m.Rows {
		c := testCase{Class: "drill", Name: r.Name, Time: "0"}
		s.Tests++
		switch {
		case r.Run == nil:
			c.Skipped = &fault{Message: "never run"}
			s.Skipped++
		case r.Run.Outcome == string(drill.Held):
		case r.Run.Outcome == string(drill.Deviated):
			c.Failure = &fault{r.Run.Outcome, strings.Join(r.Run.Reasons, "\n")}
			s.Failures++
		default:
			c.Error = &fault{r.Run.Outcome, strings.Join(r.Run.Reasons, "\n")}
			s.Errors++
		}
		if r.Run != nil {
			c.Out = fmt.Sprintf("detect %s, switch %s, recover %s, hit %d", orDash(seconds1(r.Run.Detect)), orDash(seconds1(r.Run.Switch)), orDash(seconds1(r.Run.Recovery)), r.Run.Fired)
		}
		s.Cases = append(s.Cases, c)
	}
	out, err := xml.MarshalIndent(s, "", "  ")
	return xml.Header + string(out) + "\n", err
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
