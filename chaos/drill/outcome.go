package drill

// Outcome is how a run ended. The set is closed.
type Outcome string

// The outcomes.
const (
	// Held: the fault fired, the hypothesis and the expectations held, and the
	// steady state returned in time.
	Held Outcome = "held"
	// Deviated: the drill ran to its end, and something was not as expected.
	Deviated Outcome = "deviated"
	// NotStarted: a guard refused, or the steady state did not hold beforehand.
	// Nothing was injected.
	NotStarted Outcome = "not_started"
	// Aborted: a stop condition, the halt lever or a failure to inject or to
	// renew ended it.
	Aborted Outcome = "aborted"
	// NotRecovered: the steady state did not return within recover_within after
	// the faults had gone, however the rest went. It needs a person.
	NotRecovered Outcome = "not_recovered"
	// Invalid: a fault of the method never fired, so nothing was proved.
	Invalid Outcome = "invalid"
	// Interrupted: the caller went away or ended it: Ctrl-C, the host's shutdown.
	Interrupted Outcome = "interrupted"
)

// Outcomes lists them all.
func Outcomes() []Outcome {
	return []Outcome{Held, Deviated, NotStarted, Aborted, NotRecovered, Invalid, Interrupted}
}

// ExitCode is that of "dualgram drill run".
func (o Outcome) ExitCode() int {
	switch o {
	case Held:
		return 0
	case Deviated:
		return 1
	case Aborted:
		return 4
	case NotRecovered:
		return 5
	case Invalid:
		return 6
	case Interrupted:
		return 130
	default: // NotStarted
		return 3
	}
}

// ctkVersion stands where Chaos Toolkit's journal has its library's version.
const ctkVersion = "none: written by dualgram"

// ctkStatus is the status of Chaos Toolkit's journal that comes nearest: one of
// completed, failed, aborted, interrupted (chaostoolkit-lib, chaoslib/run.py).
func (o Outcome) ctkStatus() string {
	switch o {
	case Held, Deviated, NotRecovered, Invalid:
		return "completed"
	case NotStarted:
		return "failed"
	case Interrupted:
		return "interrupted"
	default:
		return "aborted"
	}
}
