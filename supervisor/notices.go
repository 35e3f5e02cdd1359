package supervisor

import (
	"context"
	"slices"
	"time"

	"dualgram/supervisor/warning"
	"dualgram/transport/botapi"
)

// Conditions lists what a person is to be warned about now, before
// [warning.Evaluate] chooses what is shown.
func (s *Supervisor) Conditions(now time.Time) []warning.Condition {
	return s.conditions(s.views(), now)
}

// Drilled tells whether what goes wrong now with a bot, or with an empty name with
// any of them, may be the doing of a fault that was injected on purpose.
func (s *Supervisor) Drilled(bot string, now time.Time) bool {
	return slices.ContainsFunc(s.bots, func(b *Bot) bool { return (bot == "" || bot == b.opt.Name) && b.drilled(now) })
}

// Notice is what is written down of a notification to people.
type Notice struct {
	// Channel is how it was sent, such as webhook.
	Channel string
	// Bots are those that it concerns; none means all.
	Bots []string
	// Summary says what it told; Count of how many warnings.
	Summary string
	Count   int
	// Err is why it could not be sent; nil if it was.
	Err error
}

// NoteNotice writes what became of a notification into the journal of each bot that
// it concerns.
func (s *Supervisor) NoteNotice(ctx context.Context, n Notice) {
	for _, b := range s.bots {
		if len(n.Bots) > 0 && !slices.Contains(n.Bots, b.opt.Name) {
			continue
		}
		e := Event{At: time.Now(), Bot: b.opt.Name, Kind: EventNotice, Epoch: b.snapshot().State.Epoch, Name: n.Channel, Level: NoticeSent,
			Evidence: botapi.Redact(n.Summary), Count: n.Count}
		if n.Err != nil {
			e.Level, e.Error = NoticeFailed, botapi.Redact(n.Err.Error())
		}
		b.record(ctx, e)
	}
}

// The levels of an [EventNotice].
const (
	NoticeSent   = "sent"
	NoticeFailed = "failed"
)
