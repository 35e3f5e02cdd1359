package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"dualgram/chaos"
	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/console"

	"github.com/spf13/cobra"
)

const chaosInjectLong = `inject makes a fault active for as long as --for says, shows what it does, and waits
for its end. Ctrl-C ends it at once; if this command is killed, it ends within six
seconds. With --detach the command returns and leaves the fault to its time.

--share and --count bound how much is hit: which units they speak of says
dualgram chaos list KIND. A fault is written to the journal, with who and why,
before it acts.

Exit codes: 0 it has hit something; 1 it never hit anything, so nothing was
rehearsed, or a guard refused; 2 misuse; 3 dualgram doesn't answer; 130 interrupted.`

const chaosInjectExample = `  dualgram chaos inject tls.expired --for 90s --reason "rehearsal with Ann"
  dualgram chaos inject http.status --for 1m --share 0.2 --param code=502 --reason "are answers retried?"
  dualgram chaos inject net.blackhole --for 60s --dry-run`

const (
	// faultLease is what a fault may outlive this command by.
	faultLease = 6 * time.Second
	// renewFaultEvery leaves room for two renewals that are lost.
	renewFaultEvery = 2 * time.Second
	// showFaultEvery is how often a terminal is told.
	showFaultEvery = 500 * time.Millisecond
	// endPatience is how long the last word on a fault is waited for.
	endPatience = 2 * time.Second
)

// injectFlags are those of inject.
type injectFlags struct {
	lasts, delay   duration
	bot, reason    string
	share          float64
	count          int
	seed           uint64
	params         []string
	dryRun, detach bool
}

func (a *app) chaosInjectCommand() *cobra.Command {
	f := &injectFlags{}
	c := &cobra.Command{
		Use: "inject KIND --for TIME --reason WHY", Short: "Inject a fault for a time", Long: chaosInjectLong, Example: chaosInjectExample,
		ValidArgsFunction: completeKind,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misuse("inject which fault?", "give one KIND, such as tls.expired; they are listed by dualgram chaos list")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.chaosInject(contextOr(cmd.Context()), args[0], f)
		},
	}
	fs := c.Flags()
	fs.Var(&f.lasts, "for", "how long it lasts, such as 90s, at most 15m; needed")
	fs.StringVar(&f.reason, "reason", "", "`why`, for the journal; needed")
	fs.StringVar(&f.bot, "bot", "", "only the bot of this `name`; left out, all")
	fs.Float64Var(&f.share, "share", 0, "the `part` that is hit, above 0 up to 1; left out, all")
	fs.IntVar(&f.count, "count", 0, "go quiet after hitting `n`; left out, never")
	fs.Var(&f.delay, "delay", "how long it makes things wait")
	fs.Uint64Var(&f.seed, "seed", 0, "`number` that decides which part is hit")
	fs.StringArrayVar(&f.params, "param", nil, "a parameter of the kind, as `name=value`; may be repeated")
	fs.BoolVar(&f.dryRun, "dry-run", false, "only say what would be injected, and whether it may")
	fs.BoolVar(&f.detach, "detach", false, "don't wait: the fault lasts for --for without this command")
	return c
}

// request is the order, as far as it can be checked here.
func (f *injectFlags) request(kind string) (console.FaultRequest, error) {
	q := console.FaultRequest{Schema: console.SchemaFaultOrder, Kind: kind, For: f.lasts.d.Seconds(), Delay: f.delay.d.Seconds(), Bot: f.bot, Share: f.share,
		Count: f.count, Seed: f.seed, Reason: f.reason, DryRun: f.dryRun}
	switch {
	case f.lasts.d == 0:
		return q, misuse("for how long?", "add --for, such as --for 90s: no fault is without an end")
	case f.lasts.d > chaos.MaxLease:
		return q, misuse("--for is "+config.FormatDuration(f.lasts.d)+", and no fault lasts longer than "+config.FormatDuration(chaos.MaxLease), "choose a shorter time")
	case strings.TrimSpace(f.reason) == "" && !f.dryRun:
		return q, needReason()
	}
	for _, s := range f.params {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return q, misuse(fmt.Sprintf("--param %q has no value", s), "write it like --param code=502")
		}
		if q.Params == nil {
			q.Params = map[string]string{}
		}
		q.Params[name] = value
	}
	if !f.detach && !f.dryRun {
		q.Lease = faultLease.Seconds()
	}
	return q, nil
}

func (a *app) chaosInject(ctx context.Context, kind string, f *injectFlags) error {
	q, err := f.request(kind)
	if err != nil {
		return err
	}
	c, err := a.control()
	if err != nil {
		return err
	}
	// From here on an interruption ends the fault first.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	var got console.Fault
	if err := c.post(context.WithoutCancel(ctx), "/v1/chaos/faults", q, console.SchemaFault, &got); err != nil {
		return err
	}
	if f.dryRun || f.detach {
		if a.json() {
			return a.printJSON(got)
		}
		a.printer(a.stdout).printf("%s\n", injectedWords(got, f.detach))
		return nil
	}
	if !a.json() {
		a.printer(a.stdout).printf("%s\n", injectedWords(got, false))
	}
	last, err := a.attend(ctx, c, got)
	if err != nil {
		return err
	}
	if a.json() {
		err = a.printJSON(last)
	} else {
		a.printer(a.stdout).printf("%s\n", oneLine(endWords(last)))
	}
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return &failure{code: exitInterrupted}
	case last.Fired+last.Would == 0:
		return &failure{code: exitNotOK, message: last.Kind + " never hit anything: nothing was rehearsed",
			fix: "let there be traffic, or give it longer; what it acts on says dualgram chaos list " + last.Kind}
	}
	return nil
}

// injectedWords says what has been injected, or would be.
func injectedWords(f console.Fault, detached bool) string {
	what := f.Kind
	if f.Bot != "" {
		what += " on bot " + f.Bot
	}
	lasts := "for " + config.FormatDuration(time.Duration(f.For*float64(time.Second)))
	switch {
	case f.State == console.FaultDryRun:
		return oneLine(fmt.Sprintf("Dry run: %s would be injected %s, and nothing speaks against it.", what, lasts))
	case f.State == console.FaultLeashed:
		return oneLine(fmt.Sprintf("%s is leashed (chaos.leashed): it is counted what it would hit %s, and nothing is broken (fault %d).", what, lasts, f.ID))
	case detached:
		return oneLine(fmt.Sprintf("%s is injected %s (fault %d). To end it now: dualgram chaos clear %d", what, lasts, f.ID, f.ID))
	}
	return oneLine(fmt.Sprintf("%s is injected %s (fault %d). Ctrl-C ends it at once.", what, lasts, f.ID))
}

// attend keeps a fault alive until its time is over or the context ends, which ends
// it, and returns the last that is known of it.
func (a *app) attend(ctx context.Context, c *control, f console.Fault) (console.Fault, error) {
	line := a.progressLine()
	defer line.clear()
	path := fmt.Sprintf("/v1/chaos/faults/%d", f.ID)
	look := time.NewTicker(showFaultEvery)
	defer look.Stop()
	renewed, tried := time.Now(), time.Now()
	for {
		line.show(a.faultLine(ctx, c, f, line.p != nil))
		select {
		case <-ctx.Done():
			return endFault(c, path, f)
		case <-look.C:
		}
		if time.Since(tried) < renewFaultEvery {
			if line.p != nil {
				var now console.Fault
				if c.get(ctx, path, nil, console.SchemaFault, &now) == nil {
					f = now
				}
			}
			continue
		}
		tried = time.Now()
		var now console.Fault
		err := c.do(context.WithoutCancel(ctx), http.MethodPost, path+"/renew", nil, nil, renewFaultEvery, console.SchemaFault, &now)
		switch {
		case err == nil:
			f, renewed = now, time.Now()
		case errors.Is(err, errFaultEnded):
			return lastWord(c, path, f)
		case time.Since(renewed) > faultLease:
			return f, couldNotRun(fmt.Sprintf("dualgram has not answered for %s: the fault has ended by itself, or with it", short(time.Since(renewed))), "see dualgram status", err)
		}
	}
}

// endFault ends the fault now.
func endFault(c *control, path string, f console.Fault) (console.Fault, error) {
	var out console.FaultsEnded
	err := c.do(context.Background(), http.MethodDelete, path, nil, nil, controlTimeout, console.SchemaFaultsEnded, &out)
	switch {
	case errors.Is(err, errFaultEnded):
		return lastWord(c, path, f)
	case err != nil:
		return f, err
	case len(out.Ended) > 0:
		f = out.Ended[0]
	}
	return f, nil
}

// lastWord asks for what became of a fault that is over.
func lastWord(c *control, path string, f console.Fault) (console.Fault, error) {
	for began := time.Now(); ; time.Sleep(waitEvery) {
		var now console.Fault
		err := c.get(context.Background(), path, nil, console.SchemaFault, &now)
		if err == nil {
			f = now
		}
		over := f.State != console.FaultActive && f.State != console.FaultLeashed
		if err != nil || over || time.Since(began) > endPatience {
			if errors.Is(err, errFaultEnded) {
				return f, couldNotRun("dualgram was started anew: the fault ended with the one before", "see dualgram events --kind fault", err)
			}
			return f, err
		}
	}
}

// faultLine is how the fault stands, and the bots.
func (a *app) faultLine(ctx context.Context, c *control, f console.Fault, asks bool) string {
	s := fmt.Sprintf("%s %s, hit %d, %s left", f.Kind, f.State, f.Fired+f.Would, leftWords(f))
	var st console.Status
	if asks && c.get(ctx, "/v1/status", nil, console.SchemaStatus, &st) == nil {
		for _, b := range st.Bots {
			if f.Bot == "" || f.Bot == b.Name {
				s += "; " + b.Name + " " + phaseWords(b)
			}
		}
	}
	return s
}
