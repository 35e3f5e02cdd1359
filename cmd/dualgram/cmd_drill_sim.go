package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/drill"
	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/host"
	"dualgram/cmd/dualgram/stage"

	"github.com/rs/zerolog"
)

// maxSimRate and maxSimChats bound what the simulator is asked to send.
const (
	maxSimRate  = 1000
	maxSimChats = 10_000
)

// rehearsal is a drill that is to be run on a simulator of its own.
type rehearsal struct {
	request     host.DrillRequest
	experiment  *drill.Experiment
	rate        float64
	chats       int
	keep        string
	length      time.Duration // of the method
	many        bool          // others run beside it
	destructive bool          // a fault of it is
}

// newRehearsal checks what is asked for.
func newRehearsal(q host.DrillRequest, e *drill.Experiment, f *drillRunFlags) (*rehearsal, error) {
	if e == nil {
		var err error
		if e, _, err = drill.Template(q.Name); err != nil {
			return nil, misuse(strings.TrimPrefix(err.Error(), "drill: "), "see them: dualgram drill list; an experiment of your own is given as a file")
		}
	}
	if strings.TrimSpace(q.Reason) == "" {
		q.Reason = "on the simulator"
	}
	r := &rehearsal{request: q, experiment: e, rate: f.rate, chats: f.chats, keep: f.keep}
	if t := e.Traffic; r.rate == 0 && t != nil {
		r.rate = t.Rate
	}
	switch {
	// Not the other way round: NaN is neither.
	case r.rate != 0 && !(r.rate >= 0.1 && r.rate <= maxSimRate):
		return nil, misuse(fmt.Sprintf("--rate is %v, must be 0.1 to %d", r.rate, maxSimRate), "leave it out for the experiment's, or 5")
	case r.chats < 0 || r.chats > maxSimChats:
		return nil, misuse(fmt.Sprintf("--chats is %d, must be 1 to %d", r.chats, maxSimChats), "leave it out for 10")
	case f.bot != "":
		return nil, misuse("--bot and --sim exclude each other", "the simulator has a bot of its own; leave one out")
	}
	r.length = e.Length()
	if q.For > 0 {
		short, err := e.Lasting(time.Duration(q.For * float64(time.Second)))
		if err != nil {
			return nil, misuse("--for: "+strings.TrimPrefix(err.Error(), "drill: "), "leave it out for the experiment's")
		}
		r.length = short.Length()
	}
	for _, a := range e.Method {
		k, _ := chaos.Describe(a.Fault)
		r.destructive = r.destructive || k.Destructive
		if k.Layer == "crash" {
			return nil, misuse(fmt.Sprintf("%s can't be rehearsed with --sim: it would end this command", a.Fault), "run it against a dualgram of its own: dualgram sim, dualgram run, dualgram drill run")
		}
	}
	return r, nil
}

// play runs the drill on a world that is made for it and removed afterwards. started
// and view are told what happens; ended gets the evidence while the host still lives.
func (r *rehearsal) play(ctx context.Context, started func(*stage.Rehearsal), view func(drill.Progress), ended func(*control, string, host.DrillLine) error) (err error) {
	w, err := stage.NewRehearsal(ctx, stage.RehearsalOptions{Length: r.length, Rate: r.rate, Chats: r.chats, Seed: r.request.Seed, Dir: r.keep, Memory: r.many, Destructive: r.destructive, Version: version().Version,
		Logger: func(w io.Writer) zerolog.Logger {
			log, _ := newLogger(w, config.Log{Level: "info", Format: "json"}, false)
			return log
		}})
	if err != nil {
		return couldNotRun("the simulator could not be started: "+err.Error(), "", err)
	}
	defer func() {
		if closed := w.Close(); err == nil && closed != nil {
			err = couldNotRun("the simulated host: "+closed.Error(), "run it again with --keep DIRECTORY and look into "+stage.LogFile+" there", closed)
		}
	}()
	started(w)
	if err := w.Proven(ctx); err != nil {
		return couldNotRun("the drill could not begin: "+err.Error(), "run it again with --keep DIRECTORY and look into "+stage.LogFile+" there", err)
	}
	c := newControl(w.Socket, config.Origin{})
	last, err := c.drill(ctx, w.Bot, r.request, view)
	if err != nil {
		return err
	}
	return ended(c, w.Bot, last)
}

// drillRunSim runs a drill on a simulator.
func (a *app) drillRunSim(ctx context.Context, q host.DrillRequest, e *drill.Experiment, f *drillRunFlags) error {
	r, err := newRehearsal(q, e, f)
	if err != nil {
		return err
	}
	view, done := a.drillView()
	err = r.play(ctx, func(w *stage.Rehearsal) { a.simStarted(r, w) }, view, func(c *control, bot string, last host.DrillLine) error {
		done()
		return a.drillDone(ctx, c, bot, last, f)
	})
	done()
	if err != nil && ctx.Err() != nil {
		return &failure{code: exitInterrupted, message: "interrupted: there is no verdict", fix: "let it run to its end"}
	}
	return err
}

// simStarted says what is played.
func (a *app) simStarted(r *rehearsal, w *stage.Rehearsal) {
	if a.json() {
		return
	}
	p := a.printer(a.stderr)
	s := w.Simulator()
	p.printf("%s\n", p.paint(bold, oneLine(r.experiment.Title)))
	row := func(name, format string, args ...any) []cell {
		return []cell{styled(dim, name), textf(format, args...)}
	}
	p.table(
		row("Telegram", "simulated, sends %v updates a second from %s", s.Rate, plural(s.Chats, "chat")),
		row("dualgram", "with the default settings, on %s", w.Stage.Setup.Webhook),
		row("but", "%s", strings.Join(s.Shortened, "; ")))
	p.printf("%s start: the webhook must be proven first, which takes 20 s with traffic\n", time.Now().Format("15:04:05"))
}

// printBooks shows what the simulator and the sample bot have on record.
func printBooks(p *printer, b *drill.Books) {
	p.printf("By the simulator's own books:\n")
	bad := func(n int) cell {
		if n > 0 {
			return styled(red, fmt.Sprint(n))
		}
		return styled(green, "0")
	}
	rows := [][]cell{{styled(dim, "sent"), textf("%d; the bot has %d, %d by webhook, %d by polling", b.Sent, b.Delivered, b.ByWebhook, b.ByPolling)},
		{styled(dim, "lost"), bad(b.Lost)}, {styled(dim, "doubled"), bad(b.Doubled)}, {styled(dim, "out of order"), bad(b.OutOfOrder)}}
	if b.Switch != nil {
		rows = append(rows, []cell{styled(dim, "first by polling"), textf("%.1fs from the fault, or from the first update it stranded", *b.Switch)})
	}
	if b.Waiting > 0 {
		rows = append(rows, []cell{styled(dim, "still waiting"), bad(b.Waiting)})
	}
	p.table(rows...)
}

// keepEvidence writes all forms of the report, and the last line of the drill.
func keepEvidence(dir string, last host.DrillLine, report func(drill.Format, io.Writer) error) error {
	var errs []error
	for name, format := range map[string]drill.Format{"report.html": drill.HTML, "report.md": drill.Markdown, "report.xml": drill.JUnit, "report.json": drill.JSON} {
		var b bytes.Buffer
		if err := report(format, &b); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600))
	}
	errs = append(errs, os.WriteFile(filepath.Join(dir, "head"), []byte(last.Head+"\n"), 0o600))
	if err := errors.Join(errs...); err != nil {
		return couldNotRun("keep the evidence: "+err.Error(), "", err)
	}
	return nil
}
