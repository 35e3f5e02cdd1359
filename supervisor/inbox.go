package supervisor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"dualgram/store"
	"dualgram/supervisor/console"
)

// Desk is what the inbox commands need of a ledger; *store.Ledger is one. A ledger
// that is none serves the bot all the same.
type Desk interface {
	Lanes(limit int) ([]store.LaneState, error)
	Find(id int64) ([]store.Found, error)
	Dead(after store.Ref, limit int) ([]store.DeadRecord, error)
	Quarantined(after uint64, limit int) ([]store.Quarantine, error)
	Revive(ctx context.Context, refs []store.Ref, entries ...store.Entry) error
	Discard(ctx context.Context, refs []store.Ref, entries ...store.Entry) error
	DiscardQuarantined(ctx context.Context, seqs []uint64, entries ...store.Entry) error
}

// settleChunk bounds one transaction of a settlement of all: each is whole, and has
// its own line in the journal.
const settleChunk = 500

// Inbox is the supervisor's [console.Inbox].
func (s *Supervisor) Inbox() console.Inbox { return inbox{s} }

type inbox struct{ s *Supervisor }

// desk finds a bot and its desk.
func (i inbox) desk(name string) (*Bot, Desk, error) {
	b, err := i.s.bot(name)
	if err != nil {
		return nil, nil, err
	}
	d, ok := b.ledger.(Desk)
	if !ok {
		return nil, nil, &console.Failure{Code: console.CodeUnsupported, Message: "this store does not show what waits"}
	}
	return b, d, nil
}

// Lanes implements [console.Inbox].
func (i inbox) Lanes(_ context.Context, bot string, limit int) (console.InboxLanes, error) {
	b, d, err := i.desk(bot)
	if err != nil {
		return console.InboxLanes{}, err
	}
	st := b.ledger.Stats()
	out := console.InboxLanes{Bot: bot, Waiting: int64(st.Waiting), InDelivery: int64(st.InDelivery), Bytes: st.WaitingBytes, OldestAt: st.OldestWaiting,
		LaneCount: int64(st.Lanes), Dead: int64(st.Dead), Quarantine: int64(st.Quarantined)}
	lanes, err := d.Lanes(limit)
	for _, l := range lanes {
		info := console.UpdateInfo{Ref: refText(l.Head), UpdateID: l.Head.ID, Place: console.PlaceWaiting, Lane: l.Lane, Kind: l.Kind, ReceivedAt: l.ReceivedAt,
			Attempts: int64(l.Attempts), FirstFailedAt: l.FirstFailed, LastCause: l.Cause, NextTryAt: l.NotBefore}
		if l.InDelivery {
			info.Place = console.PlaceInDelivery
		}
		out.Lanes = append(out.Lanes, console.InboxLane{Lane: l.Lane, Waiting: int64(l.Waiting), Next: info})
	}
	return out, err
}

// Find implements [console.Inbox].
func (i inbox) Find(_ context.Context, bot, id string) (console.Updates, error) {
	found, err := i.find(bot, id)
	out := console.Updates{Bot: bot}
	for _, f := range found {
		out.Updates = append(out.Updates, infoOf(f))
	}
	return out, err
}

// find returns what there is under a ref or an update_id, one at least.
func (i inbox) find(bot, id string) ([]store.Found, error) {
	_, d, err := i.desk(bot)
	if err != nil {
		return nil, err
	}
	ref, whole, err := parseRef(id)
	if err != nil {
		return nil, err
	}
	found, err := d.Find(ref.ID)
	if err != nil {
		return nil, err
	}
	var out []store.Found
	for _, f := range found {
		if !whole || f.Ref == ref {
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		return nil, &console.Failure{Code: console.CodeNotFound, Message: fmt.Sprintf("bot %s has no update %s waiting or dead", bot, id),
			Fix: "what the bot has taken is not kept; see what waits: dualgram inbox --bot " + bot}
	}
	return out, nil
}

func infoOf(f store.Found) console.UpdateInfo {
	info := console.UpdateInfo{Ref: refText(f.Ref), UpdateID: f.ID, Place: console.PlaceWaiting, Lane: f.Lane, Kind: f.Kind, Source: string(f.Source),
		ReceivedAt: f.ReceivedAt, Bytes: int64(len(f.Raw)), Attempts: int64(f.Attempts), FirstFailedAt: f.FirstFailed, LastCause: f.LastCause, NextTryAt: f.NotBefore}
	switch {
	case f.Dead:
		info.Place, info.BuriedAt, info.Burial = console.PlaceDead, f.At, f.Reason
	case f.InDelivery:
		info.Place = console.PlaceInDelivery
	}
	return info
}

// refText is how the API writes a ref.
func refText(r store.Ref) string { return fmt.Sprintf("%d:%d", r.Series, r.ID) }

// parseRef reads a ref, or an update_id alone; whole says which.
func parseRef(s string) (r store.Ref, whole bool, err error) {
	series, id, whole := strings.Cut(s, ":")
	if !whole {
		id = series
	} else {
		n, err := strconv.ParseUint(series, 10, 32)
		if err != nil {
			return r, whole, badRef(s)
		}
		r.Series = uint32(n)
	}
	if r.ID, err = strconv.ParseInt(id, 10, 64); err != nil {
		return r, whole, badRef(s)
	}
	return r, whole, nil
}

func badRef(s string) error {
	return &console.Failure{Code: console.CodeBadRequest, Message: fmt.Sprintf("%q is no update", s), Fix: "write its update_id, or SERIES:ID as the lists show it"}
}

// Dead implements [console.Inbox].
func (i inbox) Dead(_ context.Context, bot, after string, limit int) (console.DeadLetters, error) {
	b, d, err := i.desk(bot)
	if err != nil {
		return console.DeadLetters{}, err
	}
	from := store.Ref{ID: math.MinInt64}
	if after != "" {
		var whole bool
		if from, whole, err = parseRef(after); err != nil || !whole {
			return console.DeadLetters{}, badRef(after)
		}
	}
	list, err := d.Dead(from, limit)
	out := console.DeadLetters{Bot: bot, Total: int64(b.ledger.Stats().Dead)}
	for _, r := range list {
		out.Dead = append(out.Dead, infoOf(store.Found{DeadRecord: r, Dead: true}))
	}
	if len(list) == limit {
		out.Next = refText(list[len(list)-1].Ref)
	}
	return out, err
}

// Quarantine implements [console.Inbox].
func (i inbox) Quarantine(_ context.Context, bot string, after uint64, limit int) (console.Quarantined, error) {
	b, d, err := i.desk(bot)
	if err != nil {
		return console.Quarantined{}, err
	}
	list, err := d.Quarantined(after, limit)
	out := console.Quarantined{Bot: bot, Total: int64(b.ledger.Stats().Quarantined)}
	for _, q := range list {
		out.Quarantined = append(out.Quarantined, console.QuarantineInfo{Seq: q.Seq, Source: string(q.Source), ReceivedAt: q.ReceivedAt, Bytes: int64(len(q.Raw))})
	}
	return out, err
}

// Reveal implements [console.Inbox].
func (i inbox) Reveal(ctx context.Context, bot, id string, quarantine bool, by console.Caller, reason string) ([]byte, error) {
	_, d, err := i.desk(bot)
	if err != nil {
		return nil, err
	}
	raw, name, err := i.content(d, bot, id, quarantine)
	if err != nil {
		return nil, err
	}
	return raw, i.s.Audit(ctx, Audited{Bot: bot, Name: "reveal", Level: name, By: by, Reason: reason})
}

// content finds the bytes, and how the journal names them.
func (i inbox) content(d Desk, bot, id string, quarantine bool) (raw []byte, name string, err error) {
	if !quarantine {
		found, err := i.find(bot, id)
		if err == nil && len(found) > 1 {
			err = ambiguous(id, found)
		}
		if err != nil {
			return nil, "", err
		}
		return found[0].Raw, refText(found[0].Ref), nil
	}
	seq, err := parseSeq(id)
	if err != nil {
		return nil, "", err
	}
	list, err := d.Quarantined(seq-1, 1)
	switch {
	case err != nil:
		return nil, "", err
	case len(list) == 0 || list[0].Seq != seq:
		return nil, "", notQuarantined(id)
	}
	return list[0].Raw, "quarantine " + id, nil
}

func notQuarantined(id string) error {
	return &console.Failure{Code: console.CodeNotFound, Message: "there is no number " + id + " in the quarantine", Fix: "see dualgram inbox quarantine list"}
}

func parseSeq(id string) (uint64, error) {
	seq, err := strconv.ParseUint(id, 10, 64)
	if err != nil || seq == 0 {
		return 0, &console.Failure{Code: console.CodeBadRequest, Message: fmt.Sprintf("%q is no number of the quarantine", id), Fix: "see dualgram inbox quarantine list"}
	}
	return seq, nil
}

func ambiguous(id string, found []store.Found) error {
	var refs []string
	for _, f := range found {
		refs = append(refs, refText(f.Ref))
	}
	return &console.Failure{Code: console.CodeBadRequest, Message: fmt.Sprintf("update %s is there in several id series", id), Fix: "write which one: " + strings.Join(refs, ", ")}
}

// Settle implements [console.Inbox].
func (i inbox) Settle(ctx context.Context, o console.SettleOrder) (console.Settled, error) {
	b, d, err := i.desk(o.Bot)
	if err != nil {
		return console.Settled{}, err
	}
	out := console.Settled{Bot: o.Bot, What: o.What}
	left := func() int64 { return int64(b.ledger.Stats().Dead) }
	take := i.deadOnes
	if o.What == console.QuarantineDrop {
		left = func() int64 { return int64(b.ledger.Stats().Quarantined) }
		take = i.quarantinedOnes
	}
	// All is what is there now: one that is buried again meanwhile is not taken twice.
	for most := left(); !o.All || out.Count < most; {
		n, settle, err := take(d, o)
		if err != nil {
			return out, err
		}
		if n == 0 {
			break
		}
		e := Audited{Bot: o.Bot, Name: o.What, By: o.By, Reason: o.Reason, Count: n}.event(b.snapshot().State.Epoch)
		entry, err := e.entry()
		if err != nil {
			return out, err
		}
		if err := settle(ctx, entry); err != nil {
			return out, unsettled(err, out.Count)
		}
		b.emit(e)
		out.Count += int64(n)
		if !o.All {
			break
		}
	}
	out.Left = left()
	return out, nil
}

// unsettled says why it was not done, and how far it went.
func unsettled(err error, done int64) error {
	if errors.Is(err, store.ErrNotFound) {
		return &console.Failure{Code: console.CodeEnded, Message: "one of them is not there any more, and nothing was done: " + err.Error(), Fix: "look again: dualgram inbox dead list", Err: err}
	}
	return &console.Failure{Code: console.CodeNotSaved, Message: fmt.Sprintf("it could not be saved after %d of them, which are done: %v", done, err),
		Fix: "free or repair the disk of the store, then give the command again", Err: err}
}

// settling does it for those that were picked, with one line of the journal.
type settling func(context.Context, store.Entry) error

// deadOnes picks dead letters: those that are named, or the next ones of all.
func (i inbox) deadOnes(d Desk, o console.SettleOrder) (int, settling, error) {
	var refs []store.Ref
	if o.All {
		list, err := d.Dead(store.Ref{ID: math.MinInt64}, settleChunk)
		if err != nil {
			return 0, nil, err
		}
		for _, r := range list {
			refs = append(refs, r.Ref)
		}
	}
	for _, id := range o.IDs {
		found, err := i.find(o.Bot, id)
		if err != nil {
			return 0, nil, err
		}
		var dead []store.Found
		for _, f := range found {
			if f.Dead {
				dead = append(dead, f)
			}
		}
		switch {
		case len(dead) == 0:
			return 0, nil, &console.Failure{Code: console.CodeRefused, Message: fmt.Sprintf("update %s is not dead: it waits for the bot", id), Fix: "see dualgram inbox show " + id}
		case len(dead) > 1:
			return 0, nil, ambiguous(id, dead)
		}
		refs = append(refs, dead[0].Ref)
	}
	return len(refs), func(ctx context.Context, e store.Entry) error {
		if o.What == console.DeadRetry {
			return d.Revive(ctx, refs, e)
		}
		return d.Discard(ctx, refs, e)
	}, nil
}

// quarantinedOnes picks entries of the quarantine.
func (i inbox) quarantinedOnes(d Desk, o console.SettleOrder) (int, settling, error) {
	var seqs []uint64
	if o.All {
		list, err := d.Quarantined(0, settleChunk)
		if err != nil {
			return 0, nil, err
		}
		for _, q := range list {
			seqs = append(seqs, q.Seq)
		}
	}
	for _, id := range o.IDs {
		seq, err := parseSeq(id)
		if err != nil {
			return 0, nil, err
		}
		seqs = append(seqs, seq)
	}
	return len(seqs), func(ctx context.Context, e store.Entry) error { return d.DiscardQuarantined(ctx, seqs, e) }, nil
}
