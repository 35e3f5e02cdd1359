package main

import (
	"context"
	"time"

	"dualgram/chaos/drill"
	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor"
	"dualgram/supervisor/console"

	"github.com/spf13/cobra"
)

// completeWithin bounds how long a shell waits for the names of bots.
const completeWithin = time.Second

// completions adds what the shell can offer to every command of the tree.
func (a *app) completions(root *cobra.Command) {
	names := map[string]cobra.CompletionFunc{
		"drill show": completeDrills, "drill run": completeDrillsOrFiles, "drill new": cobra.NoFileCompletions,
	}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for flag, f := range map[string]cobra.CompletionFunc{"bot": a.completeBots, "kind": completeKinds} {
			if c.Flags().Lookup(flag) != nil || c.PersistentFlags().Lookup(flag) != nil {
				_ = c.RegisterFlagCompletionFunc(flag, f) // an error is one that is there already
			}
		}
		for _, flag := range []string{"reason", "for", "since", "until", "limit", "timeout"} {
			if c.Flags().Lookup(flag) != nil {
				_ = c.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
			}
		}
		if c.ValidArgsFunction == nil && len(c.ValidArgs) == 0 && !c.HasSubCommands() {
			c.ValidArgsFunction = cobra.NoFileCompletions
			if f := names[pathOf(c)]; f != nil {
				c.ValidArgsFunction = f
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(a.output.allowed, cobra.ShellCompDirectiveNoFileComp))
	_ = root.RegisterFlagCompletionFunc("color", cobra.FixedCompletions(a.color.allowed, cobra.ShellCompDirectiveNoFileComp))
}

// completeBots offers the bots of the running dualgram, or else of the configuration.
func (a *app) completeBots(cmd *cobra.Command, _ []string, _ string) (out []cobra.Completion, _ cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(contextOr(cmd.Context()), completeWithin)
	defer cancel()
	var st console.Status
	if c, err := a.control(); err == nil && c.get(ctx, "/v1/status", nil, console.SchemaStatus, &st) == nil {
		for _, b := range st.Bots {
			out = append(out, cobra.CompletionWithDesc(oneLine(b.Name), phaseName(b.Phase)))
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
	cfg, _ := config.Load(a.configFile(), a.env)
	for i := range cfg.Bots {
		out = append(out, oneLine(cfg.Bots[i].Name))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func completeKinds(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return supervisor.EventKinds(), cobra.ShellCompDirectiveNoFileComp
}

func completeDrills(_ *cobra.Command, args []string, _ string) (out []cobra.Completion, _ cobra.ShellCompDirective) {
	if len(args) == 0 {
		for _, e := range drill.Templates() {
			out = append(out, cobra.CompletionWithDesc(e.Name, e.Title))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeDrillsOrFiles offers files besides: an experiment may be one's own.
func completeDrillsOrFiles(c *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	out, _ := completeDrills(c, args, word)
	return out, cobra.ShellCompDirectiveDefault
}
