package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"dualgram/supervisor/console"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// effects says of each command whether it may change a running dualgram, its store or
// what Telegram knows (rw), or not (ro). Files that a command is told to write don't
// count.
var effects = map[string]string{
	"ack":                   rw,
	"bugreport":             ro,
	"chaos clear":           rw,
	"chaos inject":          rw,
	"chaos list":            ro,
	"check":                 ro,
	"completion bash":       ro,
	"completion fish":       ro,
	"completion powershell": ro,
	"completion zsh":        ro,
	"config print":          ro,
	"config reference":      ro,
	"config rotate-secret":  rw,
	"config schema":         ro,
	"config validate":       ro,
	"dashboard":             ro,
	"dashboard export":      ro,
	"dashboard list":        ro,
	"demo":                  ro,
	"drill halt":            rw,
	"drill history":         ro,
	"drill list":            ro,
	"drill matrix":          ro,
	"drill new":             ro,
	"drill report":          ro,
	"drill resume":          rw,
	"drill run":             rw,
	"drill schedule":        ro,
	"drill show":            ro,
	"drill status":          ro,
	"drill validate":        ro,
	"events":                ro,
	"help":                  ro,
	"hold":                  rw,
	"inbox":                 ro,
	"inbox dead drop":       rw,
	"inbox dead list":       ro,
	"inbox dead retry":      rw,
	"inbox dead show":       ro,
	"inbox quarantine drop": rw,
	"inbox quarantine list": ro,
	"inbox quarantine show": ro,
	"inbox show":            ro,
	"log level":             rw,
	"metrics":               ro,
	"notify test":           rw,
	"rules":                 ro,
	"run":                   rw,
	"runbook":               ro,
	"service install":       rw,
	"service status":        ro,
	"service uninstall":     rw,
	"sim":                   ro,
	"status":                ro,
	"switch":                rw,
	"version":               ro,
}

const (
	ro = console.ReadOnly
	rw = console.ReadWrite
)

// exitCodes are what every command may end with.
var exitCodes = []helpCode{
	{exitOK, "done, and all is well"},
	{exitNotOK, "not ok: a warning, a failed check, a mode that was not reached, a refusal"},
	{exitMisuse, "the command line or the configuration is wrong"},
	{exitFailed, "it could not run: dualgram doesn't answer, a file can't be written"},
}

// moreCodes are those of single commands besides.
var moreCodes = map[string][]helpCode{
	"drill run":    {{4, "the drill was aborted"}, {5, "the host did not come back"}, {6, "nothing was hit, so nothing was shown"}, {exitInterrupted, "interrupted"}},
	"chaos inject": {{exitInterrupted, "interrupted with nothing to show"}},
	"check":        {{exitInterrupted, "interrupted"}},
}

// help is what dualgram help --json prints, dualgram/help/v1.
type help struct {
	Schema    string        `json:"schema"`
	Version   string        `json:"version"`
	ExitCodes []helpCode    `json:"exit_codes"`
	Flags     []helpFlag    `json:"flags"` // of every command
	Commands  []helpCommand `json:"commands"`
	Topics    []helpTopic   `json:"topics"`
}

type helpCode struct {
	Code    int    `json:"code"`
	Meaning string `json:"meaning"`
}

type helpFlag struct {
	Name      string `json:"name"`
	Shorthand string `json:"shorthand,omitempty"`
	Type      string `json:"type"`
	Default   string `json:"default,omitempty"`
	Usage     string `json:"usage"`
}

type helpCommand struct {
	// Command is its path without dualgram; Use how it is called.
	Command  string     `json:"command"`
	Use      string     `json:"use"`
	Short    string     `json:"short"`
	Long     string     `json:"long,omitempty"`
	Examples string     `json:"examples,omitempty"`
	Group    string     `json:"group,omitempty"`
	Effect   string     `json:"effect"` // ro or rw
	Flags    []helpFlag `json:"flags"`
	// ExitCodes are those besides the common ones.
	ExitCodes []helpCode `json:"exit_codes"`
}

type helpTopic struct {
	Topic string `json:"topic"`
	Short string `json:"short"`
	Text  string `json:"text"`
}

// helpCommand is help, with its forms for programs and for man.
func (a *app) helpCommand() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use: "help [COMMAND | TOPIC | man DIR]", Short: "Help about a command or a topic",
		Long: `help prints the help of a command, or one of the topics that dualgram --help lists.

help --json describes every command for a program: what it does, its flags and their
defaults, whether it may change something (effect: ro or rw), its exit codes.
help man DIR writes the manual pages, in section 1 for commands and 7 for topics.`,
		Example: "  dualgram help switch\n  dualgram help exit-codes\n  dualgram help --json | jq '.commands[] | select(.effect == \"rw\") | .command'\n  dualgram help man /usr/local/share/man",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (out []cobra.Completion, _ cobra.ShellCompDirective) {
			at, _, err := cmd.Root().Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			for _, sub := range at.Commands() {
				if sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand() {
					out = append(out, cobra.CompletionWithDesc(sub.Name(), sub.Short))
				}
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch {
			case asJSON, a.json():
				if len(args) > 0 {
					return misuse("--json describes all commands at once", "leave "+args[0]+" out")
				}
				return a.printJSON(describe(root))
			case len(args) > 0 && args[0] == "man":
				if len(args) != 2 {
					return misuse("where to?", "name the directory: dualgram help man DIR")
				}
				return a.writeManual(root, args[1])
			}
			target, rest, err := root.Find(args)
			if err != nil || target == nil {
				return misuse("no such command: "+strings.Join(args, " "), "see dualgram --help")
			}
			if len(rest) > 0 {
				return unknownCommand(target, rest[0])
			}
			target.InitDefaultHelpFlag()
			return target.Help()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "describe all commands for a program")
	return c
}

// commandsOf lists the commands that do something, by their path without the root's.
func commandsOf(root *cobra.Command) (out []*cobra.Command) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c != root && c.Runnable() && !c.Hidden && !isGroup(c) {
			out = append(out, c)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	slices.SortFunc(out, func(a, b *cobra.Command) int { return cmp.Compare(a.CommandPath(), b.CommandPath()) })
	return out
}

// isGroup says whether a command only asks for one of its own commands.
func isGroup(c *cobra.Command) bool { return c.HasSubCommands() && effects[pathOf(c)] == "" }

// pathOf is the command's path without the root's name.
func pathOf(c *cobra.Command) string {
	return strings.TrimPrefix(strings.TrimPrefix(c.CommandPath(), c.Root().Name()), " ")
}

// describe tells all about all commands.
func describe(root *cobra.Command) help {
	h := help{Schema: "dualgram/help/v1", Version: version().Version, ExitCodes: exitCodes, Flags: flagsOf(root.PersistentFlags()), Topics: []helpTopic{}}
	for _, c := range commandsOf(root) {
		path := pathOf(c)
		h.Commands = append(h.Commands, helpCommand{Command: path, Use: c.UseLine(), Short: c.Short, Long: c.Long, Examples: c.Example, Group: c.GroupID,
			Effect: effects[path], Flags: flagsOf(ownFlags(c)), ExitCodes: append([]helpCode{}, moreCodes[path]...)})
	}
	for _, c := range topicsOf(root) {
		h.Topics = append(h.Topics, helpTopic{c.Name(), c.Short, c.Long})
	}
	return h
}

// ownFlags are those of a command besides the root's.
func ownFlags(c *cobra.Command) *pflag.FlagSet {
	out := pflag.NewFlagSet(c.Name(), pflag.ContinueOnError)
	global := c.Root().PersistentFlags()
	add := func(f *pflag.Flag) {
		if global.Lookup(f.Name) != f && out.Lookup(f.Name) == nil {
			out.AddFlag(f)
		}
	}
	c.InitDefaultHelpFlag()
	c.LocalFlags().VisitAll(add)
	c.InheritedFlags().VisitAll(add)
	return out
}

func flagsOf(fs *pflag.FlagSet) []helpFlag {
	out := []helpFlag{}
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		if value == "" {
			value = f.Value.Type()
		}
		def := f.DefValue
		if def == "[]" || def == "false" {
			def = ""
		}
		out = append(out, helpFlag{Name: f.Name, Shorthand: f.Shorthand, Type: value, Default: def, Usage: usage})
	})
	return out
}

// topicsOf lists the topics.
func topicsOf(root *cobra.Command) (out []*cobra.Command) {
	for _, c := range root.Commands() {
		if c.IsAdditionalHelpTopicCommand() {
			out = append(out, c)
		}
	}
	return out
}

// topic is a page of help that is no command.
func topic(name, short, text string) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short, Long: strings.Trim(text, "\n")}
	c.SetHelpFunc(func(c *cobra.Command, _ []string) { _, _ = fmt.Fprintln(c.OutOrStdout(), c.Long) })
	return c
}
