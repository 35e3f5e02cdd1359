package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"dualgram/chaos"
	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/console"

	"github.com/spf13/cobra"
)

const chaosLong = `chaos breaks something in a running dualgram on purpose, and heals it again: what an
expired certificate, a black hole or a full disk does can be seen before it happens.

Every fault has an end that must be given, of 15 minutes at most. It never outlives
dualgram, and ends within six seconds when the command that injected it is killed.
While one is active dualgram status says so, every line of the log has the field
"fault", and failovers that it causes are not counted towards the freeze.

The configuration has three locks: chaos.enabled (off by default), chaos.leashed (on
by default: faults are listed and counted, and do nothing) and chaos.destructive (for
what ends the process).`

func (a *app) chaosCommand() *cobra.Command {
	c := &cobra.Command{Use: "chaos", Short: "Break something on purpose, for a time", Long: chaosLong, GroupID: groupRehearse,
		Args: subcommandOnly, RunE: needSubcommand}
	c.AddCommand(a.chaosListCommand(), a.chaosInjectCommand(), a.chaosClearCommand())
	return c
}

const chaosListLong = `list shows the faults that are active, who injected them and why, how much they have
hit and when they end, then the catalogue. With a KIND it shows what that one does and
takes.

Exit codes: 0 nothing is active; 1 a fault is; 2 misuse; 3 dualgram doesn't answer.`

func (a *app) chaosListCommand() *cobra.Command {
	var active bool
	c := &cobra.Command{
		Use: "list [KIND]", Short: "Show active faults and the catalogue", Long: chaosListLong, ValidArgsFunction: completeKind,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return misuse("one KIND at most", "see "+cmd.CommandPath()+" --help")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.chaosList(cmd.Context(), args, active) },
	}
	c.Flags().BoolVar(&active, "active", false, "leave the catalogue out")
	return c
}

// completeKind offers the kinds of this binary.
func completeKind(_ *cobra.Command, args []string, _ string) (out []cobra.Completion, _ cobra.ShellCompDirective) {
	if len(args) == 0 {
		for _, k := range chaos.Kinds() {
			out = append(out, string(k.Kind))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) chaosList(ctx context.Context, args []string, active bool) error {
	c, err := a.control()
	if err != nil {
		return err
	}
	var ch console.Chaos
	if err := c.get(contextOr(ctx), "/v1/chaos", nil, console.SchemaChaos, &ch); err != nil {
		return err
	}
	if len(args) == 1 {
		if ch.Kinds, err = onlyKind(ch.Kinds, args[0]); err != nil {
			return err
		}
	} else if active {
		ch.Kinds = []console.FaultKind{}
	}
	switch p := a.printer(a.stdout); {
	case a.json():
		err = a.printJSON(ch)
	case len(args) == 1:
		printKind(p, ch.Kinds[0])
	default:
		printChaos(p, ch)
	}
	if err == nil && len(args) == 0 && len(ch.Faults) > 0 {
		err = notOK()
	}
	return err
}

func onlyKind(kinds []console.FaultKind, name string) ([]console.FaultKind, error) {
	var names []string
	for _, k := range kinds {
		if k.Kind == name {
			return []console.FaultKind{k}, nil
		}
		names = append(names, k.Kind)
	}
	fix := "see them all: dualgram chaos list"
	if near, ok := config.Nearest(name, names); ok {
		fix = "did you mean " + near + "?"
	}
	return nil, misuse(fmt.Sprintf("there is no fault %q", name), fix)
}

// lockWords says what the configuration allows.
func lockWords(ch console.Chaos) string {
	switch {
	case !ch.Enabled:
		return "disabled: nothing can be injected (chaos.enabled)"
	case ch.Leashed:
		return "leashed: faults are listed and counted, and do nothing (chaos.leashed)"
	case ch.Destructive:
		return "enabled, destructive faults too"
	}
	return "enabled, destructive faults not (chaos.destructive)"
}

func printChaos(p *printer, ch console.Chaos) {
	p.printf("%s %s\n", p.paint(bold, "chaos"), lockWords(ch))
	if len(ch.Faults) == 0 {
		p.printf("no fault is active\n")
	} else {
		rows := [][]cell{header("ID", "ACTIVE", "BOT", "LEFT", "HIT", "BY", "REASON")}
		for _, f := range ch.Faults {
			rows = append(rows, []cell{textf("%d", f.ID), styled(red, f.Kind), text(botOf(f)), text(leftWords(f)), textf("%d", f.Fired+f.Would), text(f.By.String()), text(f.Reason)})
		}
		p.table(rows...)
	}
	if len(ch.Kinds) == 0 {
		return
	}
	p.printf("\n")
	rows := [][]cell{header("KIND", "", "WHAT IT DOES")}
	for _, k := range ch.Kinds {
		rows = append(rows, []cell{text(k.Kind), styled(dim, kindMark(k)), text(firstSentence(k.Doc))})
	}
	p.table(rows...)
	p.printf("\n%s\n", p.paint(dim, "Parameters of one: dualgram chaos list KIND"))
}

// kindMark says where a kind may be injected.
func kindMark(k console.FaultKind) string {
	switch {
	case k.Destructive:
		return "destructive"
	case !k.ProdSafe:
		return "test only"
	}
	return ""
}

// firstSentence shortens what a kind says of itself.
func firstSentence(s string) string {
	first, _, _ := strings.Cut(s, ". ")
	return strings.TrimSuffix(first, ".")
}

func botOf(f console.Fault) string {
	if f.Bot == "" {
		return "all"
	}
	return f.Bot
}

// leftWords is how long the fault may still last.
func leftWords(f console.Fault) string {
	if f.Lease > 0 && !f.EndsAt.IsZero() {
		return short(time.Until(f.EndsAt))
	}
	return short(time.Duration(f.LeftS * float64(time.Second)))
}

func printKind(p *printer, k console.FaultKind) {
	p.printf("%s  %s\n", p.paint(bold, oneLine(k.Kind)), oneLine(k.Doc))
	rows := [][]cell{{styled(dim, "acts on each"), text(k.Unit)}}
	if k.Whole {
		rows[0][1].text += "; all or nothing, without --share and --count"
	}
	if k.Delay != "" {
		rows = append(rows, []cell{styled(dim, "--delay"), text(k.Delay)})
	}
	for _, q := range k.Params {
		doc := q.Doc
		if q.Default != "" {
			doc += " (" + q.Default + ")"
		}
		rows = append(rows, []cell{styled(dim, "--param "+q.Name), text(doc)})
	}
	if !k.PerBot {
		rows = append(rows, []cell{styled(dim, "--bot"), text("not of several: all bots share what it breaks")})
	}
	if m := kindMark(k); m != "" {
		rows = append(rows, []cell{styled(dim, "safety"), styled(yellow, m)})
	}
	p.table(rows...)
}

const chaosClearLong = `clear ends faults at once: those with the numbers, or all. What waited in a fault goes
on, and connections that it has spoilt are reset.

Exit codes: 0 done, also if there was none; 1 the fault of that number is over
already; 2 misuse; 3 dualgram doesn't answer.`

func (a *app) chaosClearCommand() *cobra.Command {
	return &cobra.Command{
		Use: "clear [ID ...]", Short: "End faults at once", Long: chaosClearLong,
		Args: func(_ *cobra.Command, args []string) error {
			for _, s := range args {
				if n, err := strconv.ParseUint(s, 10, 64); err != nil || n == 0 {
					return misuse(fmt.Sprintf("%q is not the number of a fault", s), "see the numbers: dualgram chaos list --active")
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.chaosClear(contextOr(cmd.Context()), args) },
	}
}

func (a *app) chaosClear(ctx context.Context, ids []string) error {
	c, err := a.control()
	if err != nil {
		return err
	}
	paths := []string{"/v1/chaos/faults"}
	if len(ids) > 0 {
		paths = nil
		for _, id := range ids {
			paths = append(paths, "/v1/chaos/faults/"+id)
		}
	}
	all := console.FaultsEnded{Schema: console.SchemaFaultsEnded, Ended: []console.Fault{}}
	var errs []error
	for _, path := range paths {
		var out console.FaultsEnded
		if err := c.do(ctx, http.MethodDelete, path, nil, nil, controlTimeout, console.SchemaFaultsEnded, &out); err != nil {
			errs = append(errs, err)
		}
		all.Ended = append(all.Ended, out.Ended...)
	}
	if a.json() {
		if err := a.printJSON(all); err != nil {
			return err
		}
	} else {
		p := a.printer(a.stdout)
		for _, f := range all.Ended {
			p.printf("%s\n", oneLine(endWords(f)))
		}
		if len(all.Ended) == 0 && len(errs) == 0 {
			p.printf("no fault was active\n")
		}
	}
	for len(errs) > 1 { // each is to be seen; the last one ends the command
		var f *failure
		if errors.As(errs[0], &f) {
			a.printer(a.stderr).failure(f.Error(), f.fix)
		}
		errs = errs[1:]
	}
	return errors.Join(errs...)
}

// endWords says what became of a fault.
func endWords(f console.Fault) string {
	how := map[string]string{console.FaultEnded: "ended", console.FaultExpired: "ended by itself", console.FaultCleared: "was ended by somebody else, or with dualgram"}[f.State]
	if how == "" {
		how = "is " + f.State
	}
	s := fmt.Sprintf("%s (fault %d) %s after %s", f.Kind, f.ID, how, short(f.EndsAt.Sub(f.InjectedAt)))
	if f.Would > 0 {
		return s + fmt.Sprintf("; leashed, it would have hit %d", f.Would)
	}
	return s + fmt.Sprintf("; it hit %d", f.Fired)
}

func contextOr(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}
