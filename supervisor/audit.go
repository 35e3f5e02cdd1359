package supervisor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dualgram/supervisor/console"
	"dualgram/supervisor/failover"
	"dualgram/transport/botapi"
)

// Audited is something that an operator did besides the commands that move the
// mode.
type Audited struct {
	// Bot is empty for what concerns the process as a whole.
	Bot string
	// Name is what was done, such as log_level; Level how, such as debug.
	Name, Level string
	// By and Reason are the operator's; Count is how many things it concerns, For how
	// long it lasts. What is redacted from the reason here is everything shaped like a
	// token.
	By     console.Caller
	Reason string
	Count  int
	For    time.Duration
}

// event is how the log and the journal tell it.
func (a Audited) event(epoch uint64) Event {
	return Event{At: time.Now(), Bot: a.Bot, Kind: EventOperator, Epoch: epoch, Name: a.Name, Level: a.Level, Cause: failover.CauseOperator,
		Evidence: botapi.Redact(a.Reason), Count: a.Count, Seconds: a.For.Seconds(), By: &a.By}
}

// Audit writes what an operator did into the log and into the journal: of the bot, or
// of every bot if it concerns them all. It is called before what it tells of is done,
// and an error means that it must not be done: nobody could say who did it.
func (s *Supervisor) Audit(ctx context.Context, a Audited) error {
	bots := s.bots
	log := s.log
	var epoch uint64
	if a.Bot != "" {
		b, err := s.bot(a.Bot)
		if err != nil {
			return err
		}
		bots, log, epoch = []*Bot{b}, b.log, b.snapshot().State.Epoch
	}
	e := a.event(epoch)
	for _, b := range bots {
		if err := b.write(ctx, e); err != nil {
			return &console.Failure{Code: console.CodeNotSaved, Message: "the journal can't be written, and nothing was done: " + err.Error(),
				Fix: "free or repair the disk of the store, then try again", Err: err}
		}
	}
	tell(log, e)
	return nil
}

// keepWarnings writes into the journals which warnings were raised and which are
// over, until the context ends. A store that fails is waited for: what it could not
// take is what somebody will ask about.
func (s *Supervisor) keepWarnings(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			s.lastWarnings(ctx)
			return
		case e := <-s.warned:
			for pause := time.Second; ctx.Err() == nil; pause = min(2*pause, time.Minute) {
				if s.keepWarning(ctx, e) == nil {
					break
				}
				select {
				case <-time.After(pause):
				case <-ctx.Done():
					_ = s.keepWarning(ctx, e) // once more, while the store is there
				}
			}
		}
	}
}

// lastWarnings writes what is left when the process stops, as far as the store
// takes it.
func (s *Supervisor) lastWarnings(ctx context.Context) {
	for {
		select {
		case e := <-s.warned:
			if s.keepWarning(ctx, e) != nil {
				return
			}
		default:
			return
		}
	}
}

// keepWarning writes one entry: into the journal of its bot, or of every bot.
func (s *Supervisor) keepWarning(ctx context.Context, e Event) error {
	for _, b := range s.bots {
		if e.Bot != "" && e.Bot != b.opt.Name {
			continue
		}
		if err := b.write(ctx, e); err != nil {
			return fmt.Errorf("supervisor: bot %s: journal: %w", b.opt.Name, err)
		}
	}
	return nil
}

// maxWarned bounds the entries about warnings that wait for a store that fails.
const maxWarned = 256

// processWide are the kinds of which an entry may concern every bot. It then stands
// in each journal, byte for byte the same.
func processWide(kind string) bool {
	return slices.Contains([]string{EventWarning, EventOperator}, kind)
}
