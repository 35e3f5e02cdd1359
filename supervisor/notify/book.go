package notify

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"dualgram/supervisor/warning"
)

// Snapshot is what is so at a time.
type Snapshot struct {
	Conditions []warning.Condition
	// Drilled says whether what begins now for a bot, or with an empty name for the
	// process, may be an injected fault's doing. Nil: it never is.
	Drilled func(bot string) bool
}

// Book decides what is told on one channel. It is used by one goroutine.
type Book struct {
	rules   Rules
	started time.Time
	last    time.Time // when a message was last sent
	serial  int
	entries map[key]*entry
}

type key struct {
	bot  string
	code warning.Code
}

// entry is a warning that is to be told or was.
type entry struct {
	now   warning.Active // as it was last shown
	drill bool
	first time.Time // when it was first seen
	ended time.Time // since when its condition is over; zero while it lasts
	// told is as what severity it was last told, empty if it was not, and toldAt
	// when.
	told   warning.Severity
	toldAt time.Time
	// tried: it was in a message that could not be sent.
	tried bool
	// hidden: it lasts, and is muted or below the floor at present.
	hidden bool
}

// NewBook begins a book at the start of the process.
func NewBook(r Rules, now time.Time) *Book {
	return &Book{rules: r.WithDefaults(), started: now, entries: map[key]*entry{}}
}

// See takes in what is so now.
func (b *Book) See(s Snapshot, now time.Time) {
	lasts, shown := map[key]bool{}, map[key]bool{}
	for _, c := range s.Conditions {
		lasts[key{c.Bot, c.Code}] = true
	}
	for _, a := range warning.Evaluate(s.Conditions, now) {
		if rank(a.Severity) < rank(b.rules.MinSeverity) {
			continue
		}
		k := key{a.Bot, a.Code}
		shown[k] = true
		e := b.entries[k]
		if e == nil {
			e = &entry{first: now, drill: s.Drilled != nil && s.Drilled(a.Bot)}
			b.entries[k] = e
		}
		e.now, e.ended = a, time.Time{}
	}
	for k, e := range b.entries {
		e.hidden = !shown[k]
		switch {
		case lasts[k] && e.hidden && e.told == "" && !e.tried:
			// What explains it is told instead.
			delete(b.entries, k)
		case lasts[k]:
			e.ended = time.Time{}
		case e.told == "" && !e.tried:
			delete(b.entries, k)
		case e.ended.IsZero():
			e.ended = now
		}
	}
}

// Next returns the message that is due, if one is. Whoever sends it says with
// [Book.Sent] or [Book.Failed] what became of it before asking again.
func (b *Book) Next(now time.Time) (Message, bool) {
	if now.Sub(b.started) < b.rules.Quiet || !b.last.IsZero() && now.Sub(b.last) < b.rules.Pause {
		return Message{}, false
	}
	due, repeat := false, false
	for _, e := range b.entries {
		if s := b.state(e); s == Continues {
			repeat = repeat || b.rules.Repeat > 0 && now.Sub(e.toldAt) >= b.rules.Repeat
		} else if s != "" {
			due = due || b.due(e, s, now)
		}
	}
	if !due && !repeat {
		return Message{}, false
	}
	m := Message{Schema: Schema, SentAt: now}
	for _, e := range b.entries {
		s := b.state(e)
		switch s {
		case "":
			continue
		case Continues:
			// All that lasts is told again together.
			if !repeat {
				continue
			}
		case Resolved:
			if !b.due(e, s, now) {
				continue
			}
		}
		m.Items = append(m.Items, e.item(s))
	}
	slices.SortFunc(m.Items, func(x, y Item) int {
		return cmp.Or(cmp.Compare(x.State.order(), y.State.order()), cmp.Compare(rank(y.Severity), rank(x.Severity)),
			cmp.Compare(x.Bot, y.Bot), cmp.Compare(x.Code, y.Code))
	})
	b.serial++
	m.ID = strconv.FormatInt(b.started.UnixMilli(), 36) + "-" + strconv.Itoa(b.serial)
	m.sum()
	return m, true
}

// state is what there is to tell about a warning; empty if nothing is.
func (b *Book) state(e *entry) State {
	switch {
	case e.told == "" && !e.ended.IsZero():
		return Passed
	case e.told == "" && !e.hidden:
		return Raised
	case e.told == "":
		return ""
	case !e.ended.IsZero():
		return Resolved
	case e.hidden:
		return ""
	case rank(e.now.Severity) > rank(e.told):
		return Worse
	}
	return Continues
}

// due tells whether it need not wait for others any more.
func (b *Book) due(e *entry, s State, now time.Time) bool {
	switch s {
	case Raised:
		return now.Sub(e.first) >= b.rules.Gather
	case Resolved:
		return now.Sub(e.ended) >= b.rules.Settle
	}
	return true
}

func (e *entry) item(s State) Item {
	return Item{State: s, Bot: e.now.Bot, Code: string(e.now.Code), Severity: e.now.Severity, Title: e.now.Title, Text: clean(e.now.Text),
		Runbook: e.now.Runbook, Since: begun(e), EndedAt: e.ended, Drill: e.drill}
}

// begun is since when the warning's condition lasts, as far as that is known.
func begun(e *entry) time.Time {
	if !e.now.Since.IsZero() {
		return e.now.Since
	}
	return e.first
}

// Sent notes that the message has arrived.
func (b *Book) Sent(m Message, now time.Time) {
	b.last = now
	for _, i := range m.Items {
		k := key{i.Bot, warning.Code(i.Code)}
		e := b.entries[k]
		switch {
		case e == nil:
		case i.State == Resolved || i.State == Passed:
			delete(b.entries, k)
		default:
			e.told, e.toldAt, e.tried = i.Severity, now, false
		}
	}
}

// Failed notes that the message did not arrive, as far as is known.
func (b *Book) Failed(m Message) {
	for _, i := range m.Items {
		if e := b.entries[key{i.Bot, warning.Code(i.Code)}]; e != nil {
			e.tried = true
		}
	}
}
