package supervisor

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"dualgram/store"
	"dualgram/supervisor/console"
)

// eventsChunk is how many entries of a journal are looked at at a time.
const eventsChunk = 500

// Events implements [console.EventsProvider]. Each bot has a journal of its own
// with its own numbers, so the cursor is a position in each: that of the last
// entry that was told or that did not match.
func (s *Supervisor) Events(ctx context.Context, q console.EventsQuery) (console.Events, error) {
	if q.Limit < 1 || q.Limit > console.MaxEvents {
		q.Limit = console.DefaultEvents
	}
	bots, err := s.chosen(q.Bots)
	if err != nil {
		return console.Events{}, err
	}
	at, err := positions(q, bots)
	if err != nil {
		return console.Events{}, err
	}
	var out console.Events
	var tapes []*tape
	for _, b := range bots {
		t := &tape{bot: b, at: at[b.opt.Name]}
		if q.Tail {
			err = t.tail(q)
		} else {
			var gone uint64
			gone, err = t.read(ctx, q)
			out.Skipped += gone
		}
		if err != nil {
			return console.Events{}, err
		}
		tapes = append(tapes, t)
	}
	out.Events = merge(tapes, q.Limit, q.Tail)
	for _, t := range tapes {
		at[t.bot.opt.Name] = t.at
	}
	out.Cursor = encodeCursor(at)
	if len(bots) == 1 {
		next := at[bots[0].opt.Name]
		out.Next = &next
	}
	return out, nil
}

// chosen returns the bots of the names, in the order of the configuration; all if
// there are no names.
func (s *Supervisor) chosen(names []string) ([]*Bot, error) {
	if len(names) == 0 {
		return s.bots, nil
	}
	for _, n := range names {
		if _, err := s.bot(n); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(s.bots), func(b *Bot) bool { return !slices.Contains(names, b.opt.Name) }), nil
}

// positions is where to begin, by the name of the bot. A bot that a cursor does
// not know is told from its beginning.
func positions(q console.EventsQuery, bots []*Bot) (map[string]uint64, error) {
	at := map[string]uint64{}
	switch {
	case q.Cursor != "":
		raw, err := base64.RawURLEncoding.DecodeString(q.Cursor)
		if err == nil {
			err = json.Unmarshal(raw, &at)
		}
		if err != nil || at == nil {
			return nil, &console.Failure{Code: console.CodeBadRequest, Message: "the cursor is not one of this API", Fix: "give the cursor of an earlier answer, or none", Err: err}
		}
	case q.After != nil && len(bots) != 1:
		return nil, &console.Failure{Code: console.CodeBadRequest, Message: "after counts the journal of one bot, and there are several", Fix: "name the bot, or use the cursor"}
	case q.After != nil:
		at[bots[0].opt.Name] = *q.After
	}
	return at, nil
}

func encodeCursor(at map[string]uint64) string {
	raw, err := json.Marshal(at) // sorted by key
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// tape is a stretch of one bot's journal.
type tape struct {
	bot   *Bot
	at    uint64 // the last entry that is done with
	found []store.Entry
	end   uint64 // the last entry that was looked at
}

func matches(e store.Entry, q console.EventsQuery) bool {
	return !e.At.Before(q.Since) && (q.Until.IsZero() || e.At.Before(q.Until)) && (len(q.Kinds) == 0 || slices.Contains(q.Kinds, e.Kind))
}

// read finds up to Limit entries that match, from the position on. gone counts
// the entries in between that the journal has dropped.
func (t *tape) read(ctx context.Context, q console.EventsQuery) (gone uint64, err error) {
	l := t.bot.opt.Ledger
	last, err := l.JournalTail(1)
	if err != nil {
		return 0, fmt.Errorf("supervisor: bot %s: %w", t.bot.opt.Name, err)
	}
	if len(last) == 0 || last[0].Seq < t.at {
		t.at = 0 // another store than the one that the position was taken in
	}
	t.end = t.at
	for first := true; len(t.found) < q.Limit && ctx.Err() == nil; first = false {
		page, err := l.Journal(t.end, eventsChunk)
		if err != nil {
			return 0, fmt.Errorf("supervisor: bot %s: %w", t.bot.opt.Name, err)
		}
		if len(page) == 0 {
			break
		}
		if first && t.at > 0 {
			gone = page[0].Seq - t.at - 1
		}
		for _, e := range page {
			if len(t.found) == q.Limit {
				break
			}
			t.end = e.Seq
			if matches(e, q) {
				t.found = append(t.found, e)
			}
		}
	}
	return gone, ctx.Err()
}

// tail finds the newest entries that match, up to Limit.
func (t *tape) tail(q console.EventsQuery) error {
	for n := q.Limit; ; n *= 4 {
		page, err := t.bot.opt.Ledger.JournalTail(n)
		if err != nil {
			return fmt.Errorf("supervisor: bot %s: %w", t.bot.opt.Name, err)
		}
		if len(page) > 0 {
			t.end = page[len(page)-1].Seq
		}
		whole := len(page) < n || page[0].At.Before(q.Since)
		t.found = slices.DeleteFunc(page, func(e store.Entry) bool { return !matches(e, q) })
		if whole || len(t.found) >= q.Limit {
			t.found = t.found[max(0, len(t.found)-q.Limit):]
			return nil
		}
	}
}

// merge takes up to limit entries by time, without changing the order within one
// tape, and moves each tape's position behind what was taken of it. A tail takes
// the newest and is done with all.
func merge(tapes []*tape, limit int, tail bool) []console.Event {
	var all []console.Event
	var last store.Entry
	left := make([][]store.Entry, len(tapes))
	for i, t := range tapes {
		left[i] = t.found
	}
	for {
		first := -1
		for i, l := range left {
			if len(l) > 0 && (first < 0 || l[0].At.Before(left[first][0].At)) {
				first = i
			}
		}
		if first < 0 {
			break
		}
		e := left[first][0]
		// What concerns all bots stands in each journal, and is told once.
		again := len(all) > 0 && processWide(e.Kind) && e.Kind == last.Kind && e.At.Equal(last.At) && bytes.Equal(e.Data, last.Data)
		if !again && !tail && len(all) == limit {
			break
		}
		left[first] = left[first][1:]
		tapes[first].at = e.Seq
		if again {
			continue
		}
		last = e
		all = append(all, console.Event{Seq: e.Seq, At: e.At, Bot: ofBot(e, tapes[first].bot.opt.Name), Kind: e.Kind, Data: json.RawMessage(e.Data)})
	}
	for i, t := range tapes {
		if len(left[i]) == 0 {
			t.at = max(t.at, t.end)
		}
	}
	if tail {
		all = all[max(0, len(all)-limit):]
	}
	return all
}

// ofBot is the bot that an entry concerns; empty for all.
func ofBot(e store.Entry, journal string) string {
	if !processWide(e.Kind) {
		return journal
	}
	var named struct {
		Bot *string `json:"bot"`
	}
	if json.Unmarshal(e.Data, &named) == nil && named.Bot != nil && *named.Bot == "" {
		return ""
	}
	return journal
}
