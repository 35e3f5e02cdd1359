package store

import (
	"encoding/json"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// group is one transaction in the making. What it will change in memory is
// kept apart until the transaction is synced.
type group struct {
	s      *Store
	tx     *bolt.Tx
	now    time.Time
	wrote  bool
	stages []*stage
	// results run in the writer after the commit, in order, outside locks.
	results []func()
}

// stage is what a group has in hand for one ledger: the ledger's state with the
// group's changes so far.
type stage struct {
	g     *group
	l     *Ledger
	bot   *bolt.Bucket
	cache [numBuckets]*bolt.Bucket
	head  head
	holes map[uint32]holes // of the series that changed
	adds  []addition
	after []func(x *index) // changes of what waits, in order
}

type addition struct {
	lane  string
	queue string
	item  item
}

// of returns the stage of a ledger.
func (g *group) of(l *Ledger) (*stage, error) {
	for _, st := range g.stages {
		if st.l == l {
			return st, nil
		}
	}
	bot := g.tx.Bucket(l.name)
	if bot == nil {
		return nil, damaged("the bucket of bot %s is missing", l.name)
	}
	st := &stage{g: g, l: l, bot: bot, head: l.head.clone()}
	g.stages = append(g.stages, st)
	return st, nil
}

// finish completes the transaction before its commit.
func (g *group) finish() error {
	for _, st := range g.stages {
		for i := range st.head.Series {
			s := &st.head.Series[i]
			s.Floor = st.missing(s.Num).floor(s.Max)
		}
		b, err := json.Marshal(&st.head)
		if err != nil {
			return err
		}
		if err := st.bot.Put(headKey, b); err != nil {
			return err
		}
	}
	root := g.tx.Bucket(rootBucket)
	if g.s.marked || len(g.stages) == 0 {
		// Without a stage the deletion is what makes a commit of it.
		return root.Delete(cleanKey)
	}
	return nil
}

// apply brings memory up to what is on disk.
func (g *group) apply() {
	for _, st := range g.stages {
		st.l.apply(st)
	}
	for _, f := range g.results {
		f()
	}
}

// bucket returns one of the bot's buckets.
func (st *stage) bucket(id int) *bolt.Bucket {
	if st.cache[id] == nil {
		b := st.bot.Bucket(bucketNames[id])
		if b == nil {
			panic("bucket " + string(bucketNames[id]) + " is missing")
		}
		switch id {
		case bucketSeen, bucketJournal, bucketEvidence:
			b.FillPercent = 0.95 // keys only increase: a split page is full
		}
		st.cache[id] = b
	}
	return st.cache[id]
}

func (st *stage) put(bucket int, k, v []byte) error {
	st.g.wrote = true
	return st.bucket(bucket).Put(k, v)
}

func (st *stage) del(bucket int, k []byte) error {
	st.g.wrote = true
	return st.bucket(bucket).Delete(k)
}

// missing returns the open holes of a series. They are shared: see own.
func (st *stage) missing(num uint32) holes {
	if h, ok := st.holes[num]; ok {
		return h
	}
	return st.l.holes[num]
}

// own returns the open holes of a series for changing.
func (st *stage) own(num uint32) holes {
	if h, ok := st.holes[num]; ok {
		return h
	}
	return slices.Clone(st.l.holes[num])
}

func (st *stage) setHoles(num uint32, h holes) {
	if st.holes == nil {
		st.holes = make(map[uint32]holes)
	}
	st.holes[num] = h
}
