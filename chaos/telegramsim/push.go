package telegramsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Update says what to push. Only Kind matters to the server; the other fields
// shape the JSON that is made up for it.
type Update struct {
	// Kind is the update's type, such as "message"; empty is "message".
	Kind string `json:"kind"`
	// Chat is the chat's id; 0 is a private chat with User. Groups are negative.
	Chat int64 `json:"chat"`
	// User is who caused the update; 0 is 1000001.
	User int64 `json:"user"`
	// Text is the message's text, the button's data, the query.
	Text string `json:"text"`
	// Poll is the poll's id for poll and poll_answer; 0 makes one up.
	Poll int64 `json:"poll"`
	// MessageID is the message's id; 0 makes one up.
	MessageID int64 `json:"message_id"`
	// Inline makes a callback_query come from an inline message: it then has no
	// message and no chat.
	Inline bool `json:"inline"`
	// Date is the message's or event's date; zero is now. A message is kept
	// until 24 hours after it.
	Date time.Time `json:"date,omitzero"`
	// Payload, if not nil, is marshalled and sent instead of made-up JSON.
	Payload any `json:"payload,omitempty"`
}

// Push queues an update and returns its update_id. ErrFiltered, ErrQueueFull,
// ErrTooBig and ErrTooOld tell that the server discarded it, without an id.
func (s *Sim) Push(botID int64, u Update) (int64, error) {
	var id int64
	err := s.with(botID, func(b *bot) error {
		if u.Kind == "" {
			u.Kind = "message"
		}
		payload := u.Payload
		if payload == nil {
			payload = b.compose(u)
		}
		raw, err := marshal(payload)
		if err != nil {
			return fmt.Errorf("telegramsim: push: %w", err)
		}
		id, err = b.push(u.Kind, raw)
		return err
	})
	return id, err
}

// marshal writes JSON as the server does: everything beyond ASCII and the slash
// escaped, HTML not.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	in := bytes.TrimRight(b.Bytes(), "\n")
	out := make([]byte, 0, len(in)+16)
	for len(in) > 0 {
		r, n := utf8.DecodeRune(in)
		switch {
		case r == '/':
			out = append(out, '\\', '/')
		case r < utf8.RuneSelf:
			out = append(out, byte(r))
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		in = in[n:]
	}
	return out, nil
}

// PushRaw queues an update whose payload object is sent byte for byte, whatever
// it is. Retention and order follow what can be read from it.
func (s *Sim) PushRaw(botID int64, kind string, payload []byte) (int64, error) {
	var id int64
	err := s.with(botID, func(b *bot) (err error) {
		id, err = b.push(kind, payload)
		return err
	})
	return id, err
}

func (b *bot) push(kind string, payload []byte) (int64, error) {
	now := time.Now()
	bit := kindBit(kind)
	if b.loggedOut || bit != 0 && b.mask()&bit == 0 {
		b.counters.Filtered++
		return 0, ErrFiltered
	}
	var f facts
	_ = json.Unmarshal(payload, &f) // what can't be read has no order and lives a day
	expires, keep := lifetime(kind, f, now)
	raw := make([]byte, 0, len(kind)+3+len(payload))
	raw = append(append(append(append(raw, '"'), kind...), `":`...), payload...)
	switch {
	case !keep:
		b.counters.Discarded++
		return 0, ErrTooOld
	case len(raw) > maxEvent:
		b.counters.Discarded++
		return 0, ErrTooBig
	case b.queue.len() >= maxEvents || b.queue.bytes+len(raw) > maxBytes:
		b.counters.Discarded++
		return 0, ErrQueueFull
	}
	e := &event{payload: raw, expires: expires, extra: ordering(kind, f)}
	e.id = b.nextEventID(now)
	e.rec = &Record{
		ID: e.id, Series: b.series, Kind: kind, Queue: e.extra, PushedAt: now,
		ExpiresAt: time.Unix(expires, 0), Body: e.body(), State: StatePending,
		Chat: f.Chat.id(), User: f.From.id(),
	}
	if f.Message != nil && e.rec.Chat == 0 {
		e.rec.Chat = f.Message.Chat.id()
	}
	if e.rec.User == 0 {
		e.rec.User = f.User.id()
	}
	b.records = append(b.records, e.rec)
	b.byID[recordKey{b.series, e.id}] = e.rec
	b.counters.Pushed++
	b.queue.insert(e)
	b.notify()
	return e.id, nil
}

// notify wakes whoever consumes the queue.
func (b *bot) notify() {
	if b.actor != nil {
		b.actor.news()
	}
	b.wakePoll()
}

// Redeliver queues an update again although it was acknowledged, under its old
// id, as happens when Telegram does not get to read an answer.
func (s *Sim) Redeliver(botID, updateID int64) error {
	return s.with(botID, func(b *bot) error {
		rec := b.byID[recordKey{b.series, updateID}]
		if rec == nil {
			return ErrNoUpdate
		}
		if b.queue.byID[updateID] != nil {
			return nil // it comes anyway
		}
		body := rec.Body
		start := 0
		for start < len(body) && body[start] != '\n' {
			start++
		}
		rec.Again++
		e := &event{
			id: updateID, payload: body[start+1 : len(body)-1], extra: rec.Queue, rec: rec,
			expires: max(rec.ExpiresAt.Unix(), time.Now().Unix()+60),
		}
		b.queue.insert(e)
		if a := b.actor; a != nil && a.offset > updateID {
			a.offset = updateID
		}
		if p := b.parked; p != nil && p.offset > updateID {
			p.offset = updateID
		}
		b.notify()
		return nil
	})
}

// ResetSeries starts a new series of ids at next (0: at random), as Telegram
// does after a quiet week or a lost server. What was queued is cleared.
func (s *Sim) ResetSeries(botID, next int64) error {
	return s.with(botID, func(b *bot) error {
		if next < 0 || next >= maxID {
			return fmt.Errorf("telegramsim: ResetSeries: next is %d, want 0 to %d", next, maxID-1)
		}
		hadHook := b.actor != nil
		if hadHook {
			b.actor.end("series reset")
		}
		b.clear(0, time.Now())
		b.queue.events, b.queue.tail = nil, next
		b.series++
		if p := b.parked; p != nil {
			p.offset = 0
		}
		if hadHook {
			b.start(true, func() {}, func(string) {})
		}
		return nil
	})
}
