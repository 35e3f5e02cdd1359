package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/console"

	"github.com/spf13/cobra"
)

const logLevelLong = `level shows what the running dualgram logs, or changes it, without a restart: debug
adds each step of a handover and each change of a signal.

With --for the configured level (log.level) comes back by itself; without, it stays
until the next start. To name the configured level brings it back now. Who changed it
is in the log and in the journal.`

func (a *app) logCommand() *cobra.Command {
	c := &cobra.Command{Use: "log", Short: "Change what a running dualgram logs", GroupID: groupRule, Args: subcommandOnly, RunE: needSubcommand}
	var lasts duration
	var reason string
	level := &cobra.Command{
		Use: "level [" + strings.Join(console.LogLevels, "|") + "]", Short: "Show or change the level of the log", Long: logLevelLong,
		Example: "  dualgram log level\n  dualgram log level debug --for 10m --reason \"handovers look slow\"", ValidArgs: console.LogLevels,
		Args: func(_ *cobra.Command, args []string) error { return logLevelArgs(args, lasts) },
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.logLevel(contextOr(cmd.Context()), args, console.LogRequest{Schema: console.SchemaLogOrder, For: lasts.d.Seconds(), Reason: reason})
		},
	}
	level.Flags().Var(&lasts, "for", "let the configured level come back after that long, such as 10m")
	level.Flags().StringVar(&reason, "reason", "", "`why`, for the journal")
	c.AddCommand(level)
	return c
}

func logLevelArgs(args []string, lasts duration) error {
	switch {
	case len(args) > 1:
		return misuse("there is one level", "write one of: "+strings.Join(console.LogLevels, ", "))
	case len(args) == 0 && lasts.d != 0:
		return misuse("which level, for "+lasts.String()+"?", "write one of: "+strings.Join(console.LogLevels, ", "))
	case len(args) == 1 && !slices.Contains(console.LogLevels, args[0]):
		fix := "write one of: " + strings.Join(console.LogLevels, ", ")
		if near, ok := config.Nearest(args[0], console.LogLevels); ok {
			fix = "did you mean " + near + "?"
		}
		return misuse(fmt.Sprintf("there is no level %q", args[0]), fix)
	}
	return nil
}

func (a *app) logLevel(ctx context.Context, args []string, q console.LogRequest) error {
	c, err := a.control()
	if err != nil {
		return err
	}
	var out console.LogState
	if len(args) == 0 {
		err = c.get(ctx, "/v1/log", nil, console.SchemaLog, &out)
	} else {
		q.Level = args[0]
		err = c.post(ctx, "/v1/log", q, console.SchemaLog, &out)
	}
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(out)
	}
	a.printer(a.stdout).printf("%s\n", logWords(out, time.Now()))
	return nil
}

func logWords(s console.LogState, now time.Time) string {
	words := oneLine(s.Level)
	if s.Level == s.Configured {
		return words + ", as configured"
	}
	if s.By != nil {
		words += " by " + oneLine(s.By.By.String())
		if s.By.Reason != "" {
			words += " (" + oneLine(s.By.Reason) + ")"
		}
	}
	if s.Until.IsZero() {
		return words + " until the next start; configured is " + oneLine(s.Configured)
	}
	return fmt.Sprintf("%s for another %s, then %s again", words, short(s.Until.Sub(now)), oneLine(s.Configured))
}
