// Package drill rehearses outages: it breaks something on purpose, watches
// whether the host does what it promises, heals, and writes down the evidence.
//
// The guarantee: whatever becomes of a drill, its fault ends. It is removed on
// success, on a stop condition, on a halt, when the context ends, on a panic;
// and if the runner itself hangs or dies, the fault's lease of [LeaseFor] runs
// out, because only a living runner renews it, and nobody renews it beyond the
// time that the experiment gives it. A run whose fault never fired is
// [Invalid] and never a success; one after which the steady state did not return
// is [NotRecovered] however well the rest went.
//
// # A run
//
// A run goes through phases, each sampled once a second:
//
//	gate      the hypothesis must hold for its hold time, or the run is not_started
//	fault     the method's faults are injected with leases; stop conditions are judged
//	recovery  all faults are gone; the hypothesis must hold again within recover_within
//
// [Policy] decides beforehand whether a drill may begin at all: off and leashed
// by default, windows, freezes, a minimum interval, no drill in or soon after a
// real incident. It is a pure function and takes the time as an argument, as
// does [Schedule].
//
// # What belongs to whom
//
// A [Host] is what is drilled: it tells its [Facts] and injects faults.
// [Drills] is the office of one bot: it lets one run begin at a time, keeps the
// halt lever, runs the schedule, and writes a [Record] for each run and each
// pull of the lever into a [Store]. The records form a hash chain, see [Verify]; one
// that the store didn't take is owed, and written before whatever comes next. What is
// due while nothing can run is not caught up: the run is missed, and a drill that has
// not held for two of its schedule's periods is overdue, see [Plan].
//
// # For those who use Chaos Toolkit
//
// The file has its shape and, where the same thing exists, its words; the
// journal has its keys with their meaning. testdata/chaostoolkit.yaml is
// templates/certificate-expired.yaml in its format. What maps to what:
//
//	Chaos Toolkit                          here
//	title, description, tags               the same
//	steady-state-hypothesis, probes        the same; a probe's provider and tolerance are one expr
//	--hypothesis-strategy                  each probe's phase: before, during, after
//	--hypothesis-frequency                 once a second
//	--fail-fast, safeguards (an addon)     stop_when
//	method, an action's provider           method, fault and its params
//	pauses.before and .after, background   the same, as durations
//	rollbacks                              removing faults needs none; failback and ack may be asked for
//	--rollback-strategy                    always: faults end whatever happens
//	--dry                                  a dry run of the guards and the gate
//	status, deviated, steady_states, run   the same; outcome says more
//	exit code 0 or 1                       one for each outcome, see [Outcome.ExitCode]
//	(none)                                 leases, expect, recover_within, windows, the halt lever, the schedule
package drill
