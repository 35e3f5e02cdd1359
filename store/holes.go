package store

import (
	"math"
	"slices"
	"sort"
	"time"
)

// Hole is a run of ids that are missing in the current series.
type Hole struct {
	From, To int64 // both missing
	// Series tells one run of ids from another; it grows.
	Series uint32
	// Since is when an id above the hole was first accepted, by this host's
	// clock.
	Since time.Time
}

// expiredAfter: the shortest life of an update at Telegram is the 30 s of an
// inline query (tdlib/telegram-bot-api Client.cpp, add_update for
// updateNewInlineQuery). A hole that is younger can't be one that expired.
const expiredAfter = 30 * time.Second

// Settled counts the ids of holes that are known never to come.
type Settled struct {
	// Lost: too young to have expired; somebody else took them.
	Lost int
	// ExpiredSuspected: at least 30 s old, so they may have expired.
	ExpiredSuspected int
}

func (s *Settled) add(o Settled) {
	s.Lost += o.Lost
	s.ExpiredSuspected += o.ExpiredSuspected
}

type span struct{ from, to, since int64 }

// holes is a set of missing ids as disjoint ascending spans. Its methods
// return the changed set and may reuse the old one's memory: who shares a set
// clones it first.
type holes []span

// at returns the index of the first span that ends at or above id.
func (h holes) at(id int64) int {
	return sort.Search(len(h), func(i int) bool { return h[i].to >= id })
}

// has reports whether the id is missing.
func (h holes) has(id int64) bool {
	i := h.at(id)
	return i < len(h) && h[i].from <= id
}

// fill takes an id out.
func (h holes) fill(id int64) holes {
	i := h.at(id)
	if i == len(h) || h[i].from > id {
		return h
	}
	s := h[i]
	switch {
	case s.from == s.to:
		return slices.Delete(h, i, i+1)
	case s.from == id:
		h[i].from++
	case s.to == id:
		h[i].to--
	default:
		h[i].to = id - 1
		return slices.Insert(h, i+1, span{id + 1, s.to, s.since})
	}
	return h
}

// cut takes out what is missing within [lo, hi] and was noticed before the
// given time, and returns it.
func (h holes) cut(lo, hi, before int64) (rest holes, gone []span) {
	first := h.at(lo)
	if first == len(h) || h[first].from > hi {
		return h, nil
	}
	rest = append(make(holes, 0, len(h)+1), h[:first]...)
	for _, s := range h[first:] {
		if s.from > hi || s.since >= before {
			rest = append(rest, s)
			continue
		}
		in := span{max(s.from, lo), min(s.to, hi), s.since}
		if s.from < in.from {
			rest = append(rest, span{s.from, in.from - 1, s.since})
		}
		if s.to > in.to {
			rest = append(rest, span{in.to + 1, s.to, s.since})
		}
		gone = append(gone, in)
	}
	return rest, gone
}

// floor is the lowest missing id, or max+1.
func (h holes) floor(max int64) int64 {
	if len(h) > 0 {
		return h[0].from
	}
	return max + 1
}

// count returns how many ids are missing.
func (h holes) count() int64 {
	var n int64
	for _, s := range h {
		n += s.to - s.from + 1
	}
	return n
}

// verdict counts spans that are gone, by their age at the given time.
func verdict(gone []span, now int64) Settled {
	var r Settled
	for _, s := range gone {
		n := int(s.to - s.from + 1)
		if now-s.since >= int64(expiredAfter) {
			r.ExpiredSuspected += n
		} else {
			r.Lost += n
		}
	}
	return r
}

const anyTime = math.MaxInt64
