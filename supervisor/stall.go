package supervisor

import (
	"fmt"
	"time"
)

// sample is one answer of getWebhookInfo, reduced to what the signals need.
type sample struct {
	Sent, Got time.Time
	Pending   int
}

// stall sees that Telegram has updates for us and none arrives: every sample
// over the threshold shows some pending, and no authenticated delivery came, or
// was in progress, since the first of them was asked for. Silence alone says
// nothing.
type stall struct {
	window time.Duration
	first  time.Time // when the run's first sample was sent; zero: no run
	last   sample
	count  int
}

// sampled takes in one answer. arrived is when the last authenticated delivery
// began; busy tells that one is in progress.
func (s *stall) sampled(x sample, arrived time.Time, busy bool) {
	s.last = x
	if x.Pending == 0 || busy {
		s.clear()
		return
	}
	if !s.first.IsZero() && arrived.After(s.first) {
		s.clear()
	}
	if s.first.IsZero() {
		if arrived.After(x.Sent) {
			return
		}
		s.first, s.count = x.Sent, 0
	}
	s.count++
}

func (s *stall) clear() { s.first, s.count = time.Time{}, 0 }

// read judges the run. A delivery that came after the last sample ends it.
func (s *stall) read(arrived time.Time, busy bool) Reading {
	r := Reading{Signal: SignalStall, Moves: true}
	if s.first.IsZero() {
		return r
	}
	if busy || arrived.After(s.first) {
		s.clear()
		return r
	}
	r.Since = s.first
	r.Level = Suspect
	span := s.last.Sent.Sub(s.first)
	r.Evidence = fmt.Sprintf("%d pending at Telegram in %d samples over %.1f s, nothing arrived", s.last.Pending, s.count, span.Seconds())
	if s.count >= 2 && span >= s.window {
		r.Level = Tripped
	}
	return r
}
