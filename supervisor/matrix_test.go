package supervisor_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dualgram/chaos/matrix"

	"github.com/rs/zerolog"
)

var (
	matrixSeeds = flag.Int("matrix.seeds", 0, "how many seeds each row of TestMatrix runs at each rate; 0: one, of a few rows only")
	matrixSeed  = flag.Uint64("matrix.seed", 1, "first seed of TestMatrix")
	matrixRow   = flag.String("matrix.row", "", "only the rows whose name matches this expression")
	matrixRate  = flag.Float64("matrix.rate", -1, "only this rate; -1: all")
	matrixSlice = flag.Bool("matrix.slice", false, "the slice for CI: one rate for each row, 0.05 and 1 in turn")
	matrixPlant = flag.String("matrix.plant", "", "break dualgram on purpose: loss, double or late")
	matrixJSON  = flag.String("matrix.json", "", "write the samples of all runs to this file")
	matrixDir   = flag.String("matrix.dir", "", "where the ledgers of the runs are; one in memory saves the wait for the disk, which virtual time doesn't see")
	matrixLog   = flag.Bool("matrix.log", false, "show the log of each run")
)

// shortRows are what every test run looks at, with one seed and one rate.
var shortRows = []string{"certificate expired", "network black hole", "handler answers 500", "disk full", "scanners from Telegram's networks", "bot behind us is dead"}

// cell is one run of the matrix.
type cell struct {
	f    *fault
	rate float64
	seed uint64
}

func allFaults() []fault { return slices.Concat(outages(), falseAlarms(), flapping()) }

// cells are the runs that the flags ask for, the longest first so that they don't
// come last.
func cells(t *testing.T, faults []fault) (out []cell) {
	t.Helper()
	match, err := regexp.Compile(*matrixRow)
	if err != nil {
		t.Fatal(err)
	}
	for i := range faults {
		f := &faults[i]
		if !match.MatchString(f.name) {
			continue
		}
		short := *matrixSeeds == 0 && *matrixRow == ""
		if short && !slices.Contains(shortRows, f.name) {
			continue
		}
		rates := f.rates
		if rates == nil {
			rates = []float64{0.05, 1, 50}
		}
		if most := 1.0; short || *matrixSlice && f.kind != matrix.Flapping {
			rates = slices.DeleteFunc(slices.Clone(rates), func(r float64) bool { return r > most || short && r < most && len(rates) > 1 })
		} else if *matrixSlice {
			rates = []float64{most}
		}
		if *matrixSlice && len(rates) > 1 {
			rates = rates[i%2 : i%2+1]
		}
		for _, rate := range rates {
			if *matrixRate >= 0 && rate != *matrixRate {
				continue
			}
			for n := range seedsAt(rate, f.kind) {
				out = append(out, cell{f, rate, *matrixSeed + uint64(n)})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b cell) int { return cmp.Compare(weight(b), weight(a)) })
	return out
}

// seedsAt spends fewer seeds where a run costs more.
func seedsAt(rate float64, kind matrix.Kind) int {
	n := max(*matrixSeeds, 1)
	switch {
	case rate >= 500:
		return max(1, n/5)
	case rate >= 50, kind == matrix.Flapping:
		return max(1, n/2)
	}
	return n
}

func weight(c cell) float64 {
	w := c.rate
	if c.f.kind == matrix.Flapping {
		w = 100 * (1 + c.rate)
	}
	return w
}

// TestMatrix runs the fault matrix in virtual time and holds each row to its
// bounds. Without flags it is a short slice of it.
func TestMatrix(t *testing.T) {
	log := zerolog.Nop()
	if *matrixLog {
		zerolog.TimeFieldFormat = time.RFC3339Nano
		log = zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, NoColor: true, TimeFormat: "15:04:05.000"}).With().Timestamp().Logger()
	}
	faults := allFaults()
	all := cells(t, faults)
	if len(all) == 0 {
		t.Fatal("no row has such a name")
	}
	var mu sync.Mutex
	samples := map[string][]matrix.Sample{}
	done, began := 0, time.Now()
	t.Run("runs", func(t *testing.T) {
		for _, c := range all {
			t.Run(fmt.Sprintf("%s/%g/%d", c.f.name, c.rate, c.seed), func(t *testing.T) {
				t.Parallel()
				s := runFault(t, c.f, c.rate, c.seed, *matrixPlant, log)
				mu.Lock()
				defer mu.Unlock()
				samples[c.f.name] = append(samples[c.f.name], s)
				if one := c.f.row(s); len(one.Violations()) > 0 {
					fmt.Fprintf(os.Stderr, "matrix: %s: %s\n", c.f.name, one.Violations()[0])
				}
				if done++; done%25 == 0 || time.Since(began) > 10*time.Second && done == len(all) {
					fmt.Fprintf(os.Stderr, "matrix: %d of %d runs, %v\n", done, len(all), time.Since(began).Round(time.Second))
				}
			})
		}
	})
	res := matrix.NewResults("go test ./supervisor -run TestMatrix "+strings.Join(matrixFlags(), " "), *matrixSeed, *matrixSeeds)
	for i := range faults {
		f := &faults[i]
		if len(samples[f.name]) == 0 {
			continue
		}
		row := f.row(samples[f.name]...)
		row.Sort()
		res.Rows = append(res.Rows, row)
		for _, v := range row.Violations() {
			t.Errorf("%s: %s\n\treplay: %s", f.name, v, replay(f.name))
		}
	}
	if *matrixJSON != "" {
		if err := res.Write(*matrixJSON); err != nil {
			t.Error(err)
		}
	}
}

func (f *fault) row(samples ...matrix.Sample) matrix.Row {
	return matrix.Row{Name: f.name, Kind: f.kind, Did: f.did, Local: f.local, Stays: f.stays, Wait: f.wait, Samples: samples}
}

func replay(name string) string {
	return fmt.Sprintf("go test ./supervisor -run '^TestMatrix$' -matrix.row '^%s$' -matrix.rate RATE -matrix.seed SEED -matrix.log", regexp.QuoteMeta(name))
}

// matrixFlags are the flags that decide what is run.
func matrixFlags() (out []string) {
	flag.Visit(func(f *flag.Flag) {
		if strings.HasPrefix(f.Name, "matrix.") && f.Name != "matrix.json" && f.Name != "matrix.dir" && f.Name != "matrix.log" {
			out = append(out, "-"+f.Name+"="+f.Value.String())
		}
	})
	return out
}

// TestMatrixRows: names are unique, and everything is said in words.
func TestMatrixRows(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range allFaults() {
		if seen[f.name] {
			t.Errorf("two rows are named %q", f.name)
		}
		seen[f.name] = true
		if f.did == "" || f.begin == nil || f.kind == "" {
			t.Errorf("row %q says too little", f.name)
		}
	}
	for _, name := range shortRows {
		if !seen[name] {
			t.Errorf("no row is named %q", name)
		}
	}
}
