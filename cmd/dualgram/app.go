package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"dualgram/cmd/dualgram/config"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// app is what the commands share: the process's surroundings and the global
// flags.
type app struct {
	env            []string
	stdin          io.Reader
	stdout, stderr io.Writer

	configFlag  string
	controlFlag string
	output      choice
	color       choice

	// runSystemctl takes the place of systemctl in tests; nil: that itself.
	runSystemctl func(ctx context.Context, args ...string) ([]byte, error)
	// misled is what is wrong with a command line that asks for help with a command
	// that there isn't.
	misled error
	// hidden says why a service would not see a file; nil: as [service.Hidden] does.
	hidden func(path string) string
}

// run is the program: it returns the exit code and touches nothing of the
// process but what it is given.
func run(args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{
		env: env, stdin: stdin, stdout: stdout, stderr: stderr,
		output: choice{value: "table", allowed: []string{"table", "json"}},
		color:  choice{value: "auto", allowed: []string{"auto", "always", "never"}},
	}
	return a.execute(args)
}

func (a *app) execute(args []string) int {
	root := a.root()
	root.SetArgs(args)
	err := root.Execute()
	if err == nil {
		err = a.misled
	}
	return a.exit(err)
}

// leadHelp gives no help of a group for a command that it hasn't: whoever mistyped it
// would take that for the answer.
func (a *app) leadHelp(root *cobra.Command) {
	usual := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if rest := cmd.Flags().Args(); len(rest) > 0 && cmd.HasSubCommands() && cmd.Args != nil {
			if a.misled = cmd.Args(cmd, rest); a.misled != nil {
				return
			}
		}
		usual(cmd, args)
	})
}

// getenv returns the value of a variable; the last one of a name counts.
func (a *app) getenv(name string) string {
	for _, kv := range slices.Backward(a.env) {
		if n, v, ok := strings.Cut(kv, "="); ok && n == name {
			return v
		}
	}
	return ""
}

// configFile is the file to read; empty if the environment is all there is.
func (a *app) configFile() string { return config.Find(a.configFlag, a.env) }

// Groups of commands in the help.
const (
	groupRun   = "run"
	groupWatch = "watch"
	groupRule  = "rule"
	groupSetup = "setup"

	groupRehearse = "rehearse"
)

const rootLong = `dualgram takes in the updates of Telegram bots by webhook. When the webhook
fails, it changes to getUpdates within ten seconds, and back when the webhook
works again. Every update is on disk before Telegram is told so, and stays there
until the bot has taken it.

The configuration is one YAML file: --config, else $DUALGRAM_CONFIG, else
/etc/dualgram/dualgram.yaml. Every key can be overridden by a variable, such as
DUALGRAM_STORE_PATH for store.path. A single bot needs no file.

Exit codes: 0 ok; 1 not ok (a warning, a failed check); 2 misuse or
configuration; 3 could not run.`

// root builds the command tree. A command is one file and one method.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "dualgram",
		Short:         "Take in Telegram bot updates by webhook and polling, and lose none",
		Long:          rootLong,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          subcommandOnly,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddGroup(&cobra.Group{ID: groupRun, Title: "Run:"}, &cobra.Group{ID: groupWatch, Title: "Watch:"},
		&cobra.Group{ID: groupRule, Title: "Overrule:"}, &cobra.Group{ID: groupRehearse, Title: "Rehearse:"}, &cobra.Group{ID: groupSetup, Title: "Set up:"})
	flags := root.PersistentFlags()
	flags.StringVar(&a.configFlag, "config", "", "configuration `file`")
	flags.StringVar(&a.controlFlag, "control", "", "`where` dualgram answers, if not on control.socket: http://127.0.0.1:PORT or unix:PATH")
	flags.VarP(&a.output, "output", "o", "how to print data: table or json")
	flags.Var(&a.color, "color", "colour: auto, always or never (NO_COLOR=1 means never)")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		a.runCommand(),
		a.simCommand(),
		a.demoCommand(),
		a.checkCommand(),
		a.statusCommand(),
		a.eventsCommand(),
		a.metricsCommand(),
		a.inboxCommand(),
		a.bugreportCommand(),
		a.switchCommand(),
		a.holdCommand(),
		a.ackCommand(),
		a.logCommand(),
		a.chaosCommand(),
		a.drillCommand(),
		a.runbookCommand(),
		a.configCommand(),
		a.rulesCommand(),
		a.dashboardCommand(),
		a.notifyCommand(),
		a.serviceCommand(),
		a.versionCommand(),
	)
	root.AddCommand(topics()...)
	root.SetHelpCommand(a.helpCommand())
	a.leadHelp(root)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	// After SetOut: the completion commands keep the output they are made with.
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			// Cobra's own complaints would not go through misuse.
			c.Args, c.RunE = subcommandOnly, needSubcommand
			for _, shell := range c.Commands() {
				shell.Args = noArgs
			}
		}
	}
	a.completions(root)
	return root
}

// choice is a flag with a few allowed words.
type choice struct {
	value   string
	allowed []string
}

// String is the word chosen.
func (c *choice) String() string { return c.value }

// Type is what the help shows behind the flag.
func (c *choice) Type() string { return strings.Join(c.allowed, "|") }

// Set refuses other words.
func (c *choice) Set(s string) error {
	if !slices.Contains(c.allowed, s) {
		return fmt.Errorf("must be one of %s", strings.Join(c.allowed, ", "))
	}
	c.value = s
	return nil
}

// subcommandOnly refuses what follows a command that only groups others.
func subcommandOnly(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unknownCommand(cmd, args[0])
}

// needSubcommand is the RunE of a group.
func needSubcommand(cmd *cobra.Command, _ []string) error {
	return misuse(fmt.Sprintf("%s needs a command", cmd.CommandPath()), "add one of: "+strings.Join(commandNames(cmd), ", "))
}

func unknownCommand(cmd *cobra.Command, name string) error {
	names := commandNames(cmd)
	fix := "see " + cmd.CommandPath() + " --help"
	if near, ok := config.Nearest(name, names); ok {
		fix = fmt.Sprintf("did you mean %s %s?", cmd.CommandPath(), near)
	}
	return misuse(fmt.Sprintf("unknown command %q for %s", name, cmd.CommandPath()), fix)
}

func commandNames(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() || c.Name() == "help" {
			names = append(names, c.Name())
		}
	}
	return names
}

// flagError turns pflag's complaints into ours.
func flagError(cmd *cobra.Command, err error) error {
	// "dualgram stauts --flag": the command is what is wrong.
	if args := cmd.Flags().Args(); cmd.HasSubCommands() && len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	fix := "see " + cmd.CommandPath() + " --help"
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near, ok := config.Nearest(unknown.GetSpecifiedName(), names); ok {
			fix = "did you mean --" + near + "?"
		}
	}
	return misuse(err.Error(), fix)
}

// noArgs is [cobra.NoArgs] with our words.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misuse(fmt.Sprintf("%s takes no arguments, and got %q", cmd.CommandPath(), args[0]), "see "+cmd.CommandPath()+" --help")
	}
	return nil
}
