package rules

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"dualgram/supervisor/warning"
)

// Unit is what a threshold is written in.
type Unit string

// The units.
const (
	Duration Unit = "duration" // as Prometheus writes it: 90s, 5m, 1h30m
	Number   Unit = "number"
	Bound    Unit = "bound" // seconds; one of the bounds of the handover's histogram
)

// Threshold is one figure of the rules.
type Threshold struct {
	// Key is the alert's page and a word, such as pending_high.critical.
	Key     string
	Default string
	Unit    Unit
	Help    string
}

// HandoverBounds are the bounds in seconds that a handover can be compared with: those
// of dualgram_handover_duration_seconds.
var HandoverBounds = []string{"0.25", "0.5", "1", "1.5", "2", "3", "4", "5", "6", "7.5", "10", "15", "30", "60", "120"}

// fixed are the thresholds of the alerts that no warning stands for.
var fixed = []Threshold{
	{"down.for", "2m", Duration, "how long the process must have been gone"},
	{"updates_lost.window", "10m", Duration, "how long a loss is shown"},
	{"intake_stalled.after", "60", Number, "seconds without a new update, while Telegram has some"},
	{"intake_stalled.for", "1m", Duration, "how long that must have lasted"},
	{"switch_slow.seconds", "10", Bound, "what a handover may take"},
	{"switch_slow.window", "15m", Duration, "how long a slow one is shown"},
	{"switch_failed.attempts", "3", Number, "failed attempts to begin polling"},
	{"switch_failed.window", "5m", Duration, "in which they are counted"},
	{"switch_failed.failbacks", "2", Number, "failed attempts to go back to the webhook"},
	{"switch_failed.failback_window", "30m", Duration, "in which they are counted"},
	{"flapping.handovers", "4", Number, "automatic handovers, in both directions"},
	{"flapping.window", "30m", Duration, "in which they are counted"},
	{"webhook_error_burn.budget", "0.001", Number, "share of deliveries that may be answered badly over a month"},
	{"webhook_error_burn.min_requests", "100", Number, "deliveries in the long window without which nothing is said"},
	{"webhook_error_burn.for", "2m", Duration, "how long the fastest burn, that of an hour's window, must have lasted"},
	{"intake_slow.seconds", "0.5", Number, "95th percentile from request headers to the first byte of the answer"},
	{"intake_slow.min_requests", "20", Number, "deliveries in 5 minutes without which nothing is said"},
	{"intake_slow.for", "5m", Duration, "how long that must have lasted"},
	{"fail_rate_high.ratio", "0.01", Number, "share of deliveries answered badly"},
	{"fail_rate_high.min_requests", "20", Number, "deliveries in 5 minutes without which nothing is said"},
	{"fail_rate_high.for", "2m", Duration, "how long that must have lasted"},
	{"pending_high.warning", "50", Number, "updates pending at Telegram that warn"},
	{"pending_high.critical", "100", Number, "updates pending at Telegram that page"},
	{"pending_high.for", "1m", Duration, "how long that must have lasted"},
	{"delivery_lag.warning", "300", Number, "seconds that the oldest update waits for the bot, to warn"},
	{"delivery_lag.critical", "1800", Number, "seconds that the oldest update waits for the bot, to page"},
	{"delivery_lag.for", "1m", Duration, "how long that must have lasted"},
	{"store_filling.hours", "4", Number, "hours within which the disk would be full"},
	{"store_filling.avail_bytes", "268435456", Number, "free bytes below which it is filling, however slowly"},
	{"store_filling.for", "10m", Duration, "how long that must have lasted"},
	{"io_pressure.ratio", "0.15", Number, "share of the time that some process waits for a disk"},
	{"io_pressure.for", "5m", Duration, "how long that must have lasted"},
	{"dead_letters.count", "0", Number, "dead letters that are not worth a look"},
	{"dead_letters.for", "0s", Duration, "how long that must have lasted"},
	{"quarantine.count", "0", Number, "quarantined deliveries that are not worth a look"},
	{"quarantine.for", "0s", Duration, "how long that must have lasted"},
	{"drill_stuck.for", "16m", Duration, "how long one kind of fault may act; no lease is longer than 15 minutes"},
	{"drill_deviated.window", "1h", Duration, "how long a drill that did not hold is shown"},
	{"notify_failing.failures", "3", Number, "notifications or heartbeats that did not get through"},
	{"notify_failing.window", "15m", Duration, "in which they are counted"},
}

// lasting is how long a warning must have been shown for its alert: the registry
// waits by itself until one is visible, so this is slack for what heals at once. What
// isn't here has that of its worst severity.
var lasting = map[warning.Code]string{
	warning.FaultActive:        "1m",
	warning.OnStandby:          "30m", // it heals by itself; who polls for long should know
	warning.CertificateExpires: "5m",
	warning.SecretMigration:    "1h", // the operator's own doing
	warning.SecretRotation:     "15m",
	warning.AutomationHeld:     "1h",
	warning.PinnedWebhook:      "1h",
	warning.DryRun:             "1h",
}

const (
	lastingCritical = "30s"
	lastingWarning  = "2m"
)

// Thresholds lists all of them, in the order of the alerts.
func Thresholds() []Threshold {
	all := slices.Clone(fixed)
	for _, k := range warning.Kinds() {
		if needsPerson(k) == "" {
			continue
		}
		d, ok := lasting[k.Code]
		if !ok {
			d = lastingWarning
			if slices.Contains(k.Severities(), warning.Critical) {
				d = lastingCritical
			}
		}
		all = append(all, Threshold{string(k.Code) + ".for", d, Duration, "how long the warning must have been shown"})
	}
	return all
}

// Values are thresholds that an operator has set, by their keys.
type Values map[string]string

var (
	durationShape = regexp.MustCompile(`^([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$`)
	placeholder   = regexp.MustCompile(`\$\{([^}]*)\}`)
)

// Set sets one, and says what is wrong with it.
func (v Values) Set(key, value string) error {
	for _, t := range Thresholds() {
		if t.Key != key {
			continue
		}
		if err := t.check(value); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		v[key] = value
		return nil
	}
	return &UnknownKeyError{Key: key}
}

// UnknownKeyError says that there is no such threshold.
type UnknownKeyError struct{ Key string }

// Error says so.
func (e *UnknownKeyError) Error() string { return "no threshold is called " + e.Key }

func (t Threshold) check(value string) error {
	switch t.Unit {
	case Duration:
		if value == "" || !durationShape.MatchString(value) {
			return fmt.Errorf("%q is not a duration as Prometheus writes it, such as 90s, 5m or 1h30m", value)
		}
	case Number:
		if x, err := strconv.ParseFloat(value, 64); err != nil || !(x >= 0 && x <= 1e15) { // NaN is neither
			return fmt.Errorf("%q is not a number", value)
		}
	case Bound:
		if !slices.Contains(HandoverBounds, value) {
			return fmt.Errorf("handovers are counted in classes, and can be compared with %s seconds, not with %q", strings.Join(HandoverBounds, ", "), value)
		}
	}
	return nil
}

// expander replaces the placeholders of a text; those of the options stand beside
// the thresholds.
func (v Values) expander(job string) func(string) string {
	all := map[string]string{"job": job}
	for _, t := range Thresholds() {
		all[t.Key] = t.Default
	}
	maps.Copy(all, v)
	return func(s string) string {
		return placeholder.ReplaceAllStringFunc(s, func(p string) string { return all[p[2:len(p)-1]] })
	}
}
