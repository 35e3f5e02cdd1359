package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/console"

	"github.com/spf13/cobra"
)

const switchLong = `switch overrules the automation of a running dualgram:

  webhook   change to the webhook now, and pin it: no failover until it is lifted
  polling   change to getUpdates now, and pin it: no failback until it is lifted
  auto      lift pin and hold; failover and failback are automatic again

A pin outlives a restart. It ends by itself with --for. Who switched, when and why
is in the journal (dualgram events) and in dualgram status.

By default it waits until the mode is reached, and says why not if it isn't.
--dry-run says what would be done and what speaks against it, and changes nothing.

A webhook that this host did not set is never replaced unless --take-over is given.
It is then shown, with the number of updates that are pending, and a yes is asked
for. No pending update is dropped. With auto the bot is taken over and stays
automatic, which is what moving an existing bot to dualgram wants.

Exit codes: 0 done; 1 the mode was not reached, or a guard refused; with --dry-run,
something speaks against it; 2 misuse; 3 dualgram doesn't answer.`

const switchExample = `  dualgram switch polling --for 2h --reason "new proxy"
  dualgram switch webhook --dry-run --reason "is it ready?"
  dualgram switch auto
  dualgram switch auto --take-over --reason "moving the bot here"`

// switchWords are what switch can be told.
var switchWords = []string{"webhook", "polling", "auto"}

// switchFlags are those of switch.
type switchFlags struct {
	order
	to       string
	lasts    duration
	reason   string
	takeOver bool
	yes      bool
	dryRun   bool
}

func (a *app) switchCommand() *cobra.Command {
	f := &switchFlags{order: order{resource: "switch", timeout: duration{defaultWait}}}
	c := &cobra.Command{
		Use: "switch webhook|polling|auto", Short: "Pin webhook or polling, or let automation decide again",
		Long: switchLong, Example: switchExample, GroupID: groupRule, ValidArgs: switchWords,
		Args: func(_ *cobra.Command, args []string) error { return f.arg(args) },
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runSwitch(cmd, f) },
	}
	f.flags(c)
	fs := c.Flags()
	fs.Var(&f.lasts, "for", "let the pin end by itself after that long, such as 30m, 2h or 1d")
	fs.StringVar(&f.reason, "reason", "", "`why`, for the journal; needed for webhook, polling and --take-over")
	fs.BoolVar(&f.takeOver, "take-over", false, "replace a webhook that this host did not set")
	fs.BoolVarP(&f.yes, "yes", "y", false, "don't ask before a take-over")
	fs.BoolVar(&f.dryRun, "dry-run", false, "only say what would be done")
	fs.BoolVar(&f.wait, "wait", true, "wait until the mode is reached")
	fs.Var(&f.timeout, "timeout", "how long to wait")
	return c
}

// arg takes the one word.
func (f *switchFlags) arg(args []string) error {
	if len(args) != 1 {
		return misuse("switch to what?", "write one of: "+strings.Join(switchWords, ", "))
	}
	if !slices.Contains(switchWords, args[0]) {
		fix := "write one of: " + strings.Join(switchWords, ", ")
		if near, ok := config.Nearest(args[0], switchWords); ok {
			fix = "did you mean dualgram switch " + near + "?"
		}
		return misuse(fmt.Sprintf("there is no mode %q", args[0]), fix)
	}
	f.to = args[0]
	return nil
}

func (a *app) runSwitch(cmd *cobra.Command, f *switchFlags) error {
	switch {
	case strings.TrimSpace(f.reason) == "" && !f.dryRun && (f.to != "auto" || f.takeOver):
		return needReason()
	case f.to == "auto" && f.lasts.d != 0:
		return misuse("automation is without an end", "leave --for out")
	case f.yes && !f.takeOver:
		return misuse("--yes answers the question of --take-over", "leave it out, or add --take-over")
	}
	f.body = func(b console.Bot) (any, error) { return a.switchBody(f, b) }
	return a.give(cmd.Context(), f.order)
}

// needReason asks for the reason that the journal wants.
func needReason() error {
	return misuse("a reason is needed", `add --reason "…": it is what the next one on call finds in status and events`)
}

// switchBody is what to send for a bot, once a take-over is agreed to.
func (a *app) switchBody(f *switchFlags, b console.Bot) (any, error) {
	q := console.SwitchRequest{Schema: console.SchemaSwitch, To: f.to, For: f.lasts.d.Seconds(), Reason: f.reason, TakeOver: f.takeOver, DryRun: f.dryRun}
	if !f.takeOver {
		return q, nil
	}
	q.Foreign = &b.ForeignWebhook // what is agreed to, and no other
	p := a.printer(a.stderr)
	if b.ForeignWebhook == "" {
		p.printf("%s: no webhook of somebody else's is set: there is nothing to take over\n", oneLine(b.Name))
		return q, nil
	}
	p.printf("%s: Telegram delivers to %s, with %s.\nA take-over replaces that webhook. Nothing that is pending is dropped: it comes here.\n",
		oneLine(b.Name), oneLine(b.ForeignWebhook), pendingWords(b))
	switch {
	case f.yes, f.dryRun:
		return q, nil
	case !a.isTerminal(a.stdin):
		return nil, misuse("a take-over has to be agreed to, and there is no terminal to ask on", "add --yes if it is yours to replace")
	}
	agreed, err := ask(a.stdin, p, "Take over? [y/N] ")
	if err != nil {
		return nil, couldNotRun("read the answer: "+err.Error(), "add --yes if it is yours to replace", err)
	}
	if !agreed {
		return nil, &failure{code: exitNotOK, message: "not agreed: nothing has changed"}
	}
	return q, nil
}

// ask wants a yes; anything else is a no.
func ask(r io.Reader, p *printer, question string) (bool, error) {
	p.printf("%s", question)
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if err != nil {
		p.printf("\n")
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}
