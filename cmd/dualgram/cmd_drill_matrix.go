package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/drill"
	"dualgram/cmd/dualgram/host"
	"dualgram/cmd/dualgram/stage"
	"dualgram/supervisor/warning"

	"github.com/spf13/cobra"
)

const drillMatrixLong = `matrix shows which shipped drill covers which fault, layer, signal, warning and
runbook page, and what none covers. Beside it stands how each last ended against the
live bot, if a dualgram answers.

With --sim all of them are run now, each on a simulator of its own, several at a
time; it takes a few minutes, in which mostly the clock is waited for. For each the
outcome is shown, how soon it was detected, when polling took over and when all was
well again, and what the simulator's own books say.

Exit codes: 0 fine, or all held; 1 one did not hold; 2 misuse; 3 could not run;
130 interrupted.`

// defaultParallel is how many rehearsals run at a time: each takes little of the
// processor, but all of them sync the disk.
const defaultParallel = 12

type drillMatrixFlags struct {
	sim      bool
	only     []string
	parallel int
	rate     float64
	keep     string
	bot      string
}

func (a *app) drillMatrixCommand() *cobra.Command {
	f := &drillMatrixFlags{}
	c := &cobra.Command{Use: "matrix", Short: "Show what the shipped drills cover; --sim runs them all", Long: drillMatrixLong, Args: noArgs,
		Example: "  dualgram drill matrix\n  dualgram drill matrix --sim\n  dualgram drill matrix --sim --only black-hole,certificate-expired --rate 50\n  dualgram drill matrix --sim --output junit > drills.xml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range []string{"rate", "parallel", "keep"} {
				if cmd.Flags().Changed(name) && !f.sim {
					return misuse("--"+name+" belongs to --sim", "add --sim, or leave --"+name+" out")
				}
			}
			return a.drillMatrix(contextOr(cmd.Context()), f)
		}}
	fs := c.Flags()
	fs.BoolVar(&f.sim, "sim", false, "run them, each on a simulator made for it")
	fs.StringSliceVar(&f.only, "only", nil, "only these `drills`, separated by commas")
	fs.IntVar(&f.parallel, "parallel", defaultParallel, "how many run at a `time`")
	fs.Float64Var(&f.rate, "rate", 0, "updates a second that each simulator sends; without it the experiment's")
	fs.StringVar(&f.keep, "keep", "", "leave everything of each drill, with its reports, below this new `directory`")
	fs.StringVar(&f.bot, "bot", "", "whose past drills are shown: `name` of the bot; not needed if there is one")
	a.formats(c, "table", "json", "markdown", "junit")
	return c
}

func (a *app) drillMatrix(ctx context.Context, f *drillMatrixFlags) error {
	m, err := newDrillMatrix(f)
	if err != nil {
		return err
	}
	if !f.sim {
		a.matrixHistory(ctx, m, f.bot)
		return a.printMatrix(m)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	began := time.Now()
	if err := a.matrixRun(ctx, m, f); err != nil {
		return err
	}
	m.Took = time.Since(began).Seconds()
	if ctx.Err() != nil {
		return &failure{code: exitInterrupted, message: "interrupted: there is no verdict", fix: "let it run to its end"}
	}
	if err := a.printMatrix(m); err != nil {
		return err
	}
	if !m.OK {
		return notOK()
	}
	return nil
}

// schemaDrillMatrix names the JSON form of a matrix.
const schemaDrillMatrix = "dualgram/drill-matrix/v1"

// drillMatrix is what the shipped drills cover and how they ended.
type drillMatrix struct {
	Schema string `json:"schema"`
	// Simulated: the runs were made now, on simulators. OK: none of them ended
	// otherwise than held; for past runs, that of each drill's last.
	Simulated bool        `json:"simulated"`
	OK        bool        `json:"ok"`
	Took      float64     `json:"took_s,omitempty"`
	Rows      []matrixRow `json:"drills"`
	// Uncovered are the faults of the catalogue, the warnings and the signals that
	// move the mode which no shipped drill is about.
	Uncovered uncovered `json:"uncovered"`
}

type uncovered struct {
	Faults   []string `json:"faults"`
	Warnings []string `json:"warnings"`
	Signals  []string `json:"signals"`
}

// matrixRow is one drill.
type matrixRow struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Faults   []string `json:"faults"`
	Layers   []string `json:"layers"`
	Mode     string   `json:"mode"` // that the host must be in while the fault acts; empty: either
	Signals  []string `json:"signals"`
	Warnings []string `json:"warnings"`
	Runbook  string   `json:"runbook"`
	// Run is the last one; null if there is none.
	Run *matrixRun `json:"run"`

	experiment drill.Experiment
}

// matrixRun is how a drill ended. Times are in seconds, null where there is none.
type matrixRun struct {
	ID      string    `json:"id,omitempty"`
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome"` // or could_not_run
	Reasons []string  `json:"reasons"`
	Detect  *float64  `json:"detect_s"`
	Switch  *float64  `json:"switch_s"`
	// Recovery is from the removal of the fault to the steady state.
	Recovery *float64 `json:"recovery_s"`
	Fired    uint64   `json:"fired"`
	Detected []string `json:"detected,omitempty"`
	Shown    []string `json:"warnings_shown,omitempty"`
	Pending  *int     `json:"max_pending,omitempty"`
	// Books are the simulator's.
	Books *drill.Books `json:"books,omitempty"`
}

// newDrillMatrix is the coverage, from the templates and the catalogue.
func newDrillMatrix(f *drillMatrixFlags) (*drillMatrix, error) {
	m := &drillMatrix{Schema: schemaDrillMatrix, Simulated: f.sim, OK: true, Rows: []matrixRow{}}
	if f.sim && f.parallel < 1 {
		return nil, misuse(fmt.Sprintf("--parallel is %d", f.parallel), "write 1 or more")
	}
	layer := map[string]string{}
	missing := map[string][]string{}
	for _, k := range chaos.Kinds() {
		layer[string(k.Kind)] = k.Layer
		missing["faults"] = append(missing["faults"], string(k.Kind))
	}
	for _, k := range warning.Kinds() {
		missing["warnings"] = append(missing["warnings"], string(k.Code))
	}
	missing["signals"] = host.MovingSignals()
	covered := func(what string, names []string) {
		missing[what] = slices.DeleteFunc(missing[what], func(n string) bool { return slices.Contains(names, n) })
	}
	for _, e := range drill.Templates() {
		r := matrixRow{Name: e.Name, Title: e.Title, Faults: []string{}, Layers: []string{}, Mode: e.Expect.Mode, Signals: append([]string{}, e.Expect.Signals...),
			Warnings: append([]string{}, e.Expect.Warnings...), Runbook: e.Runbook, experiment: e}
		for _, act := range e.Method {
			if k := string(act.Fault); k != "" && !slices.Contains(r.Faults, k) {
				r.Faults = append(r.Faults, k)
				if !slices.Contains(r.Layers, layer[k]) {
					r.Layers = append(r.Layers, layer[k])
				}
			}
		}
		covered("faults", r.Faults)
		covered("warnings", r.Warnings)
		covered("signals", r.Signals)
		m.Rows = append(m.Rows, r)
	}
	m.Uncovered = uncovered{append([]string{}, missing["faults"]...), append([]string{}, missing["warnings"]...), append([]string{}, missing["signals"]...)}
	if len(f.only) == 0 {
		return m, nil
	}
	for _, name := range f.only {
		if !slices.ContainsFunc(m.Rows, func(r matrixRow) bool { return r.Name == name }) {
			_, _, err := drill.Template(name)
			return nil, misuse("--only: "+strings.TrimPrefix(fmt.Sprint(err), "drill: "), "see them: dualgram drill list")
		}
	}
	m.Rows = slices.DeleteFunc(m.Rows, func(r matrixRow) bool { return !slices.Contains(f.only, r.Name) })
	return m, nil
}

// matrixHistory adds how each drill last ended at the running dualgram, if there is
// one.
func (a *app) matrixHistory(ctx context.Context, m *drillMatrix, bot string) {
	ctl, name, err := a.drillBot(ctx, bot)
	var h host.DrillHistory
	if err == nil {
		err = ctl.get(ctx, "/v1/bots/"+url.PathEscape(name)+"/drills", nil, host.SchemaDrillHistory, &h)
	}
	if err != nil {
		a.printer(a.stderr).warning("past runs are not shown: "+err.Error(), "to try all drills without a bot: dualgram drill matrix --sim")
		return
	}
	for i := range m.Rows {
		for _, run := range slices.Backward(h.Runs) {
			if run.Experiment == m.Rows[i].Name {
				m.Rows[i].Run = &matrixRun{ID: run.ID, At: run.Start, Outcome: run.Outcome, Reasons: []string{}, Switch: run.Switch, Fired: run.Fired}
				m.OK = m.OK && run.Outcome == string(drill.Held)
				break
			}
		}
	}
}

// matrixRun runs all of them, those that take longest first.
func (a *app) matrixRun(ctx context.Context, m *drillMatrix, f *drillMatrixFlags) error {
	if f.keep != "" {
		dir, err := stage.EmptyDir(f.keep)
		if err != nil {
			return misuse("--keep: "+err.Error(), "name a new directory")
		}
		f.keep = dir
	}
	all := make([]*rehearsal, len(m.Rows))
	order := make([]int, len(m.Rows))
	for i, r := range m.Rows {
		flags := &drillRunFlags{rate: f.rate}
		if f.keep != "" {
			flags.keep = filepath.Join(f.keep, r.Name)
		}
		var err error
		if all[i], err = newRehearsal(host.DrillRequest{Name: r.Name, Reason: "all drills on the simulator"}, &r.experiment, flags); err != nil {
			return err
		}
		all[i].many = true
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(all[y].length, all[x].length) })
	board := &matrixBoard{a: a, line: a.progressLine(), all: len(all), running: map[string]string{}}
	defer board.line.clear()
	todo := make(chan int, len(order))
	for _, i := range order {
		todo <- i
	}
	close(todo)
	var wg sync.WaitGroup
	for range min(f.parallel, len(order)) {
		wg.Go(func() {
			for i := range todo {
				if ctx.Err() != nil {
					return
				}
				m.Rows[i].Run = board.run(ctx, m.Rows[i].Name, all[i])
			}
		})
	}
	wg.Wait()
	for _, r := range m.Rows {
		m.OK = m.OK && r.Run != nil && r.Run.Outcome == string(drill.Held)
	}
	return nil
}

// matrixBoard shows what is under way.
type matrixBoard struct {
	a   *app
	all int

	mu      sync.Mutex
	line    *progressLine
	done    int
	running map[string]string // name → stage
}

// run runs one of them.
func (b *matrixBoard) run(ctx context.Context, name string, r *rehearsal) *matrixRun {
	began := time.Now()
	b.at(name, "start")
	var out *matrixRun
	err := r.play(ctx, func(*stage.Rehearsal) {}, func(p drill.Progress) { b.at(name, string(p.Stage)) }, func(c *control, bot string, last host.DrillLine) error {
		out = runOf(last.Journal)
		if r.keep != "" && last.Head != "" {
			return keepEvidence(r.keep, last, c.reporter(ctx, bot, last.Journal.ID))
		}
		return nil
	})
	if err != nil {
		out = &matrixRun{At: began, Outcome: "could_not_run", Reasons: []string{err.Error()}}
	}
	b.over(name, out)
	return out
}

// runOf is the run that a journal is the evidence of.
func runOf(j *drill.Journal) *matrixRun {
	r := &matrixRun{ID: j.ID, At: j.Start, Outcome: string(j.Outcome), Reasons: j.Reasons, Detect: j.Timings.Detect, Switch: j.Timings.Switch,
		Recovery: j.Timings.Recovery, Fired: j.Fired, Detected: j.Detected(), Pending: j.MaxPending}
	for _, w := range j.Warnings {
		r.Shown = append(r.Shown, w.Code)
	}
	if j.Simulator != nil {
		r.Books = j.Simulator.Books
	}
	return r
}

func (b *matrixBoard) at(name, stage string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running[name] = stage
	b.show()
}

func (b *matrixBoard) over(name string, r *matrixRun) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.running, name)
	b.done++
	if !b.a.json() {
		b.line.clear()
		p := b.a.printer(b.a.stderr)
		p.printf("%s %d of %d: %s %s\n", time.Now().Format("15:04:05"), b.done, b.all, p.paint(outcomeStyle(r.Outcome), r.Outcome), oneLine(name))
		for _, why := range r.Reasons {
			p.printf("           %s\n", oneLine(why))
		}
	}
	b.show()
}

// show writes the line; the mutex is held.
func (b *matrixBoard) show() {
	count := map[string]int{}
	for _, s := range b.running {
		count[s]++
	}
	var words []string
	for _, s := range []string{"start", string(drill.StageGate), string(drill.StageFault), string(drill.StageRecovery)} {
		if n := count[s]; n > 0 {
			words = append(words, fmt.Sprintf("%d in %s", n, s))
		}
	}
	b.line.show(fmt.Sprintf("%d of %d done, %s; Ctrl-C ends all", b.done, b.all, strings.Join(words, ", ")))
}
