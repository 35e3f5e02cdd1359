package supervisor

import (
	"context"
	"encoding/json"
	"time"

	"dualgram/supervisor/failover"
	"dualgram/transport"
)

func encode(s failover.State) ([]byte, error) { return json.Marshal(s) }

// begin opens the record of a handover.
func (b *Bot) begin(e failover.Event, old, n failover.State, onset []time.Time) {
	b.current = &Handover{Epoch: n.Epoch, From: old.Mode(), To: n.Mode(), Cause: n.Cause, Onset: e.At, Decided: e.At,
		Drill: n.Drill && n.Cause.Name != failover.CauseOperator}
	if len(onset) > 0 && !onset[0].IsZero() {
		b.current.Onset = onset[0]
	}
	b.arrived.expect()
	b.metrics.handoverBegun(*b.current)
}

// stepped notes a step of the handover under way.
func (b *Bot) stepped(epoch uint64, s Step) {
	if b.current != nil && b.current.Epoch == epoch {
		b.current.Steps = append(b.current.Steps, s)
	}
	b.metrics.step(s)
	b.emit(Event{At: s.At, Bot: b.opt.Name, Kind: EventStep, Epoch: epoch, Name: s.Name, Seconds: s.Seconds, Error: s.Error})
}

// finish closes the record once the new transport answers.
func (b *Bot) finish(ctx context.Context, e failover.Event, old, n failover.State) {
	if b.current == nil || b.current.Epoch != n.Epoch || !b.current.Done.IsZero() {
		return
	}
	arrived := old.Phase == failover.ToPolling && n.Phase == failover.Polling ||
		old.Phase == failover.ToWebhook && n.Phase == failover.Webhook
	if !arrived {
		return
	}
	b.current.Done = e.At
	b.stepped(n.Epoch, Step{Name: StepModePersisted, At: time.Now()})
	if err := b.opt.Hook.At(ctx, StepModePersisted); err != nil {
		return
	}
	h := *b.current
	b.metrics.handoverDone(h)
	b.record(ctx, Event{At: e.At, Bot: b.opt.Name, Kind: EventHandover, Epoch: n.Epoch,
		From: h.From.String(), To: h.To.String(), Cause: h.Cause.Name, Evidence: h.Cause.Evidence,
		Seconds: h.Done.Sub(h.Onset).Seconds(), Drill: h.Drill, Handover: &h})
	if b.opt.Notify != nil && h.From != h.To { // a renewal hands nothing over
		b.calls.Go(func() { b.opt.Notify(ctx, h) })
	}
}

// firstUpdates reports the first new update that came by the transport of the
// latest handover.
func (b *Bot) firstUpdates(ctx context.Context) {
	h := b.current
	if h == nil || h.Done.IsZero() && h.To == failover.ModeWebhook || !h.First.IsZero() {
		return
	}
	source := transport.SourceWebhook
	if h.To == failover.ModePolling {
		source = transport.SourcePolling
	}
	at := b.arrived.firstBy(source)
	if at.IsZero() || at.Before(h.Decided) {
		return
	}
	h.First = at
	b.metrics.firstUpdate(*h)
	b.record(ctx, Event{At: at, Bot: b.opt.Name, Kind: EventFirstUpdate, Epoch: h.Epoch, Source: string(source),
		Seconds: at.Sub(h.Onset).Seconds()})
}
