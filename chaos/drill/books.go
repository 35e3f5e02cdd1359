package drill

import (
	"context"
	"fmt"
	"time"
)

// Simulator says what a run was made against where Telegram is played.
type Simulator struct {
	// Rate is updates a second, Chats how many chats they come from.
	Rate  float64 `json:"rate"`
	Chats int     `json:"chats"`
	// Shortened are the settings that a live host has otherwise, each with what it is
	// there, such as "failover.hold_down is 20s instead of 1m0s".
	Shortened []string `json:"shortened"`
	// Books are the simulator's own; nil if the run was not watched to its end.
	Books *Books `json:"books"`
}

// Books compare what Telegram sent in the run, and before it, with what the bot
// took. No count of the host's is in them.
type Books struct {
	Sent       int `json:"sent"`
	Delivered  int `json:"delivered"` // different updates that the bot has
	ByWebhook  int `json:"by_webhook"`
	ByPolling  int `json:"by_polling"`
	Lost       int `json:"lost"` // what the bot never had, and Telegram no longer has
	Waiting    int `json:"waiting"`
	Doubled    int `json:"doubled"`
	OutOfOrder int `json:"out_of_order"`
	// Switch is how long polling took to hand out an update, in seconds: from the
	// first injection, or from the first update that it stranded if that was sent
	// later. Nil if polling handed out none.
	Switch *float64 `json:"switch_s"`
	// Altered are those whose bytes changed on the way.
	Altered int `json:"altered"`
	// Details tells of some of what is wrong, for people.
	Details []string `json:"details,omitempty"`
}

// Witness is a [Host] whose Telegram is played: what was really sent is known.
type Witness interface {
	// Books ends the traffic, waits a while until the bot has what was sent, and
	// compares. injected is when the first fault began. Nil without an error means
	// that the host is a live one after all.
	Books(ctx context.Context, injected time.Time) (*Books, error)
}

// books asks the witness, if there is one, once all else is over.
func (r *run) books(ctx context.Context) error {
	w, ok := r.d.o.Host.(Witness)
	if !ok || r.j.Simulator == nil {
		return nil
	}
	b, err := w.Books(ctx, r.j.Timeline.Inject)
	if err != nil {
		return fmt.Errorf("the simulator's books could not be read: %w", err)
	}
	r.j.Simulator.Books = b
	return nil
}

// problems says what in the books must not be. thrown is how many updates were lost on
// purpose: those, and no other.
func (b *Books) problems(x Expect, thrown int64) (out []string) {
	lost := b.Lost
	if x.Loses && int64(lost) == thrown {
		lost = 0
	}
	for _, c := range []struct {
		n    int
		what string
	}{{lost, "were lost"}, {b.Doubled, "came to the bot more than once"}, {b.OutOfOrder, "came to the bot out of order"},
		{b.Waiting, "had not come to the bot long after the last was sent"}, {b.Altered, "were altered on the way"}} {
		if c.n > 0 {
			out = append(out, fmt.Sprintf("by the simulator's books, %d of %d updates %s", c.n, b.Sent, c.what))
		}
	}
	if b.Sent == 0 {
		out = append(out, "by the simulator's books, no update was sent")
	}
	if len(out) == 0 && x.Loses {
		return nil // the details are of what was lost
	}
	return append(out, b.Details...)
}
