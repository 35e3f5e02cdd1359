package supervisor_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/telegramsim"
	"dualgram/store"
	"dualgram/supervisor"
	"dualgram/transport"

	"github.com/rs/zerolog"
)

var (
	simRuns  = flag.Int("sim.runs", 0, "how many seeds TestSimulate runs; 0: 50, or 8 with -short")
	simSeed  = flag.Uint64("sim.seed", 1, "first seed of TestSimulate")
	simPlant = flag.String("sim.plant", "", "break dualgram on purpose: loss, double or late")
	simLog   = flag.Bool("sim.log", false, "show the log of each run")
	simAgain = flag.Int("sim.reproduce", 0, "how often TestReproduce repeats its seed; 0: not at all")
	simJSON  = flag.String("sim.json", "", "write the figures of all runs to this file")
)

// steps are the places where a run crashes; "" is a run without a crash.
var steps = []string{"", supervisor.StepIntentPersisted, supervisor.StepDeleteSent, supervisor.StepDeleteAcked,
	supervisor.StepPageFetched, supervisor.StepPageCommitted, supervisor.StepConfirmSent, supervisor.StepPollerJoined,
	supervisor.StepSetSent, supervisor.StepSetAcked, supervisor.StepModePersisted}

// plan is all that a seed decides.
type plan struct {
	Seed    uint64        `json:"seed"`
	Fault   string        `json:"fault"`
	Crash   string        `json:"crash,omitempty"` // the step to crash at, once, after the onset
	Restart time.Duration `json:"restart"`         // how long the host is down after it
	Rate    float64       `json:"rate"`            // updates a second
	Most    int           `json:"most"`            // updates by the traffic, 0: no limit
	Onset   time.Duration `json:"onset"`           // from the proven webhook
	Fault4  time.Duration `json:"fault_for"`
}

// faults of the plan. Those of the network outlive a crash of the host.
var planFaults = []string{"tls.expired", "tls.wrong_host", "tls.handshake_stall", "net.blackhole", "net.refuse", "net.reset",
	"net.stop_accept", "http.status", "http.hang", "http.panic", "network.blackhole", "network.refuse"}

func planOf(seed uint64) plan {
	r := rand.New(rand.NewPCG(seed, 0x5eed))
	p := plan{
		Seed: seed, Crash: steps[seed%uint64(len(steps))], Fault: planFaults[r.IntN(len(planFaults))],
		Restart: time.Duration(100+r.IntN(1900)) * time.Millisecond,
		Rate:    6 + 14*r.Float64(),
		Onset:   2*time.Second + time.Duration(r.IntN(4000))*time.Millisecond,
		Fault4:  8*time.Second + time.Duration(r.IntN(8000))*time.Millisecond,
	}
	if seed%10 == 7 {
		p.Rate, p.Most = 500, 8000
	}
	return p
}

// outcome is what became of a plan.
type outcome struct {
	Plan     plan          `json:"plan"`
	Figures  figures       `json:"figures"`
	Crashed  bool          `json:"crashed"`
	Through  bool          `json:"through"` // the crash came before polling had handed out an update
	Doubled  int           `json:"doubled"` // accepted as new more than once by the ledger
	Problems []string      `json:"problems,omitempty"`
	Took     time.Duration `json:"took"` // virtual
	Story    string        `json:"-"`    // what happened when, in virtual time
}

// auditLedger counts what the ledger accepts as new, and carries the planted
// faults.
type auditLedger struct {
	supervisor.Ledger
	mu    sync.Mutex
	fresh map[int64]int
	plant string
	done  bool
	again *store.Record
}

func (a *auditLedger) Accept(ctx context.Context, b transport.Batch) (transport.Receipt, error) {
	a.mu.Lock()
	lose := a.plant == "loss" && !a.done && len(a.fresh) > 150
	if lose {
		a.done = true
	}
	a.mu.Unlock()
	if lose { // acknowledged, and never stored
		b.Updates = append([]transport.Update(nil), b.Updates[1:]...)
		if len(b.Updates) == 0 {
			return transport.Receipt{Items: make([]transport.Item, 1)}, nil
		}
	}
	r, err := a.Ledger.Accept(ctx, b)
	if err == nil {
		a.mu.Lock()
		for i, u := range b.Updates {
			if r.Items[i].Status == transport.StatusNew {
				a.fresh[u.ID]++
			}
		}
		a.mu.Unlock()
		for lose && len(r.Items) <= len(b.Updates) {
			r.Items = append(r.Items, transport.Item{})
		}
	}
	return r, err
}

func (a *auditLedger) Next(now time.Time) (store.Record, bool, time.Duration, error) {
	r, ok, wait, err := a.Ledger.Next(now)
	a.mu.Lock()
	defer a.mu.Unlock()
	if ok && a.plant == "double" && !a.done && len(a.fresh) > 150 {
		a.done = true
		a.again = &r
	}
	return r, ok, wait, err
}

func (a *auditLedger) Done(ctx context.Context, ref store.Ref) error {
	a.mu.Lock()
	twice := a.again != nil && a.again.Ref == ref
	if twice {
		a.again = nil
	}
	a.mu.Unlock()
	if twice { // handed out again although the bot has it
		a.Release(ref)
		return nil
	}
	return a.Ledger.Done(ctx, ref)
}

// simulate carries out one plan in virtual time.
func simulate(t *testing.T, p plan, plant string, log zerolog.Logger) (o outcome) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		o = runPlan(t, p, plant, log)
		o.Took = time.Since(began)
	})
	return o
}

func runPlan(t *testing.T, p plan, plant string, log zerolog.Logger) (o outcome) {
	o.Plan = p
	problem := func(format string, args ...any) { o.Problems = append(o.Problems, fmt.Sprintf(format, args...)) }
	w := newWorld(t, p.Seed)
	w.log = log
	w.sim.SetKnobs(telegramsim.Knobs{Latency: 20 * time.Millisecond, LatencyMax: 200 * time.Millisecond})
	audit := &auditLedger{fresh: map[int64]int{}, plant: plant}
	w.tune = func(bo *supervisor.BotOptions) {
		audit.Ledger = bo.Ledger
		bo.Ledger = audit
		bo.Policy.Seed = p.Seed
		if plant == "late" {
			bo.Thresholds, bo.Budget = lateThresholds(), time.Minute
		}
	}
	var mu sync.Mutex
	armed, crashed := false, false
	var crashedAt time.Time
	hook := func(h *host, point string) error {
		mu.Lock()
		now := armed && !crashed && point == p.Crash
		if now {
			crashed, crashedAt = true, time.Now()
		}
		mu.Unlock()
		if now {
			h.crash()
			return errCrashed
		}
		return nil
	}
	h := w.start(hook)
	ctx, stop := context.WithCancel(t.Context())
	traffic := make(chan error, 1)
	go func() {
		traffic <- telegramsim.Traffic{Seed: p.Seed, Bot: w.botID, Rate: p.Rate, Max: p.Most, Chats: 12}.Run(ctx, w.sim)
	}()
	// await goes on with a fresh host if this one crashes.
	await := func(phase string, trial bool, most time.Duration) bool {
		for {
			err := h.await(phase, trial, most)
			if err == nil {
				return true
			}
			if err != errCrashed {
				problem("%v", err)
				return false
			}
			h.bury()
			time.Sleep(p.Restart)
			h = w.start(hook)
		}
	}
	await("webhook", false, 70*time.Second)
	time.Sleep(p.Onset)
	mu.Lock()
	armed = true
	mu.Unlock()
	onset := time.Now()
	end := w.inject(t, h, p.Fault)
	for i := range 5 { // waiting at the onset
		if _, err := w.sim.Push(w.botID, telegramsim.Update{Chat: int64(9000 + i), User: int64(9000 + i), Text: "waiting"}); err != nil {
			problem("push: %v", err)
		}
	}
	for left := p.Fault4; left > 0; left -= 100 * time.Millisecond {
		time.Sleep(100 * time.Millisecond)
		select {
		case <-h.dead:
			h.bury()
			time.Sleep(p.Restart)
			h = w.start(hook)
		default:
		}
	}
	end()
	await("webhook", false, 3*time.Minute)
	stop()
	<-traffic
	for i := 0; i < 600 && (w.sim.Pending(w.botID) > 0 || i < 20); i++ { // let it drain
		time.Sleep(100 * time.Millisecond)
		select {
		case <-h.dead:
			h.bury()
			h = w.start(hook)
		default:
		}
	}
	if err := h.stop(); err != nil {
		problem("stop: %v", err)
	}
	v := judge(w, onset)
	o.Figures, o.Crashed = v.Figures, crashed
	o.Through = crashed && crashedAt.Before(v.handed)
	o.Problems = append(o.Problems, v.Problems...)
	for id, n := range audit.fresh {
		if n > 1 {
			o.Doubled++
			problem("the ledger took update %d as new %d times", id, n)
		}
	}
	o.Problems = append(o.Problems, repeats(w, crashedAt)...)
	if v.Figures.Sent < 300 {
		problem("only %d updates were sent", v.Figures.Sent)
	}
	if !o.Through && (v.Figures.Failover > 10*time.Second || v.Figures.Failover == 0) {
		problem("failover took %v", v.Figures.Failover)
	}
	if p.Crash != "" && !crashed {
		problem("the run never came to %s", p.Crash)
	}
	for _, e := range w.story() {
		o.Story += fmt.Sprintln(e.At.Sub(onset), e.Kind, e.Epoch, e.From, e.To, e.Cause, e.Name, e.Level, e.Source, e.Error)
	}
	w.close()
	return o
}

// inject begins the fault and returns what ends it.
func (w *testWorld) inject(t *testing.T, h *host, fault string) func() {
	switch fault {
	case "network.blackhole":
		w.net.Blackhole(testIP, true)
		return func() { w.net.Blackhole(testIP, false) }
	case "network.refuse":
		w.net.Refuse(testIP, true)
		w.net.Cut(testIP)
		return func() { w.net.Refuse(testIP, false) }
	}
	lease, err := h.faults.Inject(chaos.Spec{Kind: chaos.Kind(fault), For: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return lease.End
}

// inFlight is the longest that an update is in the bot's hands: the bot's own time
// and the commit that follows it.
const inFlight = time.Second

// repeats finds what reached the bot more than once although it was not in flight
// when the host crashed, and lanes with more than one repeat.
func repeats(w *testWorld, crashedAt time.Time) (problems []string) {
	truth, err := w.sim.Bot(w.botID)
	if err != nil {
		return []string{err.Error()}
	}
	lane := map[int64]string{}
	for _, r := range truth.Updates {
		lane[r.ID] = transport.Scan(r.Body).Lane
	}
	first, inLane := map[int64]time.Time{}, map[string]int{}
	for _, t := range w.bot.record() {
		at, again := first[t.ID]
		if !again {
			first[t.ID] = t.At
			continue
		}
		inLane[lane[t.ID]]++
		excused := !at.After(crashedAt) && crashedAt.Sub(at) <= inFlight
		if !excused || inLane[lane[t.ID]] > 1 {
			problems = append(problems, fmt.Sprintf("update %d reached the bot again", t.ID))
		}
	}
	return problems
}

// TestSimulate runs seeded outages with a crash at every named step.
func TestSimulate(t *testing.T) {
	runs := *simRuns
	if runs == 0 {
		runs = 50
		if testing.Short() {
			runs = len(steps)
		}
	}
	log := zerolog.Nop()
	if *simLog {
		zerolog.TimeFieldFormat = time.RFC3339Nano
		log = zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, NoColor: true, TimeFormat: "15:04:05.000"}).With().Timestamp().Logger()
	}
	var mu sync.Mutex
	var all []outcome
	t.Run("seeds", func(t *testing.T) {
		for i := range runs {
			p := planOf(*simSeed + uint64(i))
			t.Run(fmt.Sprintf("%d", p.Seed), func(t *testing.T) {
				t.Parallel()
				o := simulate(t, p, *simPlant, log)
				mu.Lock()
				all = append(all, o)
				n := len(all)
				mu.Unlock()
				if n%50 == 0 {
					fmt.Fprintf(os.Stderr, "simulate: %d of %d\n", n, runs)
				}
				for _, problem := range o.Problems {
					t.Errorf("%s\n\treplay: make replay SEED=%d", problem, p.Seed)
				}
			})
		}
	})
	report(t, all)
}

// TestReproduce tells how often a seed gives the same story to the nanosecond.
// Inputs, faults and the simulator's ties follow from the seed; the scheduler and
// the jitter of retries do not.
func TestReproduce(t *testing.T) {
	if *simAgain == 0 {
		t.Skip("needs -sim.reproduce")
	}
	p := planOf(*simSeed)
	stories, figs := map[string]int{}, map[figures]int{}
	for i := range *simAgain {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			o := simulate(t, p, *simPlant, zerolog.Nop())
			stories[o.Story]++
			if *simJSON != "" {
				_ = os.WriteFile(fmt.Sprintf("%s.%d", *simJSON, i), []byte(o.Story), 0o644)
			}
			o.Figures.Failover = o.Figures.Failover.Round(time.Millisecond)
			figs[o.Figures]++
		})
	}
	same, sameFigures := 0, 0
	for _, n := range stories {
		same = max(same, n)
	}
	for _, n := range figs {
		sameFigures = max(sameFigures, n)
	}
	fmt.Printf("reproduce: seed %d (%s, crash at %q): the same story in %d of %d, the same figures in %d\n",
		p.Seed, p.Fault, p.Crash, same, *simAgain, sameFigures)
}

// report prints what all runs came to.
func report(t *testing.T, all []outcome) {
	var sum figures
	var times, through []time.Duration
	doubled, crashes, failed, repeats := 0, 0, 0, 0
	at := map[string]int{}
	for _, o := range all {
		sum.Sent += o.Figures.Sent
		sum.Delivered += o.Figures.Delivered
		sum.Lost += o.Figures.Lost
		sum.Expired += o.Figures.Expired
		sum.Reordered += o.Figures.Reordered
		repeats += o.Figures.Repeats
		doubled += o.Doubled
		if o.Crashed {
			crashes++
			at[o.Plan.Crash]++
		}
		switch {
		case o.Figures.Failover == 0:
		case o.Through:
			through = append(through, o.Figures.Failover)
		default:
			times = append(times, o.Figures.Failover)
		}
		if len(o.Problems) > 0 {
			failed++
		}
	}
	fmt.Printf("simulate: %d runs, %d failed; %d updates sent, %d delivered, %d lost, %d expired, %d doubled in the ledger, %d reordered, %d repeats at the bot over %d crashes\n",
		len(all), failed, sum.Sent, sum.Delivered, sum.Lost, sum.Expired, doubled, sum.Reordered, repeats, crashes)
	fmt.Printf("simulate: failover %s; with a crash and a restart in the middle %s\n", spread(times), spread(through))
	fmt.Printf("simulate: crashes by step: %v\n", at)
	if *simJSON != "" {
		raw, err := json.MarshalIndent(all, "", " ")
		if err == nil {
			err = os.WriteFile(*simJSON, raw, 0o644)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// spread describes a distribution.
func spread(d []time.Duration) string {
	if len(d) == 0 {
		return "in no run"
	}
	slices.Sort(d)
	at := func(q float64) time.Duration {
		return d[min(len(d)-1, int(q*float64(len(d))))].Round(time.Millisecond)
	}
	return fmt.Sprintf("p50 %v, p99 %v, max %v of %d", at(0.5), at(0.99), at(1), len(d))
}
