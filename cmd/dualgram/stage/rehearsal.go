package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"dualgram/chaos/drill"
	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/host"
	"dualgram/supervisor/failover"

	"github.com/rs/zerolog"
)

// What a rehearsal is made with unless something else is asked for.
const (
	DefaultRate  = 5.0
	DefaultChats = 10
)

const (
	// provenWithin bounds the wait for the first trial, which takes 20 s with traffic
	// and 65 s without.
	provenWithin = 2 * time.Minute
	// tidyWithin is how long nothing may arrive while something is missing, once the
	// traffic has stopped, and tidyMost how long all of it may take.
	tidyWithin = 30 * time.Second
	tidyMost   = 3 * time.Minute
	// leastHoldDown keeps a short rehearsal from trying the webhook at once.
	leastHoldDown = 10 * time.Second
)

// RehearsalOptions is what a [Rehearsal] may be given.
type RehearsalOptions struct {
	// Length is how long the experiment's method takes.
	Length time.Duration
	// Rate is updates a second, Chats how many chats they come from; 0 means the
	// default.
	Rate  float64
	Chats int
	// Seed determines what is random at Telegram; 0 means 1.
	Seed uint64
	// Dir keeps what is written; it is made if it is missing, and must be empty. ""
	// is a temporary directory, which Close removes.
	Dir string
	// Memory keeps a temporary directory in memory where there is a file system for
	// it, so that many rehearsals don't wait for one disk.
	Memory bool
	// Destructive allows faults that are marked so.
	Destructive bool
	Version     string
	Logger      func(io.Writer) zerolog.Logger
}

// Rehearsal is a [Stage] on which a drill can be run over the control socket, as on
// a live host. The settings are the defaults but for what [Rehearsal.Shortened] says.
type Rehearsal struct {
	Stage  *Stage
	Bot    string
	Socket string
	Dir    string

	simulator drill.Simulator
	tmp       string
	traffic   *Traffic
	stop      context.CancelFunc
	ended     chan struct{} // closed once the host has stopped
	err       error         // why, once it has
}

// NewRehearsal starts the world and its traffic. It must be closed.
func NewRehearsal(ctx context.Context, o RehearsalOptions) (_ *Rehearsal, err error) {
	if o.Rate == 0 {
		o.Rate = DefaultRate
	}
	if o.Chats == 0 {
		o.Chats = DefaultChats
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	r := &Rehearsal{Bot: "rehearsal", stop: func() {}, ended: make(chan struct{})}
	// The control socket lives here in any case: its path must be short.
	where := ""
	if o.Memory {
		where = memory()
	}
	if r.tmp, err = os.MkdirTemp(where, "dualgram-sim-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			close(r.ended)
			err = errors.Join(err, r.Close())
		}
	}()
	r.Dir = r.tmp
	if o.Dir != "" {
		if r.Dir, err = EmptyDir(o.Dir); err != nil {
			return nil, err
		}
	}
	r.Socket = filepath.Join(r.tmp, "control.sock")
	holdDown := HoldDownFor(o.Length)
	r.simulator = drill.Simulator{Rate: o.Rate, Chats: o.Chats, Shortened: shortened(holdDown)}
	r.Stage, err = New(ctx, Options{Name: r.Bot, Dir: r.Dir, Socket: r.Socket, Seed: o.Seed, HoldDown: holdDown, Probe: true, Version: o.Version, Logger: o.Logger,
		More:      fmt.Sprintf("chaos: {enabled: true, leashed: false, destructive: %t}\n", o.Destructive) + "drills: {quiet_after_start: 0s, quiet_after_error: 0s}\n",
		Simulated: &host.Simulated{Simulator: r.simulator, Compare: r.Books}})
	if err != nil {
		return nil, err
	}
	hostCtx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() {
		defer close(r.ended)
		r.err = r.Stage.Host.Run(hostCtx)
	}()
	r.traffic = r.Stage.StartTraffic(o.Seed, o.Rate, o.Chats)
	return r, nil
}

// memory is a directory that is kept in memory; "" if there is none, or if the user
// wants temporary files elsewhere.
func memory() string {
	const shm = "/dev/shm"
	if os.Getenv("TMPDIR") != "" {
		return ""
	}
	probe, err := os.MkdirTemp(shm, "dualgram-sim-")
	if err != nil || os.Remove(probe) != nil {
		return ""
	}
	return shm
}

// HoldDownFor is the hold-down for a method of that length: such that no failback
// is tried while the method goes on, and never longer than a live host's.
func HoldDownFor(length time.Duration) time.Duration {
	// It varies by a tenth, and begins some time after the fault.
	d := (length*10/9 + time.Second).Round(time.Second)
	return min(max(d, leastHoldDown), failover.DefaultHoldDown)
}

// shortened says which settings a live host has otherwise.
func shortened(holdDown time.Duration) []string {
	out := []string{}
	add := func(key string, is, was time.Duration) {
		out = append(out, fmt.Sprintf("%s is %s instead of %s", key, config.FormatDuration(is), config.FormatDuration(was)))
	}
	if holdDown != failover.DefaultHoldDown {
		add("failover.hold_down", holdDown, failover.DefaultHoldDown)
	}
	add("drills.quiet_after_start", 0, drill.DefaultQuietAfterStart)
	add("drills.quiet_after_error", 0, drill.DefaultQuietAfterError)
	return out
}

// Simulator says what is played.
func (r *Rehearsal) Simulator() drill.Simulator { return r.simulator }

// Proven waits until the webhook has passed its trial and polling could take over: a
// drill begins from there.
func (r *Rehearsal) Proven(ctx context.Context) error {
	limit := time.NewTimer(provenWithin)
	defer limit.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			st, err := r.Stage.Host.Supervisor().Status(ctx)
			if err != nil {
				return err
			}
			if b := st.Bots[0]; b.Phase == "webhook" && !b.Trial && b.StandbyReady {
				return nil
			}
		case <-r.ended:
			return errors.Join(errEnded, r.err)
		case <-limit.C:
			return fmt.Errorf("the webhook was not proven within %v", provenWithin)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errEnded = errors.New("dualgram stopped by itself")

// Books ends the traffic, waits until the bot has what was sent, and compares.
// injected is when the first fault began.
func (r *Rehearsal) Books(ctx context.Context, injected time.Time) (*drill.Books, error) {
	if err := r.traffic.Stop(); err != nil {
		return nil, err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	last, had := began, r.Stage.Bot.Distinct()
	for {
		arrived, err := r.Stage.Arrived()
		if err != nil {
			return nil, err
		}
		if n := r.Stage.Bot.Distinct(); n > had {
			last, had = time.Now(), n
		}
		if arrived || time.Since(last) > tidyWithin || time.Since(began) > tidyMost {
			break // the books tell what is missing
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	truth, err := r.Stage.Sim.Bot(r.Stage.BotID)
	if err != nil {
		return nil, err
	}
	var f Figures
	c := Compare(truth.Updates, r.Stage.Bot.Record(), func(time.Time) (string, *Figures) { return "", &f })
	for _, id := range c.Invented {
		c.Details = append(c.Details, fmt.Sprintf("the bot got update %d, which was never sent", id))
	}
	b := &drill.Books{Sent: f.Sent, Delivered: f.Delivered, ByWebhook: f.ByWebhook, ByPolling: f.ByPolling, Lost: f.Lost, Waiting: truth.Pending,
		Doubled: f.Doubled, OutOfOrder: f.OutOfOrder, Altered: c.Altered, Details: c.Details}
	b.Lost = max(0, b.Lost-b.Waiting)
	if took, ok := Failover(truth.Updates, injected, time.Time{}); ok {
		s := took.Round(time.Millisecond).Seconds()
		b.Switch = &s
	}
	return b, nil
}

// Close ends traffic, host and world, and removes what was not to be kept. It
// returns what the host ended with.
func (r *Rehearsal) Close() error {
	if r.traffic != nil {
		_ = r.traffic.Stop() // the books have told
	}
	r.stop()
	<-r.ended
	if r.Stage != nil {
		r.Stage.Close()
	}
	return errors.Join(r.err, os.RemoveAll(r.tmp))
}
