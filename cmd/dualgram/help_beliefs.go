package main

import (
	"fmt"
	"strings"

	"dualgram/runbooks"

	"github.com/spf13/cobra"
)

// beliefsTopic is the help topic about what isn't so.
func beliefsTopic() *cobra.Command {
	_, text, _ := strings.Cut(runbooks.FalseBeliefs(), "\n")
	// Without the marks of Markdown, which mean nothing on a terminal.
	c := &cobra.Command{Use: "false-beliefs", Short: "What is often written about webhooks and isn't so",
		Long: strings.Trim(strings.NewReplacer("**", "", "*", "", "`", "").Replace(text), "\n")}
	c.SetHelpFunc(func(c *cobra.Command, _ []string) { _, _ = fmt.Fprintln(c.OutOrStdout(), c.Long) })
	return c
}
