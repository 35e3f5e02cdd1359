package matrix

import (
	"fmt"
	"slices"
	"time"
)

// Kind says what is expected of a row.
type Kind string

// The kinds of rows, in the order in which they are shown.
const (
	Outage     Kind = "outage"      // the mode moves in time, and comes back
	FalseAlarm Kind = "false_alarm" // the mode stays
	Flapping   Kind = "flapping"    // the mode moves a few times at most
)

// Kinds are all kinds in their order.
func Kinds() []Kind { return []Kind{Outage, FalseAlarm, Flapping} }

// The bounds of the guarantee.
const (
	// Budget is the most that an update may wait for the first one that the
	// standby brings, in every run.
	Budget = 10 * time.Second
	// LocalMedian is the same for the median of the runs, for faults that the
	// host itself can see.
	LocalMedian = 3 * time.Second
	// FlappingFailovers is the most that an hour of flapping may cost.
	FlappingFailovers = 4
	// FailbackMost is the most that the way back may take after the fault's end:
	// a hold-down doubled twice, and the proof.
	FailbackMost = 6 * time.Minute
)

// backlogRate is the traffic at which the backlog of an outage takes longer to
// drain than the outage took to see: a page of getUpdates has 100 updates.
const backlogRate = 200

// Row is one fault with its runs.
type Row struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// Real: measured with real sockets and a real process, in real time.
	Real bool `json:"real,omitempty"`
	// Did says in words what was done.
	Did string `json:"did"`
	// Local: the host can see the fault without Telegram's help.
	Local bool `json:"local,omitempty"`
	// Wait bounds how long any update may wait, at rates at which a backlog drains
	// quickly; 0: unbounded, because of the fault's own nature.
	Wait time.Duration `json:"wait,omitempty"`
	// Stays: an outage that a failover can't help, or that begins in polling;
	// the mode may stay.
	Stays   bool     `json:"stays,omitempty"`
	Samples []Sample `json:"samples"`
}

// Sort brings the samples in the order of rate and seed, whatever the order in
// which the runs ended.
func (r *Row) Sort() {
	slices.SortFunc(r.Samples, func(a, b Sample) int {
		switch {
		case a.Rate != b.Rate && a.Rate < b.Rate:
			return -1
		case a.Rate != b.Rate:
			return 1
		case a.Seed < b.Seed:
			return -1
		case a.Seed > b.Seed:
			return 1
		}
		return 0
	})
}

// Violations says in sentences where the row breaks its bounds; none means that
// it holds.
func (r *Row) Violations() (out []string) {
	bad := func(s Sample, format string, args ...any) {
		out = append(out, fmt.Sprintf("rate %g, seed %d: %s", s.Rate, s.Seed, fmt.Sprintf(format, args...)))
	}
	if len(r.Samples) == 0 {
		return []string{"no run"}
	}
	for _, s := range r.Samples {
		r.sampleViolations(s, bad)
	}
	if f := r.Spread(first); r.Local && f.Count > 0 && f.P50 > LocalMedian {
		out = append(out, fmt.Sprintf("the median of the first update by the standby is %v, over %v", f.P50, LocalMedian))
	}
	return out
}

func (r *Row) sampleViolations(s Sample, bad func(Sample, string, ...any)) {
	for _, p := range s.Problems {
		bad(s, "%s", p)
	}
	if s.Lost+s.Doubled+s.Reordered > 0 {
		bad(s, "%d lost, %d doubled, %d reordered", s.Lost, s.Doubled, s.Reordered)
	}
	if s.Late > 0 {
		bad(s, "%d updates were eaten after the switch", s.Late)
	}
	if !s.Working {
		bad(s, "it did not end in a mode that takes updates in")
	}
	if s.Fired == 0 {
		bad(s, "the fault never acted, so the run proves nothing")
	}
	switch r.Kind {
	case Outage:
		if s.First > Budget {
			bad(s, "the first update by the standby came after %v", s.First.Round(time.Millisecond))
		}
		if s.Failback > FailbackMost {
			bad(s, "the webhook came back %v after the fault's end", s.Failback.Round(time.Second))
		}
		if s.Eaten > 0 && (s.Switch == None || s.Switch > Budget) {
			bad(s, "updates were eaten for %v", s.Switch.Round(time.Millisecond))
		}
		switch {
		case s.Failovers > 0 || r.Stays:
		case s.Changes > 0:
			bad(s, "it was not taken for an outage: %d changes of mode by %v and no failover", s.Changes, s.Signals)
		default:
			bad(s, "the mode stayed")
		}
	case FalseAlarm:
		if s.Failovers > 0 {
			bad(s, "%d failovers, by %v", s.Failovers, s.Signals)
		}
	case Flapping:
		if s.Failovers > FlappingFailovers {
			bad(s, "%d failovers", s.Failovers)
		}
	}
	if r.Wait > 0 && s.Rate < backlogRate && s.Longest > r.Wait {
		bad(s, "an update waited %v", s.Longest.Round(time.Millisecond))
	}
}

// Spread is a distribution over the runs in which there was something to
// measure.
type Spread struct {
	Count int           `json:"count"`
	P50   time.Duration `json:"p50"`
	P99   time.Duration `json:"p99"`
	Max   time.Duration `json:"max"`
}

// Spread describes one figure of the samples. A percentile is the nearest rank:
// a value that was measured.
func (r *Row) Spread(of func(Sample) time.Duration) Spread {
	var d []time.Duration
	for _, s := range r.Samples {
		if v := of(s); v != None {
			d = append(d, v)
		}
	}
	if len(d) == 0 {
		return Spread{}
	}
	slices.Sort(d)
	rank := func(percent int) time.Duration { return d[max(0, (len(d)*percent+99)/100-1)] }
	return Spread{Count: len(d), P50: rank(50), P99: rank(99), Max: d[len(d)-1]}
}

// Signals lists what caused the failovers, the most frequent first.
func (r *Row) Signals() []string {
	count := map[string]int{}
	var names []string
	for _, s := range r.Samples {
		for _, n := range s.Signals {
			if count[n] == 0 {
				names = append(names, n)
			}
			count[n]++
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if count[a] != count[b] {
			return count[b] - count[a]
		}
		if a < b {
			return -1
		}
		return 1
	})
	return names
}

// Rates lists the rates of the samples, in order.
func (r *Row) Rates() (rates []float64) {
	for _, s := range r.Samples {
		if !slices.Contains(rates, s.Rate) {
			rates = append(rates, s.Rate)
		}
	}
	slices.Sort(rates)
	return rates
}
