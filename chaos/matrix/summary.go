package matrix

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
)

// SummarySchema names the form of what [Report.JSON] writes.
const SummarySchema = "dualgram.fault-matrix/1"

// summary is the report for programs: seconds, and -1 for what never came.
type summary struct {
	Schema   string       `json:"schema"`
	Command  string       `json:"command"`
	Revision string       `json:"revision"`
	Rows     []summaryRow `json:"rows"`
}

type summaryRow struct {
	Name       string        `json:"name"`
	Kind       Kind          `json:"kind"`
	Real       bool          `json:"real,omitempty"`
	Did        string        `json:"did"`
	Local      bool          `json:"local,omitempty"`
	Signals    []string      `json:"signals,omitempty"`
	Rates      []summaryRate `json:"rates"`
	Violations []string      `json:"violations,omitempty"`
}

type summaryRate struct {
	Rate      float64    `json:"rate"`
	Runs      int        `json:"runs"`
	Seeds     []uint64   `json:"seeds"`
	Detect    spread     `json:"detect"`
	Decide    spread     `json:"decide"`
	Switch    spread     `json:"switch"`
	First     spread     `json:"first"`
	FirstAll  []duration `json:"first_by_seed"`
	Longest   spread     `json:"longest_wait"`
	Failback  spread     `json:"failback"`
	Sent      int        `json:"sent"`
	Lost      int        `json:"lost"`
	Doubled   int        `json:"doubled"`
	Reordered int        `json:"reordered"`
	Eaten     int        `json:"eaten,omitempty"`
	Failovers int        `json:"failovers_most"`
	Changes   int        `json:"changes_most"`
}

type spread struct {
	Count int      `json:"count"`
	P50   duration `json:"p50"`
	P99   duration `json:"p99"`
	Max   duration `json:"max"`
}

// duration is written as seconds with three decimals.
type duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d duration) MarshalJSON() ([]byte, error) {
	if time.Duration(d) == None {
		return []byte("-1"), nil
	}
	return strconv.AppendFloat(nil, time.Duration(d).Seconds(), 'f', 3, 64), nil
}

// JSON writes the report for programs, each rate of a row by itself.
func (r *Report) JSON(w io.Writer) error {
	out := summary{Schema: SummarySchema, Command: r.Command, Revision: r.Revision}
	for _, k := range Kinds() {
		for _, row := range r.rows(k) {
			s := summaryRow{Name: row.Name, Kind: row.Kind, Real: row.Real, Did: row.Did, Local: row.Local, Signals: row.Signals(), Violations: row.Violations()}
			for _, rate := range row.Rates() {
				s.Rates = append(s.Rates, row.at(rate).summary(rate))
			}
			out.Rows = append(out.Rows, s)
		}
	}
	b, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		return fmt.Errorf("matrix: %w", err)
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// at is the row with the samples of one rate only.
func (r *Row) at(rate float64) *Row {
	one := *r
	one.Samples = nil
	for _, s := range r.Samples {
		if s.Rate == rate {
			one.Samples = append(one.Samples, s)
		}
	}
	return &one
}

func (r *Row) summary(rate float64) summaryRate {
	of := func(f func(Sample) time.Duration) spread {
		s := r.Spread(f)
		return spread{s.Count, duration(s.P50), duration(s.P99), duration(s.Max)}
	}
	rows := []Row{*r}
	out := summaryRate{Rate: rate, Runs: len(r.Samples), Detect: of(detect), Decide: of(decide), Switch: of(switched), First: of(first),
		Longest: of(longest), Failback: of(failback), Sent: total(rows, sent), Lost: total(rows, lost), Doubled: total(rows, doubled),
		Reordered: total(rows, reordered), Eaten: total(rows, eaten), Failovers: most(*r, failovers), Changes: most(*r, changes)}
	for _, s := range r.Samples {
		out.Seeds = append(out.Seeds, s.Seed)
		out.FirstAll = append(out.FirstAll, duration(s.First))
	}
	return out
}
