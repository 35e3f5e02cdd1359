//go:build dashboards

package main

import "github.com/grafana/grafana-foundation-sdk/go/units"

func overview() page {
	return page{name: "overview", title: "dualgram: overview",
		about: "All bots of all instances: do updates flow, by which transport, what waits, what is wrong.",
		rows: []row{
			{"Do updates flow?", []panel{
				{kind: number, title: "Bots by webhook", unit: units.Short, width: 4, height: 4,
					about:   "How many bots take in by webhook now.",
					queries: []query{{"sum(dualgram_mode{" + chosen + `,mode="webhook"})`, "webhook"}}},
				{kind: number, title: "Bots by polling", unit: units.Short, width: 4, height: 4, from: []step{{1, "orange"}},
					about:   "How many bots take in by polling now: those without a webhook, and those whose webhook is broken.",
					queries: []query{{"sum(dualgram_mode{" + chosen + `,mode="polling"})`, "polling"}}},
				{kind: number, title: "Bots that take in nothing", unit: units.Short, width: 4, height: 4, from: []step{{1, "red"}},
					about:   "0 is normal. Somebody else's webhook is set, the token is refused, or the Bot API has not answered since the start.",
					queries: []query{{"sum(dualgram_mode{" + chosen + `,mode="none"})`, "none"}}},
				{kind: number, title: "Updates lost", unit: units.Short, width: 4, height: 4, from: []step{{0.5, "red"}},
					about:   "0, always. Updates within the time shown that never arrived and that Telegram no longer has.",
					queries: []query{{"sum(increase(dualgram_updates_lost_total{" + chosen + `}[$__range]))`, "lost"}}},
				{kind: number, title: "Pending at Telegram", unit: units.Short, width: 4, height: 4, from: []step{{50, "orange"}, {100, "red"}},
					about:   "The most of any bot. A few are always on their way.",
					queries: []query{{"max(dualgram_telegram_pending_updates{" + chosen + "})", "pending"}}},
				{kind: number, title: "Oldest waits for its bot", unit: units.Seconds, width: 4, height: 4, from: []step{{60, "orange"}, {300, "red"}},
					about:   "How long the oldest update in the store has waited for its bot; nothing if none waits.",
					queries: []query{{"max(time() - (dualgram_oldest_waiting_update_timestamp_seconds{" + chosen + "} > 0)) or vector(0)", "oldest"}}},
				phasePanel(7),
			}},
			{"What is wrong", []panel{
				{kind: list, title: "Warnings", unit: "none", width: 12, columns: []string{"instance", "bot", "code", "severity"},
					about:   "Those that are shown now. What to do about each: dualgram runbook CODE",
					queries: []query{{`dualgram_warning_active{job=~"$job",instance=~"$instance",bot=~"$bot|"} == 1`, ""}}},
				{kind: list, title: "What runs", unit: "none", width: 12, columns: []string{"instance", "version", "revision", "goversion"},
					about:   "The instances that are scraped, and their versions.",
					queries: []query{{"dualgram_build_info{" + process + "}", ""}}},
			}},
			{"Traffic", []panel{
				{kind: graph, title: "Updates taken in", unit: units.CountsPerSecond, width: 12, stacked: true,
					about:   "New updates that are durable on disk, by the transport that brought them.",
					queries: []query{{"sum by (source) (rate(dualgram_updates_received_total{" + chosen + "}[$__rate_interval]))", "{{source}}"}}},
				{kind: graph, title: "Updates taken by the bots", unit: units.CountsPerSecond, width: 12, stacked: true,
					about:   "Deliveries to the bots: taken, failed (and tried again), buried (given up on, kept for a person).",
					queries: []query{{"sum by (result) (rate(dualgram_updates_forwarded_total{" + chosen + "}[$__rate_interval]))", "{{result}}"}}},
				{kind: graph, title: "Answers to Telegram, 95%", unit: units.Seconds, width: 12, from: []step{{0.5, "red"}},
					about:   "From a request's headers to the first byte of the answer, the commit included. Under half a second is good; a slow disk shows here first.",
					queries: []query{{"histogram_quantile(0.95, sum by (le, bot) (rate(dualgram_webhook_request_duration_seconds_bucket{" + chosen + "}[$__rate_interval])))", "{{bot}}"}}},
				{kind: graph, title: "Bad answers to Telegram", unit: units.PercentUnit, width: 12, from: []step{{0.01, "red"}},
					about:   "The share of authenticated deliveries that we refused for a reason of ours. Strangers don't count. Recorded by the rules of dualgram rules.",
					queries: []query{{"bot:dualgram_webhook_requests_bad:ratio_rate5m{" + chosen + "}", "{{bot}}"}}},
				{kind: graph, title: "Pending at Telegram, by bot", unit: units.Short, width: 12, from: []step{{50, "orange"}, {100, "red"}},
					about:   "As getWebhookInfo says. What stays high while nothing comes in is an outage; what grows with traffic is too few connections or a slow disk.",
					queries: []query{{"dualgram_telegram_pending_updates{" + chosen + "}", "{{bot}}"}}},
				{kind: graph, title: "Waiting in the store, by bot", unit: units.Short, width: 12,
					about:   "Updates that the bot has not taken. They wait here while the bot is down or slow; intake goes on.",
					queries: []query{{"dualgram_updates_waiting{" + chosen + "}", "{{bot}}"}}},
			}},
			{"The host", []panel{
				{kind: graph, title: "Commits", unit: units.Seconds, width: 8,
					about:   "How long commits to the store take, fsync included. Milliseconds are normal.",
					queries: quantiles("dualgram_store_commit_duration_seconds", process, "")},
				{kind: graph, title: "Disk", unit: units.BytesIEC, width: 8,
					about: "The store's file, and what is left on its file system. The file grows while a bot is down, and doesn't shrink by itself.",
					queries: []query{{"dualgram_store_size_bytes{" + process + "}", "file on {{instance}}"},
						{"dualgram_store_filesystem_avail_bytes{" + process + "}", "left on {{instance}}"}}},
				{kind: graph, title: "Waiting for disks", unit: units.PercentUnit, width: 8, from: []step{{0.15, "red"}},
					about:   "The share of the time in which some process of the host waits for a disk, as the kernel counts it.",
					queries: []query{{"rate(dualgram_host_io_waiting_seconds_total{" + process + "}[$__rate_interval])", "{{instance}}"}}},
			}},
		}}
}
