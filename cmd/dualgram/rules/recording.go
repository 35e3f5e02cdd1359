package rules

import (
	"slices"
	"strings"

	"dualgram/transport/webhook"
)

// Recording is one recording rule; its name is level:metric:operation.
type Recording struct{ Record, Expr string }

// The names of the recorded series, without the window.
const (
	requestsRate = "bot:dualgram_webhook_requests:rate"
	badRatio     = "bot:dualgram_webhook_requests_bad:ratio_rate"
)

// windows are those over which deliveries are counted.
var windows = []string{"5m", "30m", "1h", "2h", "6h", "1d", "3d"}

// badCauses are the answers to authenticated deliveries that are our fault: what is
// wrong with the path to the ledger, and with the ledger. Strangers don't count, nor
// clients that went away.
func badCauses() []string {
	bad := []string{string(webhook.CauseStoreFailed)}
	for _, c := range webhook.Causes() {
		if c.OnPath() {
			bad = append(bad, string(c))
		}
	}
	slices.Sort(bad)
	return bad
}

// judgedCauses are the bad ones and those of deliveries that were taken.
func judgedCauses() []string {
	judged := badCauses()
	for _, c := range webhook.Causes() {
		if c.OK() {
			judged = append(judged, string(c))
		}
	}
	slices.Sort(judged)
	return judged
}

// Recordings lists the recording rules. The parts of a ratio are summed before they
// are divided.
func Recordings() []Recording {
	var rs []Recording
	rate := func(causes []string, window string) string {
		return `sum by (job, instance, bot) (rate(dualgram_webhook_requests_total{cause=~"` + strings.Join(causes, "|") + `"}[` + window + `]))`
	}
	for _, w := range windows {
		rs = append(rs,
			Recording{requestsRate + w, rate(judgedCauses(), w)},
			Recording{badRatio + w, rate(badCauses(), w) + "\n/\n" + rate(judgedCauses(), w)})
	}
	return rs
}
