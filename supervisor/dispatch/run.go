package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dualgram/store"
)

const (
	// lift is added to the time that Next is asked with when all held lanes are
	// to be freed. It is longer than any lane is held, jitter included.
	lift = 2 * maxTurn
	// rescan is how often the ledger is looked through at most for a probe when
	// there was none: Ready can't tell of which class an update is.
	rescan = 500 * time.Millisecond
	// A lane whose record can't be read is held for a while by the ledger,
	// counted from the time that it was asked with. If that was far ahead, lanes
	// are freed once more after this time.
	liftAgain = 2 * time.Minute
	// The pauses after errors of Next.
	minNextPause = 100 * time.Millisecond
	maxNextPause = 5 * time.Second
)

var probes = [...]class{freshProbe, againProbe}

// loop is what Run's goroutine keeps to itself.
type loop struct {
	d        *Dispatcher
	ctx      context.Context
	finished chan class
	inFlight int
	idle     []chan<- struct{} // Drain calls to be answered

	lift    bool      // free all held lanes at the next opportunity
	liftAt  time.Time // and once more then, if set
	wasDown bool
	outage  int
	probing [classes]bool
	probeAt [classes]time.Time // not before, so that probes have their pauses
	lookAt  [classes]time.Time // not before, because there was none to be found
	looked  time.Time
	skipped []store.Ref

	nextFailed time.Duration // pause after errors of Next; 0 if the last one was none
	resumeAt   time.Time
}

// Run delivers until ctx ends. Deliveries in flight are then cancelled and
// waited for; those that fail are not counted as attempts. It returns an error
// if updates that the bot took could not be removed from the ledger, or if it
// was called before.
func (d *Dispatcher) Run(ctx context.Context) error {
	if !d.started.CompareAndSwap(false, true) {
		return errors.New("dispatch: Run was called before")
	}
	defer close(d.stopped)
	// What is held back from an earlier life is tried at once: the bot may have
	// been down then.
	l := &loop{d: d, ctx: ctx, finished: make(chan class, d.opts.MaxLanes), lift: true}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		wait, idle := l.fill(time.Now())
		if idle {
			l.answer()
		}
		timer.Stop()
		var alarm <-chan time.Time
		if wait > 0 {
			timer.Reset(wait)
			alarm = timer.C
		}
		select {
		case <-ctx.Done():
		case c := <-l.finished:
			l.finish(c)
			l.finishAll()
		case <-d.opts.Ledger.Ready():
			if again := l.looked.Add(rescan); again.Before(l.lookAt[freshProbe]) {
				l.lookAt[freshProbe] = again
			}
		case <-d.kick:
		case w := <-d.drains:
			l.idle = append(l.idle, w)
		case <-alarm:
		}
	}
	for l.inFlight > 0 {
		l.finish(<-l.finished)
	}
	d.mu.Lock()
	lost := d.lost
	d.mu.Unlock()
	if lost > 0 {
		return fmt.Errorf("dispatch: %d updates were taken by the bot but could not be removed from the store: they come again after a restart", lost)
	}
	return nil
}

func (l *loop) finish(c class) {
	l.inFlight--
	if c != regular {
		l.probing[c] = false
		d := l.d
		d.mu.Lock()
		l.probeAt[c] = time.Now().Add(spread(d.judge.pauses[c], d.opts.Random()))
		d.mu.Unlock()
	}
}

// finishAll takes what else has finished, so that a busy dispatcher fills many
// slots at a time.
func (l *loop) finishAll() {
	for {
		select {
		case c := <-l.finished:
			l.finish(c)
		default:
			return
		}
	}
}

func (l *loop) answer() {
	for _, w := range l.idle {
		w <- struct{}{}
	}
	l.idle = nil
}

// fill starts deliveries. It returns when to come back at the latest (0: only
// when something happens), and whether there is nothing to do at all.
func (l *loop) fill(now time.Time) (wait time.Duration, idle bool) {
	if now.Before(l.resumeAt) {
		return l.resumeAt.Sub(now), false
	}
	d := l.d
	d.mu.Lock()
	down, outage := d.judge.down(), d.judge.outages
	if down && outage != l.outage {
		for c := range classes {
			l.probeAt[c] = now.Add(spread(d.judge.pauses[c], d.opts.Random()))
		}
	}
	d.mu.Unlock()
	if outage != l.outage {
		// Also if the outage is over before it was seen here: lanes were held
		// for it.
		l.outage, l.wasDown = outage, true
	}
	if down {
		return l.fillProbes(now)
	}
	if l.wasDown {
		l.wasDown, l.lift = false, true
	}
	for l.inFlight < d.opts.MaxLanes {
		rec, ok, wait := l.next(now)
		if !ok {
			return wait, l.nextFailed == 0 && l.inFlight == 0
		}
		l.start(rec, regular)
	}
	return 0, false
}

// fillProbes starts at most one probe of each class.
func (l *loop) fillProbes(now time.Time) (wait time.Duration, idle bool) {
	var due [classes]bool
	for _, c := range probes {
		due[c] = !l.probing[c] && !now.Before(l.probeAt[c]) && !now.Before(l.lookAt[c])
	}
	// Nothing to do is what only a look can tell.
	idle = due[freshProbe] || due[againProbe]
	far := 2 * l.d.opts.MaxLanes
	n := 0
	for ; (due[freshProbe] || due[againProbe]) && n < far; n++ {
		found := l.probe(now, &due)
		idle = idle && !found
		if !found {
			break
		}
	}
	if due[againProbe] && n < far && l.nextFailed == 0 {
		l.d.mu.Lock()
		turn := l.d.judge.nextTurn(now)
		l.d.mu.Unlock()
		if !turn.IsZero() {
			l.probe(turn, &due)
		}
	}
	l.release()
	if l.nextFailed > 0 {
		return l.nextFailed, false
	}
	for _, c := range probes {
		if l.probing[c] {
			continue
		}
		if due[c] {
			// The further it was, the less often.
			l.looked, l.lookAt[c] = now, now.Add(min(rescan*time.Duration(1+n/4), maxProbe))
		}
		pause := max(l.probeAt[c].Sub(now), l.lookAt[c].Sub(now), time.Millisecond)
		if wait == 0 || pause < wait {
			wait = pause
		}
	}
	return wait, idle && l.inFlight == 0
}

// probe starts the next record if a probe of its class is due, and sets it
// aside if not. It reports whether there was one.
func (l *loop) probe(asked time.Time, due *[classes]bool) bool {
	if l.inFlight == l.d.opts.MaxLanes {
		return false
	}
	rec, ok, _ := l.next(asked)
	if !ok {
		return false
	}
	l.d.mu.Lock()
	c := l.d.judge.classOf(rec.Ref)
	l.d.mu.Unlock()
	if due[c] {
		due[c] = false
		l.start(rec, c)
	} else {
		l.skipped = append(l.skipped, rec.Ref)
	}
	return true
}

// release puts back the records that were set aside.
func (l *loop) release() {
	if len(l.skipped) == 0 {
		return
	}
	for _, ref := range l.skipped {
		l.d.opts.Ledger.Release(ref)
	}
	l.skipped = l.skipped[:0]
	// That made the ledger ready, which is no news. Should this swallow some, it
	// is found when its time to look has come.
	select {
	case <-l.d.opts.Ledger.Ready():
	default:
	}
}

// next asks the ledger. If there is no record, wait is as in fill.
func (l *loop) next(now time.Time) (rec store.Record, ok bool, wait time.Duration) {
	if !l.liftAt.IsZero() && !now.Before(l.liftAt) {
		l.lift, l.liftAt = true, time.Time{}
	}
	asked := now
	if l.lift {
		asked = now.Add(lift)
	}
	rec, ok, wait, err := l.d.opts.Ledger.Next(asked)
	if err != nil {
		if l.lift {
			l.lift, l.liftAt = false, now.Add(liftAgain)
		}
		l.d.opts.LedgerFailed("next", err)
		l.nextFailed = min(max(2*l.nextFailed, minNextPause), maxNextPause)
		l.resumeAt = time.Now().Add(l.nextFailed)
		return store.Record{}, false, l.nextFailed
	}
	l.nextFailed = 0
	l.lift = false
	return rec, ok, wait
}

func (l *loop) start(rec store.Record, c class) {
	d := l.d
	d.mu.Lock()
	d.active[rec.Ref] = activity{since: time.Now()}
	d.mu.Unlock()
	l.inFlight++
	if c != regular {
		l.probing[c] = true
	}
	go func() {
		defer func() { l.finished <- c }() // there is room for all
		d.work(l.ctx, rec, c)
	}()
}
