package rules

import (
	"strings"

	"dualgram/supervisor/warning"
)

// perBot is what the series of a bot are summed by.
const perBot = "sum by (job, instance, bot)"

// symptoms are the alerts that no warning stands for. Each says what is so, and what
// dualgram does meanwhile.
func symptoms() []Alert {
	all := []Alert{
		{Name: "down", Severity: "critical", For: "${down.for}", Scope: OfInstance,
			Expr:        "up{job=\"${job}\"} == 0\nor\nabsent(up{job=\"${job}\"})",
			Summary:     "dualgram can't be scraped{{ with $labels.instance }} on {{ . }}{{ end }}",
			Description: "The process, its host, or the way to it is gone. While the process is down nothing is taken in, and nothing is lost that Telegram keeps: a day for most updates, 30 s for inline queries, 150 s for button presses. What was acknowledged is in the store and is delivered after the start."},
		{Name: "updates_lost", Severity: "critical", For: "0s", Real: true,
			Expr:        perBot + ` (increase(dualgram_updates_lost_total{cause="lost"}[${updates_lost.window}])) > 0`,
			Summary:     "{{ $labels.bot }}: {{ printf \"%.0f\" $value }} updates are lost",
			Description: "Telegram has numbered updates that never arrived, and no longer has them. dualgram takes in by both transports at once during a handover so that this can't be its doing: something else has taken them, such as another host behind the same address that answers 2xx, or a second poller that is gone again."},
		{Name: "updates_lost", Severity: "warning", For: "0s", Real: true,
			Expr:        perBot + ` (increase(dualgram_updates_lost_total{cause="expired_suspected"}[${updates_lost.window}])) > 0`,
			Summary:     "{{ $labels.bot }}: {{ printf \"%.0f\" $value }} updates have probably expired at Telegram",
			Description: "Updates never arrived, and their kind is one that Telegram keeps for seconds only: inline queries for 30 s, button presses and checkouts for 150 s. They were waiting while nothing was taken in. dualgram has noted which in the journal."},
		{Name: "intake_stalled", Severity: "critical", For: "${intake_stalled.for}",
			DependsOn: []string{"down", string(warning.StoreFailing), string(warning.BotAPIUnreachable), string(warning.TokenRefused), string(warning.ForeignWebhook), string(warning.ForeignPoller), string(warning.FailoverWithheld)},
			Expr: "min_over_time(dualgram_telegram_pending_updates[1m]) > 0\nand on (job, instance, bot)\n" +
				"time() - max by (job, instance, bot) (last_over_time(dualgram_last_update_received_timestamp_seconds[5m])) > ${intake_stalled.after}",
			Summary:     "{{ $labels.bot }}: {{ $value }} updates wait at Telegram and none comes in",
			Description: "Telegram has had updates for the bot throughout, and dualgram has taken in no new one for longer than a failover takes. Neither transport works, or a failover is forbidden. Telegram keeps most updates for a day."},
		{Name: "switch_slow", Severity: "warning", For: "0s",
			Expr: "sum by (job, instance, bot, to) (increase(dualgram_handover_duration_seconds_count[${switch_slow.window}]))\n-\n" +
				"sum by (job, instance, bot, to) (increase(dualgram_handover_duration_seconds_bucket{le=~\"${switch_slow.seconds}(\\\\.0)?\"}[${switch_slow.window}])) > 0.5",
			Summary:     "{{ $labels.bot }}: a handover to {{ $labels.to }} took longer than ${switch_slow.seconds} s",
			Description: "It is complete, and nothing is lost by it but time: from the first sign of the fault to the first answer of the new transport it took longer than promised. The steps and how long each took are in: dualgram events --kind handover"},
		{Name: "switch_failed", Severity: "critical", For: "0s",
			DependsOn:   []string{string(warning.BotAPIUnreachable), string(warning.TokenRefused), string(warning.ForeignWebhook)},
			Expr:        perBot + ` (increase(dualgram_handover_attempts_total{to="polling",result="failed"}[${switch_failed.window}])) >= ${switch_failed.attempts}`,
			Labels:      map[string]string{"to": "polling"},
			Summary:     "{{ $labels.bot }}: polling does not begin",
			Description: "The webhook is given up, and the attempts to poll instead fail. dualgram tries again every few seconds and keeps listening; updates wait at Telegram until one succeeds."},
		{Name: "switch_failed", Severity: "warning", For: "0s",
			DependsOn:   []string{string(warning.BotAPIUnreachable), string(warning.TokenRefused), string(warning.ForeignWebhook)},
			Expr:        perBot + ` (increase(dualgram_handover_attempts_total{to="webhook",result="failed"}[${switch_failed.failback_window}])) >= ${switch_failed.failbacks}`,
			Labels:      map[string]string{"to": "webhook"},
			Summary:     "{{ $labels.bot }}: the webhook can't be set",
			Description: "Telegram refuses setWebhook, or doesn't answer it. Updates come by polling; dualgram tries again after a hold-down that doubles each time, up to half an hour. What Telegram says is in the line last change of: dualgram status"},
		{Name: "flapping", Severity: "warning", For: "0s", DependsOn: []string{string(warning.Frozen)},
			Expr:        perBot + ` (increase(dualgram_handovers_total{by="automatic",cause!~"start|backoff_flush|secret_rotation|late_set"}[${flapping.window}])) >= ${flapping.handovers}`,
			Summary:     "{{ $labels.bot }}: {{ printf \"%.0f\" $value }} handovers within ${flapping.window}",
			Description: "The webhook works for a while and breaks again. Each failover so soon doubles the time until the next attempt, and failover.max_failovers of them within an hour freeze the way back; updates come in all the while."},
		{Name: "fail_rate_high", Severity: "warning", For: "${fail_rate_high.for}", DependsOn: []string{string(warning.StoreFailing)},
			Expr:    badRatio + "5m > ${fail_rate_high.ratio}\nand\n" + requestsRate + "5m * 300 >= ${fail_rate_high.min_requests}",
			Summary: "{{ $labels.bot }}: {{ $value | humanizePercentage }} of the deliveries are answered badly",
			Description: "The webhook answers Telegram's deliveries with 4xx or 5xx for a reason of ours: the store, a proxy's header, a body that doesn't arrive. What is refused comes again, and nothing is lost. " +
				"Strangers don't count. From half of them on, updates come by polling."},
		{Name: "intake_slow", Severity: "warning", For: "${intake_slow.for}", DependsOn: []string{string(warning.StoreSlow), string(warning.StoreFailing)},
			Expr: "histogram_quantile(0.95, sum by (job, instance, bot, le) (rate(dualgram_webhook_request_duration_seconds_bucket[5m]))) > ${intake_slow.seconds}\nand\n" +
				perBot + " (rate(dualgram_webhook_request_duration_seconds_count[5m])) * 300 >= ${intake_slow.min_requests}",
			Summary:     "{{ $labels.bot }}: 95% of the deliveries are answered within {{ $value | humanizeDuration }} only",
			Description: "From the end of a request's headers to the first byte of the answer, the commit to disk included. Telegram sends on so many connections only, so that updates queue there. A disk that is busy is the usual reason."},
		{Name: "pending_high", Severity: "critical", For: "${pending_high.for}", DependsOn: []string{"intake_stalled"},
			Expr:        "min_over_time(dualgram_telegram_pending_updates[1m]) > ${pending_high.critical}",
			Summary:     "{{ $labels.bot }}: {{ $value }} updates wait at Telegram",
			Description: "They come in more slowly than they are sent, or not at all. Telegram keeps most updates for a day, inline queries for 30 s and button presses for 150 s."},
		{Name: "pending_high", Severity: "warning", For: "${pending_high.for}", DependsOn: []string{"intake_stalled"},
			Expr:        "min_over_time(dualgram_telegram_pending_updates[1m]) > ${pending_high.warning}",
			Summary:     "{{ $labels.bot }}: {{ $value }} updates wait at Telegram",
			Description: "They come in more slowly than they are sent. webhook.max_connections bounds how many Telegram delivers at a time."},
		{Name: "delivery_lag", Severity: "critical", For: "${delivery_lag.for}", DependsOn: []string{string(warning.BotDown)},
			Expr:        "time() - (last_over_time(dualgram_oldest_waiting_update_timestamp_seconds[5m]) > 0) > ${delivery_lag.critical}",
			Summary:     "{{ $labels.bot }}: the oldest update has waited for the bot for {{ $value | humanizeDuration }}",
			Description: "It is in the store, and the bot doesn't take it: it is too slow, or refuses this one, or everything of one chat. Intake goes on. An update that the bot refuses again and again, while it takes others, is buried after a while."},
		{Name: "delivery_lag", Severity: "warning", For: "${delivery_lag.for}", DependsOn: []string{string(warning.BotDown)},
			Expr:        "time() - (last_over_time(dualgram_oldest_waiting_update_timestamp_seconds[5m]) > 0) > ${delivery_lag.warning}",
			Summary:     "{{ $labels.bot }}: the oldest update has waited for the bot for {{ $value | humanizeDuration }}",
			Description: "It is in the store, and the bot has not taken it yet. Intake goes on."},
		{Name: "store_filling", Severity: "warning", For: "${store_filling.for}", Scope: OfInstance, DependsOn: []string{string(warning.StoreFailing)},
			Expr: "(predict_linear(dualgram_store_filesystem_avail_bytes[1h], ${store_filling.hours} * 3600) < 0 and last_over_time(dualgram_store_filesystem_avail_bytes[5m]) >= 0)\nor\n" +
				"max_over_time(dualgram_store_filesystem_avail_bytes[5m]) < ${store_filling.avail_bytes}",
			Summary:     "The file system of the store is filling{{ with $labels.instance }} on {{ . }}{{ end }}",
			Description: "It will be full within ${store_filling.hours} hours as things go, or very little is left. When it is full nothing is acknowledged any more, and Telegram keeps the updates; nothing is lost. If the store itself grows, see whether the bot takes its updates."},
		{Name: "io_pressure", Severity: "warning", For: "${io_pressure.for}", Scope: OfInstance, DependsOn: []string{string(warning.StoreFailing), string(warning.StoreSlow)},
			Expr:        "rate(dualgram_host_io_waiting_seconds_total[5m]) > ${io_pressure.ratio}",
			Summary:     "Processes wait for a disk for {{ $value | humanizePercentage }} of the time{{ with $labels.instance }} on {{ . }}{{ end }}",
			Description: "Each update is on disk before Telegram is told so, so that a busy disk slows all of them down. The kernel counts all processes of the host; it need not be dualgram."},
		{Name: "dead_letters", Severity: "warning", For: "${dead_letters.for}",
			Expr:        "last_over_time(dualgram_dead_letters[5m]) > ${dead_letters.count}",
			Summary:     "{{ $labels.bot }}: {{ $value }} updates are buried",
			Description: "The bot has refused them again and again while it took others. dualgram has set them aside, so that their chats go on, and keeps them until somebody has looked: dualgram inbox dead list"},
		{Name: "quarantine", Severity: "warning", For: "${quarantine.for}",
			Expr:        "last_over_time(dualgram_quarantined_updates[5m]) > ${quarantine.count}",
			Summary:     "{{ $labels.bot }}: {{ $value }} deliveries have no update_id",
			Description: "Something with the right secret was delivered that is no update. dualgram has acknowledged and kept it, so that it holds up nothing else, and can't hand it to the bot."},
		{Name: "drill_stuck", Severity: "critical", For: "${drill_stuck.for}", Scope: OfInstance, Real: true,
			Expr:        "sum by (job, instance, kind) (last_over_time(dualgram_chaos_fault_active[5m])) > 0",
			Summary:     "The fault {{ $labels.kind }} has been injected for too long{{ with $labels.instance }} on {{ . }}{{ end }}",
			Description: "No fault outlives its lease, which is at most 15 minutes: either several follow each other, or this is a defect. To end all of them: dualgram chaos clear; if that doesn't help, a restart does."},
		{Name: "drill_deviated", Severity: "critical", For: "0s", Real: true,
			Expr:        drillRuns("not_recovered", "experiment"),
			Labels:      map[string]string{"outcome": "not_recovered"},
			Summary:     "{{ $labels.bot }}: not well again after the drill {{ $labels.experiment }}",
			Description: "The faults of the drill are gone, and the steady state did not return in time. What is wrong now is real. The evidence: dualgram drill history"},
		{Name: "drill_deviated", Severity: "warning", For: "0s", Real: true,
			Expr:        drillRuns("deviated|invalid", "experiment, outcome"),
			Summary:     "{{ $labels.bot }}: the drill {{ $labels.experiment }} ended as {{ $labels.outcome }}",
			Description: "deviated: dualgram did not do what the drill expects of it; the bot is well again. invalid: the fault hit nothing, so that the drill has shown nothing. The evidence: dualgram drill history"},
		{Name: "notify_failing", Severity: "warning", For: "0s", Scope: OfInstance,
			Expr:        `sum by (job, instance, channel) (increase(dualgram_notifications_failed_total[${notify_failing.window}])) >= ${notify_failing.failures}`,
			Summary:     "Notifications by {{ $labels.channel }} don't get through",
			Description: "dualgram can't tell people by this channel what is wrong. It tries again, and tells in the end what is so then. The log says why."},
		{Name: "notify_failing", Severity: "warning", For: "0s", Scope: OfInstance,
			Expr:        `sum by (job, instance) (increase(dualgram_heartbeats_failed_total[${notify_failing.window}])) >= ${notify_failing.failures}`,
			Labels:      map[string]string{"channel": "heartbeat"},
			Summary:     "The heartbeat doesn't get through",
			Description: "The watcher outside will soon say that dualgram is gone. It isn't: only the way to the watcher is. The log says why."},
		{Name: "watchdog", Severity: SeverityNone, For: "0s", Scope: OfNobody, Expr: "vector(1)",
			Summary:     "The alerting works",
			Description: "This alert fires always. Send it to a service that calls somebody when it stops: then Prometheus, Alertmanager or the way between them is broken."},
	}
	return append(all, burns()...)
}

// drillRuns counts the drills that ended in a certain way. The label drill is that of
// the alerts which a drill may have caused, so the experiment's name gets another one.
func drillRuns(outcomes, by string) string {
	return `sum by (job, instance, bot, ` + by + `) (label_replace(increase(dualgram_drill_runs_total{outcome=~"` + outcomes +
		`"}[${drill_deviated.window}]), "experiment", "$1", "drill", "(.*)")) > 0`
}

// burns are the alerts on the share of bad answers, over a long window that says how
// much of the month's budget is gone and a short one that says that it still goes on:
// 2 % of it in an hour, 5 % in six hours, 10 % in one day and in three.
func burns() []Alert {
	var all []Alert
	for _, b := range []struct{ long, short, factor, severity, wait, seconds string }{
		{"1h", "5m", "14.4", "critical", "${webhook_error_burn.for}", "3600"},
		{"6h", "30m", "6", "critical", "15m", "21600"},
		{"1d", "2h", "3", "warning", "1h", "86400"},
		{"3d", "6h", "1", "warning", "3h", "259200"},
	} {
		limit := b.factor + " * ${webhook_error_burn.budget}"
		all = append(all, Alert{Name: "webhook_error_burn", Severity: b.severity, For: b.wait,
			DependsOn: []string{string(warning.StoreFailing)}, Labels: map[string]string{"window": b.long},
			Expr: badRatio + b.long + " > " + limit + "\nand\n" + badRatio + b.short + " > " + limit + "\nand\n" +
				requestsRate + b.long + " * " + b.seconds + " >= ${webhook_error_burn.min_requests}",
			Summary: "{{ $labels.bot }}: {{ $value | humanizePercentage }} of the deliveries within " + b.long + " were answered badly",
			Description: strings.ReplaceAll("At this pace the share of bad answers that is allowed for a month is used up in FACTOR of it. What is refused comes again, and nothing is lost; "+
				"each one is late. Which causes: dualgram_webhook_requests_total.", "FACTOR", map[string]string{"14.4": "two days", "6": "five days", "3": "ten days", "1": "just that time, all"}[b.factor])})
	}
	return all
}
