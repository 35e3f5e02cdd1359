package page

import (
	"fmt"
	"strings"
	"time"

	"dualgram/supervisor"
	"dualgram/supervisor/console"
)

// short is a duration as people say it, two units at most.
func short(d time.Duration) string {
	pair := func(big time.Duration, bigUnit string, small time.Duration, smallUnit string) string {
		s := fmt.Sprintf("%d%s", d/big, bigUnit)
		if rest := d % big / small; rest > 0 {
			s += fmt.Sprintf(" %d%s", rest, smallUnit)
		}
		return s
	}
	switch {
	case d < time.Second:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return pair(time.Minute, "m", time.Second, "s")
	case d < 48*time.Hour:
		return pair(time.Hour, "h", time.Minute, "m")
	}
	return pair(day, "d", time.Hour, "h")
}

// took is how long something took, to the tenth of a second where that matters.
func took(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	if d < time.Minute {
		return d.Round(100 * time.Millisecond).String()
	}
	return short(d)
}

// sentence ends a clause with a full stop.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// joined joins what is not empty.
func joined(sep string, words ...string) string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return strings.Join(out, sep)
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// size is a number of bytes as people say it.
func size(n int64) string {
	switch {
	case n <= 0:
		return ""
	case n < 1<<20:
		return fmt.Sprintf("%d KiB", (n+1023)/1024)
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}

// headline says in a few words how updates come in.
func headline(b console.Bot) string {
	switch b.Phase {
	case "webhook":
		if b.Trial {
			return "Updates come by webhook, on trial"
		}
		return "Updates come by webhook"
	case "polling":
		return "Updates come by polling"
	case "to_polling":
		return "Changing over to polling"
	case "to_webhook":
		return "Changing over to the webhook"
	case "held":
		return "No updates are taken in"
	case "starting":
		return "Starting"
	}
	return b.Phase
}

// causes are the causes that are no signals, in words.
var causes = map[string]string{
	"start": "it was started", "found_registered": "the webhook was found registered", "hold_down_over": "the hold-down was over",
	"backoff_flush": "to make Telegram forget its back-off", "url_gone": "the webhook had vanished", "reassert": "the webhook had vanished and is set again",
	"foreign_webhook": "somebody else's webhook is set", "token_refused": "Telegram refuses the token", "set_failed": "setWebhook failed",
	"set_unanswered": "setWebhook was not answered", "late_set": "a late setWebhook took effect", "operator": "an operator said so",
	"trial_passed": "the webhook proved itself", "poller_lost": "polling ended", "set_not_sent": "setWebhook could not be sent", "clock_jump": "the clock jumped",
	"secret_rotation": "the secret was replaced", "": "",
}

// because is a cause with its evidence.
func because(name, evidence string) string {
	words, known := causes[name]
	if !known {
		words = strings.ReplaceAll(name, "_", " ")
	}
	return joined(": ", words, evidence)
}

// eventWords says what happened.
func eventWords(e supervisor.Event) string {
	why := because(e.Cause, e.Evidence)
	switch e.Kind {
	case supervisor.EventPhase:
		if e.To == "to_polling" { // the handover says the rest
			return upper(why)
		}
		return joined(". ", phaseWords(e.To), upper(why))
	case supervisor.EventHandover:
		s := fmt.Sprintf("From %s to %s in %s", e.From, e.To, took(e.Seconds))
		switch e.From {
		case e.To:
			s = fmt.Sprintf("The %s is renewed, in %s", e.To, took(e.Seconds))
		case "none":
			s = fmt.Sprintf("Took up %s in %s", e.To, took(e.Seconds))
		}
		if e.Drill {
			s += ", in a drill"
		}
		return joined(", ", s, because(e.Cause, ""))
	case supervisor.EventTrial:
		return fmt.Sprintf("The webhook is proven: %s in %s", plural(int64(e.Count), "delivery", "deliveries"), took(e.Seconds))
	case supervisor.EventWould:
		return joined(". ", fmt.Sprintf("%s was called for and not done (%s)", upper(strings.ReplaceAll(e.Name, "_", " ")), e.Level), upper(why))
	case supervisor.EventOperator:
		s := upper(strings.ReplaceAll(e.Name, "_", " "))
		if e.Seconds > 0 {
			s += " for " + took(e.Seconds)
		}
		if e.By != nil {
			s += ", by " + e.By.String()
		}
		return joined(": ", s, e.Evidence)
	case supervisor.EventFault:
		s := fmt.Sprintf("Fault %s %s", e.Name, e.Level)
		if e.Level == supervisor.FaultInjected || e.Level == supervisor.FaultPlanned {
			s += " for " + took(e.Seconds)
		} else if e.Fault != 0 {
			s += fmt.Sprintf(" after %s, having hit %d", took(e.Seconds), e.Count)
		}
		if e.By != nil {
			s += ", by " + e.By.String()
		}
		return joined(": ", s, e.Evidence)
	case supervisor.EventForeign:
		return joined(": ", "Somebody else takes this bot's updates", why)
	case supervisor.EventLoss:
		return joined(": ", plural(int64(e.Count), "update is lost", "updates are lost"), why)
	case supervisor.EventSecret:
		return joined(", ", "The secret token: "+strings.ReplaceAll(e.Name, "_", " "), e.Evidence)
	}
	return joined(": ", e.Kind, why)
}

func phaseWords(phase string) string {
	words := map[string]string{"starting": "Starting", "webhook": "In webhook mode", "polling": "In polling mode",
		"to_polling": "Changing over to polling", "to_webhook": "Changing over to the webhook", "held": "Nothing is taken in"}
	if w, ok := words[phase]; ok {
		return w
	}
	return phase
}

// upper begins a sentence.
func upper(s string) string {
	if s == "" || s[0] >= 0x80 {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
