package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"dualgram/cmd/dualgram/demo"

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
most ten seconds; then the exit code is 0, otherwise 1.`

func (a *app) demoCommand() *cobra.Command {
	var o demo.Options
	c := &cobra.Command{
		Use: "demo", Short: "Watch three outages being survived, in two minutes", Long: demoLong, GroupID: groupRun,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runDemo(cmd.Context(), o) },
	}
	c.Flags().Float64Var(&o.Rate, "rate", 50, "updates a second")
	c.Flags().IntVar(&o.Chats, "chats", 40, "how many chats they come from")
	c.Flags().StringVar(&o.Dir, "keep", "", "keep store, log and certificates in this `directory`")
	return c
}

func (a *app) runDemo(ctx context.Context, o demo.Options) error {
	if o.Rate <= 0 || o.Rate > 1000 || o.Chats < 1 {
		return misuse("--rate must be above 0 and at most 1000, --chats at least 1", "leave them out for the demo as it is meant")
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	s := &demoScreen{p: a.printer(a.stdout), quiet: a.json(), live: a.liveTerminal()}
	o.Version, o.Line, o.Started, o.Counted = version().Version, s.line, s.started, s.counted
	r, err := demo.Run(ctx, o)
	s.done()
	switch {
	case errors.Is(err, context.Canceled):
		return &failure{code: exitInterrupted, message: "the demo was interrupted: there is no verdict"}
	case err != nil:
		fix := "run it again with --keep DIR and look at the log there"
		if o.Dir != "" {
			fix = "look at the log in " + o.Dir
		}
		return couldNotRun(err.Error(), fix, err)
	}
	if a.json() {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		printVerdict(s.p, r)
	}
	if !r.OK {
		return notOK()
	}
	return nil
}

// liveTerminal says whether a line may be written over and over.
func (a *app) liveTerminal() bool {
	f, ok := a.stdout.(*os.File)
	return ok && !a.json() && a.getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// demoScreen prints the timeline, and below it on a terminal a line that counts.
type demoScreen struct {
	p           *printer
	quiet, live bool

	mu     sync.Mutex
	drawn  bool // the counting line is there
	act    string
	counts demo.Counts
}

func (s *demoScreen) started(d demo.Setup) {
	if s.quiet {
		return
	}
	s.p.printf("%s\n\n", s.p.paint(bold, "dualgram demo: three outages, about two minutes"))
	s.p.table([]cell{text("Telegram"), textf("simulated, Bot API on %s", d.BotAPI)},
		[]cell{text("bot host"), textf("dualgram, webhook on %s", d.Webhook)},
		[]cell{text("sample bot"), textf("behind it, on %s", d.Bot)},
		[]cell{text("shortened"), textf("hold_down: %s, no doubling; all else is default", "3s")})
}

var demoStyles = map[string]style{
	"fault_on": red, "problem": red, "withheld": yellow, "signal": yellow, "decided": yellow,
	"first_update": green, "proven": green, "fault_off": bold, "start": dim, "end": dim,
}

func (s *demoScreen) line(l demo.Line) {
	if s.quiet {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	if l.Act != s.act {
		s.act = l.Act
		s.p.printf("\n%s\n", s.p.paint(bold, l.Act))
	}
	s.p.printf("  %s  %s\n", s.p.paint(dim, fmt.Sprintf("%+8.2f s", l.Since)), s.p.paint(demoStyles[l.Kind], oneLine(l.Text)))
	s.draw()
}

func (s *demoScreen) counted(c demo.Counts) {
	if !s.live {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts = c
	s.wipe()
	s.draw()
}

func (s *demoScreen) draw() {
	if s.live {
		s.p.printf("  the bot has %d updates by webhook, %d by polling", s.counts.Webhook, s.counts.Polling)
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
}

func printVerdict(p *printer, r demo.Report) {
	p.printf("\n%s\n", p.paint(bold, "Verdict, from the simulator's and the sample bot's records"))
	rows := [][]cell{header("", "sent", "committed", "delivered", "by webhook", "by polling", "lost", "doubled", "out of order", "failover")}
	row := func(name string, f demo.Figures, failover float64) []cell {
		bad := func(n int) cell {
			if n > 0 {
				return styled(red, fmt.Sprint(n))
			}
			return styled(green, "0")
		}
		took := text("-")
		if failover > 0 {
			took = styled(green, fmt.Sprintf("%.2f s", failover))
			if failover > r.Limit {
				took = styled(red, took.text)
			}
		}
		return []cell{text(name), textf("%d", f.Sent), textf("%d", f.Committed), textf("%d", f.Delivered), textf("%d", f.ByWebhook), textf("%d", f.ByPolling),
			bad(f.Lost), bad(f.Doubled), bad(f.OutOfOrder), took}
	}
	for _, part := range r.Parts {
		rows = append(rows, row(part.Name, part.Figures, part.Failover))
	}
	rows = append(rows, row("total", r.Total, r.Slowest))
	p.table(rows...)
	if r.OK {
		p.printf("\n%s nothing lost, doubled or out of order; slowest failover %.2f s of at most %.0f s (%.0f s in all)\n",
			p.paint(green, "OK:"), r.Slowest, r.Limit, r.Took)
		return
	}
	p.printf("\n%s\n", p.paint(red, "NOT OK:"))
	for _, problem := range r.Problems {
		p.printf("  %s\n", oneLine(problem))
	}
}
