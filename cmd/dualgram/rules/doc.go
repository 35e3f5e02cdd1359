// Package rules makes the alert rules of dualgram for Prometheus, their unit tests'
// counterpart in the registry of warnings included, and an Alertmanager
// configuration that knows which alert explains which.
//
// The guarantees:
//
//   - Each warning that is ever a warning or critical has its alert, made from the
//     registry, so that none can be forgotten; the other alerts are for what no
//     warning sees, such as a process that is gone.
//   - Each alert has a severity, how long it must have lasted, what it is, what
//     dualgram has done about it, and the page that says what to do.
//   - No alert depends on a metric that dualgram doesn't export, and each figure in
//     one is a [Threshold] that an operator may set.
//   - They need nothing of Prometheus that 2.42 doesn't have, and hold for any
//     interval of scraping up to a minute.
//
// A gauge that is 1 while something is so is read through last_over_time: a scrape
// that fails is bridged for up to five minutes, and the alert still ends with what it
// is about. A figure that has to be above something all the time is read through
// min_over_time.
//
// An alert that may be the doing of a fault that was injected on purpose has the
// label drill="true", so that it can be sent elsewhere. When the fault has been over
// for a few minutes and something is still wrong, the label goes, and the alert is a
// new one.
package rules
