package store

import (
	"context"
	"encoding/json"
	"math"
	"time"
)

const (
	// keepSeen is how long an id stays in the seen set, three times as long as
	// Telegram keeps an update (Bot API, "Getting updates": 24 hours).
	keepSeen = 72 * time.Hour
	// markEvery is the precision of the sweep.
	markEvery = time.Hour
	// sweepChunk bounds what one transaction deletes, so that intake waits for
	// no more than a few milliseconds.
	sweepChunk = 1000
)

// Tick tells the ledger the Bot API's time, from the Date header of a response.
// Once an hour of it the ledger notes the highest ids, and it deletes from the
// seen set what was there 72 h before. The local clock has no say, except that
// a mark set by this process is used no sooner than its monotonic clock allows:
// a Date that leaps ahead for a moment empties nothing. Tick returns when the
// sweep is done; intake goes on meanwhile. Call it every few minutes.
func (l *Ledger) Tick(ctx context.Context, serverDate time.Time) error {
	at := nanos(serverDate)
	if at <= 0 {
		return l.s.fail("tick", because(ErrArgument, "no date", nil))
	}
	t := &markTask{l: l, date: serverDate, at: at}
	if err := l.s.do(ctx, "tick", t, 64, true); err != nil {
		return err
	}
	for t.sweep != nil {
		w := &sweepTask{l: l, key: t.sweepKey, mark: *t.sweep}
		if err := l.s.do(ctx, "tick", w, 64*sweepChunk, false); err != nil {
			return err
		}
		if w.complete {
			return nil
		}
	}
	return nil
}

// mark is the highest ids at a time of the Bot API's clock.
type mark struct {
	Series []markSeries `json:"series"`
	Odd    int64        `json:"odd,omitempty"`
}

type markSeries struct {
	Num uint32 `json:"num"`
	Max int64  `json:"max"`
}

// covers returns up to which id of a series the seen set was filled at the
// mark. A series that was forgotten before is covered as a whole.
func (m *mark) covers(num uint32) int64 {
	if num == oddSeries {
		return m.Odd
	}
	for _, s := range m.Series {
		if s.Num == num {
			return s.Max
		}
	}
	if len(m.Series) > 0 && num < m.Series[0].Num {
		return math.MaxInt64
	}
	return math.MinInt64
}

type markTask struct {
	l        *Ledger
	date     time.Time
	at       int64
	sweep    *mark // the mark to sweep by, if there is one
	sweepKey []byte
}

func (t *markTask) stage(g *group) error {
	t.sweep, t.sweepKey = nil, nil
	st, err := g.of(t.l)
	if err != nil {
		return err
	}
	date, now, l := t.date, g.now, t.l
	g.results = append(g.results, func() {
		// A date that leaps counts once another one agrees with it.
		off := date.Sub(l.server.Add(now.Sub(l.serverAt)))
		l.serverOK = l.server.IsZero() || off.Abs() < markEvery
		l.server, l.serverAt = date, now
	})

	marks := st.bucket(bucketMarks)
	var ahead [][]byte // set by a clock that was wrong
	last := int64(0)
	c := marks.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		d := decodeTime(k)
		if d > t.at+int64(markEvery) {
			ahead = append(ahead, k)
			continue
		}
		last = d
		if !t.ripe(d, now) {
			continue
		}
		var m mark
		if err := json.Unmarshal(v, &m); err != nil {
			ahead = append(ahead, k) // unreadable: it is replaced in time
			continue
		}
		t.sweep, t.sweepKey = &m, append([]byte(nil), k...)
	}
	for _, k := range ahead {
		if err := st.del(bucketMarks, k); err != nil {
			return err
		}
	}
	if len(st.head.Series) == 0 && st.head.OddMax == 0 || last != 0 && t.at < last+int64(markEvery) {
		return nil
	}
	m := mark{Odd: st.head.OddMax}
	for _, s := range st.head.Series {
		m.Series = append(m.Series, markSeries{s.Num, s.Max})
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	at := t.at
	g.results = append(g.results, func() { l.marked[at] = now })
	return st.put(bucketMarks, encodeTime(t.at), b)
}

// ripe reports whether a mark may be swept by.
func (t *markTask) ripe(d int64, now time.Time) bool {
	if t.at-d < int64(keepSeen) {
		return false
	}
	set, ok := t.l.marked[d]
	return !ok || now.Sub(set) >= keepSeen-markEvery
}

type sweepTask struct {
	l        *Ledger
	key      []byte
	mark     mark
	complete bool
}

func (t *sweepTask) stage(g *group) error {
	st, err := g.of(t.l)
	if err != nil {
		return err
	}
	var old [][]byte
	c := st.bucket(bucketSeen).Cursor()
	for k, _ := c.First(); k != nil && len(old) < sweepChunk; {
		ref, ok := parseRef(k)
		if ok && ref.ID > t.mark.covers(ref.Series) {
			if ref.Series == math.MaxUint32 {
				break
			}
			k, _ = c.Seek(Ref{ref.Series + 1, math.MinInt64}.key())
			continue
		}
		old = append(old, k)
		k, _ = c.Next()
	}
	for _, k := range old {
		if err := st.del(bucketSeen, k); err != nil {
			return err
		}
	}
	st.head.Seen -= len(old)
	t.complete = len(old) < sweepChunk
	if t.complete {
		return t.finish(st)
	}
	return nil
}

// finish moves up what is known of the series and drops the marks used.
func (t *sweepTask) finish(st *stage) error {
	now := st.g.now.UnixNano()
	for i := range st.head.Series {
		s := &st.head.Series[i]
		top := t.mark.covers(s.Num)
		if top == math.MinInt64 {
			continue
		}
		// Telegram keeps nothing for 72 h.
		if err := st.settle(s.Num, math.MinInt64, top, anyTime, now, nil); err != nil {
			return err
		}
		s.Low = max(s.Low, min(top, s.Max)+1)
	}
	var used [][]byte
	c := st.bucket(bucketMarks).Cursor()
	for k, _ := c.First(); k != nil && string(k) <= string(t.key); k, _ = c.Next() {
		used = append(used, k)
	}
	l := st.l
	for _, k := range used {
		d := decodeTime(k)
		st.g.results = append(st.g.results, func() { delete(l.marked, d) })
		if err := st.del(bucketMarks, k); err != nil {
			return err
		}
	}
	return nil
}
