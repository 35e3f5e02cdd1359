package check

import (
	"context"
	"errors"
	"time"

	"dualgram/supervisor/warning"
	"dualgram/transport/botapi"
)

// pollFor is how long our own getUpdates waits for another to break it off. A poller
// that it has broken off comes back within a second or two.
const pollFor = 4 * time.Second

// pollMost is how long the answer to it may take: a second 409 within 3 s is held back
// for 3 s (Client.cpp:16238).
const pollMost = pollFor + 4*time.Second

// poller looks for another program that polls.
//
// A getUpdates of our own shows it: the server lets one wait at a time, and breaks the
// older off with a 409 (Client.cpp:16386-16390). Ours has no offset, so that it
// confirms, and so takes away, nothing; what it returns stays for the other. But it
// does break off the other's poll once. So it is made only before an installation,
// when it is asked for, and where no webhook is set: while one is, nobody can poll. The
// running dualgram watches for others by itself, and would take ours for one.
func (k *checkup) poller(ctx context.Context, b *bot, f *findings) {
	switch {
	case b.live != nil && b.warns(warning.ForeignPoller):
		f.fail(PollerForeign, "", "the running dualgram is broken off by another poller again and again")
	case b.info.URL != "":
		f.pass(PollerForeign, "nobody can poll while a webhook is registered")
	case b.live != nil && b.live.Phase == "polling":
		f.pass(PollerForeign, "the running dualgram polls, and meets nobody")
	case k.alive():
		f.skip(PollerForeign, "the running dualgram doesn't poll at present")
	case !k.o.Pre || !k.nothing:
		f.skip(PollerForeign, "a poll might break off that of a dualgram that doesn't answer")
	case !k.o.Poll:
		f.skip(PollerForeign, "not looked for: --poll does, and breaks off another's poll once")
	default:
		_, err := b.api.GetUpdates(ctx, botapi.GetUpdates{Limit: 1, Timeout: pollFor})
		var e *botapi.Error
		switch {
		case errors.As(err, &e) && e.Conflict == botapi.ConflictOtherGetUpdates:
			f.fail(PollerForeign, "", "another getUpdates broke ours off")
		case errors.As(err, &e) && e.Conflict != "":
			f.warn(PollerForeign, "See who sets a webhook for this bot, then check again.", "somebody set a webhook meanwhile: %s", e.Description)
		case err != nil:
			f.skip(PollerForeign, "not known: %s", err)
		case b.info.PendingUpdateCount > 0:
			f.skip(PollerForeign, "not known: updates are pending, so that no poll has to wait")
		default:
			f.pass(PollerForeign, "nobody else polled within %s", pollFor)
		}
	}
}
