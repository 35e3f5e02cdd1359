package webhook

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

const (
	// lookEvery is the pause between two looks at the files. Their content is read,
	// some kilobytes: times and inode numbers miss a swapped symlink, or a copy that
	// keeps the old time.
	lookEvery = 2 * time.Second
	// replacing is how long a pair that doesn't parse or match is taken for one whose
	// files are being replaced one after the other.
	replacing = 15 * time.Second
)

// Change is what a look at the files has changed.
type Change struct {
	// Replaced: a new pair is in service, for connections made from now on.
	Replaced bool
	// WasBad: there was none before it, or Telegram would turn it down. Connections
	// that were made with it prove nothing about the new one, so close them:
	// Server.CloseConns.
	WasBad bool
	// Refused says why the files' pair is not in service. It is set once for each
	// content of the files.
	Refused error
	// Mended: the files hold the pair in service again.
	Mended bool
}

// Refusal is a pair in the files that is not in service.
type Refusal struct {
	Since time.Time
	Err   error // an *Error; nil: there is no such pair
}

// settling is what the looks at the files have shown.
type settling struct {
	seen    contentID // by the last look
	since   time.Time // when it was first seen
	told    bool      // it has been reported as refused
	refused Refusal
}

// verdict is what one look comes to.
type verdict uint8

const (
	wait verdict = iota // the files may be in the middle of a change
	keep                // the pair in service is in the files
	take
	refuse
)

// look decides what to do about what is in the files at the time now. A change is
// acted upon when two looks have found the same, because a chain that is written
// in parts looks whole in between, and what can't be used at all is given time:
// the other file is perhaps about to follow. worse is the objection to a pair
// that can be used.
func (s *settling) look(now time.Time, f found, inService *pair, worse error) verdict {
	first := f.id != s.seen
	if first {
		s.seen, s.since, s.told = f.id, now, false
	}
	switch {
	case inService != nil && inService.id == f.id:
		return keep
	case first:
		return wait
	case f.err != nil && inService == nil && errors.Is(f.err, fs.ErrNotExist):
		return wait // it was not promised to be there
	case f.err != nil && now.Sub(s.since) < replacing:
		return wait
	case f.err != nil, worse != nil:
		return refuse
	}
	return take
}

// Look reads the files, and puts what they hold into service once it has settled:
// when the next look finds the same. hosts are those of the webhooks, now is the
// time at Telegram. A pair is refused, and the one in service stays, if it doesn't
// parse or match for 15 s, or if it is expired, not valid yet or for another host
// while the one in service is none of these. A refused pair is judged again at
// each look.
func (c *Certificate) Look(now time.Time, hosts ...string) Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, old := c.read(), c.pair.Load()
	worse := c.objection(f.pair, old, now, hosts)
	return c.act(c.files.look(now, f, old, worse), now, f, old, worse, hosts)
}

// Reload is Look for somebody who knows that the files are whole: it acts at
// once, and says each time why a pair is refused: because it can't be used
// (ErrCertificate), or because the one in service is better (ErrRefused).
func (c *Certificate) Reload(now time.Time, hosts ...string) (Change, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, old := c.read(), c.pair.Load()
	worse := c.objection(f.pair, old, now, hosts)
	s := &c.files
	if f.id != s.seen {
		s.seen, s.since = f.id, now
	}
	s.told = false
	if f.err != nil && old == nil && errors.Is(f.err, fs.ErrNotExist) {
		return Change{}, f.err // it was not promised to be there
	}
	v := take
	switch {
	case old != nil && old.id == f.id:
		v = keep
	case f.err != nil, worse != nil:
		v = refuse
	}
	ch := c.act(v, now, f, old, worse, hosts)
	return ch, ch.Refused
}

// Offer judges a pair as Reload does before it is in the files, and writes it there
// if it is taken: so a pair that is refused, or can't be kept, never takes the place
// of a good one, not even after a restart.
func (c *Certificate) Offer(now time.Time, certPEM, keyPEM []byte, hosts ...string) (Change, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := parsePair(c.certFile, c.keyFile, certPEM, keyPEM)
	if err != nil {
		return Change{}, err
	}
	old := c.pair.Load()
	if err := c.objection(p, old, now, hosts); err != nil {
		return Change{}, err
	}
	if err := WritePair(c.certFile, c.keyFile, certPEM, keyPEM); err != nil {
		return Change{}, err
	}
	p.id = identify(certPEM, keyPEM, nil)
	return c.act(take, now, found{pair: p, id: p.id}, old, nil, hosts), nil
}

func (c *Certificate) act(v verdict, now time.Time, f found, old *pair, worse error, hosts []string) Change {
	s := &c.files
	switch v {
	case keep:
		mended := s.refused.Err != nil
		s.refused = Refusal{}
		return Change{Mended: mended}
	case take:
		s.refused = Refusal{}
		c.pair.Store(f.pair)
		return Change{Replaced: true, WasBad: old.bad(now, hosts)}
	case refuse:
		why := f.err
		if why == nil {
			why = worse
		}
		if s.refused.Err == nil {
			s.refused.Since = s.since
		}
		s.refused.Err = why
		if s.told {
			return Change{}
		}
		s.told = true
		return Change{Refused: why}
	}
	return Change{}
}

// objection says why next must not take the place of old; nil if it may.
func (c *Certificate) objection(next, old *pair, now time.Time, hosts []string) error {
	if next == nil {
		return nil
	}
	for _, host := range hosts {
		if s := next.check(now, host, 0); s.Status.Fatal() && !old.check(now, host, 0).Status.Fatal() {
			return &Error{Op: "certificate", Addr: c.certFile, Err: fmt.Errorf("%w: %s", ErrRefused, s.Detail),
				Hint: "the one in service is good and stays; replace the files"}
		}
	}
	return nil
}

// bad reports whether Telegram would turn the pair down for one of the hosts.
func (p *pair) bad(now time.Time, hosts []string) bool {
	for _, host := range hosts {
		if p.check(now, host, 0).Status.Fatal() {
			return true
		}
	}
	return p == nil
}

// Refused returns the pair in the files that is not in service.
func (c *Certificate) Refused() Refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.files.refused
}

// Watch looks at the files every two seconds until ctx ends, and tells report
// what changed. clock is the time at Telegram.
func (c *Certificate) Watch(ctx context.Context, clock func() time.Time, report func(Change), hosts ...string) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if ch := c.Look(clock(), hosts...); ch != (Change{}) {
			report(ch)
		}
	}
}
