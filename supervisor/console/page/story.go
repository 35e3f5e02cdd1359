package page

import (
	"context"
	"encoding/json"
	"time"

	"dualgram/supervisor"
	"dualgram/supervisor/console"
)

const (
	// day is what the timeline shows.
	day = 24 * time.Hour
	// maxStory bounds what is kept of one bot's journal.
	maxStory = 2000
	// maxPages bounds how much of the journal is read at a time.
	maxPages = 40
)

// told are the kinds of events that the timeline is made of.
var told = []string{supervisor.EventPhase, supervisor.EventHandover, supervisor.EventTrial, supervisor.EventWould, supervisor.EventOperator,
	supervisor.EventForeign, supervisor.EventLoss, supervisor.EventSecret, supervisor.EventFault}

// story is what happened to one bot in the last day, the oldest first, as the
// journal has it.
type story struct {
	events []supervisor.Event
	from   time.Time // what was before is not known; zero if it is
}

// read brings the stories up to date. The page's lock is held.
func (p *Page) read(ctx context.Context, now time.Time) error {
	q := console.EventsQuery{Cursor: p.cursor, Kinds: told, Limit: console.MaxEvents}
	if p.cursor == "" {
		q.Since = now.Add(-day)
	}
	for range maxPages {
		page, err := p.o.Events.Events(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range page.Events {
			p.tell(e)
		}
		q.Cursor, q.Since = page.Cursor, time.Time{}
		p.cursor = page.Cursor
		if len(page.Events) < q.Limit {
			break
		}
	}
	for _, s := range p.stories {
		s.forget(now)
	}
	return nil
}

// tell adds an entry of the journal.
func (p *Page) tell(e console.Event) {
	var ev supervisor.Event
	if json.Unmarshal(e.Data, &ev) != nil {
		return // of a version that we don't know
	}
	ev.At, ev.Bot, ev.Kind = e.At.Local(), e.Bot, e.Kind
	s := p.stories[e.Bot]
	if s == nil {
		s = &story{}
		p.stories[e.Bot] = s
	}
	s.events = append(s.events, ev)
}

// forget drops what is older than a day, and the oldest of what is too much.
func (s *story) forget(now time.Time) {
	first := 0
	for first < len(s.events) && s.events[first].At.Before(now.Add(-day)) {
		first++
	}
	if more := len(s.events) - maxStory; more > first {
		first, s.from = more, s.events[more].At
	}
	if first > 0 {
		s.events = append([]supervisor.Event(nil), s.events[first:]...)
	}
}
