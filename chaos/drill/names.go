package drill

import (
	"slices"
	"time"
)

// View is what an expression is judged by: a host's facts and what the drill
// itself knows.
type View struct {
	Facts
	// Base are the counts when the drill began.
	Base Counts
	// Began is when the drill began, Inject when the first fault was injected
	// (zero before).
	Began, Inject time.Time
	// Timeline is as far as it is known.
	Timeline Timeline
	// Failovers counts the decisions to fail over since the injection.
	Failovers int
	// Fired counts the units hit so far.
	Fired uint64
	// Expected are the warnings that are no surprise: those of the experiment, and
	// those that were shown before the injection.
	Expected []string
}

// Name is a name that an expression may use.
type Name struct {
	Name string
	Type valueType
	Doc  string
	// Values are all that a word can be; nil if that is open.
	Values []string
	get    func(*View) value
}

// Names documents the names that an expression may use.
func Names() []Name { return names() }

func names() []Name {
	count := func(of func(Counts) int64) func(*View) value {
		return func(v *View) value { return number(float64(of(v.Counts.Sub(v.Base)))) }
	}
	flag := func(of func(*View) bool) func(*View) value {
		return func(v *View) value { return boolean(of(v)) }
	}
	return []Name{
		{"mode", typeText, "how updates are taken in", []string{"webhook", "polling", "none"}, func(v *View) value { return word(v.Mode) }},
		{"phase", typeText, "the mode in detail", []string{"starting", "webhook", "to_polling", "polling", "to_webhook", "held"}, func(v *View) value { return word(v.Phase) }},
		{"trial", typeBool, "the webhook is set and not yet proven", nil, flag(func(v *View) bool { return v.Trial })},
		{"standby_ready", typeBool, "polling could take over now", nil, flag(func(v *View) bool { return v.StandbyReady })},
		{"frozen", typeBool, "failback is frozen until it is acknowledged", nil, flag(func(v *View) bool { return v.Frozen })},
		{"held", typeBool, "the automation is paused by an operator", nil, flag(func(v *View) bool { return v.Held })},
		{"pinned", typeBool, "the mode is pinned by an operator", nil, flag(func(v *View) bool { return v.Pinned })},
		{"pending", typeNumber, "updates that wait at Telegram; unknown while it can't be asked", nil, func(v *View) value {
			if v.Pending == nil {
				return unknownValue(typeNumber)
			}
			return number(float64(*v.Pending))
		}},
		{"oldest_pending_age", typeDuration, "how long updates have been waiting at Telegram without a break, 0s if none waits; unknown while it can't be asked", nil, func(v *View) value {
			if v.Pending == nil {
				return unknownValue(typeDuration)
			}
			return age(v.At, v.PendingSince)
		}},
		{"waiting", typeNumber, "updates in the inbox that the bot has not taken", nil, func(v *View) value { return number(float64(v.Waiting)) }},
		{"oldest_waiting_age", typeDuration, "how long the oldest of them has been there, 0s if none", nil, func(v *View) value { return age(v.At, v.OldestWaiting) }},
		{"open_holes", typeNumber, "update_ids that are missing between those that came", nil, func(v *View) value { return number(float64(v.OpenHoles)) }},
		{"received", typeNumber, "new updates since the drill began", nil, count(func(c Counts) int64 { return c.ReceivedWebhook + c.ReceivedPolling })},
		{"received_webhook", typeNumber, "of these, by webhook", nil, count(func(c Counts) int64 { return c.ReceivedWebhook })},
		{"received_polling", typeNumber, "of these, by long polling", nil, count(func(c Counts) int64 { return c.ReceivedPolling })},
		{"duplicates", typeNumber, "updates that came again since the drill began", nil, count(func(c Counts) int64 { return c.Duplicates })},
		{"delivered", typeNumber, "updates that the bot took since the drill began", nil, count(func(c Counts) int64 { return c.Delivered })},
		{"lost", typeNumber, "updates lost since the drill began", nil, count(func(c Counts) int64 { return c.Lost })},
		{"dead", typeNumber, "updates buried since the drill began", nil, count(func(c Counts) int64 { return c.Dead })},
		{"registrations", typeNumber, "calls of setWebhook and deleteWebhook since the drill began", nil, count(func(c Counts) int64 { return c.Registrations })},
		{"warnings", typeList, "codes of the warnings that are shown", nil, func(v *View) value { return words(v.Warnings) }},
		{"warning_count", typeNumber, "how many there are", nil, func(v *View) value { return number(float64(len(v.Warnings))) }},
		{"unexpected_warnings", typeNumber, "how many of them the experiment does not expect and were not there before the fault", nil, func(v *View) value {
			n := 0
			for _, w := range v.Warnings {
				if !slices.Contains(v.Expected, w) {
					n++
				}
			}
			return number(float64(n))
		}},
		{"signals", typeList, "signals that hold and move the mode", nil, func(v *View) value { return words(v.Signals) }},
		{"telegram_error", typeBool, "Telegram has reported a failed delivery since the drill began", nil, flag(func(v *View) bool { return v.TelegramErrorAt.After(v.Began) })},
		{"fault_age", typeDuration, "time since the first injection; unknown before", nil, func(v *View) value { return since(v.Inject, v.At) }},
		{"detect_duration", typeDuration, "from the injection to the first signal; unknown until then", nil, func(v *View) value { return since(v.Inject, v.Timeline.Detect) }},
		{"switch_duration", typeDuration, "from the injection, or from the earliest time at which the first update can have been left waiting, to the first answer to polling; unknown until then", nil, func(v *View) value { return since(v.Timeline.onset(), v.Timeline.FirstPoll) }},
		{"first_update_duration", typeDuration, "from the same time to the first update by polling; unknown until then", nil, func(v *View) value { return since(v.Timeline.onset(), v.Timeline.FirstUpdate) }},
		{"failovers", typeNumber, "failovers decided since the first injection", nil, func(v *View) value { return number(float64(v.Failovers)) }},
		{"fired", typeNumber, "how often the faults have acted", nil, func(v *View) value { return number(float64(v.Fired)) }},
	}
}

// age is how long ago something began, 0 if it is not so.
func age(now, from time.Time) value {
	if from.IsZero() {
		return span(0)
	}
	return span(max(0, now.Sub(from)))
}

// since is the time between two that may not have come yet.
func since(from, to time.Time) value {
	if from.IsZero() || to.IsZero() {
		return unknownValue(typeDuration)
	}
	return span(max(0, to.Sub(from)))
}
