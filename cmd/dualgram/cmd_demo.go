package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/demo"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

const demoLong = `demo shows dualgram's main job on this machine, in about two minutes, without a
token and without a network: a simulator of Telegram's server sends about 50
updates a second from 40 chats, a bot host with the default settings takes them
in, a sample bot gets them. Then the webhook breaks three times: its certificate
expires, the network swallows connections, our answers turn to 500.

The verdict compares what the simulator sent with what the sample bot got. It is
good only if nothing was lost, doubled or out of order, and each failover took at
most ten seconds.

Exit codes: 0 the verdict is good; 1 it is not; 2 misuse; 3 the demo could not
run; 130 interrupted.`

func (a *app) demoCommand() *cobra.Command {
	var o demo.Options
	c := &cobra.Command{
		Use: "demo", Short: "Watch three outages being survived, in two minutes", Long: demoLong, GroupID: groupRun,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runDemo(cmd.Context(), o) },
	}
	c.Flags().Float64Var(&o.Rate, "rate", 50, "updates a second")
	c.Flags().IntVar(&o.Chats, "chats", 40, "how many chats they come from")
	c.Flags().StringVar(&o.Dir, "keep", "", "leave store, log and certificates in this new `directory`")
	c.Flags().StringVar(&o.Log, "log", "", "write dualgram's log to this `file`")
	return c
}

func (a *app) runDemo(ctx context.Context, o demo.Options) error {
	// Not the other way round: NaN is neither.
	if !(o.Rate >= 1 && o.Rate <= 1000) {
		return misuse(fmt.Sprintf("--rate is %v, must be 1 to 1000", o.Rate), "leave it out for the demo as it is meant")
	}
	if o.Chats < 1 || o.Chats > 10_000 {
		return misuse(fmt.Sprintf("--chats is %d, must be 1 to 10000", o.Chats), "leave it out for the demo as it is meant")
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	s := a.newDemoScreen()
	o.Version, o.Line, o.Started, o.Counted = version().Version, s.line, s.started, s.counted
	o.Logger = func(w io.Writer) zerolog.Logger {
		log, _ := newLogger(w, config.Log{Level: "info", Format: "json"}, false)
		return log
	}
	r, err := demo.Run(ctx, o)
	s.done()
	switch {
	case errors.Is(err, context.Canceled):
		return &failure{code: exitInterrupted, message: "interrupted: there is no verdict", fix: "let it run for two minutes"}
	case err != nil:
		return couldNotRun(err.Error(), demoFix(o), err)
	}
	return a.demoDone(s, r)
}

func demoFix(o demo.Options) string {
	switch {
	case o.Log != "":
		return "look into " + o.Log
	case o.Dir != "":
		return "look into " + filepath.Join(o.Dir, demo.LogFile)
	}
	return "run it again with --log FILE and look into that"
}

// demoDone prints the verdict and makes it the exit code.
func (a *app) demoDone(s *demoScreen, r demo.Report) error {
	printVerdict(s.p, r)
	if a.json() {
		if err := a.printJSON(r); err != nil {
			return err
		}
	}
	if !r.OK {
		return notOK()
	}
	return nil
}

// liveWidth is the width of the terminal that a line may be written over and
// over on; 0 if there is none.
func (a *app) liveWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || a.getenv("TERM") == "dumb" || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

// demoScreen prints the timeline, and below it on a terminal a line that counts.
type demoScreen struct {
	p     *printer
	width int // of the counting line, 0: none

	mu    sync.Mutex
	drawn bool // the counting line is there
	act   string
	acts  int
	last  string // the counting line's text
}

// newDemoScreen shows the story on standard output, or beside it if that is for
// JSON.
func (a *app) newDemoScreen() *demoScreen {
	w := a.stdout
	if a.json() {
		w = a.stderr
	}
	return &demoScreen{p: a.printer(w), width: a.liveWidth(w)}
}

func (s *demoScreen) started(d demo.Setup) {
	s.p.printf("%s\n\n", s.p.paint(bold, "dualgram demo: three outages of a webhook, in about two minutes"))
	row := func(name, format string, args ...any) []cell {
		return []cell{styled(dim, name), textf(format, args...)}
	}
	s.p.table(
		row("Telegram", "simulated: Bot API on %s, answers take %d to %d ms", d.BotAPI, d.Latency[0], d.Latency[1]),
		row("dualgram", "webhook on %s, with TLS of its own", d.Webhook),
		row("sample bot", "behind dualgram, on %s", d.Bot),
		row("traffic", "%v updates a second from %s", d.Rate, plural(d.Chats, "chat")),
		row("shortened", "hold_down: %v instead of 1m0s, and no doubling; all else is default", demo.HoldDown),
		row("look inside", "dualgram status --config %s", d.Config))
}

// demoLine is how a kind of line is shown.
type demoLine struct {
	label      string
	style      style
	everything bool // the text has the colour too
}

var demoLines = map[string]demoLine{
	"start":         {"start", plain, false},
	"fault_on":      {"FAULT ON", red, true},
	"signal":        {"signal", yellow, false},
	"decided":       {"decision", yellow, true},
	"deleted":       {"deleteWebhook", plain, false},
	"first_polling": {"POLLING", green, true},
	"fault_off":     {"FAULT OFF", bold, true},
	"failback":      {"hold-down over", yellow, false},
	"set":           {"setWebhook", plain, false},
	"first_webhook": {"WEBHOOK", green, true},
	"proven":        {"trial passed", green, true},
	"withheld":      {"withheld", yellow, true},
	"problem":       {"problem", red, true},
	"end":           {"end", plain, false},
}

func (s *demoScreen) line(l demo.Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	if l.Act != s.act {
		s.act = l.Act
		s.p.printf("\n%s\n", s.p.paint(bold, s.heading(l)))
	}
	how := demoLines[l.Kind]
	label, words := fmt.Sprintf("%-14s", how.label), oneLine(l.Text)
	if how.everything {
		words = s.p.paint(how.style, words)
	}
	s.p.printf("  %s  %s  %s\n", s.p.paint(dim, fmt.Sprintf("%+7.2f s", l.Since)), s.p.paint(how.style, label), words)
	s.draw()
}

func (s *demoScreen) heading(l demo.Line) string {
	if l.Title == "" {
		return "Before"
	}
	s.acts++
	return fmt.Sprintf("Act %d of 3: %s", s.acts, l.Title)
}

func (s *demoScreen) counted(c demo.Counts) {
	if s.width == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = fmt.Sprintf("  %+7.2f s  the bot has %d by webhook, %d by polling; %d pending at Telegram", c.Since, c.Webhook, c.Polling, c.Pending)
	if columns(s.last) >= s.width { // a line that wraps can't be wiped
		s.last = s.last[:s.width-1]
	}
	s.wipe()
	s.draw()
}

func (s *demoScreen) draw() {
	if s.width > 0 && s.last != "" {
		s.p.printf("%s", s.p.paint(dim, s.last))
		s.drawn = true
	}
}

func (s *demoScreen) wipe() {
	if s.drawn {
		s.p.printf("\r\x1b[K")
		s.drawn = false
	}
}

func (s *demoScreen) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	s.width = 0
}

func printVerdict(p *printer, r demo.Report) {
	p.printf("\n%s\n", p.paint(bold, "Verdict, from the simulator's and the sample bot's records alone"))
	zero := func(n int) cell {
		if n > 0 {
			return styled(red, fmt.Sprint(n))
		}
		return styled(green, "0")
	}
	took := func(seconds float64, is bool) cell {
		t := fmt.Sprintf("%.2f s", seconds)
		switch {
		case !is:
			return styled(dim, "-")
		case seconds == 0:
			return styled(red, "never")
		case seconds > r.Limit:
			return styled(red, t)
		}
		return styled(green, t)
	}
	row := func(name string, s style, f demo.Figures, failover cell) []cell {
		return []cell{styled(s, name), textf("%d", f.Sent), textf("%d", f.Committed), textf("%d", f.Delivered), textf("%d", f.ByWebhook), textf("%d", f.ByPolling),
			zero(f.Lost), zero(f.Doubled), zero(f.OutOfOrder), failover}
	}
	rows := [][]cell{header("", "sent", "committed", "delivered", "webhook", "polling", "lost", "doubled", "out of order", "failover")}
	for _, part := range r.Parts {
		rows = append(rows, row(part.Name, plain, part.Figures, took(part.Failover, part.Fault != "")))
	}
	rows = append(rows, row("total", bold, r.Total, took(r.Slowest, true)))
	alignNumbers(p, rows)
	for _, note := range []string{
		"committed: acknowledged at Telegram; webhook, polling: what brought it to the bot",
		"out of order: overtaken within one of Telegram's ordering queues, such as a chat",
		"failover: from the fault, or from the first update it stranded if that was later,",
		"  to the first update handed out by getUpdates; total: the slowest",
	} {
		p.printf("  %s\n", p.paint(dim, note))
	}
	if r.OK {
		p.printf("\n%s %d updates, none lost, doubled or out of order; slowest failover %.2f s, allowed are %.0f s (%.0f s in all)\n",
			p.paint(green, "OK:"), r.Total.Sent, r.Slowest, r.Limit, r.Took)
	} else {
		p.printf("\n%s\n", p.paint(red, "NOT OK:"))
		for _, problem := range r.Problems {
			p.printf("  %s\n", oneLine(problem))
		}
	}
	if r.Kept != "" {
		p.printf("store, log and certificates are in %s\n", clean(r.Kept))
	}
}

// alignNumbers prints a table with its first column to the left and all others
// to the right.
func alignNumbers(p *printer, rows [][]cell) {
	widths := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, c := range r {
			widths[i] = max(widths[i], columns(c.text))
		}
	}
	for _, r := range rows {
		p.printf("  %s%s", p.paint(r[0].style, r[0].text), strings.Repeat(" ", widths[0]-columns(r[0].text)))
		for i, c := range r[1:] {
			p.printf("  %s%s", strings.Repeat(" ", widths[i+1]-columns(c.text)), p.paint(c.style, c.text))
		}
		p.printf("\n")
	}
}
