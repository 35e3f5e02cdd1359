package main

import (
	"dualgram/cmd/dualgram/config"

	"github.com/spf13/cobra"
)

func (a *app) configReferenceCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reference",
		Short: "Print what every key means",
		Long: `Prints a page in Markdown with every key: what it is for, what may be written, its
default, and the variable that overrides it. It is made from this very program.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			a.printer(a.stdout).printf("%s", config.Reference())
			return nil
		},
	}
}

func (a *app) configSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, for editors",
		Long: `Prints a JSON Schema (draft 7) by which an editor completes and checks the
configuration while it is written:

  dualgram config schema > dualgram.schema.json

and as the first line of the configuration

  # yaml-language-server: $schema=./dualgram.schema.json

dualgram config validate finds more: what a schema can't tell from one key alone.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			a.printer(a.stdout).printf("%s", config.Schema())
			return nil
		},
	}
}
