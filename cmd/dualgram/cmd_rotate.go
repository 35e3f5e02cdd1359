package main

import (
	"context"
	"strings"

	"dualgram/supervisor/console"

	"github.com/spf13/cobra"
)

const rotateLong = `Has the running dualgram make a new secret for a webhook whose secret lives in the
store, without refusing an update: both secrets are taken until Telegram has
acknowledged the new one, and two minutes more. In webhook mode the webhook is set
anew as soon as nothing speaks against it; in polling mode the next failback brings
the new secret. dualgram status shows how far it is, and the journal keeps it.

A secret in a secret_token_file is rotated by writing a new one into that file;
it is noticed within seconds, or at once after SIGHUP. The bot behind
deliver.forward gets the new secret from that moment on: if it checks the header,
let it take both for as long.`

func (a *app) configRotateSecretCommand() *cobra.Command {
	var bot string
	c := &cobra.Command{
		Use: "rotate-secret", Short: "Replace a webhook's secret without a gap", Long: rotateLong,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.rotateSecret(cmd.Context(), bot) },
	}
	c.Flags().StringVar(&bot, "bot", "", "the bot's name; not needed if there is only one")
	return c
}

func (a *app) rotateSecret(ctx context.Context, bot string) error {
	if ctx == nil {
		ctx = context.Background()
	}
	c, err := a.control()
	if err != nil {
		return err
	}
	if bot == "" {
		if bot, err = c.onlyBot(ctx); err != nil {
			return err
		}
	}
	var out console.SecretRotation
	if err := c.post(ctx, "/v1/bots/"+bot+"/rotate-secret", nil, console.SchemaRotateSecret, &out); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(out)
	}
	p := a.printer(a.stdout)
	p.printf("%s bot %s has a new secret. Both are taken until Telegram has it, and two minutes more; dualgram status tells how far it is.\n", p.paint(green, "ok:"), clean(out.Bot))
	return nil
}

// onlyBot returns the name of the running dualgram's only bot.
func (c *control) onlyBot(ctx context.Context) (string, error) {
	var st console.Status
	if err := c.get(ctx, "/v1/status", nil, console.SchemaStatus, &st); err != nil {
		return "", err
	}
	names := make([]string, len(st.Bots))
	for i, b := range st.Bots {
		names[i] = clean(b.Name)
	}
	if len(names) != 1 {
		return "", misuse("which bot? There are "+plural(len(names), "bot")+": "+strings.Join(names, ", "), "name one with --bot")
	}
	return st.Bots[0].Name, nil
}
