// Package demo is dualgram's main job in two minutes on one machine: a simulator
// of Telegram's server, a bot host with the default settings, a sample bot, and
// three outages. It needs no token and no network.
//
// The verdict comes from the simulator's truth and from the sample bot's own
// record alone, never from what dualgram says of itself. The supervisor's events
// only tell the story, and when the next fault may come.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/pki"
	"dualgram/chaos/telegramsim"
	"dualgram/cmd/dualgram/host"
	"dualgram/supervisor"
)

// HoldDown is the time in polling before a failback: the one setting that the
// demo shortens. By default it is 60 s, and doubled with each relapse.
const HoldDown = 3 * time.Second

const (
	// showPolling is how long each fault is kept after polling has taken over: not
	// as long as the hold-down, or the webhook would be tried too early.
	showPolling = 2 * time.Second
	// patience bounds each wait; whatever takes longer has gone wrong.
	patience = 60 * time.Second
	// tidy is how long the last updates may take once traffic has stopped.
	tidy = 15 * time.Second
	// reorder is how long a line waits for others that happened before it.
	reorder = 400 * time.Millisecond
)

// act is one outage.
type act struct {
	name, title string
	fault       chaos.Spec
}

// acts are the three outages; ca signs the expired certificate, so that only its
// expiry is wrong.
func acts(ca []byte) []act {
	const lease = 2 * patience
	return []act{
		{"certificate", "the served certificate expires", chaos.Spec{Kind: "tls.expired", For: lease, Params: map[string]string{"ca": string(ca)}}},
		{"black hole", "the network swallows connections", chaos.Spec{Kind: "net.blackhole", For: lease}},
		{"server errors", "our answers turn to 500", chaos.Spec{Kind: "http.status", For: lease, Params: map[string]string{"code": "500"}}},
	}
}

// Options is what a run may be given. The zero value is the demo as it is meant.
type Options struct {
	// Rate is updates a second (50), Chats how many chats they come from (40).
	Rate  float64
	Chats int
	// Dir keeps everything that the run writes; "" is a directory that is removed.
	Dir     string
	Version string
	// Started is told where everything runs, Line each line of the timeline in
	// order, Counted four times a second what the sample bot has got so far. They
	// are called from more than one goroutine and must not block.
	Started func(Setup)
	Line    func(Line)
	Counted func(Counts)
}

// Counts is what the sample bot has got, by the transport that brought it.
type Counts struct{ Webhook, Polling int }

// demo is one run.
type demo struct {
	o      Options
	sim    *telegramsim.Sim
	botID  int64
	bot    *sampleBot
	host   *host.Host
	faults *chaos.Registry
	ca     *pki.CA

	events  chan supervisor.Event
	act     string    // the one under way
	onset   time.Time // of its fault
	waiting []Line    // by time, not told yet
	lines   []Line
	marks   []mark
}

// Run plays the demo. The report means something only if the error is nil.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Rate == 0 {
		o.Rate = 50
	}
	if o.Chats == 0 {
		o.Chats = 40
	}
	dir := o.Dir
	if dir == "" {
		tmp, err := os.MkdirTemp("", "dualgram-demo-")
		if err != nil {
			return Report{}, fmt.Errorf("demo: %w", err)
		}
		defer func() { _ = os.RemoveAll(tmp) }()
		dir = tmp
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return Report{}, fmt.Errorf("demo: %w", err)
	}
	d := &demo{o: o, events: make(chan supervisor.Event, 4096)}
	began := time.Now()
	r, err := d.run(ctx, dir)
	r.Took = time.Since(began).Seconds()
	return r, err
}

func (d *demo) run(ctx context.Context, dir string) (Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	setup, takeDown, err := d.build(ctx, dir, &wg)
	if err != nil {
		return Report{}, fmt.Errorf("demo: %w", err)
	}
	defer takeDown()
	if d.o.Started != nil {
		d.o.Started(setup)
	}
	hostCtx, stopHost := context.WithCancel(ctx)
	defer stopHost()
	stopped := make(chan error, 1)
	wg.Go(func() { stopped <- d.host.Run(hostCtx) })
	trafficCtx, stopTraffic := context.WithCancel(ctx)
	defer stopTraffic()
	traffic := make(chan error, 1)
	wg.Go(func() {
		traffic <- telegramsim.Traffic{Seed: 1, Bot: d.botID, Rate: d.o.Rate, Chats: d.o.Chats}.Run(trafficCtx, d.sim)
	})
	countCtx, stopCounting := context.WithCancel(ctx)
	defer stopCounting()
	wg.Go(func() { d.count(countCtx) })

	err = d.play(ctx)
	stopTraffic()
	err = errors.Join(err, <-traffic)
	if err == nil {
		err = d.settle(ctx)
	}
	stopCounting()
	stopHost()
	err = errors.Join(err, <-stopped)
	d.catchUp()
	if ctx.Err() != nil {
		return Report{}, ctx.Err()
	}
	truth, terr := d.sim.Bot(d.botID)
	r := judge(truth.Updates, d.bot.record(), d.marks)
	r.Timeline, r.Setup = d.lines, setup
	r.Settings = Settings{Rate: d.o.Rate, Chats: d.o.Chats, HoldDown: HoldDown.Seconds()}
	return r, errors.Join(err, terr)
}

// count tells the counts until the context ends.
func (d *demo) count(ctx context.Context) {
	if d.o.Counted == nil {
		return
	}
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.o.Counted(d.bot.counts())
		case <-ctx.Done():
			return
		}
	}
}

// play goes through the acts.
func (d *demo) play(ctx context.Context) error {
	ca, err := d.ca.PEM()
	if err != nil {
		return err
	}
	d.act, d.onset = "start", time.Now()
	d.say("start", "traffic begins; the webhook is registered and on trial")
	if err := d.until(ctx, "the webhook to be proven", trialPassed); err != nil {
		return err
	}
	for _, a := range acts(ca) {
		if err := d.outage(ctx, a); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
	}
	return nil
}

// outage is one act: fault on, polling, fault off, the webhook proven again.
func (d *demo) outage(ctx context.Context, a act) error {
	lease, err := d.faults.Inject(a.fault)
	if err != nil {
		return err
	}
	defer lease.End()
	d.act, d.onset = a.name, time.Now()
	d.marks = append(d.marks, mark{Act: a.name, Title: a.title, Fault: string(a.fault.Kind), Onset: d.onset})
	d.say("fault_on", a.title)
	if err := d.until(ctx, "polling to take over", firstByPolling); err != nil {
		return err
	}
	if err := d.linger(ctx, showPolling); err != nil {
		return err
	}
	lease.End()
	if lease.Fired() == 0 {
		return fmt.Errorf("the fault %s never acted, so nothing was shown", a.fault.Kind)
	}
	d.say("fault_off", fmt.Sprintf("the fault ends; it had acted %d times", lease.Fired()))
	return d.until(ctx, "the webhook to be proven again", trialPassed)
}

// settle waits until the bot has everything that Telegram had.
func (d *demo) settle(ctx context.Context) error {
	d.say("end", "traffic stops; waiting for the last updates")
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(tidy)
	defer end.Stop()
	for {
		truth, err := d.sim.Bot(d.botID)
		if err != nil {
			return err
		}
		if truth.Pending == 0 && d.bot.distinct() >= truth.Counters.Pushed {
			return nil
		}
		select {
		case <-tick.C:
		case <-end.C:
			return nil // the verdict tells what is missing
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func trialPassed(e supervisor.Event) bool { return e.Kind == supervisor.EventTrial }

func firstByPolling(e supervisor.Event) bool {
	return e.Kind == supervisor.EventFirstUpdate && e.Source == "polling"
}

// until follows the events until one of them is the one that is waited for.
func (d *demo) until(ctx context.Context, what string, is func(supervisor.Event) bool) error {
	found, err := d.watch(ctx, patience, is)
	if err == nil && !found {
		err = fmt.Errorf("waited %v for %s in vain", patience, what)
	}
	return err
}

// linger follows the events for a while.
func (d *demo) linger(ctx context.Context, dur time.Duration) error {
	_, err := d.watch(ctx, dur, func(supervisor.Event) bool { return false })
	return err
}

func (d *demo) watch(ctx context.Context, most time.Duration, is func(supervisor.Event) bool) (found bool, err error) {
	t, tick := time.NewTimer(most), time.NewTicker(reorder/4)
	defer t.Stop()
	defer tick.Stop()
	for {
		select {
		case e := <-d.events:
			d.follow(e)
			if is(e) {
				return true, nil
			}
		case now := <-tick.C:
			d.tell(now.Add(-reorder))
		case <-t.C:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}
