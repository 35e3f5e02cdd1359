package supervisor

import (
	"context"
	"errors"
	"time"

	"dualgram/supervisor/failover"
)

// asked puts an automatic handover before the operator's veto.
func (b *Bot) asked(ctx context.Context, n failover.State, f failover.Effects) bool {
	if b.opt.Veto == nil {
		return true
	}
	f.Would, f.WouldBe, f.WouldWhy = f.Job, n.Cause, WhyVetoed
	if !b.vetoed.IsZero() && time.Since(b.vetoed) < vetoStands {
		b.noteWould(ctx, time.Now(), f)
		return false
	}
	c, cancel := context.WithTimeout(ctx, b.opt.VetoDeadline)
	defer cancel()
	h := Handover{Epoch: n.Epoch, From: b.state.Mode(), To: n.Mode(), Cause: n.Cause, Decided: time.Now()}
	// The hook's word is waited for, not its end: one that doesn't heed its
	// deadline must not block a failover.
	said := make(chan error, 1)
	b.calls.Go(func() { said <- b.opt.Veto(c, h) })
	var err error
	select {
	case err = <-said:
	case <-c.Done():
		err = c.Err()
	}
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		b.vetoed = time.Time{}
		return true
	}
	b.vetoed = time.Now()
	f.WouldBe.Evidence = err.Error()
	b.noteWould(ctx, b.vetoed, f)
	return false
}

const (
	// DefaultVetoDeadline is the veto hook's share of the budget.
	DefaultVetoDeadline = 500 * time.Millisecond
	// vetoStands is how long a veto is taken for an answer until the hook is
	// asked again; what calls for the handover does so four times a second.
	vetoStands = 5 * time.Second
	// WhyVetoed stands beside the reasons of package failover for withholding a
	// handover.
	WhyVetoed = "vetoed"
)

func (b *Bot) noteWould(ctx context.Context, at time.Time, f failover.Effects) {
	key := f.Would.String() + "/" + f.WouldWhy + "/" + f.WouldBe.Name
	b.withheld = true
	if key == b.would {
		return
	}
	b.would = key
	b.metrics.would(f)
	b.record(ctx, Event{At: at, Bot: b.opt.Name, Kind: EventWould, Epoch: b.state.Epoch,
		Name: f.Would.String(), Cause: f.WouldBe.Name, Evidence: f.WouldBe.Evidence, Level: f.WouldWhy})
}
