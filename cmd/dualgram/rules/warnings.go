package rules

import (
	"fmt"
	"strings"

	"dualgram/supervisor/warning"
)

// needsPerson is the worst severity of a warning that somebody has to be told of;
// empty if nobody has.
func needsPerson(k warning.Kind) warning.Severity {
	worst := warning.Severity("")
	for _, s := range k.Severities() {
		if s == warning.Critical || s == warning.Warning && worst == "" {
			worst = s
		}
	}
	return worst
}

// warnings makes an alert of each kind of warning that a person has to be told of.
// Its severity is that which the warning has at the time.
func warnings(kinds []warning.Kind) []Alert {
	var all []Alert
	for _, k := range kinds {
		if needsPerson(k) == "" {
			continue
		}
		a := Alert{Name: string(k.Code), For: "${" + string(k.Code) + ".for}",
			Expr:    fmt.Sprintf(`last_over_time(dualgram_warning_active{code=%q,severity!="info"}[5m]) == 1`, k.Code),
			Summary: "{{ $labels.bot }}: " + k.Title, Description: described(k)}
		if k.Scope == warning.Process {
			a.Scope, a.Summary = OfInstance, k.Title+"{{ with $labels.instance }} on {{ . }}{{ end }}"
		}
		for _, p := range k.DependsOn {
			a.DependsOn = append(a.DependsOn, string(p))
		}
		all = append(all, a)
	}
	return all
}

// inWords are the descriptions of warnings whose text is about the evidence, which
// Prometheus doesn't have.
var inWords = map[warning.Code]string{
	warning.ForeignWebhook: "Telegram delivers to somebody else. dualgram takes nothing and does not overpower it. If it is yours to replace: " +
		"dualgram switch auto --take-over --bot {bot} --reason …, or start with: dualgram run --take-over",
	warning.Blind:                    "The Bot API does not answer. Until it does, a broken webhook can't be replaced. Check the way there from this host: dns, firewall, proxy.",
	warning.ForeignPoller:            "Each of the two gets a part of the updates; dualgram polls on gently. Find and stop the other instance, or revoke the token.",
	warning.CertificateRenewalFailed: "The certificate in service stays. It is tried again by itself; SIGHUP tries at once.",
	warning.OnStandby:                "The webhook is broken, and dualgram has changed to polling. It tries the webhook again by itself.",
	warning.InfoRateLimited: "Nothing is seen meanwhile that only Telegram can see, such as updates that don't arrive: the ten seconds are not kept for those. " +
		"Nothing is to be done if it passes; if it lasts, raise failover.info_interval.",
	warning.BotDown: "It has refused or not answered every update for a while; they wait in the store. Intake goes on. Repair the bot: delivery resumes by itself.",
}

// described is a warning's text without the evidence, which dualgram status has. That
// stands on a line of its own, so that a command at the end of either can be copied.
func described(k warning.Kind) string {
	s, ok := inWords[k.Code]
	if !ok {
		s = strings.TrimPrefix(k.Text, "{evidence}. ")
		s = strings.NewReplacer("{evidence}", "what dualgram status shows", "{since}", "the time that dualgram status shows").Replace(s)
	}
	return strings.ReplaceAll(s, "{bot}", "{{ $labels.bot }}") + "\nWhat was seen, and since when: dualgram status"
}
