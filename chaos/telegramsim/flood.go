package telegramsim

import "time"

// flood limits events to a burst and then one each interval.
type flood struct {
	interval time.Duration
	burst    int
	at       time.Time // when all that was spent has been earned back
}

// wake is when the next event is allowed.
func (f *flood) wake() time.Time {
	return f.at.Add(-time.Duration(f.burst-1) * f.interval)
}

func (f *flood) add(now time.Time) {
	if f.at.Before(now) {
		f.at = now
	}
	f.at = f.at.Add(f.interval)
}
