package host

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor"
	"dualgram/transport/delivery"
)

const (
	// vetoDeadline is each veto program's share of the failover budget.
	vetoDeadline = 500 * time.Millisecond
	// notifyDeadline bounds a notify program, which nobody waits for.
	notifyDeadline = 30 * time.Second
)

// handoverNote is what a hook reads on its standard input.
type handoverNote struct {
	Schema   string              `json:"schema"`
	Bot      string              `json:"bot"`
	Handover supervisor.Handover `json:"handover"`
}

// SchemaHandover names the JSON that hooks are given.
const SchemaHandover = "dualgram/handover/v1"

// veto runs the programs one after another. One that exits with another status
// than 0 forbids the handover; one that takes too long, or can't be started,
// does not.
func (h *Host) veto(bot string, hooks []config.Hook) func(context.Context, supervisor.Handover) error {
	return func(ctx context.Context, note supervisor.Handover) error {
		for _, hook := range hooks {
			c, cancel := context.WithTimeout(ctx, vetoDeadline)
			err := h.runHook(c, bot, hook, note)
			timedOut := c.Err() != nil
			cancel()
			var exit *exec.ExitError
			switch {
			case err == nil:
			case !timedOut && asExit(err, &exit):
				return fmt.Errorf("%s exited with status %d", hook[0], exit.ExitCode())
			default:
				h.log.Warn().Str("bot", bot).Str("hook", hook[0]).Err(err).Msg("a veto hook did not answer: the handover proceeds")
			}
		}
		return nil
	}
}

// vetoBudget is what the programs may take together.
func vetoBudget(hooks []config.Hook) time.Duration { return time.Duration(len(hooks)) * vetoDeadline }

func asExit(err error, target **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError) //nolint:errorlint // exec returns it unwrapped
	if ok {
		*target = e
	}
	return ok && e.ExitCode() > 0
}

// notify tells the programs of a handover that is complete.
func (h *Host) notify(bot string, hooks []config.Hook) func(context.Context, supervisor.Handover) {
	return func(ctx context.Context, note supervisor.Handover) {
		for _, hook := range hooks {
			c, cancel := context.WithTimeout(ctx, notifyDeadline)
			if err := h.runHook(c, bot, hook, note); err != nil {
				h.log.Warn().Str("bot", bot).Str("hook", hook[0]).Err(err).Msg("a notify hook failed")
			}
			cancel()
		}
	}
}

func (h *Host) runHook(ctx context.Context, bot string, hook config.Hook, note supervisor.Handover) error {
	raw, err := json.Marshal(handoverNote{SchemaHandover, bot, note})
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, hook[0], hook[1:]...)
	cmd.Stdin = bytes.NewReader(raw)
	cmd.Env = scrub(os.Environ(), config.SecretVariables(h.cfg)...)
	cmd.WaitDelay = 100 * time.Millisecond // a child of the hook may hold the pipes
	return cmd.Run()
}

// scrub removes dualgram's own variables, those that are named and hold its secrets,
// where systemd puts credentials, and the socket by which systemd is told how
// dualgram is: hooks have no business with any of them.
func scrub(env []string, secrets ...string) []string {
	var out []string
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case strings.HasPrefix(name, "DUALGRAM_"), slices.Contains(secrets, name), config.Redact(kv) != kv:
		case name == "CREDENTIALS_DIRECTORY", name == "NOTIFY_SOCKET", name == "WATCHDOG_USEC", name == "WATCHDOG_PID":
		default:
			out = append(out, kv)
		}
	}
	return out
}

// reply warns, once a minute, that the bot answers deliveries with Bot API
// calls: Telegram would carry them out, dualgram does not.
func (h *Host) reply(bot string) func(delivery.Reply) {
	var limit limiter
	return func(r delivery.Reply) {
		if h.sup != nil {
			h.sup.CountReply(bot)
		}
		if limit.allow(time.Now(), time.Minute) {
			h.log.Warn().Str("bot", bot).Int64("update_id", r.UpdateID).Str("format", r.Format).
				Msg("the bot answers with a Bot API call, which is not carried out: let it call the Bot API itself")
		}
	}
}
