package main

import (
	"dualgram/supervisor/console"

	"github.com/spf13/cobra"
)

const ackLong = `ack ends a freeze. After several automatic failovers within an hour the way back to
the webhook is frozen until somebody has looked: updates come by polling
meanwhile. Repair the webhook first; then the webhook is tried again once the
hold-down is over, and the count of failovers starts anew.

To acknowledge what is not frozen changes nothing.`

const ackExample = `  dualgram ack --reason "certificate renewed"`

func (a *app) ackCommand() *cobra.Command {
	o := order{resource: "ack"}
	var reason string
	c := &cobra.Command{
		Use: "ack", Short: "End a freeze of failback", Long: ackLong, Example: ackExample, GroupID: groupRule, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.body = func(console.Bot) (any, error) {
				return console.AckRequest{Schema: console.SchemaAck, Reason: reason}, nil
			}
			return a.give(cmd.Context(), o)
		},
	}
	o.flags(c)
	c.Flags().StringVar(&reason, "reason", "", "`what` was done, for the journal")
	return c
}
