package main

import (
	"context"
	"net/http"
	"time"

	"dualgram/supervisor/console"

	"github.com/spf13/cobra"
)

// notifyPatience is longer than all channels together may take.
const notifyPatience = 2 * time.Minute

const notifyTestLong = `Has the running dualgram send a message that says that it is a test on each channel
of notify, and one heartbeat, and tells what became of each. Nothing else changes.

Exit codes: 0 all have arrived; 1 one did not, or none is configured.`

func (a *app) notifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "notify", Short: "Try how people are told of warnings", GroupID: groupSetup,
		Args: subcommandOnly, RunE: needSubcommand,
	}
	cmd.AddCommand(&cobra.Command{
		Use: "test", Short: "Send a test on each channel", Long: notifyTestLong, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.notifyTest(cmd.Context()) },
	})
	return cmd
}

func (a *app) notifyTest(ctx context.Context) error {
	if ctx == nil {
		ctx = context.Background()
	}
	c, err := a.control()
	if err != nil {
		return err
	}
	var out console.NotifyTests
	if err := c.do(ctx, http.MethodPost, "/v1/notify/test", nil, nil, notifyPatience, console.SchemaNotifyTest, &out); err != nil {
		return err
	}
	if a.json() {
		if err := a.printJSON(out); err != nil {
			return err
		}
	} else if err := a.notifyTable(out); err != nil {
		return err
	}
	if !out.OK || len(out.Channels) == 0 {
		return notOK()
	}
	return nil
}

func (a *app) notifyTable(out console.NotifyTests) error {
	if len(out.Channels) == 0 {
		return &failure{code: exitNotOK, message: "nobody is told of anything: neither notify nor heartbeat is configured",
			fix: "see dualgram config reference, under notify and heartbeat"}
	}
	rows := [][]cell{header("CHANNEL", "RESULT", "TOOK", "WHY")}
	for _, ch := range out.Channels {
		result := styled(green, "sent")
		if !ch.OK {
			result = styled(red, "failed")
		}
		rows = append(rows, []cell{text(ch.Name), result, textf("%.1fs", ch.Took), text(joinWords("; ", ch.Error, ch.Fix))})
	}
	a.printer(a.stdout).table(rows...)
	return nil
}
