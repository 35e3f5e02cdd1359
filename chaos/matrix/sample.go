package matrix

import "time"

// None stands for a moment that never came.
const None time.Duration = -1

// Sample is what one run came to. Its times are counted from the fault's onset
// or, where no update waited then, from the first update that the fault
// stranded; [None] where there was nothing to measure.
type Sample struct {
	Seed uint64  `json:"seed"`
	Rate float64 `json:"rate"` // updates per second

	Detect time.Duration `json:"detect"` // the first signal that moves the mode tripped
	Decide time.Duration `json:"decide"` // the decision was on disk
	Switch time.Duration `json:"switch"` // getUpdates answered
	First  time.Duration `json:"first"`  // the bot took the first update that polling brought
	// Longest is the longest that any update waited for the bot to take it,
	// counted from the onset for one that was older.
	Longest time.Duration `json:"longest"`
	// Failback is the time from the fault's end to the last registration of the
	// webhook.
	Failback time.Duration `json:"failback"`

	Sent      int `json:"sent"`
	Lost      int `json:"lost"`
	Doubled   int `json:"doubled"`
	Reordered int `json:"reordered"`
	// Eaten counts updates that somebody in front of the webhook acknowledged
	// in its place: they are gone before anybody can know, and not counted as
	// lost. Late are those of them that were eaten after the switch.
	Eaten int `json:"eaten,omitempty"`
	Late  int `json:"late,omitempty"`
	// Failovers counts the times that the mode went to polling because of the
	// webhook, Changes all changes of mode.
	Failovers int `json:"failovers"`
	Changes   int `json:"changes"`
	// Signals are the causes of the failovers, in their order.
	Signals []string `json:"signals,omitempty"`
	// Fired counts how often the fault acted, where it counts that.
	Fired uint64 `json:"fired"`
	// Working: at the end the bot was in a mode that took updates in.
	Working bool `json:"working"`
	// Problems are the judge's sentences about what went wrong.
	Problems []string `json:"problems,omitempty"`
}
