package failover

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// fuzzed is a bot and a small model of the world around it. The model orders
// nothing by itself: it only answers the jobs that a step has ordered.
type fuzzed struct {
	t     *testing.T
	p     Policy
	s     State
	at    time.Time
	url   Owner // the truth
	job   Job   // under way
	jobOf uint64
	del   bool
	seen  []Event // what was sent before, to be injected once more
	asked Event   // a getWebhookInfo call that is under way
	trail []passed
}

// passed is a step of the past; an event of no known kind is a restart.
type passed struct {
	before, after State
	event         Event
	effects       Effects
}

// FuzzStep plays random histories and checks I1 to I7 after every step, and at
// the end that the bot comes to work once the world does.
func FuzzStep(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte("webhook, fault, polling, failback, relapse"))
	for i := range 24 {
		seed := make([]byte, 40+20*i)
		for j := range seed {
			seed[j] = byte(mix(uint64(i*1000 + j)))
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 0 && len(data) <= 2000 {
			history(t, data)
		}
	})
}

// TestRandomHistories is FuzzStep for those who don't fuzz.
func TestRandomHistories(t *testing.T) {
	n := uint64(1000)
	if testing.Short() {
		n = 200
	}
	for i := range n {
		data := make([]byte, 2+mix(i)%800)
		for j := range data {
			data[j] = byte(mix(i<<20 + uint64(j)))
		}
		history(t, data)
	}
}

func history(t *testing.T, data []byte) {
	w := &fuzzed{t: t, at: t0, url: Owner(data[0] >> 4 % uint8(Unreachable))}
	w.p = Policy{DryRun: data[0]&7 == 1, PollingOnly: data[0]&7 == 2, Seed: uint64(data[0])}.WithDefaults()
	w.s = w.p.Restore(State{}, w.at)
	for i := 1; i+1 < len(data); i += 2 {
		w.play(data[i], data[i+1])
	}
	w.heal()
}

// play makes one thing happen; x varies it.
func (w *fuzzed) play(what, x byte) {
	pauses := [...]time.Duration{0, time.Millisecond, time.Second, 3 * time.Second, 20 * time.Second, time.Minute, 10 * time.Minute, time.Hour}
	w.at = w.at.Add(pauses[what>>5])
	bit := func(i int) bool { return x>>i&1 == 1 }
	switch what & 31 {
	case 0, 1, 2, 3, 4:
		w.step(Event{Kind: Tick, Ready: !bit(0), Drained: !bit(1)})
	case 5, 6, 7, 8:
		w.step(Event{Kind: World, URL: w.url, PollerDown: bit(0), Unfit: []Cause{{}, {"tls", "no certificate"}}[x>>1&1]})
	case 9:
		w.asked = Event{Kind: World, URL: w.url, Epoch: w.s.Epoch, SentAt: w.at}
	case 10:
		if w.asked.Epoch != 0 {
			w.step(w.asked)
		}
	case 11:
		w.step(Event{Kind: World, URL: Unreachable})
	case 12, 13, 14:
		w.step(Event{Kind: Trip, Cause: Cause{Name: "stall"}, Excused: bit(0), StoreFailing: bit(1), Blind: x>>2&7 == 7, Drill: bit(6)})
	case 15, 16:
		w.step(Event{Kind: Proven})
	case 17, 18, 19, 20, 21:
		w.finish(x)
	case 22:
		if w.job == NoJob {
			w.step(Event{Kind: Refused})
		}
	case 23:
		w.step(Event{Kind: PollerLost})
	case 24, 25:
		e := Event{Kind: Operator, Command: Command(1 + x%6), TakeOver: bit(7), Cause: Cause{CauseOperator, "x"}}
		e.For = [...]time.Duration{0, 0, time.Minute, time.Hour}[x>>5&3]
		w.step(e)
	case 26:
		w.url = Owner(x % uint8(Unreachable)) // somebody's doing, or a late set or delete
	case 27:
		w.restart(x)
	case 28:
		// A result of another epoch, whatever it is.
		e := Event{Kind: Kind(x) % kinds, Epoch: w.s.Epoch + 1 + uint64(x>>4), URL: Owner(x>>2) % owners, Conflict: bit(0)}
		if e.Kind != Tick && e.Kind != Operator {
			w.step(e)
		}
	case 29:
		w.step(Event{Kind: Renew, Ready: !bit(0), Cause: Cause{Name: "secret_rotation"}})
	case 30:
		if w.job == NoJob { // else it is repeated until the job has ended
			w.at = w.at.AddDate([...]int{0, 0, 1, -1}[x&3], 0, 0)
			w.asked = Event{}
		}
		w.step(Event{Kind: ClockJumped})
	default:
		if len(w.seen) > 0 {
			if e := w.seen[int(x)%len(w.seen)]; e.Epoch != w.s.Epoch {
				w.step(e)
			}
		}
	}
}

// finish ends the job that is under way: as the world has it, or badly.
func (w *fuzzed) finish(x byte) {
	job := w.job
	w.job = NoJob
	switch {
	case job == NoJob:
	case x&15 == 15:
		w.step(Event{Kind: Refused})
	case job == JobToPolling && x&15 >= 12:
		w.step(Event{Kind: PollFailed, Cause: Cause{Name: "timeout"}})
	case job == JobToPolling && w.url != Nobody && !w.del:
		sees := w.url
		if x&15 == 11 {
			sees = Unreachable
		}
		w.step(Event{Kind: PollFailed, Conflict: true, URL: sees})
	case job == JobToPolling:
		w.url = Nobody
		w.step(Event{Kind: Polled})
	case x&15 == 14:
		if x&16 == 0 { // else it was refused for what it was not about
			w.url = Nobody
		}
		w.step(Event{Kind: SetFailed, Drill: x>>6&1 == 1})
	case x&15 == 10:
		w.step(Event{Kind: SetUnsent})
	case x&15 >= 11: // it goes through at once, or the case of a changing world brings it later
		if x&16 != 0 {
			w.url = Ours
		}
		w.step(Event{Kind: SetUnknown, Drill: x>>6&1 == 1})
	default:
		w.url = Ours
		w.step(Event{Kind: SetAcked})
	}
}

// restart is the end of the process and the next one's start, with the clock
// perhaps a year off.
func (w *fuzzed) restart(x byte) {
	switch x & 15 {
	case 14:
		w.at = w.at.AddDate(1, 0, 0)
	case 15:
		w.at = w.at.AddDate(-1, 0, 0)
	}
	data, err := json.Marshal(w.s)
	if err != nil {
		w.t.Fatal(err)
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		w.t.Fatal(err)
	}
	if s != w.s.durable() {
		w.t.Fatalf("round trip: %+v\n%+v", w.s, s)
	}
	w.s = w.p.Restore(s, w.at)
	w.job, w.asked = NoJob, Event{}
	w.trail = append(w.trail, passed{s, w.s, Event{Kind: kinds, At: w.at}, Effects{}})
}

func (w *fuzzed) step(e Event) {
	if e.Epoch == 0 {
		e.Epoch = w.s.Epoch
	}
	if e.SentAt.IsZero() {
		e.SentAt = w.at
	}
	e.At = w.at
	before := w.p.Expire(w.s, w.at)
	after, f := w.p.Step(w.s, e)
	w.trail = append(w.trail, passed{w.s, after, e, f})
	if msg := w.violated(before, after, e, f); msg != "" {
		w.fail(msg)
	}
	w.s = after
	if f.Job != NoJob {
		w.job, w.jobOf, w.del = f.Job, after.Epoch, f.Delete
	}
	if len(w.seen) < 64 {
		w.seen = append(w.seen, e)
	}
}

func (w *fuzzed) fail(msg string) {
	w.t.Helper()
	for _, x := range w.trail[max(0, len(w.trail)-25):] {
		what := "restart"
		if x.event.Kind != kinds {
			what = fmt.Sprintf("%s (epoch %d)", label(x.event), x.event.Epoch)
		}
		w.t.Logf("%v %s -> %s [%s]", x.event.At.Sub(t0), what, show(x.before, x.after, x.effects), flags(x.after))
	}
	w.t.Fatalf("%s\npolicy %+v\nstate %+v", msg, w.p, w.s)
}
