//go:build dashboards

package main

import "github.com/grafana/grafana-foundation-sdk/go/units"

func drills() page {
	return page{name: "drills", title: "dualgram: drills",
		about: "What was broken on purpose, what dualgram made of it, and what has not been rehearsed for long.",
		rows: []row{
			{"Are we rehearsed?", []panel{
				{kind: number, title: "Overdue", unit: units.Short, width: 6, height: 4, from: []step{{1, "orange"}},
					about:   "Scheduled drills without a success for two of their periods.",
					queries: []query{{"sum(dualgram_drill_overdue{" + chosen + "}) or vector(0)", "overdue"}}},
				{kind: number, title: "Under way", unit: units.Short, width: 6, height: 4, from: []step{{1, "purple"}},
					about:   "Drills that run now.",
					queries: []query{{"sum(dualgram_drill_active{" + chosen + "}) or vector(0)", "under way"}}},
				{kind: number, title: "Halt lever", unit: "none", width: 6, height: 4, words: []word{{"0", "free", "green"}, {"1", "pulled", "orange"}},
					about:   "While it is pulled no drill begins: dualgram drill resume",
					queries: []query{{"max(dualgram_drill_halted{" + chosen + "}) or vector(0)", "halted"}}},
				{kind: number, title: "Updates lost", unit: units.Short, width: 6, height: 4, from: []step{{0.5, "red"}},
					about:   "0, always: a drill breaks the way, and loses nothing.",
					queries: []query{{"sum(increase(dualgram_updates_lost_total{" + chosen + "}[$__range]))", "lost"}}},
				{kind: list, title: "Last success", unit: units.DateTimeFromNow, width: 12, columns: []string{"instance", "bot", "drill", "Value"},
					about:   "When each drill last broke something and held.",
					queries: []query{{"dualgram_drill_last_success_timestamp_seconds{" + chosen + "} * 1000 > 0", ""}}},
				{kind: graph, title: "Outcomes", unit: units.Short, width: 12, stacked: true,
					about:   "held is what is wanted. deviated: dualgram did not do what the drill expects. invalid: the fault hit nothing. not_recovered needs a person.",
					queries: []query{{"sum by (drill, outcome) (increase(dualgram_drill_runs_total{" + chosen + "}[$__rate_interval])) > 0", "{{drill}}: {{outcome}}"}}},
			}},
			{"What was broken", []panel{
				{kind: states, title: "Faults", unit: "none", width: 24, height: 7, words: []word{{"0", "no", "transparent"}, {"1", "acts", "purple"}, {"2", "two act", "purple"}},
					about:   "Which kinds of faults act. None does for longer than 15 minutes.",
					queries: []query{{"max by (kind) (dualgram_chaos_fault_active{" + process + "}) > 0", "{{kind}}"}}},
				{kind: graph, title: "Hits", unit: units.CountsPerSecond, width: 12,
					about:   "What the faults have hit: connections, handshakes, requests, calls, commits. One that hits nothing shows nothing.",
					queries: []query{{"sum by (kind) (rate(dualgram_chaos_fault_fired_total{" + process + "}[$__rate_interval])) > 0", "{{kind}}"}}},
				{kind: graph, title: "Bots that a fault may concern", unit: units.Short, width: 12,
					about:   "While a fault acts, and shortly after: alerts of the time have the label drill.",
					queries: []query{{"dualgram_fault_acting{" + chosen + "}", "{{bot}} on {{instance}}"}}},
			}},
			{"What came of it", []panel{
				phasePanel(6),
				{kind: graph, title: "Handovers in drills", unit: units.Short, width: 8, stacked: true,
					about:   "Those that a fault caused; they count neither towards a freeze nor as relapses.",
					queries: []query{{"sum by (bot, to, cause) (increase(dualgram_handovers_total{" + chosen + `,by="drill"}[$__rate_interval])) > 0`, "{{bot}} to {{to}}: {{cause}}"}}},
				{kind: graph, title: "Until the first update by the new transport", unit: units.Seconds, width: 8, from: []step{{10, "red"}},
					about:   "The slowest within the time of a point, to the bound of its class. Ten seconds are promised.",
					queries: []query{{"histogram_quantile(1, sum by (le, bot, to) (increase(dualgram_handover_first_update_seconds_bucket{" + chosen + "}[$__rate_interval])))", "{{bot}} to {{to}}"}}},
				{kind: graph, title: "Updates taken in", unit: units.CountsPerSecond, width: 8, stacked: true,
					about:   "By transport: what one no longer brings the other does.",
					queries: []query{{"sum by (source) (rate(dualgram_updates_received_total{" + chosen + "}[$__rate_interval]))", "{{source}}"}}},
				{kind: graph, title: "Steps of handovers", unit: units.Seconds, width: 24,
					about:   "How long each step took on average: where the time of a handover goes.",
					queries: []query{{"sum by (step) (rate(dualgram_handover_step_duration_seconds_sum{" + chosen + "}[$__rate_interval])) / sum by (step) (rate(dualgram_handover_step_duration_seconds_count{" + chosen + "}[$__rate_interval]))", "{{step}}"}}},
			}},
		}}
}
