package host

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/drill"
	"dualgram/store"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
	"dualgram/supervisor/failover"
	"dualgram/supervisor/warning"
	"dualgram/transport"

	dto "github.com/prometheus/client_model/go"
)

// keptEvents is how many events of a bot are kept for the timeline of its drill.
const keptEvents = 2000

// drillHost is one bot of the host, as its drills see it.
type drillHost struct {
	h   *Host
	bot string
	id  int64

	mu      sync.Mutex
	events  []drill.Event
	pending time.Time // since when updates have been pending at Telegram
	who     drill.Who // whose drill is under way: the last that was told of
	what    string
	said    string // what its last progress was
}

// ledger is the bot's.
func (d *drillHost) ledger() (*store.Ledger, error) { return d.h.store.Ledger(d.id) }

// under says which drill is under way; it reports whether it does something new.
// What is told of a drill that was refused meanwhile is news, and no more.
func (d *drillHost) under(p drill.Progress, running string) (news bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.ID != running {
		return true
	}
	news = p.Text != d.said
	d.who, d.what, d.said = p.Who, p.Experiment, p.Text
	return news
}

// Facts implements [drill.Host].
func (d *drillHost) Facts(ctx context.Context) (drill.Facts, error) {
	st, err := statusOf{d.h}.Status(ctx)
	if err != nil {
		return drill.Facts{}, err
	}
	i := slices.IndexFunc(st.Bots, func(b console.Bot) bool { return b.Name == d.bot })
	if i < 0 {
		return drill.Facts{}, fmt.Errorf("there is no bot %s", d.bot)
	}
	b := st.Bots[i]
	f := drill.Facts{At: time.Now(), Started: st.StartedAt, Mode: b.Mode, Phase: b.Phase, Trial: b.Trial, StandbyReady: b.StandbyReady,
		Frozen: b.Frozen, Held: b.Held, Pinned: b.Pinned, Waiting: int(b.Waiting), OldestWaiting: b.OldestWaitingAt, OpenHoles: int(b.OpenHoles),
		Warnings: []string{}, Signals: []string{}}
	if b.Webhook != nil && !b.Webhook.LastErrorAt.IsZero() {
		f.TelegramErrorAt = b.Webhook.LastErrorAt.Add(-d.h.sup.Skew())
	}
	f.IncidentAt = incident(b.LastHandover)
	for _, fault := range st.Faults {
		if fault.Bot == "" || fault.Bot == d.bot {
			f.Faults = append(f.Faults, fault.Kind)
		}
	}
	for _, w := range b.Warnings {
		if w.Severity == console.SeverityCritical && !slices.Contains(f.Critical, w.Code) {
			f.Critical = append(f.Critical, w.Code)
		}
		if !aboutDrills(warning.Code(w.Code)) && !slices.Contains(f.Warnings, w.Code) {
			f.Warnings = append(f.Warnings, w.Code)
		}
	}
	for _, s := range b.Signals {
		if s.State == console.SignalTripped && moves(s.Name) {
			f.Signals = append(f.Signals, s.Name)
		}
	}
	slices.Sort(f.Warnings)
	slices.Sort(f.Signals)
	if b.PendingAtTelegram != nil && b.StandbyReady {
		n := int(*b.PendingAtTelegram)
		f.Pending = &n
		d.mu.Lock()
		switch {
		case n == 0:
			d.pending = time.Time{}
		case d.pending.IsZero():
			d.pending = f.At
		}
		f.PendingSince = d.pending
		d.mu.Unlock()
	}
	return f, d.count(&f, b)
}

// incident is when a handover was made that nobody asked for; zero if it was a
// drill's, an operator's, or none between the modes.
func incident(h *console.Handover) time.Time {
	if h == nil || h.By != supervisor.ByAutomatic || h.From == h.To || h.From == failover.ModeNone.String() {
		return time.Time{}
	}
	if h.FinishedAt.IsZero() {
		return h.StartedAt
	}
	return h.FinishedAt
}

// aboutDrills tells which warnings say nothing of the bot's health: a drill that
// is overdue would otherwise keep itself from being run.
func aboutDrills(c warning.Code) bool {
	return c == warning.FaultActive || c == warning.DrillOverdue || c == warning.DrillHalted
}

// count fills in what the metrics count.
func (d *drillHost) count(f *drill.Facts, b console.Bot) error {
	families, err := d.h.reg.Gather()
	if err != nil {
		return err
	}
	for _, fam := range families {
		for _, m := range fam.GetMetric() {
			if label(m, "bot") != d.bot {
				continue
			}
			n := int64(m.GetCounter().GetValue())
			switch fam.GetName() {
			case "dualgram_updates_received_total":
				if label(m, "source") == string(transport.SourcePolling) {
					f.Counts.ReceivedPolling = n
				} else {
					f.Counts.ReceivedWebhook = n
				}
			case "dualgram_botapi_requests_total":
				if method := label(m, "method"); method == "setWebhook" || method == "deleteWebhook" {
					f.Counts.Registrations += n
				}
			case "dualgram_updates_duplicate_total":
				f.Counts.Duplicates += n
			case "dualgram_updates_forwarded_total":
				if label(m, "result") == "taken" {
					f.Counts.Delivered = n
				}
			case "dualgram_telegram_info_last_success_timestamp_seconds":
				if at := m.GetGauge().GetValue(); at > 0 && f.Pending != nil {
					f.PendingAt = time.UnixMicro(int64(at * 1e6))
				}
			}
		}
	}
	f.Counts.Lost, f.Counts.Dead = b.Lost, b.Dead
	return nil
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// moves tells which signals call for a failover.
func moves(signal string) bool {
	switch signal {
	case supervisor.SignalProbe, supervisor.SignalDrift, supervisor.SignalStandby, supervisor.SignalStore, supervisor.SignalPollStall:
		return false
	}
	return true
}

// MovingSignals lists the signals that call for a failover.
func MovingSignals() (out []string) {
	for _, s := range supervisor.Signals() {
		if moves(s) {
			out = append(out, s)
		}
	}
	return out
}

// observe is told of each event of the bot.
func (d *drillHost) observe(e supervisor.Event) {
	out := drill.Event{At: e.At, Name: e.Name}
	switch {
	case e.Kind == supervisor.EventSignal && e.Level == supervisor.Tripped.String() && moves(e.Name):
		out.Kind, out.Detail = drill.EventDetected, e.Evidence
	case e.Kind == supervisor.EventPhase && e.To == failover.ToPolling.String():
		out.Kind, out.Name, out.Detail = drill.EventDecided, "", e.Cause
	case e.Kind == supervisor.EventStep && e.Name == supervisor.StepDeleteAcked && e.Error == "":
		out.Kind, out.Name = drill.EventDeleteAcked, ""
	case e.Kind == supervisor.EventHandover && e.To == failover.ModePolling.String():
		out.Kind, out.Name = drill.EventFirstPoll, "" // complete once a poll has answered
	case e.Kind == supervisor.EventFirstUpdate && e.Source == string(transport.SourcePolling):
		out.Kind = drill.EventFirstUpdate
	case e.Kind == supervisor.EventStep && e.Name == supervisor.StepSetAcked && e.Error == "":
		out.Kind, out.Name = drill.EventWebhookSet, ""
	case e.Kind == supervisor.EventTrial:
		out.Kind = drill.EventWebhookProven
	case e.Kind == supervisor.EventOperator:
		out.Kind, out.Detail = drill.EventOperator, e.Evidence
	default:
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, out)
	if len(d.events) > keptEvents {
		d.events = slices.Clone(d.events[keptEvents/2:])
	}
}

// Events implements [drill.Host].
func (d *drillHost) Events(_ context.Context, since time.Time) ([]drill.Event, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []drill.Event
	for _, e := range d.events {
		if !e.At.Before(since) {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b drill.Event) int { return a.At.Compare(b.At) })
	return out, nil
}

// order is what a drill asks for.
func (d *drillHost) order(s chaos.Spec) console.FaultOrder {
	return console.FaultOrder{Kind: string(s.Kind), Bot: d.bot, For: cmp.Or(s.Most, chaos.MaxLease), Lease: s.For, Delay: s.Delay, Share: s.Share, Count: s.Count,
		Seed: s.Seed, Params: s.Params}
}

// Plan implements [drill.Planner].
func (d *drillHost) Plan(_ context.Context, s chaos.Spec) error {
	o := d.order(s)
	o.Lease = min(o.Lease, drill.LeaseFor)
	_, _, err := d.h.orders.spec(o)
	var f *console.Failure
	if errors.As(err, &f) && f.Fix != "" {
		return fmt.Errorf("%w; %s", err, f.Fix)
	}
	return err
}

// Rollback implements [drill.Rollbacker]: it is an operator's word like any other,
// in the name of whoever runs the drill.
func (d *drillHost) Rollback(ctx context.Context, action string) error {
	if d.h.sup == nil {
		return errStarting
	}
	who, reason := d.whose()
	command, ok := map[string]string{"failback": console.EndHoldDown, "ack": console.AckFreeze}[action]
	if !ok {
		return fmt.Errorf("there is no rollback %q", action)
	}
	_, err := d.h.sup.Operate(ctx, console.Order{Bot: d.bot, Command: command, Reason: reason, By: console.Caller{User: who.User, UID: who.UID, PID: who.PID}})
	return err
}

// whose tells who runs the drill under way, and why.
func (d *drillHost) whose() (drill.Who, string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	reason := "drill " + d.what
	if d.who.Reason != "" {
		reason += ": " + d.who.Reason
	}
	return d.who, reason
}

// Inject implements [drill.Host]: a drill's fault is an order like an operator's.
func (d *drillHost) Inject(ctx context.Context, s chaos.Spec) (drill.Fault, error) {
	o := d.order(s)
	who, reason := d.whose()
	o.Reason, o.By = reason, console.Caller{User: who.User, UID: who.UID, PID: who.PID}
	f, err := d.h.orders.order(ctx, o)
	if err != nil {
		return nil, err
	}
	return drillFault{f.lease, d.h.orders, f}, nil
}

// drillFault is a fault whose end by its drill is not an expiry.
type drillFault struct {
	*chaos.Lease
	orders *faultOrders
	held   *faultHeld
}

// End implements [drill.Fault].
func (f drillFault) End() {
	f.orders.mu.Lock()
	if f.held.endedBy == nil {
		f.held.endedBy = &f.held.order.By
	}
	f.orders.mu.Unlock()
	f.Lease.End()
}

// drillStore keeps the records of a bot's drills in its ledger: a line of JSON
// without the data, then the data as they are, since they are what is hashed.
type drillStore struct{ l *store.Ledger }

// DrillStore keeps a bot's drills in its ledger, as the host does.
func DrillStore(l *store.Ledger) drill.Store { return drillStore{l} }

// Append implements [drill.Store].
func (s drillStore) Append(ctx context.Context, r drill.Record) error {
	data := r.Data
	r.Data = json.RawMessage("null")
	head, err := json.Marshal(r)
	if err != nil {
		return err
	}
	err = s.l.AppendEvidence(ctx, store.Evidence{Seq: r.Seq, At: r.At, Data: slices.Concat(head, []byte("\n"), data)}, drill.Keep)
	if errors.Is(err, store.ErrSequence) {
		return errors.Join(drill.ErrSeq, err)
	}
	return err
}

// List implements [drill.Store].
func (s drillStore) List(context.Context) ([]drill.Record, error) {
	all, err := s.l.Evidence()
	if err != nil {
		return nil, err
	}
	var out []drill.Record
	for _, e := range all {
		head, data, _ := bytes.Cut(e.Data, []byte("\n"))
		var r drill.Record
		if err := json.Unmarshal(head, &r); err != nil {
			return nil, fmt.Errorf("evidence %d: %w", e.Seq, err)
		}
		r.Data = data
		out = append(out, r)
	}
	return out, nil
}

// Get implements [drill.Store].
func (s drillStore) Get(ctx context.Context, id string) (drill.Record, error) {
	all, err := s.List(ctx)
	if err != nil {
		return drill.Record{}, err
	}
	for _, r := range slices.Backward(all) {
		if r.ID == id {
			return r, nil
		}
	}
	return drill.Record{}, drill.ErrNotFound
}
