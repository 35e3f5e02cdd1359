package main

import (
	"strings"

	"dualgram/supervisor/console"

	"github.com/spf13/cobra"
)

const holdLong = `hold pauses automation in the present mode: neither failover nor failback, until
it is lifted with dualgram switch auto, or until --for is over. What would have
been done is logged, counted and in the journal (dualgram events --kind would).

A hold outlives a restart. A handover that is under way is finished first. While
it lasts, a broken webhook stays broken: prefer dualgram switch polling for work on
the webhook, since updates go on arriving then.`

const holdExample = `  dualgram hold --for 30m --reason "moving the proxy"
  dualgram switch auto      # lifts it`

func (a *app) holdCommand() *cobra.Command {
	o := order{resource: "hold"}
	var lasts duration
	var reason string
	c := &cobra.Command{
		Use: "hold", Short: "Pause automation in the present mode", Long: holdLong, Example: holdExample, GroupID: groupRule, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if strings.TrimSpace(reason) == "" {
				return needReason()
			}
			o.body = func(console.Bot) (any, error) {
				return console.HoldRequest{Schema: console.SchemaHold, For: lasts.d.Seconds(), Reason: reason}, nil
			}
			return a.give(cmd.Context(), o)
		},
	}
	o.flags(c)
	c.Flags().Var(&lasts, "for", "let the hold end by itself after that long, such as 30m, 2h or 1d")
	c.Flags().StringVar(&reason, "reason", "", "`why`, for the journal; needed")
	return c
}
