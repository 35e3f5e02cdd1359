package page

import (
	"fmt"
	"time"

	"dualgram/supervisor"
	"dualgram/supervisor/console"
)

const (
	// maxMarks bounds what is drawn in one row of the timeline.
	maxMarks = 150
	// maxItems bounds the list below it.
	maxItems = 100
	// shownItems is how many of the list are seen at once.
	shownItems = 8
	// flowN is how many columns the day's intake has.
	flowN = 96
)

// timeline is a bot's last day. X and Width are in percent of it.
type timeline struct {
	Modes    []bar
	Switches []mark
	Trouble  []mark
	Orders   []mark
	Tests    []bar // drills, and faults injected by hand
	Webhook  string
	All      string
	Hours    []mark
	Items    []item // what happened, the latest first
	More     []item // the rest of them
	Left     int    // how many are in neither
	Label    string
}

type bar struct {
	X, Width     string
	Class, Words string
}

type mark struct {
	X            string
	Class, Words string
}

// item is one thing that happened.
type item struct {
	At    time.Time
	Class string // of its symbol
	Kind  string
	Words string
}

// newTimeline tells the day of a bot. It ends with the present minute, so that it
// changes when something happens and else once a minute.
func newTimeline(b console.Bot, s *story, drills []DrillRun, flow console.Counts, now time.Time) timeline {
	now = now.Truncate(time.Minute).Add(time.Minute)
	from := now.Add(-day)
	var t timeline
	t.modes(b, s, from, now)
	t.marks(s.events, from)
	t.tests(s.events, drills, from, now)
	t.Webhook, t.All = dayFlow(flow)
	for h := from.Truncate(time.Hour).Add(time.Hour); h.Before(now); h = h.Add(time.Hour) {
		if h.Hour()%4 == 0 {
			t.Hours = append(t.Hours, mark{X: percent(h, from, day), Words: h.Format("15:04")})
		}
	}
	t.label()
	return t
}

// modeOf is the mode of a phase.
func modeOf(phase string) string {
	switch phase {
	case "webhook", "to_webhook":
		return "webhook"
	case "polling", "to_polling":
		return "polling"
	}
	return "none"
}

// modes draws by which transport updates came. What was before the first known
// change is what that one began from.
func (t *timeline) modes(b console.Bot, s *story, from, now time.Time) {
	at, mode := from, ""
	if s.from.After(at) {
		at = s.from
	}
	draw := func(until time.Time) {
		if mode == "" || mode == "none" || !until.After(at) {
			return
		}
		if n := len(t.Modes); n < maxMarks {
			t.Modes = append(t.Modes, bar{X: percent(at, from, day), Width: percent(from.Add(until.Sub(at)), from, day), Class: mode,
				Words: fmt.Sprintf("%s from %s to %s, %s", mode, clock(at), clock(until), short(until.Sub(at)))})
		}
	}
	for _, e := range s.events {
		if e.Kind != supervisor.EventPhase {
			continue
		}
		if mode == "" {
			mode = modeOf(e.From)
		}
		if next := modeOf(e.To); next != mode {
			draw(e.At)
			at, mode = e.At, next
		}
	}
	if mode == "" { // nothing has changed in a day
		mode = modeOf(b.Phase)
		if b.Since.After(at) {
			at = b.Since
		}
	}
	draw(now)
}

// marks sorts the events into the rows and the list.
func (t *timeline) marks(events []supervisor.Event, from time.Time) {
	for i := len(events) - 1; i >= 0; i-- {
		e := events[i]
		row, class, kind := t.row(e)
		if class == "" {
			continue
		}
		it := item{At: e.At, Class: class, Kind: kind, Words: eventWords(e)}
		if row != nil && len(*row) < maxMarks {
			*row = append(*row, mark{X: percent(e.At, from, day), Class: class, Words: clock(e.At) + ": " + it.Words})
		}
		switch {
		case len(t.Items) < shownItems:
			t.Items = append(t.Items, it)
		case len(t.Items)+len(t.More) < maxItems:
			t.More = append(t.More, it)
		default:
			t.Left++
		}
	}
}

// row is where an event is drawn, and as what; an empty class means not at all.
func (t *timeline) row(e supervisor.Event) (row *[]mark, class, kind string) {
	switch e.Kind {
	case supervisor.EventHandover:
		switch e.From {
		case e.To:
			return nil, "note", "renewal"
		case "none":
			return nil, "note", "start"
		}
		return &t.Switches, "to-" + e.To, "switch"
	case supervisor.EventLoss:
		return &t.Trouble, "loss", "loss"
	case supervisor.EventForeign:
		return &t.Trouble, "trouble", "foreign"
	case supervisor.EventWould:
		return &t.Trouble, "trouble", "withheld"
	case supervisor.EventOperator:
		return &t.Orders, "order", "operator"
	case supervisor.EventFault:
		return nil, "test", "fault"
	case supervisor.EventTrial:
		return nil, "good", "proven"
	case supervisor.EventSecret:
		return nil, "note", "secret"
	case supervisor.EventPhase:
		switch {
		case e.To == "to_polling" && e.Cause != "operator":
			return &t.Trouble, "trouble", "failure"
		case e.To == "held":
			return &t.Trouble, "loss", "failure"
		}
	}
	return nil, "", ""
}

// tests draws the drills, and the faults that somebody injected outside of one.
func (t *timeline) tests(events []supervisor.Event, drills []DrillRun, from, now time.Time) {
	add := func(begin, end time.Time, class, words string) {
		if len(t.Tests) < maxMarks && end.After(from) {
			begin = later(begin, from)
			t.Tests = append(t.Tests, bar{X: percent(begin, from, day), Width: percent(from.Add(end.Sub(begin)), from, day), Class: class, Words: words})
		}
	}
	for _, d := range drills {
		add(d.Start, d.Start.Add(d.Duration), "drill", fmt.Sprintf("%s: drill %s, %s", clock(d.Start), d.Experiment, d.Outcome))
	}
	for _, e := range events {
		if e.Kind != supervisor.EventFault || e.Level != supervisor.FaultInjected {
			continue
		}
		end := faultEnd(events, e, now)
		if end.IsZero() { // it goes on
			end = now
		}
		add(e.At, end, "fault", clock(e.At)+": fault "+e.Name)
	}
}

// faultEnd is when a fault ended: the first end of its kind after its begin. Zero
// means that it goes on, which it does for as long as it was given at most.
func faultEnd(events []supervisor.Event, begin supervisor.Event, now time.Time) time.Time {
	for _, e := range events {
		if e.Kind == supervisor.EventFault && e.Fault != 0 && e.Name == begin.Name && !e.At.Before(begin.At) {
			return e.At
		}
	}
	// The process was killed, and the fault with it.
	if end := begin.At.Add(time.Duration(begin.Seconds * float64(time.Second))); end.Before(now) {
		return end
	}
	return time.Time{}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// dayFlow draws the day's intake in columns of a quarter of an hour.
func dayFlow(c console.Counts) (webhook, all string) {
	n := len(c.Webhook)
	if n == 0 {
		return "", ""
	}
	var w, a [flowN]float64
	highest := 0.0
	for i := range n {
		k := i * flowN / n
		w[k] += float64(c.Webhook[i])
		a[k] += float64(c.Webhook[i]) + float64(c.Polling[i])
		highest = max(highest, a[k])
	}
	if highest == 0 {
		return "", ""
	}
	return steps(w[:], highest), steps(a[:], highest)
}

// label says the same in a sentence.
func (t *timeline) label() {
	down, up := 0, 0
	for _, m := range t.Switches {
		if m.Class == "to-polling" {
			down++
		} else {
			up++
		}
	}
	t.Label = fmt.Sprintf("The last 24 hours: %s to polling, %s to the webhook, %s, %s, %s.",
		plural(int64(down), "switch", "switches"), plural(int64(up), "switch", "switches"), plural(int64(len(t.Trouble)), "failure", "failures"),
		plural(int64(len(t.Tests)), "drill or fault", "drills or faults"), plural(int64(len(t.Orders)), "operator's command", "operators' commands"))
}
