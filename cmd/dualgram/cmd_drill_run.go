package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"dualgram/chaos/drill"
	"dualgram/cmd/dualgram/host"

	"github.com/spf13/cobra"
)

const drillRunLong = `run runs an experiment against the live bot: a shipped one or one of
drills.experiments by its name, or a file. It shows what happens and ends with the
outcome. Ctrl-C ends the faults at once, and so does the death of this command.

--dry-run asks every guard and looks whether the steady state holds, and breaks
nothing.

--sim needs no bot, no token, no network and no configuration: a simulator of
Telegram's server, a dualgram with real TLS and a sample bot are started for this
drill and removed afterwards, and the simulator sends updates. The drill, its guards,
its report and its exit codes are the same, and besides what dualgram says of itself
the simulator's own books count: what was sent against what the bot got.

Exit codes: 0 held; 1 deviated; 2 misuse; 3 could not run or was not started;
4 aborted; 5 not recovered: look at it; 6 invalid, the fault never hit anything;
130 interrupted.`

const drillRunExample = `  dualgram drill run certificate-expired --sim
  dualgram drill run black-hole --sim --rate 50 --report black-hole.html
  dualgram drill run certificate-expired --dry-run
  dualgram drill run certificate-expired --reason "quarterly rehearsal"
  dualgram drill run mine.yaml --reason "after the move" --output json > run.json`

// drillRunFlags are those of drill run.
type drillRunFlags struct {
	bot, reason string
	dryRun      bool
	share       float64
	lasts       duration
	seed        uint64
	reports     []string

	sim   bool
	rate  float64
	chats int
	keep  string
}

func (a *app) drillRunCommand() *cobra.Command {
	f := &drillRunFlags{}
	c := &cobra.Command{Use: "run NAME|FILE", Short: "Run a drill; --sim needs no bot", Long: drillRunLong, Example: drillRunExample, Args: oneName("the name or the file of an experiment"),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range []string{"rate", "chats", "keep"} {
				if cmd.Flags().Changed(name) && !f.sim {
					return misuse("--"+name+" belongs to --sim", "a live bot's traffic is real, and its evidence is in its store; add --sim, or leave --"+name+" out")
				}
			}
			return a.drillRun(contextOr(cmd.Context()), args[0], f)
		}}
	fs := c.Flags()
	fs.StringVar(&f.bot, "bot", "", "`name` of the bot; not needed if there is one")
	fs.StringVar(&f.reason, "reason", "", "`why`, for the evidence; needed without --sim")
	fs.BoolVar(&f.dryRun, "dry-run", false, "only ask the guards and the steady state")
	fs.Float64Var(&f.share, "share", 0, "the `part` that each fault hits, instead of the experiment's")
	fs.Var(&f.lasts, "for", "how long each fault lasts, instead of the experiment's")
	fs.Uint64Var(&f.seed, "seed", 0, "`number` that decides which part is hit")
	fs.StringArrayVar(&f.reports, "report", nil, "write the report to this `file`: .html, .md, .xml (JUnit) or .json; may be repeated")
	fs.BoolVar(&f.sim, "sim", false, "against a simulator of Telegram, made for this drill")
	fs.Float64Var(&f.rate, "rate", 0, "updates a second that the simulator sends; without it the experiment's, else 5")
	fs.IntVar(&f.chats, "chats", 0, "how many chats they come from; 10 if left out")
	fs.StringVar(&f.keep, "keep", "", "leave the simulated host's store, log and certificates, and the evidence, in this new `directory`")
	a.formats(c, "table", "json", "markdown", "html", "junit")
	return c
}

// formats lets a command print in more forms than table and JSON.
func (a *app) formats(c *cobra.Command, allowed ...string) {
	c.Flags().VarP(&formatFlag{a: a, choice: choice{value: "table", allowed: allowed}}, "output", "o", "how to print data: "+strings.Join(allowed, ", "))
}

// formatFlag is --output of a command with forms of its own.
type formatFlag struct {
	choice
	a *app
}

// Set refuses other words.
func (f *formatFlag) Set(s string) error {
	err := f.choice.Set(s)
	if err == nil {
		f.a.output.value = s
	}
	return err
}

// drillOrder is what the arguments ask for, and the experiment if it is known here.
func drillOrder(what string, f *drillRunFlags) (q host.DrillRequest, e *drill.Experiment, err error) {
	q = host.DrillRequest{Name: what, Reason: f.reason, DryRun: f.dryRun, Share: f.share, For: f.lasts.d.Seconds(), Seed: f.seed}
	if strings.ContainsAny(what, "./") {
		var text string
		e, text, err = readExperiment(what)
		q.Name, q.Text, q.File = "", text, what
	}
	for _, path := range f.reports {
		if _, err := reportFormat(path); err != nil {
			return q, e, err
		}
	}
	return q, e, err
}

func (a *app) drillRun(ctx context.Context, what string, f *drillRunFlags) error {
	q, e, err := drillOrder(what, f)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if f.sim {
		return a.drillRunSim(ctx, q, e, f)
	}
	if strings.TrimSpace(f.reason) == "" && !f.dryRun {
		return needReason()
	}
	c, bot, err := a.drillBot(ctx, f.bot)
	if err != nil {
		return err
	}
	last, err := a.followDrill(ctx, c, bot, q)
	if err != nil {
		if ctx.Err() != nil {
			return &failure{code: exitInterrupted, message: "interrupted: the faults have ended, and the recovery was not watched", fix: "see dualgram drill history"}
		}
		return err
	}
	return a.drillDone(ctx, c, bot, last, f)
}

// drillDone prints how it ended, writes the reports, and makes the outcome the exit
// code.
func (a *app) drillDone(ctx context.Context, c *control, bot string, last host.DrillLine, f *drillRunFlags) (err error) {
	j := last.Journal
	report := c.reporter(ctx, bot, j.ID)
	recorded := !j.DryRun && last.Error == "" && last.Head != ""
	switch form := a.output.value; {
	case a.json():
		err = a.printJSON(last)
	case form != "table" && recorded:
		err = report(drill.Format(form), a.stdout)
	default:
		printJournal(a.printer(a.stdout), last)
	}
	if recorded {
		err = errors.Join(err, writeReports(f.reports, report))
		if f.keep != "" {
			err = errors.Join(err, keepEvidence(f.keep, last, report))
		}
	}
	switch p := a.printer(a.stderr); {
	case err != nil:
		return err
	case !recorded || a.json():
	case len(f.reports) > 0 || f.keep != "":
		p.printf("%s\n", p.paint(dim, "The report is in "+oneLine(strings.Join(append(f.reports, f.keep)[:max(1, len(f.reports))], ", "))))
	case f.sim:
		p.printf("%s\n", p.paint(dim, "To keep the report: --report FILE.html, or --keep DIRECTORY with all evidence"))
	default:
		p.printf("%s\n", p.paint(dim, "The report: dualgram drill report "+j.ID))
	}
	switch {
	case last.Error != "":
		return couldNotRun("the evidence could not be saved: "+last.Error, "free or repair the disk of the store; keep the output of this command", nil)
	case f.dryRun && j.Ready():
		return nil
	}
	if code := j.Outcome.ExitCode(); code != exitOK {
		return &failure{code: code}
	}
	return nil
}

// reporter writes the reports of a run.
func (c *control) reporter(ctx context.Context, bot, id string) func(drill.Format, io.Writer) error {
	return func(format drill.Format, w io.Writer) error {
		return c.copy(ctx, "/v1/bots/"+url.PathEscape(bot)+"/drills/"+url.PathEscape(id), url.Values{"format": {string(format)}}, w)
	}
}

// reportFormat tells the form of a report by its file's name.
func reportFormat(path string) (drill.Format, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".html", ".htm":
		return drill.HTML, nil
	case ".md", ".markdown":
		return drill.Markdown, nil
	case ".xml":
		return drill.JUnit, nil
	case ".json":
		return drill.JSON, nil
	}
	return "", misuse("--report "+path+": what form is it to have?", "let the name end in .html, .md, .xml (JUnit) or .json")
}

// writeReports writes each file in the form that its name says.
func writeReports(paths []string, report func(drill.Format, io.Writer) error) error {
	for _, path := range paths {
		format, err := reportFormat(path)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := report(format, &b); err != nil {
			return err
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil { //nolint:gosec // a report is to be shown around
			return couldNotRun("write the report: "+err.Error(), "", err)
		}
	}
	return nil
}

// drillView shows what a drill does.
func (a *app) drillView() (view func(drill.Progress), done func()) {
	line := a.progressLine()
	said := ""
	return func(p drill.Progress) {
		if a.json() {
			return
		}
		words := fmt.Sprintf("%s: %s", p.Stage, p.Text)
		if words != said { // what is new stays on the screen
			line.clear()
			a.printer(a.stderr).printf("%s %s\n", time.Now().Format("15:04:05"), oneLine(words))
			said = words
		}
		if p.Sample != nil {
			line.show(fmt.Sprintf("%s, hit %d, %s left; Ctrl-C ends the faults", p.Sample.Facts.Phase, p.Sample.Fired, short(p.Left)))
		}
	}, line.clear
}

// followDrill runs the drill and shows its progress; the request is the drill's
// life.
func (a *app) followDrill(ctx context.Context, c *control, bot string, q host.DrillRequest) (host.DrillLine, error) {
	view, done := a.drillView()
	defer done()
	return c.drill(ctx, bot, q, view)
}

// drill runs a drill until it ends or the context does, and tells what happens.
func (c *control) drill(ctx context.Context, bot string, q host.DrillRequest, view func(drill.Progress)) (last host.DrillLine, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return last, couldNotRun(err.Error(), "", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://dualgram/v1/bots/"+url.PathEscape(bot)+"/drills", bytes.NewReader(body))
	if err != nil {
		return last, couldNotRun(err.Error(), "", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return last, c.unreachable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		return last, refused(resp.Status, answer)
	}
	in := bufio.NewReaderSize(resp.Body, 1<<20)
	for {
		raw, err := in.ReadBytes('\n')
		if err != nil {
			return last, couldNotRun("dualgram went away in mid-drill: its faults ended with it", "see dualgram status", errors.Join(err, ctx.Err()))
		}
		var l host.DrillLine
		if err := json.Unmarshal(raw, &l); err != nil {
			return last, couldNotRun("read the answer: "+err.Error(), "use the command of the version that runs", err)
		}
		if l.Journal != nil {
			return l, nil
		}
		if l.Progress != nil {
			view(*l.Progress)
		}
	}
}

func outcomeStyle(outcome string) style {
	if outcome == string(drill.Held) {
		return green
	}
	return red
}

// printJournal says how the drill ended, and why.
func printJournal(p *printer, l host.DrillLine) {
	j := l.Journal
	if j.DryRun && j.Ready() {
		p.printf("Dry run: %s could begin now.\n", oneLine(j.Experiment.Name))
		return
	}
	p.printf("%s  %s after %s\n", p.paint(outcomeStyle(string(j.Outcome)), string(j.Outcome)), oneLine(j.Experiment.Title), short(j.End.Sub(j.Start)))
	for _, r := range j.Reasons {
		p.printf("  %s\n", oneLine(r))
	}
	seconds := func(v *float64) string {
		if v == nil {
			return ""
		}
		return fmt.Sprintf("%.1fs", *v)
	}
	var rows [][]cell
	for _, r := range []struct{ name, v string }{
		{"switch to polling", seconds(j.Timings.Switch)}, {"first update by polling", seconds(j.Timings.FirstUpdate)},
		{"webhook proven again", seconds(j.Timings.Failback)}, {"steady state again", seconds(j.Timings.Recovery)},
		{"hit", fmt.Sprint(j.Fired)}, {"updates", fmt.Sprintf("%d by webhook, %d by polling, %d lost", j.Counts.ReceivedWebhook, j.Counts.ReceivedPolling, j.Counts.Lost)},
		{"run", j.ID}, {"head", l.Head},
	} {
		if r.v != "" && (j.Injected() || r.name == "run") {
			rows = append(rows, []cell{styled(dim, r.name), text(r.v)})
		}
	}
	p.table(rows...)
	if s := j.Simulator; s != nil && s.Books != nil {
		printBooks(p, s.Books)
	}
}

// shortDay is a time as lists show it; empty if it is none.
func shortDay(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}
