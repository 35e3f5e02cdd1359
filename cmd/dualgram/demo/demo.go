// Package demo is dualgram's main job in two minutes on one machine: a simulator
// of Telegram's server, a bot host with the default settings, a sample bot, and
// three outages. It needs no token and no network.
//
// The guarantee: the verdict comes from the simulator's truth and from the sample
// bot's own record alone, never from what dualgram says of itself. The supervisor's
// events only tell the story, and when the next fault may come. A run leaves
// nothing behind: no goroutine, and no file unless it was asked for or the verdict
// is bad and the log is wanted.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"dualgram/chaos"
	"dualgram/cmd/dualgram/stage"
	"dualgram/supervisor"

	"github.com/rs/zerolog"
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
	text        string // what the fault does, in the timeline
	fault       chaos.Spec
}

// acts are the three outages; ca signs the expired certificate, so that only its
// expiry is wrong.
func acts(ca []byte) []act {
	const lease = 2 * patience
	return []act{
		{"certificate", "the served certificate expires", "the listener shows a certificate that expired yesterday",
			chaos.Spec{Kind: "tls.expired", For: lease, Params: map[string]string{"ca": string(ca)}}},
		{"black hole", "the network swallows connections", "connections, old and new, stay open and nothing comes through",
			chaos.Spec{Kind: "net.blackhole", For: lease}},
		{"server errors", "our answers turn to 500", "every delivery is answered 500 before dualgram sees it",
			chaos.Spec{Kind: "http.status", For: lease, Params: map[string]string{"code": "500"}}},
	}
}

// Options is what a run may be given. The zero value is the demo as it is meant.
type Options struct {
	// Rate is updates a second (50), Chats how many chats they come from (40).
	Rate  float64
	Chats int
	// Dir keeps everything that the run writes. It is made if it is missing, and
	// must be empty. "" is a temporary directory, which is removed unless the
	// verdict is bad: Report.Kept tells.
	Dir string
	// Log is the file for the host's log, which is appended to; "" is one in the
	// directory.
	Log string
	// Logger makes the host's logger from that file; nil is zerolog's own at the
	// info level.
	Logger  func(io.Writer) zerolog.Logger
	Version string
	// Started is told where everything runs, Line each line of the timeline in
	// order, Counted four times a second what the sample bot has got so far. They
	// are called from more than one goroutine and must not block.
	Started func(Setup)
	Line    func(Line)
	Counted func(Counts)
}

// Counts is how far things are, as the sample bot and the simulator see it.
type Counts struct {
	Webhook, Polling int     // what the bot has got, by the transport that brought it
	Pending          int     // at Telegram
	Since            float64 // seconds since the act's fault, or since the start
}

// LogFile is the name of the host's log in the directory.
const LogFile = stage.LogFile

// Setup says where what runs.
type Setup struct {
	BotAPI  string  `json:"bot_api"`
	Latency [2]int  `json:"latency_ms"` // of the Bot API, least and most
	Webhook string  `json:"webhook"`
	Bot     string  `json:"bot"`
	Rate    float64 `json:"-"` // in Settings
	Chats   int     `json:"-"`
	Config  string  `json:"config"`
	Log     string  `json:"log"`
}

// demo is one run.
type demo struct {
	o      Options
	stage  *stage.Stage
	faults *chaos.Registry

	events  chan supervisor.Event
	dead    chan struct{} // closed when the host has stopped
	mu      sync.Mutex    // guards onset, which the counter reads
	act     string        // the one under way
	title   string
	onset   time.Time // of its fault
	waiting []Line    // by time, not told yet
	lines   []Line
	marks   []mark
}

// stuck is a wait that was in vain. It spoils the verdict, and there is one.
type stuck struct{ text string }

func (e *stuck) Error() string { return e.text }

var errHostEnded = errors.New("dualgram stopped by itself")

// Run plays the demo. The report means something only if the error is nil; a bad
// verdict is no error. A run that ctx ended returns its error.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Rate == 0 {
		o.Rate = 50
	}
	if o.Chats == 0 {
		o.Chats = 40
	}
	// The control socket lives here in any case: its path must be short.
	tmp, err := os.MkdirTemp("", "dualgram-demo-")
	if err != nil {
		return Report{}, fmt.Errorf("demo: %w", err)
	}
	kept := false
	defer func() {
		if !kept {
			_ = os.RemoveAll(tmp)
		}
	}()
	dir := tmp
	if o.Dir != "" {
		if dir, err = stage.EmptyDir(o.Dir); err != nil {
			return Report{}, fmt.Errorf("demo: %w", err)
		}
	}
	d := &demo{o: o, events: make(chan supervisor.Event, 4096), dead: make(chan struct{})}
	began := time.Now()
	r, err := d.run(ctx, dir, tmp)
	if err != nil {
		return Report{}, err
	}
	r.Took = time.Since(began).Seconds()
	kept = o.Dir == "" && !r.OK
	if kept || o.Dir != "" {
		r.Kept = dir
	}
	return r, nil
}

func (d *demo) run(ctx context.Context, dir, tmp string) (Report, error) {
	var wg sync.WaitGroup
	defer wg.Wait()
	d.faults = chaos.New(chaos.Options{Enabled: true})
	defer func() { _ = d.faults.Close() }()
	st, err := stage.New(ctx, stage.Options{Name: "demo", Dir: dir, Socket: filepath.Join(tmp, "control.sock"), Seed: 1, HoldDown: HoldDown,
		Version: d.o.Version, Log: d.o.Log, Logger: d.o.Logger, Faults: d.faults, Observe: d.observe})
	if err != nil {
		return Report{}, fmt.Errorf("demo: %w", err)
	}
	defer st.Close()
	d.stage = st
	setup := Setup{BotAPI: st.Setup.BotAPI, Latency: st.Setup.Latency, Webhook: st.Setup.Webhook, Bot: st.Setup.Bot, Config: st.Setup.Config,
		Log: st.Setup.Log, Rate: d.o.Rate, Chats: d.o.Chats}
	if d.o.Started != nil {
		d.o.Started(setup)
	}
	// The host is stopped only once traffic and faults have ended, also by Ctrl-C.
	hostCtx, stopHost := context.WithCancel(context.WithoutCancel(ctx))
	defer stopHost()
	var hostErr error
	wg.Go(func() {
		defer close(d.dead)
		hostErr = st.Host.Run(hostCtx)
	})
	traffic := st.StartTraffic(1, d.o.Rate, d.o.Chats)
	countCtx, stopCounting := context.WithCancel(ctx)
	counting := make(chan struct{})
	d.begin("start", "", time.Now())
	go func() {
		defer close(counting)
		d.count(countCtx)
	}()

	err = d.play(ctx)
	err = errors.Join(err, traffic.Stop())
	var s *stuck
	if err == nil || errors.As(err, &s) {
		err = errors.Join(err, d.settle(ctx))
	}
	stopHost()
	<-d.dead
	stopCounting()
	<-counting
	d.catchUp()
	switch {
	case ctx.Err() != nil:
		return Report{}, ctx.Err()
	case hostErr != nil:
		return Report{}, fmt.Errorf("demo: dualgram: %w", hostErr)
	case err != nil && s == nil:
		return Report{}, fmt.Errorf("demo: %w", err)
	}
	truth, err := st.Sim.Bot(st.BotID)
	if err != nil {
		return Report{}, fmt.Errorf("demo: %w", err)
	}
	r := judge(truth.Updates, st.Bot.Record(), d.marks)
	if s != nil {
		r.Problems = append([]string{s.text}, r.Problems...)
		r.OK = false
	}
	r.Timeline, r.Setup = d.lines, setup
	r.Settings = Settings{Rate: d.o.Rate, Chats: d.o.Chats, HoldDown: HoldDown.Seconds()}
	return r, nil
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
			c := Counts{Pending: d.stage.Sim.Pending(d.stage.BotID), Since: d.since(time.Now())}
			c.Webhook, c.Polling = d.stage.Bot.Counts()
			d.o.Counted(c)
		case <-ctx.Done():
			return
		}
	}
}

// observe hands an event on. A timeline with a gap is better than a host that
// waits for it.
func (d *demo) observe(e supervisor.Event) {
	select {
	case d.events <- e:
	default:
	}
}

// begin names what happens from now on.
func (d *demo) begin(act, title string, onset time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.act, d.title, d.onset = act, title, onset
}

func (d *demo) since(at time.Time) float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return at.Sub(d.onset).Seconds()
}

// play goes through the acts.
func (d *demo) play(ctx context.Context) error {
	ca, err := d.stage.CA.PEM()
	if err != nil {
		return err
	}
	d.say("start", "traffic begins; the webhook is being registered")
	if err := d.until(ctx, "the webhook to be proven", trialPassed); err != nil {
		return err
	}
	for _, a := range acts(ca) {
		if err := d.outage(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// outage is one act: fault on, polling, fault off, the webhook proven again.
func (d *demo) outage(ctx context.Context, a act) error {
	onset := time.Now() // before the fault can act
	lease, err := d.faults.Inject(a.fault)
	if err != nil {
		return err
	}
	defer lease.End()
	d.begin(a.name, a.title, onset)
	d.marks = append(d.marks, mark{Act: a.name, Title: a.title, Fault: string(a.fault.Kind), Onset: onset})
	d.line(onset, "fault_on", a.text)
	if err := d.until(ctx, "polling to take over", firstByPolling); err != nil {
		return err
	}
	if err := d.linger(ctx, showPolling); err != nil {
		return err
	}
	lease.End()
	if lease.Fired() == 0 {
		return &stuck{fmt.Sprintf("%s: the fault never acted, so nothing was shown", a.name)}
	}
	d.say("fault_off", fmt.Sprintf("it had acted on %d %ss", lease.Fired(), lease.Status().Info.Unit))
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
		arrived, err := d.stage.Arrived()
		if err != nil {
			return err
		}
		d.tell(time.Now().Add(-reorder))
		if arrived {
			return nil
		}
		select {
		case <-tick.C:
		case <-end.C:
			return nil // the verdict tells what is missing
		case <-d.dead:
			return errHostEnded
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
		err = &stuck{fmt.Sprintf("%s: waited %v for %s in vain", d.act, patience, what)}
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
		case <-d.dead:
			return false, errHostEnded
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}
