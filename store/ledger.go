package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

// The buckets of a bot.
const (
	bucketInbox      = iota // ref → record
	bucketSeen              // ref → when it was first accepted
	bucketTries             // ref → trial
	bucketDead              // ref → burial and record
	bucketQuarantine        // sequence → record
	bucketJournal           // sequence → entry
	bucketState             // name → opaque
	bucketMarks             // Bot API's time → highest ids then
	bucketGone              // first id of a settled hole → last id
	bucketEvidence          // sequence → when, and opaque
	numBuckets
)

var bucketNames = [numBuckets][]byte{
	[]byte("inbox"), []byte("seen"), []byte("tries"), []byte("dead"), []byte("quarantine"),
	[]byte("journal"), []byte("state"), []byte("marks"), []byte("gone"), []byte("evidence"),
}

var headKey = []byte("head")

// head is what a ledger keeps up to date with each commit.
type head struct {
	Series     []series `json:"series,omitempty"` // by number
	Current    uint32   `json:"current"`          // number; 0: none yet
	LastSeries uint32   `json:"last_series"`
	// Next is the offset that confirms the last page committed, an id of
	// NextSeries; 0: none.
	Next       int64  `json:"next,omitempty"`
	NextSeries uint32 `json:"next_series,omitempty"`

	Accepted         uint64 `json:"accepted"`
	Duplicates       uint64 `json:"duplicates"`
	Lost             uint64 `json:"lost"`
	ExpiredSuspected uint64 `json:"expired_suspected"`

	Seen        int    `json:"seen"`
	Dead        int    `json:"dead"`
	Quarantined int    `json:"quarantined"`
	QuarantineN uint64 `json:"quarantine_n"` // last sequence number given
	JournalN    uint64 `json:"journal_n"`
	JournalLow  uint64 `json:"journal_low"` // last one deleted
	OddMax      int64  `json:"odd_max,omitempty"`
}

func (h *head) clone() head {
	c := *h
	c.Series = slices.Clone(h.Series)
	return c
}

// Ledger is one bot's part of a store. Its methods may be called from many
// goroutines.
type Ledger struct {
	s     *Store
	bot   int64
	name  []byte
	ready chan struct{}

	mu      sync.Mutex
	head    head             // changed by the writer only
	holes   map[uint32]holes // the same
	index   *index
	trusted bool // the offset is that of a clean end, or of a page since Open

	// Of the writer alone: the Bot API's clock at the last Tick, and the marks
	// set since Open with when that was by the monotonic clock.
	server   time.Time
	serverAt time.Time
	serverOK bool
	marked   map[int64]time.Time
}

// Ledger returns the ledger of the bot with the numeric id, which is the part
// of its token before the colon. It is made if the store has none.
func (s *Store) Ledger(botID int64) (*Ledger, error) {
	t := &openLedger{s: s, bot: botID}
	if err := s.do(context.Background(), "open the ledger of bot "+strconv.FormatInt(botID, 10), t, 0, true); err != nil {
		return nil, err
	}
	if t.err != nil {
		return nil, s.fail("open the ledger of bot "+strconv.FormatInt(botID, 10), t.err)
	}
	return t.ledger, nil
}

// Bots returns the numeric ids of the bots that the store knows, ascending.
func (s *Store) Bots() ([]int64, error) {
	var ids []int64
	err := s.view(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, _ *bolt.Bucket) error {
			if id, err := strconv.ParseInt(string(name), 10, 64); err == nil {
				ids = append(ids, id)
			}
			return nil
		})
	})
	slices.Sort(ids)
	return ids, s.fail("list the bots", err)
}

type openLedger struct {
	s      *Store
	bot    int64
	ledger *Ledger
	err    error
}

func (t *openLedger) stage(g *group) error {
	name := []byte(strconv.FormatInt(t.bot, 10))
	b := g.tx.Bucket(name)
	if b == nil {
		g.wrote = true
		var err error
		if b, err = g.tx.CreateBucket(name); err != nil {
			return err
		}
	}
	for _, n := range bucketNames {
		if b.Bucket(n) == nil {
			g.wrote = true
			if _, err := b.CreateBucket(n); err != nil {
				return err
			}
		}
	}
	g.results = append(g.results, func() {
		if t.ledger = t.s.ledgers[t.bot]; t.ledger != nil {
			return
		}
		l := &Ledger{
			s: t.s, bot: t.bot, name: name,
			ready:  make(chan struct{}, 1),
			index:  newIndex(),
			marked: make(map[int64]time.Time),
		}
		if t.err = l.load(t.s.cleanAtOpen); t.err == nil {
			t.s.ledgers[t.bot] = l
			t.ledger = l
		}
	})
	return nil
}

// load builds the memory from the disk. Records in delivery stay so.
func (l *Ledger) load(trusted bool) error {
	var (
		h       head
		missing = make(map[uint32]holes)
		items   []addition
		until   = make(map[string]int64)
		now     = time.Now().UnixNano()
	)
	err := l.s.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(l.name)
		if b == nil {
			return damaged("the bucket of bot %s is missing", l.name)
		}
		if v := b.Get(headKey); v != nil {
			if err := json.Unmarshal(v, &h); err != nil {
				return because(ErrCorrupt, "the head of bot "+string(l.name), err)
			}
		}
		for i := range h.Series {
			missing[h.Series[i].Num] = findHoles(b, &h.Series[i], now)
		}
		tries := b.Bucket(bucketNames[bucketTries])
		return b.Bucket(bucketNames[bucketInbox]).ForEach(func(k, v []byte) error {
			ref, ok := parseRef(k)
			hd, _, ok2 := decodeRecord(v)
			if !ok || !ok2 {
				return damaged("a record in the inbox of bot %s can't be read", l.name)
			}
			name := laneName(string(hd.lane), ref)
			items = append(items, addition{name, string(hd.queue), item{id: ref.ID, received: hd.received, series: ref.Series, size: sizeOf(v)}})
			if t := tries.Get(k); t != nil {
				if tr, err := decodeTrial(t); err == nil {
					until[name] = max(until[name], tr.heldUntil(now))
				}
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.head, l.holes, l.trusted = h, missing, trusted
	old := l.index
	l.index = newIndex()
	l.index.rebuild(items, until, old)
	l.mu.Unlock()
	l.signal()
	return nil
}

// rebuild fills an empty index; what is in delivery in old stays so.
func (x *index) rebuild(items []addition, until map[string]int64, old *index) {
	for ref, was := range old.taken {
		l := x.lane(was.name)
		it := *was.taken
		if it.queue != nil {
			it.queue = x.queue(it.queue.name)
			it.queue.insert(ref, l)
			it.queue.busy = true
		}
		l.taken = &it
		x.taken[ref] = l
		x.count++
		x.bytes += int64(it.size)
	}
	for _, a := range items {
		if _, ok := x.taken[a.item.ref()]; !ok {
			x.add(a.lane, a.queue, a.item)
		}
	}
	x.oldestKnown = false
	for name, t := range until {
		if l := x.lanes[name]; l != nil && l.taken == nil && t != 0 {
			l.until = t
			x.place(l)
		}
	}
}

// findHoles rebuilds the open holes of a series from its seen set. A hole was
// noticed at the latest when the id above it was accepted.
func findHoles(b *bolt.Bucket, s *series, now int64) holes {
	var h holes
	want := s.Floor
	c := b.Bucket(bucketNames[bucketSeen]).Cursor()
	for k, v := c.Seek(Ref{s.Num, s.Floor}.key()); k != nil; k, v = c.Next() {
		ref, ok := parseRef(k)
		if !ok || ref.Series != s.Num {
			break
		}
		if ref.ID > want {
			h = append(h, span{want, ref.ID - 1, min(decodeTime(v), now)})
		}
		want = ref.ID + 1
	}
	c = b.Bucket(bucketNames[bucketGone]).Cursor()
	for k, v := c.Seek(Ref{s.Num, math.MinInt64}.key()); k != nil; k, v = c.Next() {
		ref, ok := parseRef(k)
		if !ok || ref.Series != s.Num {
			break
		}
		h, _ = h.cut(ref.ID, decodeTime(v), anyTime)
	}
	return h
}

// laneName is the lane of a record; without one it has its own.
func laneName(lane string, r Ref) string {
	if lane != "" {
		return lane
	}
	b := make([]byte, 0, 32)
	b = append(b, 'i')
	b = strconv.AppendUint(b, uint64(r.Series), 10)
	b = append(b, '/')
	return string(strconv.AppendInt(b, r.ID, 10))
}

func sizeOf(v []byte) uint32 { return uint32(min(len(v), math.MaxUint32)) }

// apply takes over what a group has committed.
func (l *Ledger) apply(st *stage) {
	l.mu.Lock()
	l.head = st.head
	for num, h := range st.holes {
		l.holes[num] = h
	}
	if len(l.holes) > len(st.head.Series) {
		for num := range l.holes {
			if !slices.ContainsFunc(st.head.Series, func(s series) bool { return s.Num == num }) {
				delete(l.holes, num)
			}
		}
	}
	for _, a := range st.adds {
		l.index.add(a.lane, a.queue, a.item)
	}
	for _, f := range st.after {
		f(l.index)
	}
	l.mu.Unlock()
	if len(st.adds) > 0 || len(st.after) > 0 {
		l.signal()
	}
}

func (l *Ledger) signal() {
	select {
	case l.ready <- struct{}{}:
	default:
	}
}

// Ready wakes up whoever calls Next: a value means that something may be there
// now. A lane that was held back and is free again by the clock gives none;
// Next tells how long that takes.
func (l *Ledger) Ready() <-chan struct{} { return l.ready }

// PollOffset returns the offset of the last committed page of getUpdates. ok is
// false if it must not be used and polling starts from the head of Telegram's
// queue: the store has not ended cleanly and no page was committed since, a
// newer series has begun, or there is none.
func (l *Ledger) PollOffset() (next int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &l.head
	if h.Next == 0 || h.NextSeries != h.Current || !l.trusted {
		return 0, false
	}
	return h.Next, true
}

// Holes returns the missing ids of the current series, ascending.
func (l *Ledger) Holes() []Hole {
	l.mu.Lock()
	defer l.mu.Unlock()
	hs := l.holes[l.head.Current]
	if len(hs) == 0 {
		return nil
	}
	r := make([]Hole, len(hs))
	for i, s := range hs {
		r[i] = Hole{s.from, s.to, l.head.Current, time.Unix(0, s.since)}
	}
	return r
}

// Stats is a ledger's state in numbers.
type Stats struct {
	Waiting       int       // records not yet taken by the bot
	WaitingBytes  int64     // their stored size
	InDelivery    int       // of them, handed out by Next
	OldestWaiting time.Time // when the oldest of them was received; zero if none
	Lanes         int       // lanes with something in them
	Dead          int
	Quarantined   int
	Journal       int
	OpenHoles     int64 // missing ids of the current series
	// Since the ledger began. Duplicates may forget a few in a crash.
	Lost, ExpiredSuspected, Accepted, Duplicates uint64
	LastID                                       int64  // the highest id of the current series; 0 if there is none
	Series                                       uint32 // number of the current series; 0 if there is none
	Seen                                         int    // ids in the seen set
}

// Stats returns the present numbers.
func (l *Ledger) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, x := &l.head, l.index
	st := Stats{
		Waiting: x.count, WaitingBytes: x.bytes, InDelivery: len(x.taken), Lanes: len(x.lanes),
		OldestWaiting: fromNanos(x.oldestReceived()),
		Dead:          h.Dead, Quarantined: h.Quarantined, Journal: int(h.JournalN - h.JournalLow),
		OpenHoles: l.holes[h.Current].count(),
		Lost:      h.Lost, ExpiredSuspected: h.ExpiredSuspected, Accepted: h.Accepted, Duplicates: h.Duplicates,
		Series: h.Current, Seen: h.Seen,
	}
	if i := h.current(); i >= 0 {
		st.LastID = h.Series[i].Max
	}
	return st
}

// BotID returns the numeric id of the ledger's bot.
func (l *Ledger) BotID() int64 { return l.bot }

var errShort = errors.New("value too short")

// trial is how often and how a record failed.
type trial struct {
	count     int
	first     int64
	notBefore int64
	written   int64
	cause     string
}

func (t trial) encode() []byte {
	b := make([]byte, 0, 32+len(t.cause))
	for _, n := range [...]int64{int64(t.count), t.first, t.notBefore, t.written} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return append(b, t.cause...)
}

func decodeTrial(v []byte) (t trial, err error) {
	if len(v) < 32 {
		return t, errShort
	}
	return trial{int(decodeTime(v)), decodeTime(v[8:]), decodeTime(v[16:]), decodeTime(v[24:]), string(v[32:])}, nil
}

// heldUntil is when the lane is free again, 0 if it is now. The wait is never
// longer than it was meant to be, whatever the clock did since.
func (t trial) heldUntil(now int64) int64 {
	u := min(t.notBefore, now+max(t.notBefore-t.written, 0))
	if u <= now {
		return 0
	}
	return u
}
