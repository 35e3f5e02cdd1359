package console

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Limits of GET /v1/events.
const (
	DefaultEvents = 100
	MaxEvents     = 1000
	// MaxWait bounds how long a request waits for news.
	MaxWait = 30 * time.Second
)

// lookEvery is how often the journal is looked at for a request that waits: well
// below what a person notices, and a read of a bbolt page in memory.
const lookEvery = 200 * time.Millisecond

// EventsQuery asks for a part of the journal. The zero value of a field asks for
// nothing in particular.
type EventsQuery struct {
	// Cursor continues where another answer ended.
	Cursor string
	// After is the Seq after which to begin, for a query of one bot.
	After *uint64
	// Tail begins with the newest Limit events that match.
	Tail bool
	// Bots and Kinds restrict what is told; Since leaves out what is older, Until
	// what is of that time or newer.
	Bots, Kinds  []string
	Since, Until time.Time
	// Limit is 1 to [MaxEvents].
	Limit int
}

// EventsProvider reads the journal. It returns what is there and doesn't wait.
// Following the Cursor of each answer tells every event that matches once: the
// events of one bot in the order of their Seq, those of several by time as far as
// that allows.
type EventsProvider interface {
	Events(ctx context.Context, q EventsQuery) (Events, error)
}

// Events is the answer of GET /v1/events.
type Events struct {
	Schema string `json:"schema"`
	// Events of one bot are in the order of Seq, those of several by time; never
	// null.
	Events []Event `json:"events"`
	// Next is the after of the request that continues here; absent if the answer
	// is of several bots.
	Next *uint64 `json:"next,omitempty"`
	// Cursor is the cursor of the request that continues here. It is opaque, and
	// outlives a restart of dualgram.
	Cursor string `json:"cursor"`
	// Skipped counts the entries between the cursor asked with and the first one
	// told that the journal no longer held.
	Skipped uint64 `json:"skipped,omitempty"`
}

// Event is one entry of the journal.
type Event struct {
	// Schema is set where events are told line by line.
	Schema string `json:"schema,omitempty"`
	// Seq grows by one with each entry of the bot's journal, told or not.
	Seq uint64    `json:"seq"`
	At  time.Time `json:"at"`
	// Bot is absent if it concerns all of them.
	Bot  string `json:"bot,omitempty"`
	Kind string `json:"kind"`
	// Data is an object whose keys depend on Kind; null if there is none.
	Data json.RawMessage `json:"data"`
}

// events answers GET /v1/events. Its parameters are cursor, after, tail=1, bot and
// kind (both may be repeated), since and until (RFC 3339), limit, and wait: for how many
// seconds to wait for the first event.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	if s.o.Events == nil {
		fail(w, CodeUnsupported, "this dualgram keeps no events", "")
		return
	}
	q, wait, bad := parseEvents(r.URL.Query())
	if bad != nil {
		WriteFailure(w, "events", bad)
		return
	}
	out, err := s.await(r.Context(), q, wait)
	if err != nil {
		WriteFailure(w, "events", err)
		return
	}
	out.Schema, out.Events = SchemaEvents, notNil(out.Events)
	WriteJSON(w, http.StatusOK, out)
}

// await asks until there is an event, for so long at most, and no longer than the
// server runs.
func (s *Server) await(ctx context.Context, q EventsQuery, wait time.Duration) (Events, error) {
	out, err := s.o.Events.Events(ctx, q)
	if wait <= 0 {
		return out, err
	}
	end := time.NewTimer(wait)
	defer end.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	skipped := out.Skipped
	for err == nil && len(out.Events) == 0 {
		// From here on: what did not match need not be looked at again.
		q.Cursor, q.After, q.Tail = out.Cursor, nil, false
		select {
		case <-look.C:
		case <-end.C:
			return out, nil
		case <-s.stop:
			return out, nil
		case <-ctx.Done():
			return out, ctx.Err()
		}
		out, err = s.o.Events.Events(ctx, q)
		skipped += out.Skipped
		out.Skipped = skipped
	}
	return out, err
}

func parseEvents(v url.Values) (q EventsQuery, wait time.Duration, bad *Failure) {
	refuse := func(message, fix string) (EventsQuery, time.Duration, *Failure) {
		return EventsQuery{}, 0, &Failure{Code: CodeBadRequest, Message: message, Fix: fix}
	}
	for name := range v {
		switch name {
		case "cursor", "after", "tail", "bot", "kind", "since", "until", "limit", "wait":
		default:
			return refuse("unknown parameter "+strconv.Quote(name), "the parameters are cursor, after, tail, bot, kind, since, until, limit, wait")
		}
	}
	q = EventsQuery{Cursor: v.Get("cursor"), Bots: v["bot"], Kinds: v["kind"], Limit: DefaultEvents}
	if s := v.Get("after"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return refuse("after is not a whole number", "write the seq of the last event seen")
		}
		q.After = &n
	}
	if s := v.Get("tail"); s != "" {
		if s != "1" {
			return refuse("tail is 1 or left out", "")
		}
		q.Tail = true
	}
	starts := 0
	for _, given := range []bool{q.Cursor != "", q.After != nil, q.Tail} {
		if given {
			starts++
		}
	}
	if starts > 1 {
		return refuse("cursor, after and tail each say where to begin", "give one of them")
	}
	for name, into := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		s := v.Get(name)
		if s == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return refuse(name+" is not a time of RFC 3339", "write it like 2026-03-01T12:00:00Z")
		}
		*into = t
	}
	if s := v.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > MaxEvents {
			return refuse("limit is not a number from 1 to "+strconv.Itoa(MaxEvents), "")
		}
		q.Limit = n
	}
	if s := v.Get("wait"); s != "" {
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || !(n >= 0 && n <= MaxWait.Seconds()) {
			return refuse("wait is not a number of seconds from 0 to "+strconv.Itoa(int(MaxWait.Seconds())), "")
		}
		wait = time.Duration(n * float64(time.Second))
	}
	return q, wait, nil
}
