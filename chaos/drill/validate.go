package drill

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"dualgram/chaos"
)

// Bounds of an experiment.
const (
	defaultHold    = Duration(10 * time.Second)
	maxHold        = Duration(10 * time.Minute)
	defaultRecover = Duration(5 * time.Minute)
	maxRecover     = Duration(time.Hour)
	maxLength      = time.Hour
	maxRate        = 1000
)

var (
	nameForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	codeForm = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)
)

// fill puts defaults where nothing was written.
func (l *loader) fill(e *Experiment) {
	left := func(key string) bool { _, ok := l.at[key]; return !ok }
	if left("steady-state-hypothesis.hold") {
		e.Hypothesis.Hold = defaultHold
	}
	if left("recover_within") {
		e.RecoverWithin = defaultRecover
	}
	if e.Expect.Mode == "polling" && left("expect.within") {
		e.Expect.Within = Duration(Budget)
	}
	for i := range e.Hypothesis.Probes {
		p := &e.Hypothesis.Probes[i]
		if left(fmt.Sprintf("steady-state-hypothesis.probes[%d].phase", i)) {
			p.Phase = []Phase{Before, During, After}
		}
		if left(fmt.Sprintf("steady-state-hypothesis.probes[%d].name", i)) {
			p.Name = p.Expr.String()
		}
	}
	for i := range e.Method {
		if a := &e.Method[i]; left(fmt.Sprintf("method[%d].name", i)) {
			a.Name = string(a.Fault)
			if a.Fault == "" {
				a.Name = "pause"
			}
		}
	}
	e.Rollbacks = append([]Rollback{}, e.Rollbacks...)
}

// validate checks what the types don't.
func (l *loader) validate(e *Experiment) {
	switch {
	case e.Version != 1:
		l.wrong("version", fmt.Sprintf("is %d", e.Version), "write version: 1")
	case !nameForm.MatchString(e.Name) || len(e.Name) > 64:
		l.wrong("name", fmt.Sprintf("%q is no name", e.Name), "write lower-case letters, digits and dashes, at most 64, such as certificate-expired")
	}
	if strings.TrimSpace(e.Title) == "" {
		l.wrong("title", "is missing", "say in one line what is rehearsed")
	}
	l.validateHypothesis(&e.Hypothesis)
	l.validateMethod(e)
	for i, p := range e.Hypothesis.Probes {
		if n := e.Length(); p.Within > 0 && p.Within.D() >= n && n > 0 {
			l.wrong(fmt.Sprintf("steady-state-hypothesis.probes[%d].within", i), fmt.Sprintf("is %s", p.Within), fmt.Sprintf("the method takes %s: write less, or it is never judged", Duration(n)))
		}
	}
	if r := e.RecoverWithin; r <= e.Hypothesis.Hold || r > maxRecover {
		l.wrong("recover_within", fmt.Sprintf("is %s", r), fmt.Sprintf("write more than steady-state-hypothesis.hold (%s) and at most %s", e.Hypothesis.Hold, maxRecover))
	}
	if e.Expect.Within > 0 && e.Expect.Mode != "polling" {
		l.wrong("expect.within", "belongs to mode: polling", "remove it, or write mode: polling")
	}
	if e.Expect.Loses && !slices.ContainsFunc(e.Method, func(a Action) bool {
		k, _ := chaos.Describe(a.Fault)
		return k.Destructive
	}) {
		l.wrong("expect.loses", "no fault of this experiment loses anything", "remove it, or name one such as http.swallow")
	}
	for i, s := range e.Expect.Signals {
		if !codeForm.MatchString(s) {
			l.wrong(fmt.Sprintf("expect.signals[%d]", i), fmt.Sprintf("%q is no signal's name", s), "write it as dualgram status shows it, such as stall")
		}
	}
	for key, codes := range map[string][]string{"expect.warnings": e.Expect.Warnings, "expect.forbid_warnings": e.Expect.ForbidWarnings} {
		for i, c := range codes {
			if !codeForm.MatchString(c) {
				l.wrong(fmt.Sprintf("%s[%d]", key, i), fmt.Sprintf("%q is no warning's code", c), "write it as dualgram status shows it, such as on_standby")
			}
		}
	}
	for i, c := range e.Expect.ForbidWarnings {
		if slices.Contains(e.Expect.Warnings, c) {
			l.wrong(fmt.Sprintf("expect.forbid_warnings[%d]", i), fmt.Sprintf("%s is expected too", c), "remove it from one of the two")
		}
	}
	for i, r := range e.Rollbacks {
		if r.Action == "" {
			l.wrong(fmt.Sprintf("rollbacks[%d].action", i), "is missing", "write one of "+strings.Join(Actions(), ", "))
		}
	}
	if t := e.Traffic; t != nil && !(t.Rate > 0 && t.Rate <= maxRate) {
		l.wrong("traffic.rate", fmt.Sprintf("is %v", t.Rate), fmt.Sprintf("write updates a second, above 0 and at most %d", maxRate))
	}
}

func (l *loader) validateHypothesis(h *Hypothesis) {
	const key = "steady-state-hypothesis"
	if h.Hold < Duration(time.Second) || h.Hold > maxHold {
		l.wrong(key+".hold", fmt.Sprintf("is %s", h.Hold), fmt.Sprintf("write 1s to %s", maxHold))
	}
	if len(h.Probes) == 0 {
		l.wrong(key+".probes", "has no probe", `write at least one, such as {name: on-webhook, expr: 'mode == "webhook"', phase: [before, after]}`)
	}
	names, before, after := map[string]bool{}, false, false
	for i, p := range h.Probes {
		at := fmt.Sprintf("%s.probes[%d]", key, i)
		if p.Expr.root == nil {
			l.wrong(at+".expr", "is missing", "write a condition over the host's facts")
		}
		if names[p.Name] {
			l.wrong(at+".name", fmt.Sprintf("%q is another probe's name too", p.Name), "give each its own")
		}
		names[p.Name] = true
		if len(p.Phase) == 0 {
			l.wrong(at+".phase", "is empty", "write before, during, after, or leave the line out for all three")
		}
		unread := l.bad[at+".phase[0]"] || l.bad[at+".phase"] // then what was meant is not known
		before, after = before || unread, after || unread
		before = before || slices.Contains(p.Phase, Before)
		after = after || slices.Contains(p.Phase, After)
		if p.Within > 0 && !slices.Contains(p.Phase, During) {
			l.wrong(at+".within", "belongs to the phase during", "remove it, or add the phase")
		}
	}
	if len(h.Probes) > 0 && !(before && after) {
		l.wrong(key+".probes", "has no probe for before, or none for after", "a drill begins from a steady state and must come back to one")
	}
}

func (l *loader) validateMethod(e *Experiment) {
	if len(e.Method) == 0 {
		l.wrong("method", "breaks nothing", "write at least one fault: {fault: tls.expired, for: 60s}")
	}
	broken := false
	for i, a := range e.Method {
		at := fmt.Sprintf("method[%d]", i)
		if a.Fault == "" {
			if a.For > 0 || a.Share != 0 || a.Count != 0 || a.Delay > 0 || a.Background || len(a.Params) > 0 {
				l.wrong(at+".fault", "is missing", "name the fault; a step without one has only pauses")
				broken = true
			} else if a.Pauses == (Pauses{}) {
				l.wrong(at, "does nothing", "write a fault or pauses")
			}
			continue
		}
		broken = true
		l.validateFault(a, at)
	}
	if !broken && len(e.Method) > 0 {
		l.wrong("method", "breaks nothing", "write at least one fault: {fault: tls.expired, for: 60s}")
	}
	if n := e.Length(); n > maxLength {
		l.wrong("method", fmt.Sprintf("takes %s", Duration(n)), fmt.Sprintf("make it at most %s", Duration(maxLength)))
	}
}

// validateFault lets the fault's own code look at its parameters.
func (l *loader) validateFault(a Action, at string) {
	if _, known := chaos.Describe(a.Fault); !known {
		kinds := chaos.Kinds()
		all := make([]string, len(kinds))
		for i, k := range kinds {
			all[i] = string(k.Kind)
		}
		fix := "dualgram chaos list shows them all"
		if near, ok := nearest(string(a.Fault), all); ok {
			fix = fmt.Sprintf("did you mean %s?", near)
		}
		l.wrong(at+".fault", fmt.Sprintf("there is no fault %q", a.Fault), fix)
		return
	}
	if a.For <= 0 || a.For.D() > chaos.MaxLease {
		l.wrong(at+".for", fmt.Sprintf("is %s", a.For), fmt.Sprintf("say how long the fault acts, at most %s", Duration(chaos.MaxLease)))
		return
	}
	if _, ok := l.at[at+".share"]; ok && !(a.Share > 0 && a.Share <= 1) || math.IsNaN(a.Share) {
		l.wrong(at+".share", fmt.Sprintf("is %v", a.Share), "write a number above 0 and at most 1")
		return
	}
	// A leashed registry checks everything and does nothing.
	r := chaos.New(chaos.Options{Enabled: true, Leashed: true, Destructive: true, Exit: func(string) {}})
	defer func() { _ = r.Close() }()
	if _, err := r.Inject(a.Spec(0)); err != nil {
		key := at + ".fault"
		for _, p := range slices.Sorted(maps.Keys(a.Params)) {
			if strings.Contains(err.Error(), p) {
				key = at + ".params." + p
				break
			}
		}
		l.wrong(key, strings.TrimPrefix(err.Error(), chaos.ErrSpec.Error()+": "), "dualgram chaos list shows what it takes")
	}
}
