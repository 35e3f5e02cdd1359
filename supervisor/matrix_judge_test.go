package supervisor_test

import (
	"slices"
	"time"

	"dualgram/chaos/matrix"
	"dualgram/chaos/telegramsim"
	"dualgram/supervisor"
	"dualgram/supervisor/failover"
	"dualgram/transport"
)

// notMovers are the signals that don't move the mode on their own; any other may
// be what detected the fault.
var notMovers = []string{supervisor.SignalStandby, supervisor.SignalPollStall, supervisor.SignalStore, "probe", "drift"}

// sample ends the run and judges it. What was lost, doubled, reordered, what
// waited and what polling brought is Telegram's truth and the bot's record; only
// the moments of detection, decision and switch are taken from dualgram's events.
func (r *matrixRun) sample(seed uint64) matrix.Sample {
	s := matrix.Sample{Seed: seed, Rate: r.rate, Detect: matrix.None, Decide: matrix.None, Switch: matrix.None,
		First: matrix.None, Longest: matrix.None, Failback: matrix.None}
	if len(r.problems) > 0 && r.onset.IsZero() {
		s.Problems = r.problems
		return s
	}
	s.Working = r.working()
	r.flow.end()
	if err := r.h.stop(); err != nil {
		r.problem("stop: %v", err)
	}
	v := judge(r.testWorld, r.onset)
	truth, err := r.sim.Bot(r.botID)
	if err != nil {
		r.problem("no truth: %v", err)
	}
	s.Sent, s.Lost, s.Reordered, s.Doubled = v.Figures.Sent, v.Figures.Lost+v.Figures.Expired, v.Figures.Reordered, v.Figures.Repeats
	for id, n := range r.audit.fresh {
		if n > 1 {
			s.Doubled++
			r.problem("the ledger took update %d as new %d times", id, n)
		}
	}
	first := r.waits(&s, truth)
	r.events(&s, first)
	r.registrations(&s, truth)
	r.manners(truth)
	for _, l := range r.leases {
		s.Fired += l.Fired()
	}
	s.Fired += r.fired.Load()
	if r.front != nil {
		r.front.judge(r, &s, truth)
	} else {
		s.Problems = append(s.Problems, v.Problems...)
	}
	if r.f.check != nil {
		r.f.check(r, &s)
	}
	s.Problems = append(s.Problems, r.problems...)
	return s
}

// waits measures how long updates waited, and returns when the first one came to
// wait that polling brought.
func (r *matrixRun) waits(s *matrix.Sample, truth telegramsim.BotTruth) (stranded time.Time) {
	taken := map[int64]take{}
	var first time.Time
	for _, t := range r.testWorld.bot.record() {
		if _, again := taken[t.ID]; !again {
			taken[t.ID] = t
		}
		if t.Source == transport.SourcePolling && t.At.After(r.onset) && first.IsZero() {
			first = t.At
		}
	}
	for _, u := range truth.Updates {
		t, ok := taken[u.ID]
		if !ok || !t.At.After(r.onset) {
			continue
		}
		from := u.PushedAt
		if from.Before(r.onset) {
			from = r.onset
		}
		if t.At.After(r.resumed) {
			if from.Before(r.resumed) {
				from = r.resumed
			}
			s.Longest = max(s.Longest, t.At.Sub(from))
		}
		if t.Source == transport.SourcePolling && (stranded.IsZero() || from.Before(stranded)) {
			stranded = from
		}
	}
	if !first.IsZero() && !stranded.IsZero() {
		s.First = max(0, first.Sub(stranded))
	}
	if e := r.front; e != nil {
		if at := e.firstEaten(); !at.IsZero() && (stranded.IsZero() || at.Before(stranded)) {
			stranded = at
		}
	}
	return stranded
}

// events takes the moments of the first failover from dualgram's story.
func (r *matrixRun) events(s *matrix.Sample, stranded time.Time) {
	var tripped, decided, done time.Time
	for _, e := range r.story() {
		if e.At.Before(r.onset) {
			continue
		}
		switch {
		case e.Kind == supervisor.EventSignal && e.Level == supervisor.Tripped.String() && tripped.IsZero() &&
			decided.IsZero() && !slices.Contains(notMovers, e.Name):
			tripped = e.At
		case e.Kind == supervisor.EventHandover && e.Handover.To == failover.ModePolling && decided.IsZero():
			decided, done = e.Handover.Decided, e.Handover.Done
		case e.Kind == supervisor.EventPhase && e.From == failover.Webhook.String() && e.To == failover.ToPolling.String():
			s.Signals = append(s.Signals, e.Cause)
			if e.Cause != failover.CauseFlush {
				s.Failovers++
			}
		}
	}
	// What was seen and done before any update waited counts from the onset.
	ref := r.onset
	if !stranded.IsZero() && !decided.IsZero() && decided.After(stranded) {
		ref = stranded
	}
	since := func(t time.Time) time.Duration {
		if t.IsZero() || decided.IsZero() {
			return matrix.None
		}
		return max(0, t.Sub(ref))
	}
	s.Detect, s.Decide, s.Switch = since(tripped), since(decided), since(done)
	if s.Detect == matrix.None || s.Detect > s.Decide {
		s.Detect = s.Decide
	}
}

// registrations counts the changes of mode at Telegram's side, and finds when the
// webhook came back for good.
func (r *matrixRun) registrations(s *matrix.Sample, truth telegramsim.BotTruth) {
	ended := 0
	var last time.Time
	for _, g := range truth.Webhooks {
		if g.To.After(r.onset) {
			ended++
			s.Changes++
		}
		if g.From.After(r.onset) {
			s.Changes++
			last = g.From
		}
	}
	if last.After(r.healed) && !r.healed.IsZero() {
		s.Failback = last.Sub(r.healed)
	}
	// Its own story must not make it look steadier than it was.
	flushes := 0
	for _, c := range s.Signals {
		if c == failover.CauseFlush {
			flushes++
		}
	}
	if n := ended - flushes - r.foreign; n > s.Failovers && r.f.kind != matrix.Outage {
		r.problem("Telegram saw %d registrations end, the story tells of %d failovers", ended, s.Failovers)
		s.Failovers = n
	}
}

// manners looks for answers that would make Telegram delete updates or the
// webhook, and for calls that would.
func (r *matrixRun) manners(truth telegramsim.BotTruth) {
	for _, u := range truth.Updates {
		for _, a := range u.Attempts {
			if a.Status == 410 || a.RetryAfter > 0 {
				r.problem("update %d was answered with status %d and Retry-After %d", u.ID, a.Status, a.RetryAfter)
			}
		}
		if u.Unseen {
			r.problem("update %d was confirmed without ever having been handed out", u.ID)
		}
	}
	for _, c := range truth.Calls {
		if c.Drop && !c.Foreign {
			r.problem("%s asked to drop what is pending", c.Method)
		}
	}
}

// told tells whether the story has an event of the kind after the onset.
func (r *matrixRun) told(kind string) bool {
	for _, e := range r.story() {
		if e.Kind == kind && !e.At.Before(r.onset) {
			return true
		}
	}
	return false
}
