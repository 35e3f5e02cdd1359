package store

import (
	"context"
	"fmt"
	"slices"
)

// Revive returns dead records to their lanes, with no attempts counted, and appends
// the entries to the journal, all in one transaction: after a crash each record is
// either dead or waiting, never both and never neither. It returns ErrNotFound if one
// is not there, and then nothing is changed.
func (l *Ledger) Revive(ctx context.Context, refs []Ref, entries ...Entry) error {
	t := &deadTask{l: l, refs: slices.Clone(refs), revive: true}
	var size int
	t.entries, size = encodeEntries(entries)
	return l.s.do(ctx, "revive", t, size+1024*len(refs), true)
}

// Discard deletes dead records for good, and appends the entries to the journal, in
// one transaction. It returns ErrNotFound if one is not there, and then nothing is
// changed.
func (l *Ledger) Discard(ctx context.Context, refs []Ref, entries ...Entry) error {
	t := &deadTask{l: l, refs: slices.Clone(refs)}
	var size int
	t.entries, size = encodeEntries(entries)
	return l.s.do(ctx, "discard", t, size+refLen*len(refs), false)
}

// deadTask takes dead records away: to their lanes, or for good.
type deadTask struct {
	l       *Ledger
	refs    []Ref
	revive  bool
	entries [][]byte
}

func (t *deadTask) stage(g *group) error {
	st, err := g.of(t.l)
	if err != nil {
		return err
	}
	// All are looked for first: a task that is refused must have written nothing.
	adds := make([]addition, len(t.refs))
	records := make([][]byte, len(t.refs))
	for i, r := range t.refs {
		v := st.bucket(bucketDead).Get(r.key())
		if v == nil || slices.Contains(t.refs[:i], r) {
			return because(ErrNotFound, fmt.Sprintf("dead record %d of series %d", r.ID, r.Series), nil)
		}
		if !t.revive {
			continue
		}
		_, rec, err := splitDead(v)
		if err != nil {
			return err
		}
		h, _, ok := decodeRecord(rec)
		if !ok {
			return damaged("dead record %d can't be read", r.ID)
		}
		records[i] = slices.Clone(rec) // the deletion may move it
		adds[i] = addition{laneName(string(h.lane), r), string(h.queue), item{id: r.ID, received: h.received, series: r.Series, size: sizeOf(rec)}}
	}
	for i, r := range t.refs {
		k := r.key()
		if err := st.del(bucketDead, k); err != nil {
			return err
		}
		st.head.Dead--
		// Telegram may have sent it again after its id was swept from the seen set: one
		// copy waits already then.
		if !t.revive || st.bucket(bucketInbox).Get(k) != nil {
			continue
		}
		if err := st.put(bucketInbox, k, records[i]); err != nil {
			return err
		}
		st.adds = append(st.adds, adds[i])
	}
	return st.journal(t.entries)
}

// DiscardQuarantined deletes updates of the quarantine for good, by their numbers,
// and appends the entries to the journal, in one transaction. It returns ErrNotFound
// if one is not there, and then nothing is changed.
func (l *Ledger) DiscardQuarantined(ctx context.Context, seqs []uint64, entries ...Entry) error {
	t := &quarantineTask{l: l, seqs: slices.Clone(seqs)}
	var size int
	t.entries, size = encodeEntries(entries)
	return l.s.do(ctx, "discard", t, size+8*len(seqs), false)
}

type quarantineTask struct {
	l       *Ledger
	seqs    []uint64
	entries [][]byte
}

func (t *quarantineTask) stage(g *group) error {
	st, err := g.of(t.l)
	if err != nil {
		return err
	}
	for i, seq := range t.seqs {
		if st.bucket(bucketQuarantine).Get(seqKey(seq)) == nil || slices.Contains(t.seqs[:i], seq) {
			return because(ErrNotFound, fmt.Sprintf("number %d of the quarantine", seq), nil)
		}
	}
	for _, seq := range t.seqs {
		if err := st.del(bucketQuarantine, seqKey(seq)); err != nil {
			return err
		}
		st.head.Quarantined--
	}
	return st.journal(t.entries)
}
