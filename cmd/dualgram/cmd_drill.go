package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"dualgram/chaos/drill"
	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/host"

	"github.com/spf13/cobra"
)

const drillLong = `drill rehearses an outage by an experiment: it looks whether all is well, breaks
something, watches whether dualgram does what it promises, heals, waits until all is
well again, and keeps the evidence for 400 days.

It runs against the live bot, with its real traffic, and needs chaos.enabled and
chaos.leashed: false in the configuration. A drill does not begin during an incident
or soon after one, and ends at once if something goes wrong that it did not plan.`

func (a *app) drillCommand() *cobra.Command {
	c := &cobra.Command{Use: "drill", Short: "Rehearse an outage by an experiment, with evidence", Long: drillLong, GroupID: groupRehearse,
		Args: subcommandOnly, RunE: needSubcommand}
	c.AddCommand(a.drillListCommand(), a.drillShowCommand(), a.drillValidateCommand(), a.drillRunCommand(), a.drillStatusCommand(),
		a.drillLeverCommand("halt", "End the drill under way, and let none begin", "The lever stays pulled, also across a restart, until: dualgram drill resume"),
		a.drillLeverCommand("resume", "Let drills begin again", "Lifts what dualgram drill halt has forbidden."),
		a.drillScheduleCommand(), a.drillHistoryCommand(), a.drillReportCommand(), a.drillMatrixCommand())
	return c
}

func (a *app) drillListCommand() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the experiments", Args: noArgs,
		Long: "Lists the experiments of drills.experiments and the shipped ones. It asks the running\ndualgram, and shows the shipped ones if there is none.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := a.drills(contextOr(cmd.Context()))
			if err != nil {
				st = host.DrillsStatus{Schema: host.SchemaDrills, Bots: []host.BotDrill{}}
				for _, e := range drill.Templates() {
					st.Experiments = append(st.Experiments, host.DrillExperiment{Name: e.Name, Title: e.Title, Tags: e.Tags})
				}
			}
			if a.json() {
				return a.printJSON(st)
			}
			rows := [][]cell{header("NAME", "WHAT IS REHEARSED")}
			for _, e := range st.Experiments {
				rows = append(rows, []cell{text(e.Name), text(e.Title)})
			}
			a.printer(a.stdout).table(rows...)
			return nil
		}}
}

// drills asks how it stands with them.
func (a *app) drills(ctx context.Context) (st host.DrillsStatus, err error) {
	c, err := a.control()
	if err == nil {
		err = c.get(ctx, "/v1/drills", nil, host.SchemaDrills, &st)
	}
	return st, err
}

func oneName(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return misuse(cmd.CommandPath()+" needs "+what, "see "+cmd.CommandPath()+" --help")
		}
		return nil
	}
}

func (a *app) drillShowCommand() *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Print a shipped experiment, to be read or to begin one's own", Args: oneName("the name of an experiment"),
		Aliases: []string{"new"},
		Long:    "Prints the YAML of a shipped experiment. To make one of your own from it:\n\n  dualgram drill new certificate-expired > mine.yaml\n  dualgram drill validate mine.yaml",
		RunE: func(_ *cobra.Command, args []string) error {
			_, data, err := drill.Template(args[0])
			if err != nil {
				return misuse(strings.TrimPrefix(err.Error(), "drill: "), "see dualgram drill list")
			}
			_, err = a.stdout.Write(data)
			return err
		}}
}

func (a *app) drillValidateCommand() *cobra.Command {
	return &cobra.Command{Use: "validate FILE", Short: "Say what is wrong with an experiment", Args: oneName("a file"),
		Long: "Exit codes: 0 fine; 2 something is wrong, each thing with its line and column.",
		RunE: func(_ *cobra.Command, args []string) error {
			e, _, err := readExperiment(args[0])
			if err != nil {
				return err
			}
			a.printer(a.stdout).printf("%s: fine: %s\n", oneLine(args[0]), oneLine(e.Title))
			return nil
		}}
}

// readExperiment reads a file, and says all that is wrong with it.
func readExperiment(path string) (*drill.Experiment, string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, "", misuse(err.Error(), "give the path of an experiment in YAML")
	}
	e, err := drill.Parse(path, data)
	var bad *drill.ProblemError
	if errors.As(err, &bad) {
		var all config.Errors
		for _, p := range bad.Problems {
			all = append(all, config.Problem{Where: config.Origin{Source: config.SourceFile, File: p.File, Line: p.Line, Column: p.Column}, Key: p.Key, What: p.What, Fix: p.Fix})
		}
		return nil, "", all
	}
	if err != nil {
		return nil, "", misuse(err.Error(), "")
	}
	return e, string(data), nil
}

func (a *app) drillStatusCommand() *cobra.Command {
	return &cobra.Command{Use: "status", Short: "Show the drill under way and the halt lever", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := a.drills(contextOr(cmd.Context()))
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(st)
			}
			printDrills(a.printer(a.stdout), st)
			return nil
		}}
}

func printDrills(p *printer, st host.DrillsStatus) {
	switch {
	case !st.Enabled:
		p.printf("drills are disabled (chaos.enabled)\n")
	case st.Leashed:
		p.printf("drills are leashed: they are planned and judged, and break nothing (chaos.leashed)\n")
	}
	for _, b := range st.Bots {
		words := "no drill is under way"
		switch {
		case b.Error != "":
			words = "no drill can run: " + b.Error
		case b.Running != nil:
			words = fmt.Sprintf("%s (%s), %s, for another %s at most: %s", b.Running.Experiment, b.Running.ID, b.Running.Stage, short(b.Running.Left), b.Running.Text)
		case b.Halt != nil:
			words = fmt.Sprintf("halted at %s by %s (%s); to lift it: dualgram drill resume", b.Halt.At.Format("2006-01-02 15:04:05"), b.Halt.Who.User, b.Halt.Reason)
		}
		p.printf("%s  %s\n", p.paint(bold, oneLine(b.Bot)), oneLine(words))
	}
}

func (a *app) drillScheduleCommand() *cobra.Command {
	return &cobra.Command{Use: "schedule", Short: "Show when which drill is due", Args: noArgs,
		Long: "Shows drills.schedules of the configuration: when each is due next, when it last held\nand how its last run ended, since when a run is missing, and since when the drill is\noverdue: two runs in a row were due, and none has succeeded.\n\nExit codes: 0 none is overdue; 1 one is; 3 dualgram doesn't answer.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := a.drills(contextOr(cmd.Context()))
			if err != nil {
				return err
			}
			overdue := false
			rows := [][]cell{header("BOT", "EXPERIMENT", "CRON", "NEXT", "LAST SUCCESS", "LAST RUN", "OUTCOME", "MISSED SINCE", "OVERDUE SINCE")}
			for _, b := range st.Bots {
				for _, s := range b.Plans {
					row := []cell{text(b.Bot), text(s.Experiment), text(s.Cron + " " + s.Zone), text(shortDay(s.Next)), text(shortDay(s.LastSuccess)), text(shortDay(s.LastRun)),
						styled(outcomeStyle(s.LastOutcome), s.LastOutcome), styled(yellow, shortDay(s.MissedSince)), styled(red, shortDay(s.OverdueSince))}
					overdue = overdue || !s.OverdueSince.IsZero()
					rows = append(rows, row)
				}
			}
			switch {
			case a.json():
				err = a.printJSON(st)
			case len(rows) == 1:
				a.printer(a.stdout).printf("nothing is scheduled (drills.schedules)\n")
			default:
				a.printer(a.stdout).table(rows...)
			}
			if err == nil && overdue {
				err = notOK()
			}
			return err
		}}
}

func (a *app) drillLeverCommand(name, shortText, long string) *cobra.Command {
	var reason string
	c := &cobra.Command{Use: name, Short: shortText, Long: long, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if strings.TrimSpace(reason) == "" {
				return needReason()
			}
			c, err := a.control()
			if err != nil {
				return err
			}
			var st host.DrillsStatus
			if err := c.post(contextOr(cmd.Context()), "/v1/drills/"+name, host.LeverRequest{Reason: reason}, host.SchemaDrills, &st); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(st)
			}
			printDrills(a.printer(a.stdout), st)
			return nil
		}}
	c.Flags().StringVar(&reason, "reason", "", "`why`, for the evidence; needed")
	return c
}

func (a *app) drillHistoryCommand() *cobra.Command {
	var bot, head string
	var verify bool
	c := &cobra.Command{Use: "history", Short: "List past drills; --verify checks that nothing was changed", Args: noArgs,
		Long: "Every run and every pull of the halt lever is a record that holds the hash of the one\nbefore. --verify says whether the chain is whole; with --head, whether the record with\nthat hash, from a report that was filed elsewhere, is still part of it.\n\nExit codes: 0 fine; 1 the chain is broken; 2 misuse; 3 dualgram doesn't answer.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctl, name, err := a.drillBot(contextOr(cmd.Context()), bot)
			if err != nil {
				return err
			}
			var h host.DrillHistory
			q := url.Values{}
			if head != "" {
				q.Set("head", head)
			}
			if err := ctl.get(contextOr(cmd.Context()), "/v1/bots/"+url.PathEscape(name)+"/drills", q, host.SchemaDrillHistory, &h); err != nil {
				return err
			}
			if a.json() {
				err = a.printJSON(h)
			} else {
				printHistory(a.printer(a.stdout), h, verify || head != "")
			}
			if err == nil && h.Verify != "ok" {
				err = notOK()
			}
			return err
		}}
	c.Flags().StringVar(&bot, "bot", "", "`name` of the bot; not needed if there is one")
	c.Flags().BoolVar(&verify, "verify", false, "say whether the chain of records is whole")
	c.Flags().StringVar(&head, "head", "", "a `hash` that must be part of it")
	return c
}

func printHistory(p *printer, h host.DrillHistory, verify bool) {
	if len(h.Runs) == 0 {
		p.printf("no drill is on record\n")
	} else {
		rows := [][]cell{header("ID", "STARTED", "TOOK", "OUTCOME", "SWITCH", "HIT", "BY")}
		for _, r := range h.Runs {
			sw := ""
			if r.Switch != nil {
				sw = fmt.Sprintf("%.1fs", *r.Switch)
			}
			rows = append(rows, []cell{text(r.ID), text(shortDay(r.Start)), textf("%.0fs", r.Duration), styled(outcomeStyle(r.Outcome), r.Outcome), text(sw), textf("%d", r.Fired), text(r.By)})
		}
		p.table(rows...)
	}
	if verify || h.Verify != "ok" {
		words := "the chain is whole"
		if h.Verify != "ok" {
			words = p.paint(red, "the chain is broken: "+oneLine(h.Verify))
		}
		p.printf("%d records, %s; head %s\n", h.Records, words, h.Head)
	}
}

func (a *app) drillReportCommand() *cobra.Command {
	var bot, format string
	c := &cobra.Command{Use: "report ID", Short: "Print the report of a run", Args: oneName("the ID of a run"),
		Long: "Prints the report of a past drill as markdown, html, junit or json, for example into a\nfile: dualgram drill report ID --format html > report.html",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, name, err := a.drillBot(contextOr(cmd.Context()), bot)
			if err != nil {
				return err
			}
			if a.json() {
				format = string(drill.JSON)
			}
			return c.copy(contextOr(cmd.Context()), "/v1/bots/"+url.PathEscape(name)+"/drills/"+url.PathEscape(args[0]), url.Values{"format": {format}}, a.stdout)
		}}
	c.Flags().StringVar(&bot, "bot", "", "`name` of the bot; not needed if there is one")
	c.Flags().StringVar(&format, "format", string(drill.Markdown), "`form`: markdown, html, junit or json")
	return c
}

// drillBot finds the bot that is meant.
func (a *app) drillBot(ctx context.Context, bot string) (*control, string, error) {
	c, err := a.control()
	if err == nil && bot == "" {
		bot, err = c.onlyBot(ctx)
	}
	return c, bot, err
}

// copy writes the answer as it is.
func (c *control) copy(ctx context.Context, path string, query url.Values, out io.Writer) error {
	body, err := c.send(ctx, http.MethodGet, path, query, nil, controlTimeout)
	if err != nil {
		return err
	}
	_, err = out.Write(body)
	return err
}
