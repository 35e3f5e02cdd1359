package chaos

import (
	"net"
	"os"
	"sync"
	"time"
)

// deadline is a read or write deadline as a wait inside a fault needs it: it
// may be moved while somebody waits. Setting it costs no timer.
type deadline struct {
	mu      sync.Mutex
	at      time.Time
	changed chan struct{} // closed when at changes; nil if nobody waits
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	d.at = t
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
	d.mu.Unlock()
}

func (d *deadline) get() (time.Time, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changed == nil {
		d.changed = make(chan struct{})
	}
	return d.at, d.changed
}

// wait returns nil when either channel is closed or, unless it is zero, at the
// time until. It returns an error when the deadline passes or closed is closed.
func (d *deadline) wait(closed, done <-chan struct{}, until time.Time) error {
	for {
		at, changed := d.get()
		now := time.Now()
		if !at.IsZero() && !now.Before(at) {
			return os.ErrDeadlineExceeded
		}
		next := until
		if next.IsZero() || !at.IsZero() && at.Before(next) {
			next = at
		}
		var tick <-chan time.Time
		stop := func() bool { return true }
		if !next.IsZero() {
			t := time.NewTimer(next.Sub(now))
			tick, stop = t.C, t.Stop
		}
		select {
		case <-closed:
			stop()
			return net.ErrClosed
		case <-done:
			stop()
			return nil
		case <-changed:
			stop()
		case <-tick:
			if !until.IsZero() && !time.Now().Before(until) {
				return nil
			}
		}
	}
}
