package store

import (
	"context"
	"math"
	"time"

	"dualgram/transport"
)

// maxBatch bounds what one call may bring, so that a transaction stays within
// what bbolt and a small host can hold.
const maxBatch = 256 << 20

// Accept implements [transport.Sink]. It returns nil only when every update of
// the batch, or an earlier copy of it, is on disk. On an error nothing may be
// acknowledged. If the context ends first the batch may be stored all the same;
// its next copy is then a duplicate.
//
// Receipt.NewSeries is false for the very first update of a bot: there is no
// older series that anybody could have an offset of.
func (l *Ledger) Accept(ctx context.Context, b transport.Batch) (transport.Receipt, error) {
	at := nanos(b.ReceivedAt)
	if now := time.Now().UnixNano(); at == 0 || at > now {
		at = now
	}
	t := &acceptTask{l: l, at: at, page: b.Page, us: make([]accepting, len(b.Updates))}
	size := 0
	for i := range b.Updates {
		u := &b.Updates[i]
		v := encodeRecord(b.Source, at, u)
		size += len(v)
		t.us[i] = accepting{id: u.ID, has: u.HasID, lane: u.Lane, queue: u.Queue, value: v}
	}
	if size > maxBatch {
		return transport.Receipt{}, l.s.fail("accept", because(ErrArgument, "the batch is too large", nil))
	}
	if err := l.s.do(ctx, "accept", t, size, true); err != nil {
		return transport.Receipt{}, err
	}
	return t.receipt, nil
}

// accepting is one update of a batch; nothing in it is shared with the caller.
type accepting struct {
	id    int64
	has   bool
	lane  string
	queue string
	value []byte
}

type acceptTask struct {
	l       *Ledger
	at      int64
	us      []accepting
	page    *transport.Page
	receipt transport.Receipt
}

func (t *acceptTask) stage(g *group) error {
	st, err := g.of(t.l)
	if err != nil {
		return err
	}
	server := t.l.serverNow(g.now)
	t.receipt = transport.Receipt{Items: make([]transport.Item, len(t.us))}
	var tops tops
	for i := range t.us {
		u := &t.us[i]
		item := &t.receipt.Items[i]
		if !u.has {
			if err := st.quarantine(u.value); err != nil {
				return err
			}
			item.Status = transport.StatusQuarantined
			continue
		}
		ref, fresh, err := st.accept(u, t.at, server, item)
		if err != nil {
			return err
		}
		t.receipt.NewSeries = t.receipt.NewSeries || fresh
		if ref.Series != oddSeries {
			tops.see(ref)
		}
	}
	if t.page == nil {
		return nil
	}
	if err := st.prove(t.page, len(t.us) == 0, tops, t.at); err != nil {
		return err
	}
	return st.keepOffset(t.page, tops)
}

// tops holds the highest id of each series in a page.
type tops []Ref

func (t *tops) see(r Ref) {
	for i := range *t {
		if (*t)[i].Series == r.Series {
			(*t)[i].ID = max((*t)[i].ID, r.ID)
			return
		}
	}
	*t = append(*t, r)
}

// accept stores one update unless it was seen, and follows the series.
func (st *stage) accept(u *accepting, at, server int64, out *transport.Item) (ref Ref, fresh bool, err error) {
	h := &st.head
	var k [refLen]byte
	var first []byte
	seen := func(num uint32) bool {
		Ref{num, u.id}.put(k[:])
		first = st.bucket(bucketSeen).Get(k[:])
		return first != nil
	}
	duplicate := func(ref Ref, first int64) (Ref, bool, error) {
		h.Duplicates++
		*out = transport.Item{Status: transport.StatusDuplicate, FirstSeen: fromNanos(first)}
		return ref, false, nil
	}

	var late bool // the id is not above all of its series
	var s *series
	if plausible(u.id) {
		w := h.locate(u.id, at, server, seen)
		if w.duplicate {
			return duplicate(Ref{h.Series[w.index].Num, u.id}, decodeTime(first))
		}
		if w.index < 0 {
			fresh = h.Current != 0
			w.index = h.open(u.id)
		} else if s := &h.Series[w.index]; u.id > s.Max && s.Num != h.Current {
			// A series that goes on is the one in use.
			h.Current, fresh = s.Num, true
		}
		s = &h.Series[w.index]
		ref = Ref{s.Num, u.id}
		late = u.id <= s.Max
	} else {
		ref = Ref{oddSeries, u.id}
		if seen(oddSeries) {
			return duplicate(ref, decodeTime(first))
		}
		late = true
		h.OddMax = max(h.OddMax, u.id)
	}
	ref.put(k[:])
	if late {
		// Swept from the seen set, but not yet delivered.
		if v := st.bucket(bucketInbox).Get(k[:]); v != nil {
			hd, _, _ := decodeRecord(v)
			return duplicate(ref, hd.received)
		}
	}
	if err := st.put(bucketSeen, k[:], encodeTime(at)); err != nil {
		return ref, false, err
	}
	if err := st.put(bucketInbox, k[:], u.value); err != nil {
		return ref, false, err
	}
	if s != nil {
		st.follow(s, u.id, at, server)
	}
	h.Accepted++
	h.Seen++
	*out = transport.Item{Status: transport.StatusNew}
	st.adds = append(st.adds, addition{laneName(u.lane, ref), u.queue, item{id: ref.ID, received: at, series: ref.Series, size: sizeOf(u.value)}})
	return ref, fresh, nil
}

// follow updates a series and its holes for a new id.
func (st *stage) follow(s *series, id, at, server int64) {
	switch {
	case id > s.Max:
		if id > s.Max+1 {
			st.setHoles(s.Num, append(st.own(s.Num), span{s.Max + 1, id - 1, at}))
		}
		s.Max = id
	case st.missing(s.Num).has(id):
		st.setHoles(s.Num, st.own(s.Num).fill(id))
	}
	s.Low = min(s.Low, id)
	s.Local, s.Server = at, server
}

// serverNow is the Bot API's time in Unix nanoseconds; 0 if it isn't known.
func (l *Ledger) serverNow(now time.Time) int64 {
	if !l.serverOK {
		return 0
	}
	return l.server.Add(now.Sub(l.serverAt)).UnixNano()
}

// prove settles the holes that a page shows to be gone. getUpdates returns what
// is pending from the offset on in the order of ids, so what is missing between
// the offset and the last id of the page is not there any more.
func (st *stage) prove(p *transport.Page, empty bool, tops tops, at int64) error {
	if p.Offset < 0 {
		return nil // counted from the end of the queue: proves nothing
	}
	lo := p.Offset
	if empty {
		return st.settle(st.head.Current, lo, math.MaxInt64, anyTime, at, nil)
	}
	for _, r := range tops {
		if err := st.settle(r.Series, lo, r.ID, anyTime, at, nil); err != nil {
			return err
		}
	}
	return nil
}

// settle declares the holes of a series within [lo, hi], noticed before the
// given time, gone.
func (st *stage) settle(num uint32, lo, hi, before, now int64, sum *Settled) error {
	rest, gone := st.missing(num).cut(lo, hi, before)
	if len(gone) == 0 {
		return nil
	}
	for _, s := range gone {
		if err := st.put(bucketGone, Ref{num, s.from}.key(), encodeTime(s.to)); err != nil {
			return err
		}
	}
	st.setHoles(num, rest)
	v := verdict(gone, now)
	st.head.Lost += uint64(v.Lost)
	st.head.ExpiredSuspected += uint64(v.ExpiredSuspected)
	if sum != nil {
		sum.add(v)
	}
	return st.forgetGone()
}

// forgetGone deletes settled holes that a rebuild would not look at any more: a
// bounded number at a time.
func (st *stage) forgetGone() error {
	var old [][]byte
	c := st.bucket(bucketGone).Cursor()
	for k, v := c.First(); k != nil && len(old) < sweepChunk; k, v = c.Next() {
		ref, ok := parseRef(k)
		if ok {
			if i := st.head.find(ref.Series); i >= 0 {
				s := &st.head.Series[i]
				if decodeTime(v) >= st.missing(s.Num).floor(s.Max) {
					break // the next series' ones can wait
				}
			}
		}
		old = append(old, k)
	}
	for _, k := range old {
		if err := st.del(bucketGone, k); err != nil {
			return err
		}
	}
	return nil
}

func (h *head) find(num uint32) int {
	for i := range h.Series {
		if h.Series[i].Num == num {
			return i
		}
	}
	return -1
}

// keepOffset stores a page's confirming offset with the page.
func (st *stage) keepOffset(p *transport.Page, tops tops) error {
	if p.Next <= 0 || !plausible(p.Next-1) {
		return nil
	}
	num := st.head.Current
	for _, r := range tops {
		if r.ID == p.Next-1 {
			num = r.Series
		}
	}
	l := st.l
	st.after = append(st.after, func(*index) { l.trusted = true })
	if st.head.Next == p.Next && st.head.NextSeries == num {
		return nil
	}
	st.g.wrote = true
	st.head.Next, st.head.NextSeries = p.Next, num
	return nil
}

// SettleHoles declares every open hole that was noticed before the given time
// gone: Telegram has had nothing pending since then.
func (l *Ledger) SettleHoles(ctx context.Context, before time.Time) (Settled, error) {
	t := &settleTask{l: l, before: nanos(before)}
	if err := l.s.do(ctx, "settle holes", t, 0, true); err != nil {
		return Settled{}, err
	}
	return t.sum, nil
}

type settleTask struct {
	l      *Ledger
	before int64
	sum    Settled
}

func (t *settleTask) stage(g *group) error {
	st, err := g.of(t.l)
	if err != nil {
		return err
	}
	t.sum = Settled{}
	return st.settle(st.head.Current, math.MinInt64, math.MaxInt64, t.before, g.now.UnixNano(), &t.sum)
}

// quarantine keeps an update without an id.
func (st *stage) quarantine(value []byte) error {
	st.head.QuarantineN++
	st.head.Quarantined++
	return st.put(bucketQuarantine, seqKey(st.head.QuarantineN), value)
}
