package drill

import (
	"slices"
	"time"

	"dualgram/chaos"
)

// Journal is the evidence of one run. It has every key of a Chaos Toolkit
// journal with the same meaning, and more.
type Journal struct {
	Schema string `json:"schema"` // [SchemaJournal]

	// Chaos Toolkit's keys.
	ChaosLib     string       `json:"chaoslib-version"` // says that it is not one
	Platform     string       `json:"platform"`         // GOOS/GOARCH
	Node         string       `json:"node"`             // the host's name
	Experiment   Experiment   `json:"experiment"`
	Start        time.Time    `json:"start"`
	End          time.Time    `json:"end"`
	Duration     float64      `json:"duration"` // seconds
	Status       string       `json:"status"`
	Deviated     bool         `json:"deviated"`
	SteadyStates SteadyStates `json:"steady_states"`
	Run          []Step       `json:"run"`
	Rollbacks    []Step       `json:"rollbacks"`

	// What Chaos Toolkit doesn't have.
	ID         string    `json:"id"`
	Bot        string    `json:"bot"`
	Outcome    Outcome   `json:"outcome"`
	Reasons    []string  `json:"reasons"` // why it is not Held
	Refusals   []Refusal `json:"refusals,omitempty"`
	Who        Who       `json:"who"`
	Trigger    Trigger   `json:"trigger"`
	Planned    time.Time `json:"planned,omitzero"` // by the schedule
	Simulated  bool      `json:"simulated"`
	Leashed    bool      `json:"leashed"`
	DryRun     bool      `json:"dry_run,omitempty"`
	Seed       uint64    `json:"seed"`
	Version    string    `json:"version"`     // of the program
	ConfigHash string    `json:"config_hash"` // of the configuration in force
	Fired      uint64    `json:"fired"`       // units hit by all faults
	Timeline   Timeline  `json:"timeline"`
	Timings    Timings   `json:"timings"`
	Failovers  int       `json:"failovers"` // decided from the injection to the removal
	Counts     Counts    `json:"counts"`    // growth from start to end
	MaxPending *int      `json:"max_pending,omitempty"`
	// Warnings are those that were shown from the injection on.
	Warnings []WarningSeen `json:"warnings"`
	// Simulator is what was played; nil if the host is a live one.
	Simulator *Simulator `json:"simulator,omitempty"`
	Events    []Event    `json:"events"`
	Samples   []Sample   `json:"samples"`
}

// Ready says, of a dry run, whether the drill could have begun.
func (j *Journal) Ready() bool {
	return len(j.Refusals) == 0 && j.SteadyStates.Before != nil && j.SteadyStates.Before.Met
}

// Detected lists the signals that began to hold between the first injection and the
// removal of the last fault, the first one first.
func (j *Journal) Detected() (out []string) {
	for _, e := range j.Events {
		if e.Kind == EventDetected && !slices.Contains(out, e.Name) && !e.At.Before(j.Timeline.Inject) && !e.At.After(j.Timeline.Remove) {
			out = append(out, e.Name)
		}
	}
	return out
}

// Injected says whether anything was broken.
func (j *Journal) Injected() bool { return !j.Timeline.Inject.IsZero() }

// SchemaJournal names the format of a [Journal].
const SchemaJournal = "dualgram.drill.journal/v1"

// Trigger is what made a run begin.
type Trigger string

// The triggers.
const (
	TriggerOperator Trigger = "operator"
	TriggerSchedule Trigger = "schedule"
)

// SteadyStates holds the hypothesis as it was judged in each phase; nil if the
// run did not get that far.
type SteadyStates struct {
	Before *SteadyState  `json:"before"`
	During []SteadyState `json:"during"` // one for the whole phase
	After  *SteadyState  `json:"after"`
}

// SteadyState is the hypothesis as judged in one phase.
type SteadyState struct {
	Met    bool          `json:"steady_state_met"`
	Probes []ProbeResult `json:"probes"`
}

// ProbeResult is one probe as judged in one phase.
type ProbeResult struct {
	Activity     Activity `json:"activity"`
	Expr         string   `json:"expr"`
	Status       string   `json:"status"` // succeeded: it could be judged
	ToleranceMet bool     `json:"tolerance_met"`
	// Values are the facts that the expression uses, at the sample that decided.
	Values map[string]any `json:"output"`
	// Detail says why it was not met.
	Detail string `json:"detail,omitempty"`
}

// Step is one action of the method, or a rollback, as it was done.
type Step struct {
	Activity Activity      `json:"activity"`
	Start    time.Time     `json:"start"`
	End      time.Time     `json:"end"`
	Duration float64       `json:"duration"` // seconds
	Status   string        `json:"status"`   // succeeded, failed
	Fault    *chaos.Status `json:"output,omitempty"`
	Error    string        `json:"exception,omitempty"`
}

// Activity names what was done, in Chaos Toolkit's way.
type Activity struct {
	Type     string   `json:"type"` // probe or action
	Name     string   `json:"name"`
	Provider Provider `json:"provider"`
}

// Provider is what an activity is made of.
type Provider struct {
	Type string `json:"type"` // always dualgram
	Func string `json:"func"` // the fault, the rollback, or "facts"
}

func activity(kind, name, what string) Activity {
	return Activity{kind, name, Provider{"dualgram", what}}
}

// Timeline is when what happened; zero if it did not.
type Timeline struct {
	Inject time.Time `json:"t_inject,omitzero"`
	// Stranded is the earliest time at which the first update can have been left
	// waiting: when Telegram last said that none waits. Zero if one waited or may
	// have waited since the injection, or the fault was detected before.
	Stranded    time.Time `json:"t_stranded,omitzero"`
	Detect      time.Time `json:"t_detect,omitzero"`
	Decide      time.Time `json:"t_decide,omitzero"`
	DeleteAck   time.Time `json:"t_delete_ack,omitzero"`
	FirstPoll   time.Time `json:"t_first_poll,omitzero"`
	FirstUpdate time.Time `json:"t_first_update,omitzero"`
	Remove      time.Time `json:"t_remove,omitzero"`
	WebhookOK   time.Time `json:"t_webhook_ok,omitzero"`
	Recovered   time.Time `json:"t_recovered,omitzero"`
}

// onset is what a switch is measured from: the injection, or the first update
// that it stranded, if none waited at first.
func (t *Timeline) onset() time.Time {
	if t.Stranded.IsZero() {
		return t.Inject
	}
	return t.Stranded
}

// Timings are durations in seconds, nil where the timeline has no end for them.
type Timings struct {
	Detect      *float64 `json:"detect,omitempty"`       // injection to detection
	Switch      *float64 `json:"switch,omitempty"`       // onset to the first poll's answer
	FirstUpdate *float64 `json:"first_update,omitempty"` // onset to the first update by polling
	Failback    *float64 `json:"failback,omitempty"`     // removal to the proven webhook
	Recovery    *float64 `json:"recovery,omitempty"`     // removal to the steady state
}

// WarningSeen is a warning that was shown in a run.
type WarningSeen struct {
	Code     string    `json:"code"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Expected bool      `json:"expected"`
}

// Stage is the part of a run in which a sample was taken.
type Stage string

// The stages of a run.
const (
	StageGate     Stage = "gate"
	StageFault    Stage = "fault"
	StageRecovery Stage = "recovery"
	StageDone     Stage = "done"
)

// Sample is one look at the host.
type Sample struct {
	At    time.Time `json:"at"`
	Stage Stage     `json:"stage"`
	Facts Facts     `json:"facts"`
	// Fired counts the units hit so far by all faults.
	Fired uint64 `json:"fired"`
	// Unmet are the names of the probes that did not hold.
	Unmet []string `json:"unmet,omitempty"`
	Error string   `json:"error,omitempty"`
}
