package e2e_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"dualgram/chaos/matrix"
	"dualgram/chaos/telegramsim"
)

var (
	matrixSeeds = flag.Int("matrix.seeds", 0, "how many runs of each row TestMatrix makes; 0: none, TestOutage is what is tested")
	matrixRow   = flag.String("matrix.row", "", "only the rows whose name matches this expression")
	matrixJSON  = flag.String("matrix.json", "", "write the samples of all runs to this file")
)

// realRate is the traffic of the real rows, in updates a second.
const realRate = 20

// realRow is one row of the fault matrix with real sockets.
type realRow struct {
	outage
	did   string
	local bool
	alarm bool // a false alarm: it lasts for a while, and the mode stays
}

func realRows() []realRow {
	did := map[string]realRow{
		"connection refused, at the default pace":      {did: "the port is closed, open connections are cut"},
		"every byte vanishes":                          {did: "connections are taken, and every byte vanishes"},
		"connections are reset":                        {did: "each connection is reset at once"},
		"a proxy answers 502":                          {did: "a proxy that ends TLS answers 502, and nothing reaches us"},
		"bodies never arrive":                          {did: "a proxy hands the headers on, and the body never follows"},
		"a proxy no longer names the client":           {did: "a proxy leaves X-Forwarded-For out", local: true},
		"refused, and one call to the Bot API is lost": {did: "the port is closed, and the answer to deleteWebhook never comes"},
	}
	var rows []realRow
	for _, o := range outages {
		r, ok := did[o.name]
		if !ok {
			continue
		}
		r.outage = o
		rows = append(rows, r)
	}
	return append(rows,
		realRow{did: "the line takes 150 ms for each chunk, for 15 s", alarm: true, outage: outage{name: "slow line",
			begin: func(w *world, _ *front) { w.path.slow(150 * time.Millisecond) },
			heal:  func(w *world, _ *front) { w.path.slow(0) }}},
		realRow{did: "the process is stopped for 8 s (SIGSTOP) and goes on", alarm: true, outage: outage{name: "process paused",
			begin: func(w *world, _ *front) {
				p := w.procs[len(w.procs)-1]
				p.signal(syscall.SIGSTOP)
				time.Sleep(8 * time.Second)
				p.signal(syscall.SIGCONT)
			},
			heal: func(*world, *front) {}}},
		realRow{did: "getWebhookInfo answers 429 for 15 s", alarm: true, outage: outage{name: "getWebhookInfo answers 429",
			begin: func(w *world, _ *front) {
				w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultTooMany, Method: "getWebhookInfo", RetryAfter: 5})
			},
			heal: func(w *world, _ *front) { w.sim.ClearFaults() }}},
	)
}

// TestMatrix measures some rows of the fault matrix with the real binary on real
// sockets, for `make matrix`.
func TestMatrix(t *testing.T) {
	if *matrixSeeds == 0 {
		t.Skip("needs -matrix.seeds; TestOutage tests the same outages")
	}
	match := regexp.MustCompile(*matrixRow)
	var mu sync.Mutex
	samples := map[string][]matrix.Sample{}
	rows := realRows()
	t.Run("runs", func(t *testing.T) {
		for _, r := range rows {
			for seed := range uint64(*matrixSeeds) {
				if !match.MatchString(r.name) {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d", r.name, seed+1), func(t *testing.T) {
					s := r.measure(t, seed+1)
					mu.Lock()
					defer mu.Unlock()
					samples[r.name] = append(samples[r.name], s)
					fmt.Fprintf(os.Stderr, "matrix, real: %s, run %d\n", r.name, seed+1)
				})
			}
		}
	})
	res := matrix.NewResults(fmt.Sprintf("go test ./cmd/dualgram/e2e -run TestMatrix -matrix.seeds=%d", *matrixSeeds), 1, *matrixSeeds)
	for _, r := range rows {
		if len(samples[r.name]) == 0 {
			continue
		}
		row := matrix.Row{Name: r.name, Kind: matrix.Outage, Real: true, Did: r.did, Local: r.local, Samples: samples[r.name]}
		if r.alarm {
			row.Kind = matrix.FalseAlarm
		}
		row.Sort()
		res.Rows = append(res.Rows, row)
		for _, v := range row.Violations() {
			t.Errorf("%s: %s", r.name, v)
		}
	}
	if *matrixJSON != "" {
		if err := res.Write(*matrixJSON); err != nil {
			t.Error(err)
		}
	}
}

// measure makes one run of the row.
func (r *realRow) measure(t *testing.T, seed uint64) matrix.Sample {
	w := newWorld(t)
	w.conf.Failover = "hold_down: 1s" // the default pace in all else
	var f *front
	if r.prepare != nil {
		f = r.prepare(w)
	}
	p := w.run()
	w.steady(p)
	time.Sleep(time.Duration(rand.New(rand.NewPCG(seed, 1)).Int64N(int64(2 * time.Second)))) // the phase of its clocks
	s := matrix.Sample{Seed: seed, Rate: realRate, Detect: matrix.None, Decide: matrix.None, Switch: matrix.None, First: matrix.None,
		Longest: matrix.None, Failback: matrix.None, Fired: 1, Working: true}
	before, err := p.first()
	if err != nil {
		t.Fatal(err)
	}
	onset := time.Now()
	r.begin(w, f)
	if r.alarm {
		time.Sleep(15 * time.Second)
	} else {
		b := p.phase("polling", 30*time.Second)
		if h := b.LastHandover; h != nil {
			s.Decide, s.Switch = max(0, h.StartedAt.Sub(onset)), max(0, h.FinishedAt.Sub(onset))
			s.Signals = []string{h.Reason}
		}
		w.flows(p, "polling")
	}
	r.heal(w, f)
	healed := time.Now()
	if r.alarm {
		time.Sleep(5 * time.Second)
	}
	after := p.phase("webhook", time.Minute)
	if !r.alarm {
		s.Failback = time.Since(healed)
	}
	w.flows(p, "webhook")
	v := w.settle(time.Minute, 0)
	s.Sent, s.Lost, s.Doubled, s.Reordered = v.Sent, v.Sent-v.Delivered, v.Repeats, v.Reordered
	s.Changes = int(after.Epoch - before.Epoch)
	truth := must(w.sim.Bot(w.botID))
	for _, g := range truth.Webhooks {
		if g.To.After(onset) {
			s.Failovers++
		}
	}
	r.waits(w, &s, truth, onset)
	p.stop()
	return s
}

// waits measures by the bot's own record how long updates waited.
func (r *realRow) waits(w *world, s *matrix.Sample, truth telegramsim.BotTruth, onset time.Time) {
	took := map[int64]taken{}
	var first, stranded time.Time
	for _, t := range w.bot.record() {
		if _, again := took[t.ID]; !again {
			took[t.ID] = t
		}
		if t.Source == "polling" && t.At.After(onset) && first.IsZero() {
			first = t.At
		}
	}
	for _, u := range truth.Updates {
		t, ok := took[u.ID]
		if !ok || !t.At.After(onset) {
			continue
		}
		from := u.PushedAt
		if from.Before(onset) {
			from = onset
		}
		s.Longest = max(s.Longest, t.At.Sub(from))
		if t.Source == "polling" && (stranded.IsZero() || from.Before(stranded)) {
			stranded = from
		}
	}
	if !first.IsZero() && !stranded.IsZero() {
		s.First = max(0, first.Sub(stranded))
		if !r.alarm && s.Decide != matrix.None && stranded.After(onset) {
			// As in virtual time: what was decided before anything waited counts from
			// the onset.
			shift := stranded.Sub(onset)
			if s.Decide >= shift {
				s.Decide, s.Switch = s.Decide-shift, s.Switch-shift
			}
		}
	}
}
