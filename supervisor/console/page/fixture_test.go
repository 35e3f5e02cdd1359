package page

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"dualgram/supervisor"
	"dualgram/supervisor/console"
	"dualgram/supervisor/failover"
)

// fixture is a day in which much has happened to two bots, and providers that tell of
// it. Its time is that of its making.
type fixture struct {
	now    time.Time
	status console.Status
	events []console.Event
	intake map[string]console.Intake
	board  Board
	orders []console.Order
	drills []DrillOrder
	levers []string
	err    error
}

func newFixture(now time.Time) *fixture {
	f := &fixture{now: now, intake: map[string]console.Intake{}}
	at := func(d time.Duration) time.Time { return now.Add(-d) }
	n := int64(23)
	zero := int64(0)
	var quiet []console.Signal
	for _, name := range supervisor.Signals() {
		quiet = append(quiet, console.Signal{Name: name, State: console.SignalOK, Since: at(3 * time.Hour)})
	}
	loud := append([]console.Signal(nil), quiet...)
	for i := range loud {
		switch loud[i].Name {
		case supervisor.SignalStall:
			loud[i].State, loud[i].Since, loud[i].Detail = console.SignalTripped, at(3*time.Minute), "23 pending at Telegram in 6 samples over 3.2 s, nothing arrived"
		case supervisor.SignalProbe:
			loud[i].State, loud[i].Since, loud[i].Detail = console.SignalSuspect, at(2*time.Minute), "connect: no answer within 2 s from 203.0.113.7:443"
		case supervisor.SignalDrift:
			loud[i].State = console.SignalDisabled
		}
	}
	f.status = console.Status{Version: "v1.4.0", StartedAt: at(76 * time.Hour),
		Faults:   []console.Fault{{ID: 3, Kind: "net.blackhole", State: console.FaultActive, LeftS: 41, Fired: 118, By: console.Caller{User: "ann", UID: 1000, PID: 4711}, Reason: "quarterly rehearsal"}},
		Warnings: []console.Warning{{Code: "fault_active", Severity: console.SeverityWarning, Title: "A fault is injected on purpose", Text: "net.blackhole. It ends by itself.", Since: at(3*time.Minute + 5*time.Second), Runbook: "fault_active"}},
		Bots: []console.Bot{
			{Name: "orders", BotID: 70000001, Mode: "polling", Phase: "polling", Epoch: 14, Since: at(3 * time.Minute), Reason: "stall",
				Evidence: "23 pending at Telegram in 6 samples over 3.2 s, nothing arrived", HoldDownLeft: 57, NextFailbackAt: now.Add(57 * time.Second),
				Next:              "The webhook is tried again in 57s, if it is ready by then: the probe is bad: no answer within 2 s from 203.0.113.7:443.",
				PendingAtTelegram: &n, Waiting: 12, OldestWaitingAt: at(95 * time.Second), Lanes: 11, Dead: 2, Quarantined: 1, OpenHoles: 3,
				StandbyReady: true, Breakers: console.Breakers{Deliveries: "half-open", BotAPI: "closed"}, Signals: loud,
				Drill: &console.Drill{Experiment: "black-hole", Stage: "fault", Text: "the faults act", StartedAt: at(3*time.Minute + 5*time.Second)},
				Webhook: &console.Webhook{URLHost: "bot.example.com", Registered: false, Listen: "0.0.0.0:8443", Listening: true, CertificateNotAfter: now.Add(63 * day),
					LastArrivalAt: at(3*time.Minute + 4*time.Second), Probe: "bad"},
				Warnings: []console.Warning{
					{Code: "frozen", Severity: console.SeverityCritical, Title: "Failback is frozen", Text: "4 automatic failovers within an hour. Updates come by polling. Repair the webhook, then: dualgram ack --bot orders", Since: at(3 * time.Minute), Runbook: "frozen"},
					{Code: "probe_bad", Severity: console.SeverityWarning, Title: "The webhook can't be reached from here", Text: "connect: no answer within 2 s from 203.0.113.7:443. Telegram may still reach it: this alone moves nothing. Check name, firewall and proxy.", Since: at(2 * time.Minute), Runbook: "probe_bad"},
					{Code: "probe_unproven", Severity: console.SeverityInfo, Title: "The probe has never worked here", Text: "A failback is then judged by its trial alone. If this host can't reach its own public address, set webhook.probe.dial, or switch the probe off.", Runbook: "no_such_page"},
					{Code: "fault_active", Severity: console.SeverityWarning, Title: "A fault is injected on purpose", Text: "net.blackhole."},
				}},
			{Name: "support", BotID: 70000002, Mode: "webhook", Phase: "webhook", Epoch: 2, Since: at(51 * time.Hour), Reason: "trial_passed",
				Next: "The webhook stays, whatever happens to it, until " + now.Add(22*time.Minute).Format(time.RFC3339) + ".", Pinned: true, Pin: "webhook", PinUntil: now.Add(22 * time.Minute),
				PinnedBy:          &console.Said{Command: "switch_webhook", At: at(8 * time.Minute), By: console.Caller{User: "page (ann)", UID: -1, Remote: "127.0.0.1:51234"}, Reason: "firewall is being changed"},
				PendingAtTelegram: &zero, StandbyReady: false, StandbyError: "getUpdates: 502 Bad Gateway", Breakers: console.Breakers{Deliveries: "closed", BotAPI: "open"}, Signals: quiet,
				Warnings: []console.Warning{{Code: "drill_halted", Severity: console.SeverityInfo, Title: "Drills are halted", Text: "By ann: freeze before the holidays. None begins until: dualgram drill resume", Since: at(2 * time.Hour)}},
				Webhook: &console.Webhook{URLHost: "bot.example.com", Registered: true, Listen: "0.0.0.0:8443", Listening: true, CertificateNotAfter: now.Add(9 * day),
					LastArrivalAt: at(2 * time.Second), InFlight: 3, Probe: "ok"}},
		}}
	f.journal(at)
	for i, name := range []string{"orders", "support"} {
		f.intake[name] = flowing(now, i == 0)
	}
	f.board = Board{Possible: true, Experiments: []Experiment{{"black-hole", "The webhook is a black hole"}, {"certificate-expired", "The certificate expires"}},
		Runs: map[string][]DrillRun{"orders": {{"certificate-expired", "held", "ann", at(7*time.Hour + 20*time.Minute), 94 * time.Second}}}}
	return f
}

// journal is the day of orders: two outages, a drill, a few orders, a loss.
func (f *fixture) journal(at func(time.Duration) time.Time) {
	seq := uint64(0)
	add := func(e supervisor.Event) {
		seq++
		e.Bot = "orders"
		data, _ := json.Marshal(e)
		f.events = append(f.events, console.Event{Seq: seq, At: e.At, Bot: "orders", Kind: e.Kind, Data: data})
	}
	ann := &console.Caller{User: "ann", UID: 1000, PID: 4711}
	outage := func(begin, length time.Duration, cause, evidence string, drill bool) {
		add(supervisor.Event{At: at(begin), Kind: supervisor.EventPhase, From: "webhook", To: "to_polling", Cause: cause, Evidence: evidence, Drill: drill})
		add(supervisor.Event{At: at(begin - 2*time.Second), Kind: supervisor.EventPhase, From: "to_polling", To: "polling", Cause: cause, Evidence: evidence, Drill: drill})
		add(supervisor.Event{At: at(begin - 2*time.Second), Kind: supervisor.EventHandover, From: "webhook", To: "polling", Cause: cause, Evidence: evidence, Seconds: 4.1, Drill: drill})
		if length == 0 {
			return
		}
		end := begin - length
		add(supervisor.Event{At: at(end), Kind: supervisor.EventPhase, From: "polling", To: "to_webhook", Cause: failover.CauseHoldDownOver, Drill: drill})
		add(supervisor.Event{At: at(end - time.Second), Kind: supervisor.EventPhase, From: "to_webhook", To: "webhook", Cause: failover.CauseHoldDownOver, Drill: drill})
		add(supervisor.Event{At: at(end - time.Second), Kind: supervisor.EventHandover, From: "polling", To: "webhook", Cause: failover.CauseHoldDownOver, Seconds: 0.21, Drill: drill})
		add(supervisor.Event{At: at(end - 20*time.Second), Kind: supervisor.EventTrial, Count: 81, Seconds: 20.1})
	}
	outage(19*time.Hour, 95*time.Minute, "tls", "the certificate in service expired 12 s ago", false)
	add(supervisor.Event{At: at(18*time.Hour + 40*time.Minute), Kind: supervisor.EventLoss, Count: 2, Cause: "expired_suspected", Evidence: "inline queries that Telegram kept for 30 s"})
	add(supervisor.Event{At: at(12 * time.Hour), Kind: supervisor.EventForeign, Cause: "", Evidence: "another getUpdates displaced ours", Name: "poller"})
	add(supervisor.Event{At: at(7*time.Hour + 20*time.Minute), Kind: supervisor.EventFault, Name: "tls.expired", Level: supervisor.FaultInjected, Seconds: 60, Evidence: "rehearsal", By: ann})
	outage(7*time.Hour+19*time.Minute, 4*time.Minute, "tls", "the certificate in service expired", true)
	add(supervisor.Event{At: at(7*time.Hour + 19*time.Minute), Kind: supervisor.EventFault, Name: "tls.expired", Level: supervisor.FaultExpired, Fault: 1, Seconds: 60, Count: 44, Evidence: "rehearsal", By: ann})
	add(supervisor.Event{At: at(5 * time.Hour), Kind: supervisor.EventOperator, Name: "switch_polling", Seconds: 1800, Evidence: "new proxy", By: ann})
	outage(5*time.Hour, 30*time.Minute, "operator", "new proxy", false)
	add(supervisor.Event{At: at(40 * time.Minute), Kind: supervisor.EventWould, Name: "to_polling", Level: "veto hook", Cause: "stall", Evidence: "5 pending"})
	add(supervisor.Event{At: at(3*time.Minute + 5*time.Second), Kind: supervisor.EventFault, Name: "net.blackhole", Level: supervisor.FaultInjected, Seconds: 226, Evidence: "quarterly rehearsal", By: ann})
	outage(3*time.Minute, 0, "stall", "23 pending at Telegram in 6 samples over 3.2 s, nothing arrived", false)
}

// flowing is a traffic that changes its way if there was an outage.
func flowing(now time.Time, outage bool) console.Intake {
	fill := func(step time.Duration, n int) console.Counts {
		c := console.Counts{Step: step, Begin: now.Truncate(step).Add(step - time.Duration(n)*step), Webhook: make([]uint32, n), Polling: make([]uint32, n)}
		for i := range n {
			v := uint32((3 + i%5 + i/7%4) * int(step/time.Second) / 2)
			age := now.Sub(c.Begin.Add(time.Duration(i) * step))
			if polls := age < 3*time.Minute || age > 17*time.Hour+25*time.Minute && age < 19*time.Hour; outage && polls {
				c.Polling[i] = v
			} else if !outage || age > 190*time.Second {
				c.Webhook[i] = v
			}
		}
		return c
	}
	return console.Intake{Seconds: fill(time.Second, 600), Minutes: fill(time.Minute, 1440)}
}

func (f *fixture) Status(context.Context) (console.Status, error) {
	st := f.status
	st.Bots = append([]console.Bot(nil), st.Bots...)
	return st, f.err
}

// Events tells the journal; the cursor is how much has been told.
func (f *fixture) Events(_ context.Context, q console.EventsQuery) (console.Events, error) {
	done := 0
	_, _ = fmt.Sscan(q.Cursor, &done)
	more := f.events[done:]
	more = more[:min(len(more), q.Limit)]
	return console.Events{Events: more, Cursor: fmt.Sprint(done + len(more))}, f.err
}

func (f *fixture) Intake(bot string) console.Intake { return f.intake[bot] }

func (f *fixture) Lanes(_ context.Context, bot string, _ int) (console.InboxLanes, error) {
	lane := func(name string, n int64, ago, next time.Duration, place string) console.InboxLane {
		l := console.InboxLane{Lane: name, Waiting: n, Next: console.UpdateInfo{Lane: name, Kind: "message", Place: place, ReceivedAt: f.now.Add(-ago)}}
		if next > 0 {
			l.Next.NextTryAt = f.now.Add(next)
		}
		return l
	}
	return console.InboxLanes{Lanes: []console.InboxLane{lane("c-1001234567890", 4, 95*time.Second, 12*time.Second, console.PlaceWaiting), lane("c42", 2, 8*time.Second, 0, console.PlaceInDelivery)}}, nil
}

func (f *fixture) Operate(_ context.Context, o console.Order) (console.Change, error) {
	f.orders = append(f.orders, o)
	if o.Bot != "orders" && o.Bot != "support" {
		return console.Change{}, &console.Failure{Code: console.CodeUnknownBot, Message: "there is no bot " + o.Bot, Fix: "the bots are: orders, support"}
	}
	return console.Change{Bot: o.Bot, Changed: true, Next: "Polling stays until dualgram switch auto --bot orders.",
		Warnings: []console.Warning{{Code: "blind", Severity: console.SeverityCritical, Title: "Polling could not take over", Text: "The Bot API does not answer."}}}, nil
}

func (f *fixture) Board(context.Context) (Board, error) { return f.board, nil }
func (f *fixture) Begin(_ context.Context, o DrillOrder) error {
	f.drills = append(f.drills, o)
	return nil
}
func (f *fixture) Halt(_ context.Context, by console.Caller, reason string) error {
	f.levers = append(f.levers, "halt "+by.String()+": "+reason)
	return nil
}
func (f *fixture) Resume(_ context.Context, by console.Caller, reason string) error {
	f.levers = append(f.levers, "resume "+by.String()+": "+reason)
	return nil
}

// page makes a page of it.
func (f *fixture) page() *Page {
	p, err := New(Options{Status: f, Events: f, Intake: f, Operator: f, Drills: f, Facts: func() Facts { return Facts{StoreBytes: 48 << 20} },
		Inbox: f, Runbooks: library{}, MaxClients: 3})
	if err != nil {
		panic(err)
	}
	return p
}

// library is three runbooks.
type library struct{}

func (library) Runbook(name string) (Runbook, bool) {
	for _, r := range (library{}).Runbooks() {
		if r.Name == name {
			r.Text, r.HTML = "# DualgramFrozen\n", runbookHTML
			return r, true
		}
	}
	return Runbook{}, false
}

func (library) Runbooks() []Runbook {
	return []Runbook{{Name: "frozen", Group: "Alerts", Title: "DualgramFrozen", Summary: "Failback is frozen."}, {Name: "probe_bad", Group: "Alerts", Title: "DualgramProbeBad"}, {Name: "drills/black-hole", Group: "Drills", Title: "The webhook is a black hole"}}
}

const runbookHTML = `<h1>DualgramFrozen</h1><h2>Meaning</h2><p>Too many failovers. See <a href="probe_bad">the probe</a>.</p>
<table><thead><tr><th>state</th><th>what</th></tr></thead><tbody><tr><td>frozen</td><td>no failback</td></tr></tbody></table>
<pre><code class="language-sh">dualgram ack --bot orders --reason repaired
</code></pre>`
