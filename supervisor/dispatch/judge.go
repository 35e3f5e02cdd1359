package dispatch

import (
	"time"

	"dualgram/store"
	"dualgram/transport/delivery"
)

const (
	minBackoff = 500 * time.Millisecond
	maxBackoff = time.Minute
	// maxProbe bounds the pause between probes of a bot that is down.
	maxProbe = 15 * time.Second
	// maxTurn bounds how long an update that failed in an outage waits for its
	// next turn as a probe.
	maxTurn = 12 * time.Hour
	// jitter spreads pauses by this share up and down.
	jitter = 0.2

	// downUpdates is how many different updates must fail, with none taken in
	// between, for the bot to count as down: one or two may be poison.
	downUpdates = 3
	// downQuiet is for how long none must have been taken then. Where many are
	// delivered at once, some of which fail for their content, three failures in
	// a row are nothing special. As many as there are lanes are.
	downQuiet = 2 * time.Second
	// downBlameless is how many failures in a row that no update can cause make
	// the bot count as down, be it the same update each time.
	downBlameless = 3

	// maxAlone bounds what one pause between two failures adds to the time that
	// an update failed alone: a lane that was held through a long outage has
	// not failed all that time.
	maxAlone = 2 * time.Minute
)

// class is the part that a delivery plays in an outage.
type class uint8

const (
	regular class = iota // none: the bot was not down when it started
	// freshProbe: a probe with an update that has not failed in this process.
	freshProbe
	// againProbe: a probe with an update that has.
	againProbe
	classes
)

// judge knows how the bot has been doing: which updates fail, whether the bot
// as a whole is down, when an update is to be buried. It has no clock, no lock
// and no randomness of its own.
type judge struct {
	maxLanes    int
	maxAttempts int
	buryAfter   time.Duration

	lastTaken   time.Time
	lastFailed  time.Time
	consecutive int // failures since the last update taken
	blameless   int // the same, of kinds that no update can cause, in a row
	failedSince time.Time
	suspects    map[store.Ref]struct{} // updates that failed since then; no more than needed

	firsts firsts // what failing updates compare themselves with

	downSince time.Time              // zero if the bot is not down
	pauses    [classes]time.Duration // between probes of a class
	outages   int                    // how many have begun
	downed    int                    // updates that failed in this outage

	failing map[store.Ref]*failure
}

// firsts counts how first attempts went while the bot was not down. They tell
// how the bot is doing: it gets them whatever failed before.
type firsts struct{ taken, failed uint64 }

func (a firsts) since(b firsts) firsts { return firsts{a.taken - b.taken, a.failed - b.failed} }

// mostlyTaken reports whether some were taken, and at least as many as failed.
func (a firsts) mostlyTaken() bool { return a.taken > 0 && a.taken >= a.failed }

// failure is the history of an update that fails.
type failure struct {
	failures int // in this process
	run      int // in a row as far as pauses go: not those of earlier outages
	outage   int // the number of the outage that the last failure belongs to, or of the last one before it
	down     bool
	last     time.Time
	until    time.Time // the lane is held until then; set in an outage

	first, prev firsts // at the first failure in this process, and at the last

	alone    int           // failures that were alone
	aloneFor time.Duration // and the time they span
}

func newJudge(maxLanes, maxAttempts int, buryAfter time.Duration) *judge {
	return &judge{
		maxLanes:    maxLanes,
		maxAttempts: maxAttempts,
		buryAfter:   buryAfter,
		suspects:    map[store.Ref]struct{}{},
		failing:     map[store.Ref]*failure{},
	}
}

func (j *judge) down() bool { return !j.downSince.IsZero() }

// took notes that the bot took an update, and reports whether that ended an
// outage. before is the number of attempts before this one.
func (j *judge) took(ref store.Ref, before int, now time.Time) (recovered bool) {
	recovered = j.down()
	if before == 0 && !recovered {
		j.firsts.taken++
	}
	j.lastTaken = now
	j.consecutive, j.blameless = 0, 0
	j.failedSince = time.Time{}
	j.downSince = time.Time{}
	clear(j.suspects)
	delete(j.failing, ref)
	return recovered
}

// verdict is what is to become of an update that failed.
type verdict struct {
	bury  bool
	pause time.Duration // until the next attempt, if not buried
}

// failed notes that a delivery failed. before is the number of attempts before
// this one, across restarts; r is a random number in [0, 1).
func (j *judge) failed(ref store.Ref, before int, c class, kind delivery.Kind, now time.Time, r float64) verdict {
	f := j.failing[ref]
	if f == nil {
		if before == 0 && !j.down() {
			j.firsts.failed++
		}
		f = &failure{run: before, outage: j.outages, first: j.firsts}
		j.failing[ref] = f
	} else if !blameless(kind) && j.firsts.since(f.prev).mostlyTaken() {
		f.alone++
		f.aloneFor += min(now.Sub(f.last), maxAlone)
	}
	j.countFailure(ref, kind, now)

	fresh := !j.failedInOutage(ref)
	if f.outage != j.outages {
		f.run, f.outage = 0, j.outages
	}
	f.failures++
	f.run++
	f.last, f.down, f.prev = now, j.down(), j.firsts

	if !j.down() {
		if f.hopeless(j.maxAttempts, j.buryAfter, j.firsts) {
			delete(j.failing, ref)
			return verdict{bury: true}
		}
		return verdict{pause: spread(backoff(f.run, maxBackoff), r)}
	}
	if fresh {
		j.downed++
	}
	if c != regular { // what was in flight when the bot went down says nothing new
		j.pauses[c] = min(2*j.pauses[c], maxProbe)
	}
	// Each update that fails in this outage gets its turn before one gets its
	// second, so that a few at the front can't use up all the probes. Twice the
	// time that it takes: a turn comes early if nobody else's is due.
	turn := min(2*time.Duration(j.downed)*j.pauses[againProbe], maxTurn)
	v := verdict{pause: spread(max(backoff(f.run, maxProbe), turn), r)}
	f.until = now.Add(v.pause)
	return v
}

// countFailure notes a failure of the bot, whichever update it was.
func (j *judge) countFailure(ref store.Ref, kind delivery.Kind, now time.Time) {
	if j.consecutive == 0 {
		j.failedSince = now
	}
	j.consecutive++
	j.lastFailed = now
	if blameless(kind) {
		j.blameless++
	} else {
		j.blameless = 0
	}
	if j.down() {
		return
	}
	// An update that failed while others were taken says nothing about the bot.
	if f := j.failing[ref]; f == nil || f.alone == 0 {
		j.suspects[ref] = struct{}{}
	}
	n := len(j.suspects)
	quiet := now.Sub(j.lastTaken) >= downQuiet
	if n >= downUpdates && (quiet || n >= j.maxLanes) || j.blameless >= downBlameless {
		j.downSince = j.failedSince
		j.pauses = [classes]time.Duration{freshProbe: minBackoff, againProbe: minBackoff}
		j.outages++
		j.downed = 0
		clear(j.suspects)
	}
}

// classOf returns the part that an update plays as a probe.
func (j *judge) classOf(ref store.Ref) class {
	if j.failing[ref] != nil {
		return againProbe
	}
	return freshProbe
}

// failedInOutage reports whether the update has failed since the outage was
// noticed.
func (j *judge) failedInOutage(ref store.Ref) bool {
	f := j.failing[ref]
	return f != nil && f.down && f.outage == j.outages
}

// nextTurn returns until when the lane is held whose turn as a probe comes
// next, of those that failed in this outage; the zero time if there is none.
func (j *judge) nextTurn(now time.Time) (at time.Time) {
	for _, f := range j.failing {
		if f.down && f.outage == j.outages && f.until.After(now) && (at.IsZero() || f.until.Before(at)) {
			at = f.until
		}
	}
	return at
}

// hopeless decides whether an update that has just failed is given up. Its
// first failure has none before it to be compared with, but one failure that
// was alone there must be even if a single attempt is allowed.
func (f *failure) hopeless(maxAttempts int, after time.Duration, now firsts) bool {
	return f.failures >= maxAttempts && f.alone >= max(1, maxAttempts-1) && f.aloneFor >= after &&
		now.since(f.first).mostlyTaken()
}

// blameless reports whether no update can cause this kind of failure.
func blameless(k delivery.Kind) bool {
	switch k {
	case delivery.KindRefused, delivery.KindUnreachable, delivery.KindDNS, delivery.KindTLS, delivery.KindDiskFull:
		return true
	}
	return false
}

// backoff is the pause after the given number of failures in a row.
func backoff(failures int, most time.Duration) time.Duration {
	d := minBackoff
	for i := 1; i < failures && d < most; i++ {
		d *= 2
	}
	return min(d, most)
}

// spread varies a pause by a random number in [0, 1).
func spread(d time.Duration, r float64) time.Duration {
	return time.Duration(float64(d) * (1 - jitter + 2*jitter*r))
}
