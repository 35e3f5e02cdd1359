package supervisor_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/matrix"
	"dualgram/chaos/telegramsim"
	"dualgram/supervisor"
	"dualgram/transport"
	"dualgram/transport/delivery"

	"github.com/rs/zerolog"
)

// fault is one row of the matrix: what is done to a proven webhook, and what has
// to come of it.
type fault struct {
	name string
	kind matrix.Kind
	did  string // in words, for the reader of the page
	// local: the host can see it without Telegram's help.
	local bool
	// stays: an outage in which the mode may stay.
	stays bool
	// rates of the traffic; nil means 0.05, 1 and 50 updates a second.
	rates []float64
	// quiet leaves out the updates that Telegram keeps for seconds or minutes
	// only, for faults that nothing can deliver in.
	quiet bool
	// wait bounds how long any update may wait; 0: for an outage waitBound, unless
	// the fault keeps its own pace.
	wait    time.Duration
	ownPace bool
	// lasts is how long a false alarm lasts, or an outage after polling has taken
	// over.
	lasts time.Duration

	prepare func(r *matrixRun)               // before the host starts
	begin   func(r *matrixRun) (heal func()) // at the onset
	check   func(r *matrixRun, s *matrix.Sample)
}

// matrixRun is one run of a row.
type matrixRun struct {
	*testWorld
	t    *testing.T
	f    *fault
	rate float64
	rng  *rand.Rand

	h     *host
	audit *auditLedger
	bot   *moodyBot
	front *front
	pair  atomic.Pointer[tls.Certificate] // in service, if the run has its own
	flow  flow

	onset, healed time.Time
	fired         atomic.Uint64 // by what isn't leased
	leases        []*chaos.Lease
	foreign       int       // registrations that somebody else ended or made
	resumed       time.Time // when the bot behind us took updates again
	problems      []string
}

func (r *matrixRun) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// inject begins leased faults in the host and returns what ends them.
func (r *matrixRun) inject(specs ...chaos.Spec) (heal func()) {
	r.t.Helper()
	var mine []*chaos.Lease
	for _, s := range specs {
		if s.For == 0 {
			s.For = chaos.MaxLease
		}
		s.Seed = r.rng.Uint64()
		l, err := r.h.faults.Inject(s)
		if err != nil {
			r.t.Fatal(err)
		}
		mine = append(mine, l)
	}
	r.leases = append(r.leases, mine...)
	return func() {
		for _, l := range mine {
			l.End()
		}
	}
}

// acted counts a fault that is not leased.
func (r *matrixRun) acted() { r.fired.Add(1) }

func (r *matrixRun) push(u telegramsim.Update) int64 {
	id, err := r.sim.Push(r.botID, u)
	if err != nil {
		r.problem("push: %v", err)
	}
	return id
}

// steadyKinds are updates that Telegram keeps for a day.
func steadyKinds() map[string]int {
	return map[string]int{"message": 80, "edited_message": 8, "channel_post": 6, "poll_answer": 3, "my_chat_member": 3}
}

// flow is the traffic of a run. Its rate can be changed.
type flow struct {
	r    *matrixRun
	n    uint64
	stop context.CancelFunc
	done chan error
}

func (f *flow) set(rate float64) {
	f.end()
	if rate == 0 {
		return
	}
	f.n++
	tr := telegramsim.Traffic{Seed: f.r.rng.Uint64(), Bot: f.r.botID, Rate: rate, Chats: 24}
	if f.r.f.quiet {
		tr.Kinds = steadyKinds()
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.stop, f.done = cancel, make(chan error, 1)
	go func() { f.done <- tr.Run(ctx, f.r.sim) }()
}

func (f *flow) end() {
	if f.stop == nil {
		return
	}
	f.stop()
	if err := <-f.done; err != nil {
		f.r.problem("traffic: %v", err)
	}
	f.stop = nil
}

// moodyBot is the bot behind dualgram, which can be slow or refuse updates. What
// it refuses is not in its record.
type moodyBot struct {
	next  *sampleBot
	after atomic.Int64 // the moment from which polled counts, Unix nanoseconds
	polls atomic.Int64 // updates taken by polling since

	mu     sync.Mutex
	delay  time.Duration
	refuse func(u delivery.Update) error
}

func (b *moodyBot) set(delay time.Duration, refuse func(delivery.Update) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.delay, b.refuse = delay, refuse
}

// Deliver implements delivery.Handler.
func (b *moodyBot) Deliver(ctx context.Context, u delivery.Update) error {
	b.mu.Lock()
	delay, refuse := b.delay, b.refuse
	b.mu.Unlock()
	if refuse != nil {
		if err := refuse(u); err != nil {
			return err
		}
	}
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := b.next.Deliver(ctx, u)
	if err == nil && u.Source == transport.SourcePolling && time.Now().UnixNano() >= b.after.Load() {
		b.polls.Add(1)
	}
	return err
}

const (
	// busyRate is the traffic while nothing is being measured, for rates above it:
	// the hold-down is long, and what it costs is real time.
	busyRate = 2
	// apiLatency to apiLatencyMax are what the Bot API's answers take.
	apiLatency, apiLatencyMax = 20 * time.Millisecond, 300 * time.Millisecond
)

// lateThresholds plant a late switch: every signal that can see an outage is slow.
func lateThresholds() supervisor.Thresholds {
	const late = 14 * time.Second
	return supervisor.Thresholds{Stall: late, StallProbe: late, Timeout: late, Hole: late, ErrorConfirm: late, ErrorSoft: 1000,
		FailRow: 1000, FailMin: 1000, RedeliveryMin: 1000}
}

// runFault carries out one run in virtual time.
func runFault(t *testing.T, f *fault, rate float64, seed uint64, plant string, log zerolog.Logger) (s matrix.Sample) {
	synctest.Test(t, func(t *testing.T) { s = runFaultHere(t, f, rate, seed, plant, log) })
	return s
}

func runFaultHere(t *testing.T, f *fault, rate float64, seed uint64, plant string, log zerolog.Logger) matrix.Sample {
	w := newWorld(t, seed)
	w.log = log
	if *matrixDir != "" {
		dir, err := os.MkdirTemp(*matrixDir, "dualgram-matrix")
		if err != nil {
			t.Fatal(err)
		}
		w.path = filepath.Join(dir, "dualgram.db")
		defer func() { _ = os.RemoveAll(dir) }()
	}
	r := &matrixRun{testWorld: w, t: t, f: f, rate: rate, rng: rand.New(rand.NewPCG(seed, 0x6d6174726978))}
	r.flow.r = r
	w.sim.SetKnobs(telegramsim.Knobs{Latency: apiLatency, LatencyMax: apiLatencyMax})
	r.audit = &auditLedger{fresh: map[int64]int{}, plant: plant}
	r.bot = &moodyBot{next: w.bot}
	r.bot.after.Store(1<<63 - 1)
	w.tune = func(o *supervisor.BotOptions) {
		r.audit.Ledger, o.Ledger = o.Ledger, r.audit
		o.Handler = r.bot
		o.Policy.HoldDown, o.Policy.MaxHoldDown = 0, 0 // the defaults of the product
		o.Policy.Seed = seed
		if plant == "late" {
			o.Thresholds = lateThresholds()
			o.Budget = time.Minute
		}
	}
	defer w.close()
	if f.prepare != nil {
		f.prepare(r)
	}
	r.h = w.start(nil)
	r.flow.set(min(rate, busyRate))
	defer r.flow.end()
	if err := r.h.await("webhook", false, 3*time.Minute); err != nil {
		r.problem("before the fault: %v", err)
		return r.sample(seed)
	}
	r.flow.set(rate)
	time.Sleep(2*time.Second + time.Duration(r.rng.Int64N(int64(4*time.Second))))
	r.begun()
	heal := f.begin(r)
	switch f.kind {
	case matrix.Outage:
		r.outage()
	default:
		time.Sleep(f.lasts)
	}
	if heal != nil {
		heal()
	}
	r.healed = time.Now()
	r.recover()
	return r.sample(seed)
}

// begun makes now the onset. A row whose preparation takes time calls it again.
func (r *matrixRun) begun() {
	r.onset = time.Now()
	r.bot.after.Store(r.onset.UnixNano())
}

// outage waits until polling has taken an update, and then goes on for a while.
func (r *matrixRun) outage() {
	most := time.Minute
	if r.rate < 1 {
		most = 4 * time.Minute // the next update can be long in coming
	}
	if r.f.stays {
		most = r.f.lasts
	}
	for end := time.Now().Add(most); time.Now().Before(end) && r.bot.polls.Load() == 0; {
		time.Sleep(50 * time.Millisecond)
	}
	if r.f.stays {
		return
	}
	time.Sleep(3 * time.Second)
	r.flow.set(min(r.rate, busyRate))
	time.Sleep(r.f.lasts + time.Duration(r.rng.Int64N(int64(10*time.Second))))
}

// recover waits until the webhook is proven again, and lets everything drain.
func (r *matrixRun) recover() {
	r.flow.set(min(r.rate, busyRate))
	if r.f.kind == matrix.Flapping {
		time.Sleep(time.Minute) // it may be frozen in polling, and that is fine
	} else {
		if err := r.h.await("webhook", true, 15*time.Minute); err == nil {
			r.flow.set(r.rate) // the proof under the row's own traffic
			time.Sleep(5 * time.Second)
			r.flow.set(min(r.rate, busyRate))
		}
		if err := r.h.await("webhook", false, 15*time.Minute); err != nil {
			r.problem("after the fault: %v", err)
		}
	}
	if r.f.kind == matrix.FalseAlarm {
		time.Sleep(20 * time.Second) // what moves late moves too
	}
	r.flow.end()
	for i := 0; i < 3000 && (r.sim.Pending(r.botID) > 0 || r.h.waiting() > 0 || i < 20); i++ {
		time.Sleep(100 * time.Millisecond)
	}
}

// waiting is how many accepted updates the bot has not taken yet.
func (h *host) waiting() int {
	s, err := h.sup.Status(context.Background())
	if err != nil || len(s.Bots) != 1 {
		return 0
	}
	return int(s.Bots[0].Waiting)
}

// working pushes updates and tells whether the bot gets them.
func (r *matrixRun) working() bool {
	var ids []int64
	for i := range 3 {
		ids = append(ids, r.push(telegramsim.Update{User: int64(77000 + i), Text: "the end"}))
	}
	for range 100 {
		time.Sleep(100 * time.Millisecond)
		got := map[int64]bool{}
		for _, t := range r.testWorld.bot.record() {
			got[t.ID] = true
		}
		missing := false
		for _, id := range ids {
			missing = missing || !got[id]
		}
		if !missing {
			return true
		}
	}
	return false
}
