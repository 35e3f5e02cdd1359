package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"dualgram/supervisor/console"

	"github.com/spf13/cobra"
)

// settleTimeout bounds a settlement of all: some thousands in each second.
const settleTimeout = 5 * time.Minute

const deadLong = `A dead letter is an update that alone failed, over and over (deliver.max_attempts,
deliver.bury_after), while the bot took others. It is kept, its lane goes on without
it, and what becomes of it is yours to say: retry gives it back to its lane, at its old
place, with its attempts forgotten; drop deletes it for good.

An outage of the bot as a whole buries nothing.`

func (a *app) inboxDeadCommand(f *inboxFlags) *cobra.Command {
	c := &cobra.Command{
		Use: "dead", Short: "Look at dead letters, try them again, or delete them", Long: deadLong, Args: subcommandOnly, RunE: needSubcommand,
		Example: "  dualgram inbox dead list\n  dualgram inbox dead retry 905117\n  dualgram inbox dead drop 905117 --reason spam",
	}
	show := a.inboxShowCommand(f)
	show.Short = "Show what is known of one dead letter"
	c.AddCommand(a.deadListCommand(f), show,
		a.settleCommand(f, "retry ID…", "Give dead letters back to their lanes", console.DeadRetry, "dead/retry"),
		a.settleCommand(f, "drop ID…", "Delete dead letters for good", console.DeadDrop, "dead/drop"))
	return c
}

func (a *app) deadListCommand(f *inboxFlags) *cobra.Command {
	limit := 50
	c := &cobra.Command{Use: "list", Short: "List the dead letters", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := contextOr(cmd.Context())
			c, path, err := a.inboxPath(ctx, f, "dead")
			if err != nil {
				return err
			}
			var out console.DeadLetters
			if err := c.get(ctx, path, url.Values{"limit": {strconv.Itoa(limit)}}, console.SchemaDead, &out); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(out)
			}
			printDead(a.printer(a.stdout), out, time.Now())
			return nil
		}}
	c.Flags().IntVar(&limit, "limit", limit, "at most `n` of them, up to "+strconv.Itoa(console.MaxInbox))
	return c
}

func printDead(p *printer, d console.DeadLetters, now time.Time) {
	if len(d.Dead) == 0 {
		p.printf("no dead letters\n")
		return
	}
	rows := [][]cell{header("UPDATE", "LANE", "KIND", "RECEIVED", "TRIED", "BURIED", "LAST FAILURE")}
	for _, u := range d.Dead {
		rows = append(rows, []cell{text(u.Ref), text(u.Lane), text(u.Kind), text(age(u.ReceivedAt, now) + " ago"), text(strconv.FormatInt(u.Attempts+1, 10)), text(age(u.BuriedAt, now) + " ago"), text(u.Burial)})
	}
	p.table(rows...)
	if more := d.Total - int64(len(d.Dead)); more > 0 {
		p.printf("  %s\n", p.paint(dim, fmt.Sprintf("and %d more: --limit", more)))
	}
}

// settleCommand is one that decides about dead letters or the quarantine.
func (a *app) settleCommand(f *inboxFlags, use, short, what, resource string) *cobra.Command {
	var q console.SettleRequest
	var yes bool
	drops := what != console.DeadRetry
	c := &cobra.Command{Use: use, Short: short,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && !q.All:
				return misuse("which ones?", "name them, or say --all; the list shows them")
			case len(args) > 0 && q.All:
				return misuse("--all takes no names", "leave one of the two out")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if drops && strings.TrimSpace(q.Reason) == "" {
				return needReason()
			}
			q.Schema, q.IDs = console.SchemaSettle, args
			return a.settle(contextOr(cmd.Context()), f, resource, drops, yes, q)
		}}
	c.Flags().BoolVar(&q.All, "all", false, "all that are there now")
	why := "`why`, for the journal"
	if drops {
		why += "; needed"
		c.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	}
	c.Flags().StringVar(&q.Reason, "reason", "", why)
	return c
}

func (a *app) settle(ctx context.Context, f *inboxFlags, resource string, drops, yes bool, q console.SettleRequest) error {
	c, path, err := a.inboxPath(ctx, f, resource)
	if err != nil {
		return err
	}
	if drops && !yes {
		if !a.isTerminal(a.stdin) {
			return misuse("to delete for good has to be agreed to, and there is no terminal to ask on", "add --yes")
		}
		what := plural(len(q.IDs), "update")
		if q.All {
			what = "all of them"
		}
		agreed, err := ask(a.stdin, a.printer(a.stderr), "Delete "+what+" for good? [y/N] ")
		if err != nil {
			return couldNotRun("read the answer: "+err.Error(), "add --yes", err)
		}
		if !agreed {
			return &failure{code: exitNotOK, message: "not agreed: nothing has changed"}
		}
	}
	line := a.progressLine()
	line.show("settling …")
	var out console.Settled
	err = c.do(ctx, http.MethodPost, path, nil, q, settleTimeout, console.SchemaSettled, &out)
	line.clear()
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(out)
	}
	did := "deleted"
	if !drops {
		did = "back in " + map[bool]string{true: "its lane", false: "their lanes"}[out.Count == 1]
	}
	p := a.printer(a.stdout)
	p.printf("%s %s %s, %d left\n", p.paint(green, "ok:"), plural(int(out.Count), "update"), did, out.Left)
	return nil
}

const quarantineLong = `The quarantine keeps what Telegram sent and no update_id could be read from. Such a
thing can't be delivered; it was acknowledged, or it would block what is behind it.`

func (a *app) inboxQuarantineCommand(f *inboxFlags) *cobra.Command {
	c := &cobra.Command{Use: "quarantine", Short: "Look at what has no update_id, or delete it", Long: quarantineLong, Args: subcommandOnly, RunE: needSubcommand}
	c.AddCommand(a.quarantineListCommand(f), a.quarantineShowCommand(f),
		a.settleCommand(f, "drop SEQ…", "Delete from the quarantine for good", console.QuarantineDrop, "quarantine/drop"))
	return c
}

func (a *app) quarantineListCommand(f *inboxFlags) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the quarantine", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := contextOr(cmd.Context())
			c, path, err := a.inboxPath(ctx, f, "quarantine")
			if err != nil {
				return err
			}
			var out console.Quarantined
			if err := c.get(ctx, path, url.Values{"limit": {strconv.Itoa(console.MaxInbox)}}, console.SchemaQuarantine, &out); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(out)
			}
			p := a.printer(a.stdout)
			if len(out.Quarantined) == 0 {
				p.printf("nothing is in quarantine\n")
				return nil
			}
			rows := [][]cell{header("SEQ", "RECEIVED", "BY", "SIZE")}
			for _, q := range out.Quarantined {
				rows = append(rows, []cell{text(strconv.FormatUint(q.Seq, 10)), text(age(q.ReceivedAt, time.Now()) + " ago"), text(q.Source), text(size(q.Bytes))})
			}
			p.table(rows...)
			return nil
		}}
}

func (a *app) quarantineShowCommand(f *inboxFlags) *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "show SEQ", Short: "Print the bytes of one, which may be message text", Args: oneArg("which one?", "write its number; dualgram inbox quarantine list shows them"),
		Long: "Prints the bytes as they came, with --raw. They may be message text; who looked is\nwritten into the journal, and it works over the unix socket only.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !f.raw {
				return misuse("of what is in quarantine there are only the bytes", "add --raw to print them; they may be message text")
			}
			return a.reveal(contextOr(cmd.Context()), f, "quarantine/"+url.PathEscape(args[0]), reason)
		}}
	c.Flags().BoolVar(&f.raw, "raw", false, "print the bytes; audited")
	c.Flags().StringVar(&reason, "reason", "", "`why` they are looked at, for the journal")
	return c
}
