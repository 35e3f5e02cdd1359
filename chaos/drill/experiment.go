package drill

import (
	"time"

	"dualgram/chaos"
)

// Experiment is a drill's plan, as its YAML file says it. [Parse] makes one.
// Field names follow Chaos Toolkit's where that has the same thing. The doc
// tags are the texts of the JSON Schema.
type Experiment struct {
	Version       int        `yaml:"version" json:"version" doc:"The format's version: 1."`
	Name          string     `yaml:"name" json:"name" doc:"A short name: lower-case letters, digits and dashes. Runs, the minimum interval and the trend go by it."`
	Title         string     `yaml:"title" json:"title" doc:"What is rehearsed, in one line."`
	Description   string     `yaml:"description" json:"description" doc:"Why, and what should happen."`
	Tags          []string   `yaml:"tags" json:"tags,omitempty" doc:"Words to find it by."`
	Runbook       string     `yaml:"runbook" json:"runbook,omitempty" doc:"The page that the on-call follows meanwhile."`
	Hypothesis    Hypothesis `yaml:"steady-state-hypothesis" json:"steady-state-hypothesis" doc:"What is true as long as all is well."`
	Method        []Action   `yaml:"method" json:"method" doc:"What is broken, in this order."`
	Rollbacks     []Rollback `yaml:"rollbacks" json:"rollbacks" doc:"What is asked of the host once the faults are gone. Faults are always removed, without being listed here."`
	StopWhen      []Expr     `yaml:"stop_when" json:"stop_when,omitempty" doc:"Expressions, judged each second while the faults act; the first that is true ends them and the run is aborted."`
	Expect        Expect     `yaml:"expect" json:"expect" doc:"What the host must do, and must not."`
	RecoverWithin Duration   `yaml:"recover_within" json:"recover_within" doc:"How soon the steady state must be back once the faults are gone. A failback waits for the hold-down (60s) and a trial (up to 65s)."`
	Traffic       *Traffic   `yaml:"traffic" json:"traffic,omitempty" doc:"Traffic to make, in the simulator only."`
}

// Hypothesis is what is true of a healthy host.
type Hypothesis struct {
	Title  string   `yaml:"title" json:"title" doc:"The steady state in one line."`
	Hold   Duration `yaml:"hold" json:"hold" doc:"How long the probes must hold without a break, before and after."`
	Probes []Probe  `yaml:"probes" json:"probes" doc:"Expressions over the host's facts."`
}

// Phase is a part of a run in which a probe counts.
type Phase string

// The phases of the hypothesis.
const (
	Before Phase = "before"
	During Phase = "during"
	After  Phase = "after"
)

// Probe is one statement of the hypothesis.
type Probe struct {
	Name string `yaml:"name" json:"name" doc:"A name for the report."`
	Expr Expr   `yaml:"expr" json:"expr" doc:"An expression over the host's facts."`
	// Phase is never empty in a parsed experiment.
	Phase []Phase `yaml:"phase" json:"phase" doc:"When it must hold: before, during, after; all three if left out." enum:"before,during,after"`
	// Within applies to During only.
	Within Duration `yaml:"within" json:"within,omitempty" doc:"During the fault it need not hold at once but from this time on; 0 means all the time."`
}

// Action is one step of the method: a fault, or only a pause.
type Action struct {
	Name       string            `yaml:"name" json:"name" doc:"A name for the report; the fault's if left out."`
	Fault      chaos.Kind        `yaml:"fault" json:"fault" doc:"The kind of fault, see: dualgram chaos list."`
	For        Duration          `yaml:"for" json:"for" doc:"How long it acts."`
	Share      float64           `yaml:"share" json:"share,omitempty" doc:"The part of the units that is hit, above 0 and at most 1; all if left out."`
	Count      int               `yaml:"count" json:"count,omitempty" doc:"How many units are hit at most; any number if left out."`
	Delay      Duration          `yaml:"delay" json:"delay,omitempty" doc:"How long the fault makes a unit wait."`
	Params     map[string]string `yaml:"params" json:"params,omitempty" doc:"The fault's own parameters."`
	Background bool              `yaml:"background" json:"background,omitempty" doc:"Go on with the next step at once, while this fault acts."`
	Pauses     Pauses            `yaml:"pauses" json:"pauses,omitzero" doc:"Time to wait around the step."`
}

// Pauses are waits around an action.
type Pauses struct {
	Before Duration `yaml:"before" json:"before,omitempty" doc:"Before the fault is injected."`
	After  Duration `yaml:"after" json:"after,omitempty" doc:"After it is gone; with background, after it was injected."`
}

// Rollback is something asked of the host after the faults are gone.
type Rollback struct {
	Action string `yaml:"action" json:"action" doc:"failback: end the hold-down now; ack: end a freeze." enum:"failback,ack"`
}

// Actions lists what a rollback may ask for.
func Actions() []string { return []string{"failback", "ack"} }

// Expect is what the host must do, and must not.
type Expect struct {
	Mode           string   `yaml:"mode" json:"mode,omitempty" doc:"polling: the host must fail over within the time below; webhook: it must not leave the webhook." enum:"webhook,polling"`
	Within         Duration `yaml:"within" json:"within,omitempty" doc:"How soon polling must have taken over; 10s if left out."`
	Signals        []string `yaml:"signals" json:"signals,omitempty" doc:"Signals that move the mode, one of which must be seen at least; any or none if left out."`
	Warnings       []string `yaml:"warnings" json:"warnings,omitempty" doc:"Codes of warnings that must be shown at some time."`
	Loses          bool     `yaml:"loses" json:"loses,omitempty" doc:"Updates are lost on purpose: as many as the destructive faults hit must be counted as lost, and no others."`
	ForbidWarnings []string `yaml:"forbid_warnings" json:"forbid_warnings,omitempty" doc:"Codes of warnings that must not be."`
}

// Traffic is made in the simulator while a drill runs.
type Traffic struct {
	Rate float64 `yaml:"rate" json:"rate" doc:"Updates a second, above 0 and at most 1000."`
}

// Budget is the time in which a failover must be complete unless an experiment
// says otherwise.
const Budget = 10 * time.Second

// Length is how long the method takes.
func (e *Experiment) Length() time.Duration {
	var at, end time.Duration
	for _, a := range e.Method {
		at += a.Pauses.Before.D()
		end = max(end, at+a.For.D())
		if !a.Background {
			at += a.For.D()
		}
		at += a.Pauses.After.D()
	}
	return max(at, end)
}

// Spec is the fault to inject, with the whole duration as its lease.
func (a Action) Spec(seed uint64) chaos.Spec {
	return chaos.Spec{Kind: a.Fault, For: a.For.D(), Share: a.Share, Count: a.Count, Delay: a.Delay.D(), Seed: seed, Params: a.Params}
}
