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
	"os/signal"
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

Exit codes: 0 held; 1 deviated; 2 misuse; 3 could not run or was not started;
4 aborted; 5 not recovered: look at it; 6 invalid, the fault never hit anything;
130 interrupted.`

const drillRunExample = `  dualgram drill run certificate-expired --dry-run
  dualgram drill run certificate-expired --reason "quarterly rehearsal"
  dualgram drill run mine.yaml --reason "after the move" --output json > run.json`

// drillRunFlags are those of drill run.
type drillRunFlags struct {
	bot, reason string
	dryRun      bool
	share       float64
	lasts       duration
	seed        uint64
}

func (a *app) drillRunCommand() *cobra.Command {
	f := &drillRunFlags{}
	c := &cobra.Command{Use: "run NAME|FILE", Short: "Run a drill", Long: drillRunLong, Example: drillRunExample, Args: oneName("the name or the file of an experiment"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.drillRun(contextOr(cmd.Context()), args[0], f) }}
	fs := c.Flags()
	fs.StringVar(&f.bot, "bot", "", "`name` of the bot; not needed if there is one")
	fs.StringVar(&f.reason, "reason", "", "`why`, for the evidence; needed")
	fs.BoolVar(&f.dryRun, "dry-run", false, "only ask the guards and the steady state")
	fs.Float64Var(&f.share, "share", 0, "the `part` that each fault hits, instead of the experiment's")
	fs.Var(&f.lasts, "for", "how long each fault lasts, instead of the experiment's")
	fs.Uint64Var(&f.seed, "seed", 0, "`number` that decides which part is hit")
	return c
}

func (a *app) drillRun(ctx context.Context, what string, f *drillRunFlags) error {
	q := host.DrillRequest{Name: what, Reason: f.reason, DryRun: f.dryRun, Share: f.share, For: f.lasts.d.Seconds(), Seed: f.seed}
	if strings.ContainsAny(what, "./") {
		_, text, err := readExperiment(what)
		if err != nil {
			return err
		}
		q.Name, q.Text, q.File = "", text, what
	}
	if strings.TrimSpace(f.reason) == "" && !f.dryRun {
		return needReason()
	}
	c, bot, err := a.drillBot(ctx, f.bot)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	last, err := a.followDrill(ctx, c, "/v1/bots/"+url.PathEscape(bot)+"/drills", q)
	if err != nil {
		if ctx.Err() != nil {
			return &failure{code: exitInterrupted, message: "interrupted: the faults have ended, and the recovery was not watched", fix: "see dualgram drill history"}
		}
		return err
	}
	j := last.Journal
	if a.json() {
		err = a.printJSON(last)
	} else {
		printJournal(a.printer(a.stdout), last)
	}
	switch {
	case err != nil:
		return err
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

// followDrill runs the drill and shows its progress; the request is the drill's
// life.
func (a *app) followDrill(ctx context.Context, c *control, path string, q host.DrillRequest) (last host.DrillLine, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return last, couldNotRun(err.Error(), "", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://dualgram"+path, bytes.NewReader(body))
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
	line := a.progressLine()
	defer line.clear()
	in := bufio.NewReaderSize(resp.Body, 1<<20)
	said := ""
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
		if p := l.Progress; p != nil && !a.json() {
			words := fmt.Sprintf("%s: %s", p.Stage, p.Text)
			if words != said { // what is new stays on the screen
				line.clear()
				a.printer(a.stderr).printf("%s %s\n", time.Now().Format("15:04:05"), oneLine(words))
				said = words
			}
			if p.Sample != nil {
				line.show(fmt.Sprintf("%s, hit %d, %s left; Ctrl-C ends the faults", p.Sample.Facts.Phase, p.Sample.Fired, short(p.Left)))
			}
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
	if !j.DryRun && l.Head != "" {
		p.printf("%s\n", p.paint(dim, "The report: dualgram drill report "+j.ID))
	}
}

// shortDay is a time as lists show it; empty if it is none.
func shortDay(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}
