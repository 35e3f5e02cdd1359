package main

import (
	"errors"
	"fmt"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/host"

	"github.com/spf13/cobra"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Check and show the configuration",
		GroupID: groupSetup,
		Args:    subcommandOnly,
		RunE:    needSubcommand,
	}
	cmd.AddCommand(a.configValidateCommand(), a.configPrintCommand(), a.configReferenceCommand(), a.configSchemaCommand(), a.configRotateSecretCommand())
	return cmd
}

// configCheck is what config validate prints, dualgram/config-check/v1.
type configCheck struct {
	Schema   string                  `json:"schema"`
	OK       bool                    `json:"ok"` // false also if there are only warnings
	File     string                  `json:"file,omitempty"`
	Hash     string                  `json:"hash,omitempty"`
	Bots     int                     `json:"bots"`
	Errors   []configProblem         `json:"errors"`
	Warnings []config.PrintedWarning `json:"warnings"`
	Budget   *configBudget           `json:"budget,omitempty"`
}

type configProblem struct {
	Where string `json:"where"`
	Key   string `json:"key,omitempty"`
	What  string `json:"what"`
	Fix   string `json:"fix,omitempty"`
}

type configBudget struct {
	Parts []configBudgetPart `json:"parts"`
	SumS  float64            `json:"sum_s"`
	// LimitS is failover.budget.
	LimitS float64 `json:"limit_s"`
}

type configBudgetPart struct {
	Name  string  `json:"name"`
	TimeS float64 `json:"time_s"`
	Why   string  `json:"why"`
}

func budgetJSON(b config.Budget) *configBudget {
	out := &configBudget{SumS: seconds(b.Sum), LimitS: seconds(b.Limit)}
	for _, p := range b.Parts {
		out.Parts = append(out.Parts, configBudgetPart{p.Name, seconds(p.Time), p.Why})
	}
	return out
}

func seconds(d time.Duration) float64 { return d.Seconds() }

func (a *app) configValidateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate",
		Short: "Check the configuration without starting anything",
		Long: `Reads the configuration as dualgram run would, with the file and the variables,
and prints everything that is wrong with it at once, and what to do.

It looks at the configuration and at the experiments that are scheduled: other
files that it names are not opened, and neither Telegram nor the bot is asked.

Exit codes: 0 fine; 1 usable, with warnings; 2 refused.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.configValidate() },
	}
}

func (a *app) configValidate() error {
	cfg, err := config.Load(a.configFile(), a.env)
	var problems config.Errors
	if err != nil && !errors.As(err, &problems) {
		return err
	}
	drills, odd := host.CheckDrills(cfg, time.Now())
	if problems = problems.Join(drills); len(problems) > 0 {
		err = problems
	}
	cfg.Warnings = append(cfg.Warnings, odd...)
	if a.json() {
		out := configCheck{
			Schema: "dualgram/config-check/v1", OK: err == nil && len(cfg.Warnings) == 0, File: cfg.File, Bots: len(cfg.Bots),
			Errors: []configProblem{}, Warnings: config.PrintWarnings(cfg.Warnings),
		}
		for _, p := range problems {
			out.Errors = append(out.Errors, configProblem{p.Where.String(), p.Key, p.What, p.Fix})
		}
		if err == nil {
			out.Hash = config.Hash(cfg)
			if !cfg.PollingOnly() {
				out.Budget = budgetJSON(config.BudgetSum(cfg))
			}
		}
		if err := a.printJSON(out); err != nil {
			return err
		}
		switch {
		case err != nil:
			return &failure{code: exitMisuse}
		case !out.OK:
			return notOK()
		}
		return nil
	}
	for _, w := range cfg.Warnings {
		a.printer(a.stderr).warning(w.String(), w.Fix)
	}
	if err != nil {
		return err
	}
	p := a.printer(a.stdout)
	p.printf("%s %s: %s, hash %s\n", p.paint(green, "ok:"), clean(configName(cfg)), plural(len(cfg.Bots), "bot"), config.Hash(cfg))
	if !cfg.PollingOnly() {
		p.printf("longest failover:\n%s\n", config.BudgetSum(cfg))
	}
	if len(cfg.Warnings) > 0 {
		return notOK()
	}
	return nil
}

func configName(cfg *config.Config) string {
	if cfg.File == "" {
		return "environment"
	}
	return cfg.File
}

func plural(n int, noun string, many ...string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case len(many) > 0:
		return fmt.Sprintf("%d %s", n, many[0])
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (a *app) configPrintCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "print",
		Short: "Print every key with its value and where it comes from",
		Long: `Prints the configuration as dualgram run would use it: every key, its value, and
whether that is a default, from a line of the file or from a variable. Secrets
are left out. The YAML is a configuration that dualgram reads back.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := config.Load(a.configFile(), a.env)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(config.Print(cfg))
			}
			p := a.printer(a.stdout)
			p.printf("# %s, hash %s\n%s", clean(configName(cfg)), config.Hash(cfg), config.PrintYAML(cfg))
			return nil
		},
	}
}
