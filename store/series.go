package store

import (
	"math"
	"time"
)

const (
	// belowSeries: Telegram holds at most 100,000 updates for a bot
	// (TQueue.cpp, MAX_QUEUE_EVENTS), so one that is twice as far below
	// everything known is not of this series.
	belowSeries = 200_000
	// aboveSeries: what a bot that was left alone for a day may have missed. A
	// random start within 2,000,001..1,000,000,000 falls in there one time in a
	// thousand, and is then a hole that is settled as lost.
	aboveSeries = 1_000_000
	// quietSeries: Telegram may start a new series after a week without
	// updates. A day is left for clocks that differ.
	quietSeries = 6 * 24 * time.Hour
	// keepSeries: how many series stay known for late deliveries.
	keepSeries = 4
	// maxUpdateID: update_id is an int32 in Telegram's queue.
	maxUpdateID = math.MaxInt32
	// oddSeries keeps ids that Telegram can't have assigned.
	oddSeries = 0
)

// series is what the ledger knows of one run of dense ids.
type series struct {
	Num uint32 `json:"num"`
	// Low is the lowest id still in the seen set, or max+1 after all were swept.
	Low int64 `json:"low"`
	// Floor: no id below it is a hole that is still open.
	Floor int64 `json:"floor"`
	Max   int64 `json:"max"`
	// Local and Server tell when the last id was accepted, in Unix nanoseconds
	// by this host's clock and by the Bot API's; 0: not known.
	Local  int64 `json:"local"`
	Server int64 `json:"server,omitempty"`
}

// near reports whether the id is close enough to belong to the series.
func (s *series) near(id int64) bool {
	return id >= s.Low-belowSeries && id <= s.Max+aboveSeries
}

// quiet reports whether the last accepted id is so old that Telegram may have
// started anew. The Bot API's clock decides if it is known for both ends.
func (s *series) quiet(local, server int64) bool {
	if server != 0 && s.Server != 0 {
		return server-s.Server >= int64(quietSeries)
	}
	return s.Local != 0 && local != 0 && local-s.Local >= int64(quietSeries)
}

// take reports whether an id that is not in the series' seen set belongs to it.
func (s *series) take(id, local, server int64) bool {
	return s.near(id) && (id > s.Max || !s.quiet(local, server))
}

// plausible reports whether Telegram can have assigned the id.
func plausible(id int64) bool { return id > 0 && id <= maxUpdateID }

// where is the series that an id belongs to.
type where struct {
	index     int  // in head.Series; -1: it starts a new one
	duplicate bool // the id is in the seen set of that series
}

// locate finds the series of a plausible id: the current one first, then the
// others from the newest. seen looks the id up in a series' seen set.
func (h *head) locate(id, local, server int64, seen func(num uint32) bool) where {
	try := func(i int) (where, bool) {
		s := &h.Series[i]
		if !s.near(id) {
			return where{}, false
		}
		if id <= s.Max && seen(s.Num) {
			return where{index: i, duplicate: true}, true
		}
		return where{index: i}, s.take(id, local, server)
	}
	cur := h.current()
	if cur >= 0 {
		if w, ok := try(cur); ok {
			return w
		}
	}
	for i := len(h.Series) - 1; i >= 0; i-- {
		if i == cur {
			continue
		}
		if w, ok := try(i); ok {
			return w
		}
	}
	return where{index: -1}
}

// current is the index of the current series in h.Series; -1 if there is none.
func (h *head) current() int {
	for i := len(h.Series) - 1; i >= 0; i-- {
		if h.Series[i].Num == h.Current {
			return i
		}
	}
	return -1
}

// open starts a series at the id and makes it the current one.
func (h *head) open(id int64) int {
	h.LastSeries++
	h.Current = h.LastSeries
	h.Series = append(h.Series, series{Num: h.LastSeries, Low: id, Floor: id, Max: id})
	if n := len(h.Series) - keepSeries; n > 0 {
		h.Series = append([]series(nil), h.Series[n:]...)
	}
	return len(h.Series) - 1
}
