package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// topics are the pages of help that are no commands.
func topics() []*cobra.Command {
	return []*cobra.Command{
		topic("exit-codes", "What the exit codes mean", exitCodesText()),
		topic("configuration", "Where the configuration comes from, and what may change while dualgram runs", configurationText),
		topic("environment", "The variables that dualgram reads", environmentText),
		topic("security", "Who may do what, and where secrets are", securityText),
		beliefsTopic(),
		topic("modes", "Webhook, polling, and what moves a bot from one to the other", modesText),
	}
}

func exitCodesText() string {
	var b strings.Builder
	b.WriteString("Every command ends with one of these:\n\n")
	for _, c := range exitCodes {
		fmt.Fprintf(&b, "  %3d  %s\n", c.Code, c.Meaning)
	}
	b.WriteString("\nSome have more:\n")
	for _, name := range []string{"chaos inject", "drill run"} {
		fmt.Fprintf(&b, "\n  dualgram %s\n", name)
		for _, c := range moreCodes[name] {
			fmt.Fprintf(&b, "  %3d  %s\n", c.Code, c.Meaning)
		}
	}
	b.WriteString(`
An error is a line "error: …" on standard error, and what to do about it a line
"fix: …". With --output json the answer goes to standard output all the same, where
there is one; the exit code says whether it is good news.`)
	return b.String()
}

const configurationText = `
There is one file in YAML: --config, else $DUALGRAM_CONFIG, else
/etc/dualgram/dualgram.yaml if it exists. Each key can be overridden by a variable
(dualgram help environment). A key that is not known is an error, with its line and
the nearest key there is.

  dualgram config print      every key, its value, and where that comes from
  dualgram config validate   all that is wrong at once, and what to do

What comes from where, the later winning: the default, the file, the variable, the
systemd credential (for secrets that nothing else names).

While dualgram runs, it reads these again by itself, and at once after SIGHUP:
certificates, secret_token_file. A file of deliver.ndjson that log rotation has moved
is reopened after SIGHUP. dualgram log level changes log.level for a while. All else
wants a restart: dualgram config validate, then restart; the webhook stays registered
meanwhile, and Telegram keeps what comes.
`

const environmentText = `
The variable of a key is its path in capitals, joined by underscores:

  store.path             DUALGRAM_STORE_PATH
  failover.hold_down     DUALGRAM_FAILOVER_HOLD_DOWN
  a key of the bot NAME  DUALGRAM_BOTS_NAME_…, dashes as underscores
  of the only bot        DUALGRAM_…, such as DUALGRAM_TOKEN, DUALGRAM_WEBHOOK_PUBLIC_URL

Lists are written with commas; an empty variable counts as not set; an unknown one that
begins with DUALGRAM_ is an error.

  DUALGRAM_CONFIG               the configuration file
  DUALGRAM_CONTROL_SOCKET       where the commands find a running dualgram
  DUALGRAM_CONTROL_TOKEN_FILE   the token for --control http://…
  CREDENTIALS_DIRECTORY         systemd's credentials: token, secret-token
  NO_COLOR                      no colours (https://no-color.org)
  TERM=dumb                     no colours, and no line that is written over
  TZ                            the zone in which events are shown
`

const securityText = `
The control socket (control.socket) can be used by the user dualgram runs as and by
nobody else: its mode is 0600 from the moment it exists. The kernel says who is at the
other end, and that is what the journal has: dualgram events --kind operator.

The TCP listener (control.listen) is off unless it is configured, and refuses any but a
loopback address. Everything on it wants the token in control.token_file, which is made,
mode 0600, if it is missing: as "Authorization: Bearer …", or as the cookie that the
login page sets, for twelve hours. Requests for another host's name and from other
sites' pages are refused. From elsewhere, tunnel: ssh -L 9465:127.0.0.1:9465 HOST.
Message text is not handed out there.

The observe listener (observe.listen) only reads: health, metrics, status, runbooks. It
holds no secret, and has no authentication: keep it on loopback or in a network of yours.

A bot's token and the webhook's secret come from files, variables or systemd
credentials, never from a flag. They are in no log, error, metric, page or bug report,
and neither is message text; of other people's URLs only the host and a hash is shown.
Message text is printed by inbox show --raw alone, which is written down.

To change a secret without losing an update: dualgram config rotate-secret, or a new
secret_token_file. To change the control token: replace its file and restart; sessions
end with it.
`

const modesText = `
  webhook   Telegram posts updates to the listener
  polling   dualgram asks for them (getUpdates), because the webhook is broken
  none      neither: the token is refused, or somebody else's webhook is set

  starting, to_polling, to_webhook   on the way from one to the other

A failover (webhook to polling) happens within ten seconds of a fault that a signal
proves: dualgram status shows the signals. A failback is tried when the hold-down is
over (a minute, twice as long after each relapse, half an hour at most) and nothing
speaks against it; until the webhook is proven it is on trial. After four automatic
failovers within an hour the way back is frozen until dualgram ack; failover never is.

The operator overrules: dualgram switch webhook|polling pins a mode, dualgram hold keeps
the present one, dualgram switch auto lifts both. Neither the bot behind dualgram nor its
disk ever moves the mode: updates wait at Telegram or in the store then.
`
