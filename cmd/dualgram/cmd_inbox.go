package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"dualgram/supervisor/console"

	"github.com/spf13/cobra"
)

const inboxLong = `inbox shows what the bot has not taken yet, by lane: how many updates, since when the
next one waits, how often it was tried and when it is tried again. A lane is one of
Telegram's own queues (c and a number: a chat; u: a user; p: a poll); within it the
updates go one after the other.

Nothing of what is in the updates is shown, save by inbox show --raw.

Exit codes: 0 done; 2 misuse; 3 dualgram doesn't answer.`

const inboxExample = `  dualgram inbox
  dualgram inbox show 905117
  dualgram inbox dead list
  dualgram inbox dead retry --all --reason "the bot is repaired"`

// inboxFlags are those of the inbox commands.
type inboxFlags struct {
	bot   string
	limit int
	raw   bool
}

func (a *app) inboxCommand() *cobra.Command {
	f := &inboxFlags{}
	c := &cobra.Command{
		Use: "inbox", Short: "Show what waits for the bot, and what was given up", Long: inboxLong, Example: inboxExample, GroupID: groupWatch,
		Args: subcommandOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.inboxLanes(contextOr(cmd.Context()), f) },
	}
	c.PersistentFlags().StringVar(&f.bot, "bot", "", "`name` of the bot; not needed if there is one")
	c.Flags().IntVar(&f.limit, "limit", 20, "at most `n` lanes, up to "+strconv.Itoa(console.MaxInbox))
	c.AddCommand(a.inboxShowCommand(f), a.inboxDeadCommand(f), a.inboxQuarantineCommand(f))
	return c
}

// inboxPath is the resource of a bot: the one that is named, or the only one.
func (a *app) inboxPath(ctx context.Context, f *inboxFlags, resource string) (*control, string, error) {
	c, bot, err := a.drillBot(ctx, f.bot)
	if err != nil {
		return nil, "", err
	}
	return c, "/v1/bots/" + url.PathEscape(bot) + "/" + resource, nil
}

func (a *app) inboxLanes(ctx context.Context, f *inboxFlags) error {
	if f.limit < 1 || f.limit > console.MaxInbox {
		return misuse(fmt.Sprintf("--limit is not from 1 to %d", console.MaxInbox), "leave it out")
	}
	c, path, err := a.inboxPath(ctx, f, "inbox")
	if err != nil {
		return err
	}
	var out console.InboxLanes
	if err := c.get(ctx, path, url.Values{"limit": {strconv.Itoa(f.limit)}}, console.SchemaInbox, &out); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(out)
	}
	printInbox(a.printer(a.stdout), out, time.Now())
	return nil
}

func printInbox(p *printer, in console.InboxLanes, now time.Time) {
	head := "  nothing waits"
	if in.Waiting > 0 {
		head = fmt.Sprintf("  %d waiting (%s) in %s, %d in delivery, the oldest for %s", in.Waiting, size(in.Bytes), plural(int(in.LaneCount), "lane"), in.InDelivery, age(in.OldestAt, now))
	}
	p.printf("%s%s\n", p.paint(bold, oneLine(in.Bot)), head)
	if len(in.Lanes) > 0 {
		rows := [][]cell{header("LANE", "WAITING", "NEXT", "KIND", "SINCE", "TRIED", "AGAIN", "LAST FAILURE")}
		for _, l := range in.Lanes {
			n := l.Next
			tried := styled(plain, strconv.FormatInt(n.Attempts, 10))
			if n.Attempts > 0 {
				tried.style = yellow
			}
			rows = append(rows, []cell{text(l.Lane), text(strconv.FormatInt(l.Waiting, 10)), text(n.Ref), text(n.Kind), text(age(n.ReceivedAt, now)), tried, text(nextTry(n, now)), text(n.LastCause)})
		}
		p.table(rows...)
		if more := in.LaneCount - int64(len(in.Lanes)); more > 0 {
			p.printf("  %s\n", p.paint(dim, fmt.Sprintf("and %s: --limit", plural(int(more), "lane more", "lanes more"))))
		}
	}
	if in.Dead > 0 {
		p.printf("%s\n", p.paint(yellow, plural(int(in.Dead), "dead letter")+": dualgram inbox dead list"))
	}
	if in.Quarantine > 0 {
		p.printf("%s\n", p.paint(yellow, fmt.Sprintf("%d in quarantine: dualgram inbox quarantine list", in.Quarantine)))
	}
}

// nextTry says when an update is tried again.
func nextTry(u console.UpdateInfo, now time.Time) string {
	switch {
	case u.Place == console.PlaceInDelivery:
		return "being tried"
	case u.Place == console.PlaceDead:
		return "never"
	case u.NextTryAt.After(now):
		return "in " + short(u.NextTryAt.Sub(now))
	}
	return "now"
}

// size is a number of bytes in words.
func size(n int64) string {
	const kib, mib = 1 << 10, 1 << 20
	switch {
	case n < kib:
		return fmt.Sprintf("%d B", n)
	case n < mib:
		return fmt.Sprintf("%.1f KiB", float64(n)/kib)
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/mib)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}

const inboxShowLong = `show tells what is known of one update that waits or is dead: where it is, since when,
how often it was tried and what failed. ID is its update_id, or SERIES:ID as the lists
show it.

With --raw it prints instead the update itself, byte for byte as Telegram sent it. THIS
IS MESSAGE TEXT AND PERSONAL DATA: think of where the output goes (a terminal's
scroll-back, a ticket). Who looked is written into the journal, and it works over the
unix socket only.`

func (a *app) inboxShowCommand(f *inboxFlags) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "show ID", Short: "Show what is known of one update", Long: inboxShowLong, Args: oneArg("which update?", "write its update_id; dualgram inbox lists them"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.raw {
				return a.reveal(contextOr(cmd.Context()), f, "inbox/"+url.PathEscape(args[0]), reason)
			}
			return a.inboxShow(contextOr(cmd.Context()), f, args[0])
		},
	}
	c.Flags().BoolVar(&f.raw, "raw", false, "print the update itself, which holds message text; audited")
	c.Flags().StringVar(&reason, "reason", "", "`why` the text is looked at, for the journal")
	return c
}

// oneArg wants one argument.
func oneArg(question, fix string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return misuse(question, fix)
		}
		return nil
	}
}

func (a *app) inboxShow(ctx context.Context, f *inboxFlags, id string) error {
	c, path, err := a.inboxPath(ctx, f, "inbox/"+url.PathEscape(id))
	if err != nil {
		return err
	}
	var out console.Updates
	if err := c.get(ctx, path, nil, console.SchemaUpdates, &out); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(out)
	}
	p, now := a.printer(a.stdout), time.Now()
	for _, u := range out.Updates {
		printUpdate(p, u, now)
	}
	return nil
}

func printUpdate(p *printer, u console.UpdateInfo, now time.Time) {
	p.printf("%s  %s\n", p.paint(bold, oneLine(u.Ref)), map[string]string{
		console.PlaceWaiting: "waits for the bot", console.PlaceInDelivery: "is being delivered", console.PlaceDead: "is dead: it is not tried again",
	}[u.Place])
	rows := [][]cell{{styled(dim, "kind"), text(u.Kind)}, {styled(dim, "lane"), text(u.Lane)}, {styled(dim, "received"), textf("%s ago by %s, %s", age(u.ReceivedAt, now), u.Source, size(u.Bytes))}}
	if u.Attempts > 0 {
		rows = append(rows, []cell{styled(dim, "tried"), textf("%d times without success, the first time %s ago, the last failure: %s", u.Attempts, age(u.FirstFailedAt, now), u.LastCause)})
	}
	if u.Place == console.PlaceDead {
		rows = append(rows, []cell{styled(dim, "buried"), textf("%s ago: %s", age(u.BuriedAt, now), u.Burial)})
	} else {
		rows = append(rows, []cell{styled(dim, "again"), text(nextTry(u, now))})
	}
	p.table(rows...)
}

// reveal prints the bytes of an update and nothing else.
func (a *app) reveal(ctx context.Context, f *inboxFlags, resource, reason string) error {
	if a.json() {
		return misuse("--raw prints the update as it is", "leave --output out")
	}
	c, path, err := a.inboxPath(ctx, f, resource+"/reveal")
	if err != nil {
		return err
	}
	raw, err := c.send(ctx, http.MethodPost, path, nil, console.RevealRequest{Schema: console.SchemaReveal, Reason: reason}, controlTimeout)
	if err != nil {
		return err
	}
	if a.isTerminal(a.stdout) { // which it must not steer
		a.printer(a.stdout).printf("%s\n", clean(string(raw)))
		return nil
	}
	if _, err := a.stdout.Write(raw); err != nil {
		return couldNotRun("print: "+err.Error(), "", err)
	}
	return nil
}
