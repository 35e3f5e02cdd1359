package drill

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// tally is the hypothesis as it is being judged in one phase.
type tally struct {
	phase  Phase
	probes []Probe
	// result holds the sample that decided: the first that failed, else the last.
	result []ProbeResult
	// seen: the probe has been true. failed: it has been false.
	seen, failed []bool
}

func newTally(phase Phase, all []Probe) *tally {
	t := &tally{phase: phase}
	for _, p := range all {
		if slices.Contains(p.Phase, phase) {
			t.probes = append(t.probes, p)
			t.result = append(t.result, ProbeResult{Activity: activity("probe", p.Name, "facts"), Expr: p.Expr.String(), Status: "failed", Detail: "never judged"})
		}
	}
	t.seen, t.failed = make([]bool, len(t.probes)), make([]bool, len(t.probes))
	return t
}

// judge looks at one view and returns the names of the probes that don't hold.
// During the fault, a probe with a time to settle counts from then on, and what
// is not known is not held against the host as long as it was known once.
func (t *tally) judge(v *View) (unmet []string) {
	for i, p := range t.probes {
		if t.phase == During && v.At.Sub(v.Inject) < p.Within.D() {
			continue
		}
		truth := p.Expr.Eval(v)
		if truth != True {
			unmet = append(unmet, p.Name)
		}
		t.seen[i] = t.seen[i] || truth == True
		if t.failed[i] {
			continue
		}
		t.failed[i] = truth == False
		r := &t.result[i]
		r.Values, r.Detail, r.Status = p.Expr.Values(v), "", "succeeded"
		switch {
		case truth == False:
			r.Detail = fmt.Sprintf("not so at %s: %s", v.At.UTC().Format(time.TimeOnly), valuesText(r.Values))
		case truth == Unknown && !t.seen[i]:
			r.Detail = "never known"
		}
		r.ToleranceMet = truth == True || truth == Unknown && t.seen[i]
	}
	return unmet
}

// state is the verdict so far.
func (t *tally) state() *SteadyState {
	s := &SteadyState{Met: true, Probes: slices.Clone(t.result)}
	if s.Probes == nil {
		s.Probes = []ProbeResult{}
	}
	for _, r := range s.Probes {
		s.Met = s.Met && r.ToleranceMet
	}
	return s
}

// valuesText is like "mode = polling, pending = 3".
func valuesText(m map[string]any) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		v := m[k]
		if v == nil {
			v = "unknown"
		}
		out = append(out, fmt.Sprintf("%s = %v", k, v))
	}
	return strings.Join(out, ", ")
}

// follow brings the timeline up to date with what has happened. It is made anew
// each time, so that events may be told late.
func (t *Timeline) follow(events []Event, samples []Sample, last ...Sample) {
	t.Detect, t.Decide, t.DeleteAck, t.FirstPoll, t.FirstUpdate, t.WebhookOK, t.Stranded = time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}
	first := func(to *time.Time, at time.Time) {
		if to.IsZero() {
			*to = at
		}
	}
	for _, e := range events {
		if t.Inject.IsZero() || e.At.Before(t.Inject) {
			continue
		}
		switch e.Kind {
		case EventDetected:
			first(&t.Detect, e.At)
		case EventDecided:
			first(&t.Decide, e.At)
		case EventDeleteAcked:
			first(&t.DeleteAck, e.At)
		case EventFirstPoll:
			first(&t.FirstPoll, e.At)
		case EventFirstUpdate:
			first(&t.FirstUpdate, e.At)
		case EventWebhookProven:
			t.WebhookOK = e.At // the last one counts
		}
	}
	if t.WebhookOK.Before(t.Remove) || t.Remove.IsZero() {
		t.WebhookOK = time.Time{}
	}
	t.Stranded = t.stranded(samples, last)
}

// stranded is the earliest time at which an update can have been left waiting,
// or zero if that is the injection itself or nothing depends on it.
func (t *Timeline) stranded(samples, last []Sample) time.Time {
	var none time.Time // when Telegram last said, since the injection, that none waits
	for i := range len(samples) + len(last) {
		var s *Sample
		if i < len(samples) {
			s = &samples[i]
		} else {
			s = &last[i-len(samples)]
		}
		f := &s.Facts
		if s.Stage == StageGate || f.Pending == nil {
			continue
		}
		if *f.Pending == 0 {
			if f.PendingAt.After(t.Inject) {
				none = f.PendingAt
			}
			continue
		}
		if !t.Detect.IsZero() && t.Detect.Before(f.PendingSince) || !t.FirstPoll.IsZero() && t.FirstPoll.Before(f.PendingSince) {
			return time.Time{}
		}
		return none
	}
	return time.Time{}
}

// timings are the durations of a timeline.
func (t *Timeline) timings() Timings {
	d := func(from, to time.Time) *float64 {
		if from.IsZero() || to.IsZero() {
			return nil
		}
		s := max(0, to.Sub(from)).Round(time.Millisecond).Seconds()
		return &s
	}
	return Timings{
		Detect: d(t.Inject, t.Detect), Switch: d(t.onset(), t.FirstPoll), FirstUpdate: d(t.onset(), t.FirstUpdate),
		Failback: d(t.Remove, t.WebhookOK), Recovery: d(t.Remove, t.Recovered),
	}
}

// failovers counts the decisions between two times; a zero end is open.
func failovers(events []Event, from, to time.Time) (n int) {
	for _, e := range events {
		if e.Kind == EventDecided && !e.At.Before(from) && (to.IsZero() || !e.At.After(to)) {
			n++
		}
	}
	return n
}

// verdict judges a run whose faults are gone.
type verdict struct {
	aborted     string // why the faults were ended early
	interrupted string
	recovered   bool
	watched     bool  // the recovery was watched to its end
	unread      error // why there are no books
}

// conclude sets the outcome and its reasons.
func (v verdict) conclude(j *Journal) {
	invalid := j.unproven()
	deviations := j.deviations()
	if v.unread != nil {
		deviations = append(deviations, v.unread.Error())
	}
	j.Reasons = []string{}
	if v.watched && !v.recovered {
		j.Outcome = NotRecovered
		j.Reasons = append(j.Reasons, fmt.Sprintf("the steady state was not back within %s after the faults had gone", j.Experiment.RecoverWithin))
		if s := j.SteadyStates.After; s != nil {
			j.Reasons = append(j.Reasons, s.misses("afterwards")...)
		}
	}
	set := func(o Outcome, reasons ...string) {
		if j.Outcome == "" {
			j.Outcome = o
		}
		j.Reasons = append(j.Reasons, reasons...)
	}
	if v.interrupted != "" {
		set(Interrupted, v.interrupted)
	}
	if v.aborted != "" {
		set(Aborted, v.aborted)
	}
	if len(invalid) > 0 && v.aborted == "" && v.interrupted == "" {
		set(Invalid, invalid...)
	}
	if len(deviations) > 0 && v.aborted == "" && v.interrupted == "" {
		set(Deviated, deviations...)
	}
	j.Deviated = len(deviations) > 0 && j.Outcome != NotStarted || j.Outcome == NotRecovered
	if j.Outcome == "" {
		j.Outcome = Held
	}
}

// misses lists the probes that were not met.
func (s *SteadyState) misses(when string) (out []string) {
	for _, p := range s.Probes {
		if !p.ToleranceMet {
			out = append(out, fmt.Sprintf("%s, %s did not hold (%s): %s", when, p.Activity.Name, p.Expr, p.Detail))
		}
	}
	return out
}

// unproven says why the run proves nothing.
func (j *Journal) unproven() (out []string) {
	if j.Leashed {
		return []string{"drills are leashed: nothing was injected; set chaos.leashed: false and restart"}
	}
	for _, s := range j.Run {
		if s.Fault != nil && s.Fault.Fired == 0 {
			why := "nothing came by that it could have hit"
			if !s.Fault.Attached {
				why = "nothing in this process carries it out"
			}
			out = append(out, fmt.Sprintf("%s never fired: %s", s.Activity.Name, why))
		}
	}
	t := &j.Timeline
	if len(out) == 0 && j.Experiment.Expect.Mode == "polling" && t.Decide.IsZero() && t.Detect.IsZero() && t.Stranded.IsZero() && !j.waited() && !j.received() {
		out = append(out, "no update came while the fault acted, and without one it can't be told from quiet; run it when there is traffic")
	}
	return out
}

// thrown is how many updates destructive faults have hit.
func (j *Journal) thrown() (n int64) {
	for _, s := range j.Run {
		if s.Fault != nil && s.Fault.Info.Destructive {
			n += int64(s.Fault.Fired) //nolint:gosec // a count of updates
		}
	}
	return n
}

// waited says whether an update was seen waiting at Telegram while the faults
// acted.
func (j *Journal) waited() bool {
	return slices.ContainsFunc(j.Samples, func(s Sample) bool {
		return s.Stage == StageFault && s.Facts.Pending != nil && *s.Facts.Pending > 0
	})
}

// underWay is how long after a fault began an update that arrives may have been on
// its way before: whoever loses an answer or a packet tries again within a second.
const underWay = 2 * time.Second

// received says whether updates went on coming in while a fault acted: then it was
// not quiet, although none was seen waiting.
func (j *Journal) received() bool {
	for _, step := range j.Run {
		if step.Fault == nil {
			continue
		}
		var first *Sample
		for i := range j.Samples {
			s := &j.Samples[i]
			if s.Stage != StageFault || s.Error != "" || s.At.Before(step.Start.Add(underWay)) || s.At.After(step.End) {
				continue
			}
			if first == nil {
				first = s
			}
			if grew := s.Facts.Counts.Sub(first.Facts.Counts); grew.ReceivedWebhook+grew.ReceivedPolling > 0 {
				return true
			}
		}
	}
	return false
}

// deviations lists what was not as expected.
func (j *Journal) deviations() (out []string) {
	for _, s := range j.SteadyStates.During {
		out = append(out, s.misses("during the fault")...)
	}
	x, t := j.Experiment.Expect, &j.Timeline
	switch x.Mode {
	case "polling":
		switch took := t.timings().Switch; {
		case took == nil:
			out = append(out, "the host did not fail over to polling")
		case *took > x.Within.D().Seconds():
			out = append(out, fmt.Sprintf("polling took over after %.1fs: %s were allowed", *took, x.Within))
		}
	case "webhook":
		left := slices.ContainsFunc(j.Samples, func(s Sample) bool { return s.Stage == StageFault && s.Error == "" && s.Facts.Mode != "webhook" })
		if left || j.Failovers > 0 {
			out = append(out, "the host left the webhook while the fault acted")
		}
	}
	if detected := j.Detected(); len(x.Signals) > 0 && !slices.ContainsFunc(x.Signals, func(s string) bool { return slices.Contains(detected, s) }) {
		what := "nothing was"
		if len(detected) > 0 {
			what = strings.Join(detected, ", ") + " was"
		}
		out = append(out, fmt.Sprintf("it was to be detected by %s, and %s", strings.Join(x.Signals, " or "), what))
	}
	seen := func(code string) bool {
		return slices.ContainsFunc(j.Warnings, func(w WarningSeen) bool { return w.Code == code })
	}
	for _, c := range x.Warnings {
		if !seen(c) {
			out = append(out, fmt.Sprintf("the warning %s was not shown", c))
		}
	}
	for _, c := range x.ForbidWarnings {
		if seen(c) {
			out = append(out, fmt.Sprintf("the warning %s was shown", c))
		}
	}
	if thrown := j.thrown(); x.Loses && j.Counts.Lost != thrown {
		out = append(out, fmt.Sprintf("%d updates were counted as lost, and %d were lost on purpose", j.Counts.Lost, thrown))
	}
	if s := j.Simulator; s != nil && s.Books != nil {
		out = append(out, s.Books.problems(x, j.thrown())...)
		switch took := s.Books.Switch; {
		case x.Mode != "polling":
		case took == nil:
			out = append(out, "by the simulator's books, polling handed out no update")
		case *took > x.Within.D().Seconds():
			out = append(out, fmt.Sprintf("by the simulator's books, polling took over after %.1fs: %s were allowed", *took, x.Within))
		}
	}
	return out
}
