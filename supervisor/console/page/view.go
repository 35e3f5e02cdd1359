package page

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"dualgram/supervisor/console"
)

// shownLanes is how many lanes are shown of a bot.
const shownLanes = 8

// inputs are all that a view is made of.
type inputs struct {
	Status  console.Status
	Now     time.Time
	Facts   Facts
	Story   map[string]*story
	Intake  map[string]console.Intake
	Lanes   map[string][]console.InboxLane
	Board   *Board            // nil: there are no drills
	Runbook func(string) bool // whether there is such a page
}

// view is the page as the templates want it.
type view struct {
	Now      time.Time
	Title    string
	Version  string
	Started  time.Time
	Uptime   string
	Store    string
	Zone     string
	Banners  []banner
	Warnings []warningView // of the process
	Bots     []*botView
	Announce string
	Control  *controls // nil where nothing can be changed

	board *Board
}

// banner tells what is broken on purpose.
type banner struct {
	Title, Text string
	Until       time.Time // zero: not known
	Left        string
}

type warningView struct {
	console.Warning
	Icon    string
	Since   ago
	HasPage bool
}

// ago is a time and how long it was ago.
type ago struct {
	At    time.Time
	Words string
}

func agoOf(at, now time.Time) ago {
	if at.IsZero() {
		return ago{}
	}
	return ago{at, short(now.Sub(at))}
}

// botView is one bot.
type botView struct {
	console.Bot
	ID       string // of its regions
	Headline string
	Short    string // for the title
	Icon     string
	Why      string
	SinceAgo ago
	Flags    []inForce
	HoldDown *span
	Warnings []warningView
	Figures  []figure
	Plot     plot
	Timeline timeline
	Signals  []signalView
	Lanes    []laneView
	Hidden   int64 // lanes that are not shown
}

// inForce is what an operator has said, or a guard.
type inForce struct {
	Word, Text string
	Until      time.Time
	Left       string
}

// span is a time that passes.
type span struct {
	From, Until time.Time
	Left        string
	Max, Value  int // seconds
}

// figure is a number that matters. Level is ok, warn, bad or empty.
type figure struct {
	Name, Value, Note string
	Level             string
	Ago               ago    // stands for the value if there is none
	After             string // what follows it
}

// LevelIcon is the icon of a figure's level; empty if it needs none.
func (*botView) LevelIcon(level string) string { return level }

// signalView is one signal. Loud ones have something to say.
type signalView struct {
	console.Signal
	Icon  string
	Level string
	Since ago
	Loud  bool
}

type laneView struct {
	console.InboxLane
	Since ago
	Until time.Time // when the next attempt is due
	Left  string
}

// newView makes the view. It is a function of its input alone.
func newView(in inputs) *view {
	st := in.Status
	zone, _ := in.Now.Zone()
	v := &view{board: in.Board, Now: in.Now, Version: st.Version, Started: st.StartedAt, Uptime: short(in.Now.Sub(st.StartedAt)), Store: size(in.Facts.StoreBytes), Zone: zone}
	for _, f := range st.Faults {
		v.Banners = append(v.Banners, faultBanner(f, in.Now))
	}
	for _, w := range st.Warnings {
		if w.Code == "fault_active" && len(st.Faults) > 0 {
			continue // the banner says it
		}
		v.Warnings = append(v.Warnings, in.warning(w))
	}
	var titles, announce []string
	for i, b := range st.Bots {
		bv := in.bot(i, b)
		v.Bots = append(v.Bots, bv)
		titles = append(titles, b.Name+": "+bv.Short)
		announce = append(announce, fmt.Sprintf("%s: %s.", b.Name, bv.Headline))
		if d := b.Drill; d != nil {
			v.Banners = append(v.Banners, banner{Title: "Drill under way: " + d.Experiment + " on " + b.Name,
				Text: sentence(fmt.Sprintf("Since %s. %s", clock(d.StartedAt.In(in.Now.Location())), joined(": ", upper(d.Stage), d.Text)))})
		}
	}
	v.Title, v.Announce = strings.Join(titles, ", "), strings.Join(announce, " ")
	return v
}

func faultBanner(f console.Fault, now time.Time) banner {
	left := time.Duration(f.LeftS * float64(time.Second))
	b := banner{Title: "Fault injected on purpose: " + f.Kind, Until: now.Add(left).Truncate(time.Second), Left: short(left)}
	if f.State == console.FaultLeashed {
		b.Title = "Fault planned, and leashed: " + f.Kind
	}
	where := ""
	if f.Bot != "" {
		where = " on " + f.Bot
	}
	b.Text = fmt.Sprintf("It has hit %d%s. By %s", f.Fired+f.Would, where, f.By)
	if f.Reason != "" {
		b.Text += ": " + f.Reason
	}
	return b
}

func (in *inputs) warning(w console.Warning) warningView {
	icons := map[string]string{console.SeverityCritical: "bad", console.SeverityInfo: "info"}
	icon := icons[w.Severity]
	if icon == "" {
		icon = "warn"
	}
	return warningView{Warning: w, Icon: icon, Since: agoOf(w.Since, in.Now), HasPage: w.Runbook != "" && in.Runbook(w.Runbook)}
}

func (in *inputs) bot(i int, b console.Bot) *botView {
	now := in.Now
	v := &botView{Bot: b, ID: fmt.Sprintf("b%d", i), Headline: headline(b), Why: upper(sentence(because(b.Reason, b.Evidence))), SinceAgo: agoOf(b.Since, now)}
	v.Short, v.Icon = b.Mode, b.Mode
	if b.Phase == "starting" || b.Phase == "held" {
		v.Short, v.Icon = b.Phase, "none"
	}
	v.Flags = flags(b, now)
	if !b.NextFailbackAt.IsZero() && b.NextFailbackAt.After(now) && b.Phase == "polling" {
		total := max(1, int(b.NextFailbackAt.Sub(b.Since).Seconds()))
		left := b.NextFailbackAt.Sub(now)
		v.HoldDown = &span{From: b.Since, Until: b.NextFailbackAt, Left: short(left), Max: total, Value: max(0, total-int(left.Seconds()))}
	}
	for _, w := range b.Warnings {
		if !slices.ContainsFunc(in.Status.Warnings, func(p console.Warning) bool { return p.Code == w.Code }) {
			v.Warnings = append(v.Warnings, in.warning(w))
		}
	}
	v.Figures = figures(b, now)
	s := in.Story[b.Name]
	if s == nil {
		s = &story{}
	}
	var drills []DrillRun
	if in.Board != nil {
		drills = in.Board.Runs[b.Name]
	}
	v.Plot = newPlot(in.Intake[b.Name].Seconds, s.events, now)
	v.Timeline = newTimeline(b, s, drills, in.Intake[b.Name].Minutes, now)
	for _, g := range b.Signals {
		v.Signals = append(v.Signals, signal(g, now))
	}
	for _, l := range in.Lanes[b.Name] {
		lv := laneView{InboxLane: l, Since: agoOf(l.Next.ReceivedAt, now), Until: l.Next.NextTryAt}
		if lv.Until.After(now) {
			lv.Left = short(lv.Until.Sub(now))
		}
		v.Lanes = append(v.Lanes, lv)
	}
	v.Hidden = max(0, b.Lanes-int64(len(v.Lanes)))
	return v
}

// flags are the words that are in force.
func flags(b console.Bot, now time.Time) (out []inForce) {
	said := func(w *console.Said) string {
		if w == nil {
			return "by an operator"
		}
		return joined(": ", "by "+w.By.String(), w.Reason)
	}
	timed := func(f inForce, until time.Time) inForce {
		if until.After(now) {
			f.Until, f.Left = until, short(until.Sub(now))
		}
		return f
	}
	if b.Pinned {
		out = append(out, timed(inForce{Word: "Pinned to " + b.Pin, Text: said(b.PinnedBy)}, b.PinUntil))
	}
	if b.Held {
		out = append(out, timed(inForce{Word: "On hold", Text: said(b.HeldBy)}, b.HeldUntil))
	}
	if b.Frozen {
		out = append(out, inForce{Word: "Frozen", Text: "no failback until it is acknowledged"})
	}
	if b.Trial {
		out = append(out, inForce{Word: "Trial", Text: "the webhook has to prove itself"})
	}
	if b.DryRun {
		out = append(out, inForce{Word: "Dry run", Text: "automation decides, reports and does nothing"})
	}
	return out
}

// figures are the numbers, the most telling first.
func figures(b console.Bot, now time.Time) []figure {
	count := func(n int64, level string) (string, string) {
		if n == 0 {
			return "0", ""
		}
		return fmt.Sprint(n), level
	}
	pending := figure{Name: "Pending at Telegram", Value: "?", Note: "not known yet"}
	if n := b.PendingAtTelegram; n != nil {
		pending.Value, pending.Note = fmt.Sprint(*n), ""
		if *n > 100 {
			pending.Level = "bad"
		} else if *n > 50 {
			pending.Level = "warn"
		}
	}
	here := figure{Name: "Waiting here", Value: fmt.Sprint(b.Waiting)}
	oldest := figure{Name: "Oldest undelivered", Value: "none"}
	if b.Waiting > 0 {
		here.Note = "in " + plural(b.Lanes, "lane", "lanes")
		oldest.Value, oldest.Ago = "", agoOf(b.OldestWaitingAt, now)
		if now.Sub(b.OldestWaitingAt) > time.Minute {
			oldest.Level = "warn"
		}
	}
	dead := figure{Name: "Dead letters"}
	dead.Value, dead.Level = count(b.Dead, "warn")
	quarantine := figure{Name: "Quarantine"}
	quarantine.Value, quarantine.Level = count(b.Quarantined, "warn")
	lost := figure{Name: "Missing or lost"}
	lost.Value, lost.Level = count(b.Lost, "bad")
	if b.OpenHoles > 0 {
		lost.Value, lost.Note = fmt.Sprintf("%d missing", b.OpenHoles), fmt.Sprintf("%d lost", b.Lost)
		if b.Lost == 0 {
			lost.Level = "warn"
		}
	}
	standby := figure{Name: "Standby", Value: "ready", Level: "ok"}
	if !b.StandbyReady {
		standby = figure{Name: "Standby", Value: "not ready", Level: "bad", Note: b.StandbyError}
	}
	api := breaker("Breaker, Bot API", b.Breakers.BotAPI, "polling could not take over")
	if b.Webhook == nil {
		return []figure{pending, here, oldest, standby, api, dead, quarantine, lost}
	}
	return []figure{pending, here, oldest, lastDelivery(b, now), probeFigure(b.Webhook), certificate(b.Webhook, now),
		breaker("Breaker, deliveries", b.Breakers.Deliveries, "too many of our answers were bad"), api, standby, dead, quarantine, lost}
}

// breaker is a circuit breaker: closed lets through, open doesn't.
func breaker(name, state, note string) figure {
	f := figure{Name: name, Value: state}
	switch state {
	case "closed":
		f.Level = "ok"
	case "open":
		f.Level, f.Note = "bad", note
	case "":
		f.Value = "unknown"
	default:
		f.Level, f.Note = "warn", "about to try again"
	}
	return f
}

func probeFigure(w *console.Webhook) figure {
	f := figure{Name: "Probe", Value: w.Probe, Note: w.URLHost}
	switch w.Probe {
	case "ok":
		f.Level = "ok"
	case "bad":
		f.Level = "bad"
	case "unproven":
		f.Note = "never worked from here"
	case "", "disabled":
		f.Value, f.Note = "off", ""
	}
	return f
}

func certificate(w *console.Webhook, now time.Time) figure {
	f := figure{Name: "Certificate", Value: "elsewhere", Note: "TLS ends before dualgram"}
	if w.CertificateNotAfter.IsZero() {
		return f
	}
	left := w.CertificateNotAfter.Sub(now)
	f.Note = "until " + w.CertificateNotAfter.In(now.Location()).Format("2 Jan 2006 15:04")
	switch {
	case left <= 0:
		f.Value, f.Level = "expired", "bad"
	case left < 48*time.Hour:
		f.Value, f.Level = short(left), "bad"
	default:
		f.Value = plural(int64(left/day), "day", "days")
		if left < 14*day {
			f.Level = "warn"
		}
	}
	return f
}

func lastDelivery(b console.Bot, now time.Time) figure {
	w := b.Webhook
	f := figure{Name: "Last by webhook", Value: "none yet", Ago: agoOf(w.LastArrivalAt, now)}
	if !w.LastArrivalAt.IsZero() {
		f.Value, f.After = "", " ago"
	}
	if w.InFlight > 0 {
		f.Note = fmt.Sprintf("%d in progress", w.InFlight)
	}
	if !w.Listening {
		f.Note, f.Level = "not listening on "+w.Listen, "bad"
	}
	return f
}

func signal(g console.Signal, now time.Time) signalView {
	v := signalView{Signal: g, Since: agoOf(g.Since, now)}
	switch g.State {
	case console.SignalTripped:
		v.Icon, v.Level = "bad", "bad"
	case console.SignalSuspect:
		v.Icon, v.Level = "warn", "warn"
	case console.SignalDisabled:
		v.Icon = "off"
	default:
		v.Icon, v.Level = "ok", "ok"
	}
	v.Loud = g.State == console.SignalTripped || g.State == console.SignalSuspect
	return v
}
