package main

import (
	"strings"

	"dualgram/runbooks"

	"github.com/spf13/cobra"
)

// beliefsTopic is the help topic about what isn't so.
func beliefsTopic() *cobra.Command {
	_, text, _ := strings.Cut(runbooks.FalseBeliefs(), "\n")
	// Without the marks of Markdown, which mean nothing on a terminal.
	return topic("false-beliefs", "What is often written about webhooks and isn't so", strings.NewReplacer("**", "", "*", "", "`", "").Replace(text))
}
