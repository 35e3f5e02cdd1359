package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"dualgram/cmd/dualgram/check"
	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/host"
	"dualgram/supervisor/console"

	"github.com/spf13/cobra"
)

// checkFlags are those of dualgram check.
type checkFlags struct {
	pre, poll       bool
	offline, online bool
	only            []string
	bot             string
	timeout         time.Duration
	output          choice
}

const checkLong = `Looks at everything that a working webhook needs, and says of each thing whether
it is well, and what to do if it isn't: configuration, token, Bot API, clock, store
and disk, ports, DNS, certificate, the way in from outside, the registration at
Telegram, foreign webhooks and pollers, limits, unit, drills.

Before an installation, with --pre, nothing of dualgram runs. The check takes the
webhook's address for a moment and comes to it by the public name, so that DNS,
firewall, proxy and certificate are tried as Telegram will try them; whatever else
arrives there meanwhile is refused with 503, and comes again.

On a live host it asks the running dualgram over the control socket, and asks the Bot
API what is harmless. It writes nothing, takes no lock and no address, gets no
updates and changes no mode. So it may be run at any time.

Each check has a code that never changes its meaning, such as DG-TLS-003. A check that
needs another which failed is skipped, and says so.

Exit codes: 0 all passed or skipped; 1 something warns or failed; 2 misuse, or the
configuration is refused; 3 could not run; 130 interrupted.`

func (a *app) checkCommand() *cobra.Command {
	f := &checkFlags{output: choice{value: "table", allowed: []string{"table", "json", "short"}}}
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "Check a set-up, before it runs or while it does",
		GroupID: groupWatch,
		Long:    checkLong,
		Example: "  dualgram check --pre\n  dualgram check --only tls,DG-DNS-002\n  dualgram check -o short",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.check(contextOr(cmd.Context()), f) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.pre, "pre", false, "before the installation: dualgram doesn't run yet")
	flags.BoolVar(&f.poll, "poll", false, "with --pre, look for a foreign poller; that breaks off its poll once")
	flags.BoolVar(&f.offline, "offline", false, "only what this host can tell")
	flags.BoolVar(&f.online, "online", false, "only what is asked beyond this host")
	flags.StringSliceVar(&f.only, "only", nil, "only these `codes` and categories: "+strings.Join(check.Categories(), ", "))
	flags.StringVar(&f.bot, "bot", "", "only this `bot`")
	flags.DurationVar(&f.timeout, "timeout", check.DefaultTimeout, "`time` for all checks; each has 5s of it")
	flags.VarP(&f.output, "output", "o", "how to print: table, json, or short (a line for each thing that isn't well)")
	return cmd
}

func (f *checkFlags) validate() error {
	switch {
	case f.offline && f.online:
		return misuse("--offline and --online leave nothing to check", "give one of the two")
	case f.poll && !f.pre:
		return misuse("--poll is for --pre only: a running dualgram watches for other pollers by itself", "leave --poll out, and see DG-POLL-001")
	case f.poll && f.offline:
		return misuse("--poll asks Telegram, and --offline forbids it", "give one of the two")
	case f.timeout < time.Second:
		return misuse("--timeout is under a second: nothing could be checked", "give 15s or more")
	}
	return nil
}

func (a *app) check(ctx context.Context, f *checkFlags) error {
	if err := f.validate(); err != nil {
		return err
	}
	if f.pre && a.controlFlag != "" {
		return misuse("--control asks a dualgram that runs, and --pre wants none", "leave one of the two out")
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, refused := config.Load(a.configFile(), a.env)
	line := a.checkProgress(f)
	o := check.Options{
		Config: cfg, Refused: refused, Live: liveHost{a}, Pre: f.pre, Poll: f.poll, Offline: f.offline, Online: f.online,
		Only: f.only, Bot: f.bot, Timeout: f.timeout, Version: version().Version, Env: a.env,
		Progress: func(done, total int, code check.Code) {
			k, _ := check.Lookup(code)
			line.show(fmt.Sprintf("%d of %d done: %s %s", done, total, k.Category, k.Name))
		},
	}
	if wrong, known := o.Validate(); wrong != "" {
		fix := "write one of: " + strings.Join(known, ", ")
		if near, ok := config.Nearest(wrong, known); ok {
			fix = "did you mean " + near + "?"
		}
		return misuse(fmt.Sprintf("there is no check, category or bot %q", wrong), fix)
	}
	r := check.Run(ctx, o)
	line.clear()
	if err := a.printCheck(f.output.value, r); err != nil {
		return err
	}
	switch {
	case r.Interrupted:
		return &failure{code: exitInterrupted}
	case r.Refused:
		return &failure{code: exitMisuse}
	case !r.OK:
		return notOK()
	}
	return nil
}

// checkProgress is silent where somebody else reads.
func (a *app) checkProgress(f *checkFlags) *progressLine {
	if f.output.value != "table" {
		return &progressLine{}
	}
	return a.progressLine()
}

func (a *app) printCheck(form string, r check.Report) error {
	switch form {
	case "json":
		return a.printJSON(r)
	case "short":
		printCheckShort(a.printer(a.stdout), r)
	default:
		printCheckTable(a.printer(a.stdout), r)
	}
	return nil
}

func statusStyle(s check.Status) style {
	return map[check.Status]style{check.Pass: green, check.Warn: yellow, check.Fail: red, check.Skip: dim}[s]
}

// printCheckShort prints what isn't well, a line for each, and the summary.
func printCheckShort(p *printer, r check.Report) {
	for _, c := range r.Checks {
		if c.Status == check.Warn || c.Status == check.Fail {
			p.printf("%s %s %s: %s\n", p.paint(statusStyle(c.Status), string(c.Status)), c.Code, oneLine(c.Component()), oneLine(c.Detail))
		}
	}
	p.printf("SUMMARY: %s\n", r.Summary())
}

// printCheckTable prints the table, then what to do, then the summary.
func printCheckTable(p *printer, r check.Report) {
	rows := [][]cell{header("COMPONENT", "CHECK", "STATUS", "DETAIL")}
	bad := false
	for _, c := range r.Checks {
		detail := text(c.Detail)
		if c.Status == check.Skip {
			detail.style = dim
		}
		rows = append(rows, []cell{text(c.Component()), text(string(c.Code) + " " + c.Name), styled(statusStyle(c.Status), string(c.Status)), detail})
		bad = bad || c.Status == check.Warn || c.Status == check.Fail
	}
	p.table(rows...)
	if bad {
		p.printf("\n")
	}
	for _, c := range r.Checks {
		if c.Status != check.Warn && c.Status != check.Fail {
			continue
		}
		p.printf("%s %s %s: %s\n", p.paint(statusStyle(c.Status), string(c.Status)), c.Code, oneLine(c.Component()), oneLine(c.Fix))
		p.printf("%s\n", p.paint(dim, "     more: dualgram runbook "+oneLine(c.Runbook)))
	}
	style := green
	if !r.OK {
		style = red
	}
	p.printf("\n%s %s\n", p.paint(style, "SUMMARY:"), r.Summary())
}

// liveHost asks the running dualgram over its socket.
type liveHost struct{ a *app }

// nobody marks an error that says for certain that nobody is there.
func nobody(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return errors.Join(check.ErrNobody, err)
	}
	return err
}

// said is an error with only its own words.
type said struct {
	words string
	error
}

func (s said) Error() string { return s.words }
func (s said) Unwrap() error { return s.error }

func (l liveHost) get(ctx context.Context, path string, query url.Values, schema string, out any) error {
	c, err := l.a.control()
	if err != nil {
		return err
	}
	if err := c.get(ctx, path, query, schema, out); err != nil {
		return said{err.Error(), nobody(err)}
	}
	return nil
}

func (l liveHost) Status(ctx context.Context) (st console.Status, err error) {
	return st, l.get(ctx, "/v1/status", nil, console.SchemaStatus, &st)
}

func (l liveHost) Vitals(ctx context.Context) (v console.Vitals, err error) {
	return v, l.get(ctx, "/v1/vitals", url.Values{"probe": {"1"}}, console.SchemaVitals, &v)
}

func (l liveHost) Drills(ctx context.Context) (d host.DrillsStatus, err error) {
	return d, l.get(ctx, "/v1/drills", nil, host.SchemaDrills, &d)
}
