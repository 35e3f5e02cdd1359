package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"dualgram/chaos"
	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
)

const (
	// maxFaults bounds how many faults are injected at a time.
	maxFaults = 32
	// keptFaults is how many that have ended are still told of.
	keptFaults = 50
)

// killed ends the process as kill -9 does.
func killed(string) {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // nothing else happens at this point
}

// faultOrders carries out the control API's faults. The order is in the journal
// before the fault acts, and its end is as soon as the journal takes it. Nothing of
// it outlives the process.
type faultOrders struct {
	h       *Host
	watches sync.WaitGroup // one for each fault that has not ended

	mu      sync.Mutex
	stopped bool
	pending int          // faults between the check and the injection
	faults  []*faultHeld // by injection; those that have ended, too
}

// faultHeld is a fault that was ordered here. What is not final is guarded by the
// mutex of the orders.
type faultHeld struct {
	order console.FaultOrder
	lease *chaos.Lease
	at    time.Time // monotonic too

	endedBy *console.Caller // whose word ended it; nil: nobody's
	state   string          // why it is over; empty while it is not
	endedAt time.Time
}

// Chaos implements [console.Faults].
func (o *faultOrders) Chaos(context.Context) (console.Chaos, error) {
	r := o.h.faults
	c := console.Chaos{Enabled: r.Enabled(), Leashed: r.Leashed(), Destructive: r.Destructive(), MaxFor: chaos.MaxLease.Seconds(), Faults: o.active()}
	for _, k := range chaos.Kinds() {
		out := console.FaultKind{Kind: string(k.Kind), Doc: k.Doc, Layer: k.Layer, Unit: k.Unit, Delay: k.Delay, Whole: k.Whole,
			ProdSafe: k.ProdSafe, Destructive: k.Destructive, PerBot: perBot(k)}
		for _, p := range k.Params {
			out.Params = append(out.Params, console.FaultParam{Name: p.Name, Doc: p.Doc, Default: p.Default})
		}
		c.Kinds = append(c.Kinds, out)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range slices.Backward(o.faults) {
		if f.state != "" {
			c.Ended = append(c.Ended, f.shown())
		}
	}
	return c, nil
}

// active lists what acts now, also what was not ordered here.
func (o *faultOrders) active() []console.Fault {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := []console.Fault{}
	for _, s := range o.h.faults.List() {
		if f := o.find(s.ID); f != nil {
			out = append(out, f.shown())
			continue
		}
		out = append(out, shownStatus(s))
	}
	return out
}

// find returns the fault of the number; nil if it was not ordered here. o.mu is held.
func (o *faultOrders) find(id uint64) *faultHeld {
	for _, f := range o.faults {
		if f.lease.ID() == id {
			return f
		}
	}
	return nil
}

// supervised is what the supervisor is told.
func (o *faultOrders) supervised() []supervisor.Fault {
	if o.h.faults.Leashed() {
		return nil // they do nothing
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []supervisor.Fault
	for _, f := range o.faults {
		s := f.shown()
		out = append(out, supervisor.Fault{Kind: s.Kind, Bot: s.Bot, By: s.By.String(), Reason: s.Reason, Since: s.InjectedAt, Until: s.EndsAt,
			Ended: f.state != "" || s.LeftS <= 0, Fired: s.Fired})
	}
	return out
}

// shownStatus puts a registry's word into the API's.
func shownStatus(s chaos.Status) console.Fault {
	f := console.Fault{ID: s.ID, Kind: string(s.Spec.Kind), Bot: s.Spec.Scope, State: console.FaultActive, Share: s.Spec.Share, Count: s.Spec.Count,
		Delay: s.Spec.Delay.Seconds(), Seed: s.Spec.Seed, Params: s.Spec.Params, For: s.Spec.For.Seconds(),
		InjectedAt: time.Now().Add(-s.Age), LeftS: s.Remaining.Seconds(), EndsAt: time.Now().Add(s.Remaining), Fired: s.Fired, Would: s.Would}
	if f.Params == nil {
		f.Params = map[string]string{}
	}
	if s.Leashed {
		f.State = console.FaultLeashed
	}
	return f
}

// shown is the fault as it stands. The orders' mutex is held.
func (f *faultHeld) shown() console.Fault {
	out := shownStatus(f.lease.Status())
	out.Bot, out.Reason, out.By = f.order.Bot, f.order.Reason, f.order.By
	out.For, out.Lease, out.InjectedAt = f.order.For.Seconds(), f.order.Lease.Seconds(), f.at
	out.EndsAt = f.at.Add(f.order.For)
	if f.state != "" {
		out.State, out.EndsAt = f.state, f.endedAt
	}
	return out
}

// Fault implements [console.Faults].
func (o *faultOrders) Fault(_ context.Context, id uint64) (console.Fault, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f := o.find(id); f != nil {
		return f.shown(), nil
	}
	return console.Fault{}, noFault(id)
}

func noFault(id uint64) error {
	return &console.Failure{Code: console.CodeEnded, Message: fmt.Sprintf("fault %d is over, or was another process's", id), Fix: "see what is active: dualgram chaos list"}
}

// spec is what the order asks of the registry, checked.
func (o *faultOrders) spec(order console.FaultOrder) (s chaos.Spec, plan chaos.Status, err error) {
	r := o.h.faults
	s = chaos.Spec{Kind: chaos.Kind(order.Kind), For: order.For, Share: order.Share, Count: order.Count, Delay: order.Delay, Seed: order.Seed, Params: order.Params}
	if order.For > chaos.MaxLease {
		return s, plan, &console.Failure{Code: console.CodeBadRequest, Message: fmt.Sprintf("for is %v, and no fault lasts longer than %v", order.For, chaos.MaxLease),
			Fix: "choose a shorter time"}
	}
	if order.Lease > 0 {
		s.For = min(order.For, order.Lease)
	}
	s.Most = order.For
	if !r.Enabled() {
		return s, plan, &console.Failure{Code: console.CodeRefused, Message: "faults are disabled in this dualgram",
			Fix: "set chaos: {enabled: true, leashed: false} and restart; with leashed: true faults are planned and counted, and do nothing", Err: chaos.ErrDisabled}
	}
	if plan, err = r.Plan(s); err != nil {
		return s, plan, faultFailure(order.Kind, err)
	}
	if order.Bot != "" {
		if err := o.h.keep(&s, order.Bot, plan.Info); err != nil {
			return s, plan, err
		}
	}
	if plan, err = r.Plan(s); err != nil { // now with its scope
		return s, plan, faultFailure(order.Kind, err)
	}
	if !plan.Attached {
		return s, plan, &console.Failure{Code: console.CodeRefused, Message: order.Kind + " has nothing to act on in this dualgram, and would never fire",
			Fix: missingSeam[plan.Info.Layer]}
	}
	return s, plan, nil
}

// missingSeam says what a fault of a layer needs.
var missingSeam = map[string]string{
	"tls":   "a tls fault needs a listener that ends TLS itself (webhook.tls)",
	"net":   "a net fault needs a bot with a webhook",
	"http":  "an http fault needs a bot with a webhook",
	"probe": "a probe fault needs a probe (webhook.probe)",
}

// faultFailure says what to do about what the registry refuses.
func faultFailure(kind string, err error) error {
	f := &console.Failure{Code: console.CodeBadRequest, Message: err.Error(), Err: err}
	switch {
	case errors.Is(err, chaos.ErrUnknownKind):
		var kinds []string
		for _, k := range chaos.Kinds() {
			kinds = append(kinds, string(k.Kind))
		}
		f.Message, f.Fix = fmt.Sprintf("there is no fault %q", kind), "see them all: dualgram chaos list"
		if near, ok := config.Nearest(kind, kinds); ok {
			f.Fix = "did you mean " + near + "?"
		}
	case errors.Is(err, chaos.ErrDestructive):
		f.Code, f.Message = console.CodeRefused, kind+" is destructive, and that is not allowed in this dualgram"
		f.Fix = "set chaos.destructive: true and restart, where no real updates arrive"
	case errors.Is(err, chaos.ErrSpec):
		f.Fix = "see what it takes: dualgram chaos list " + kind
	case errors.Is(err, chaos.ErrClosed):
		f.Code, f.Message = console.CodeStarting, "dualgram is stopping"
	}
	return f
}

// Inject implements [console.Faults].
func (o *faultOrders) Inject(ctx context.Context, order console.FaultOrder) (console.Fault, error) {
	order.Reason = config.Redact(order.Reason)
	s, plan, err := o.spec(order)
	if err != nil {
		return console.Fault{}, err
	}
	if order.DryRun {
		f := shownStatus(plan)
		f.Bot, f.State, f.By, f.Reason = order.Bot, console.FaultDryRun, order.By, order.Reason
		f.For, f.Lease, f.InjectedAt, f.EndsAt = order.For.Seconds(), order.Lease.Seconds(), time.Time{}, time.Time{}
		return f, nil
	}
	f, err := o.take(ctx, order, s, plan)
	if err != nil {
		return console.Fault{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return f.shown(), nil
}

// order is Inject for a drill.
func (o *faultOrders) order(ctx context.Context, order console.FaultOrder) (*faultHeld, error) {
	s, plan, err := o.spec(order)
	if err != nil {
		return nil, err
	}
	return o.take(ctx, order, s, plan)
}

// take writes the order down and then carries it out.
func (o *faultOrders) take(ctx context.Context, order console.FaultOrder, s chaos.Spec, plan chaos.Status) (*faultHeld, error) {
	if o.h.sup == nil {
		return nil, errStarting
	}
	if err := o.reserve(); err != nil {
		return nil, err
	}
	note := supervisor.FaultNote{Kind: order.Kind, Bot: order.Bot, Level: supervisor.FaultInjected, By: &order.By, Reason: order.Reason, For: order.For}
	if plan.Leashed {
		note.Level = supervisor.FaultPlanned
	}
	if err := o.h.sup.NoteFault(ctx, note); err != nil {
		o.release()
		return nil, &console.Failure{Code: console.CodeNotSaved, Message: "the order could not be saved, and nothing was injected: " + config.Redact(err.Error()),
			Fix: "free or repair the disk of the store first", Err: err}
	}
	f, err := o.inject(s, order)
	if err != nil {
		note.Level = supervisor.FaultFailed
		_ = o.h.sup.NoteFault(ctx, note) // it is in the log
		return nil, faultFailure(order.Kind, err)
	}
	return f, nil
}

// reserve takes one of the places; inject or release gives it back.
func (o *faultOrders) reserve() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.pending
	for _, f := range o.faults {
		if f.state == "" {
			n++
		}
	}
	switch {
	case o.stopped:
		return &console.Failure{Code: console.CodeRefused, Message: "dualgram is stopping: nothing is injected any more"}
	case n >= maxFaults:
		return &console.Failure{Code: console.CodeRefused, Message: fmt.Sprintf("%d faults are active already", n), Fix: "end them first: dualgram chaos clear"}
	}
	o.pending++
	return nil
}

func (o *faultOrders) release() {
	o.mu.Lock()
	o.pending--
	o.mu.Unlock()
}

// inject makes the fault active and has its end watched.
func (o *faultOrders) inject(s chaos.Spec, order console.FaultOrder) (*faultHeld, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending--
	if o.stopped {
		return nil, chaos.ErrClosed
	}
	// A caller that has gone would never renew it; but the lease sees to that.
	lease, err := o.h.faults.Inject(s)
	if err != nil {
		return nil, err
	}
	f := &faultHeld{order: order, lease: lease, at: time.Now()}
	o.faults = append(o.faults, f)
	o.watches.Go(func() { o.watch(f) })
	return f, nil
}

// watch waits for the end of a fault and writes it down.
func (o *faultOrders) watch(f *faultHeld) {
	<-f.lease.Done()
	o.mu.Lock()
	f.endedAt = time.Now()
	note := supervisor.FaultNote{ID: f.lease.ID(), Kind: f.order.Kind, Bot: f.order.Bot, Reason: f.order.Reason, For: f.endedAt.Sub(f.at), Fired: f.lease.Fired(), By: f.endedBy}
	switch {
	case o.stopped && f.endedBy == nil:
		f.state, note.Level = console.FaultCleared, supervisor.FaultCleared
	case f.endedBy == nil:
		f.state, note.Level = console.FaultExpired, supervisor.FaultExpired
	case *f.endedBy == f.order.By:
		f.state, note.Level = console.FaultEnded, supervisor.FaultEnded
	default:
		f.state, note.Level = console.FaultCleared, supervisor.FaultCleared
	}
	for len(o.faults) > keptFaults && o.faults[0].state != "" {
		o.faults = o.faults[1:]
	}
	o.mu.Unlock()
	if err := o.h.sup.NoteFault(context.Background(), note); err != nil {
		o.h.log.Warn().Err(err).Str("kind", note.Kind).Msg("the end of a fault could not be written to the journal")
	}
}

// Renew implements [console.Faults].
func (o *faultOrders) Renew(_ context.Context, id uint64, _ console.Caller) (console.Fault, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.find(id)
	if f == nil {
		return console.Fault{}, noFault(id)
	}
	left := f.order.For - time.Since(f.at)
	if f.state != "" || left <= 0 {
		return console.Fault{}, noFault(id)
	}
	if f.order.Lease > 0 {
		if err := f.lease.Renew(min(left, f.order.Lease)); err != nil {
			return console.Fault{}, noFault(id)
		}
	}
	return f.shown(), nil
}

// End implements [console.Faults].
func (o *faultOrders) End(_ context.Context, id uint64, by console.Caller) (console.FaultsEnded, error) {
	o.mu.Lock()
	var ending []*faultHeld
	for _, f := range o.faults {
		if (id == 0 || f.lease.ID() == id) && f.state == "" {
			if f.endedBy == nil {
				f.endedBy = &by
			}
			ending = append(ending, f)
		}
	}
	o.mu.Unlock()
	if id != 0 && len(ending) == 0 {
		return console.FaultsEnded{}, noFault(id)
	}
	var out console.FaultsEnded
	for _, f := range ending {
		f.lease.End()
	}
	if id == 0 {
		o.h.faults.Clear() // what was not ordered here
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range ending {
		s := f.shown()
		if f.state == "" { // its watch comes to it in a moment
			s.State, s.EndsAt, s.LeftS = console.FaultCleared, time.Now(), 0
			if by == f.order.By {
				s.State = console.FaultEnded
			}
		}
		out.Ended = append(out.Ended, s)
	}
	return out, nil
}

// stop ends every fault and refuses new ones.
func (o *faultOrders) stop() {
	o.mu.Lock()
	o.stopped = true
	all := slices.Clone(o.faults)
	o.mu.Unlock()
	for _, f := range all {
		f.lease.End()
	}
}
