package page

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"dualgram/supervisor/console"
	"dualgram/transport/botapi"
)

// Who tells whose request it is, for the journal. The listener has let it in.
type Who func(*http.Request) console.Caller

// Control is the page with actions. It is for a listener that lets in only those who
// may act, and that turns away requests which another site's page has caused. It
// serves the paths of [Page.Observe], /act and /confirm.
func (p *Page) Control(who Who) http.Handler {
	mux := p.routes(http.NewServeMux(), who)
	mux.HandleFunc("POST /act", func(w http.ResponseWriter, r *http.Request) { p.act(w, r, who) })
	mux.HandleFunc("POST /confirm", func(w http.ResponseWriter, r *http.Request) { p.confirm(w, r, who) })
	// That listener sees to it as well; this holds wherever the page is mounted.
	return secured(http.NewCrossOriginProtection().Handler(mux))
}

// The actions, in the order of the form. Command is the console's; drills have none.
var actions = []action{
	{ID: "switch_polling", Word: "Switch to polling", Command: console.SwitchPolling, Timed: true},
	{ID: "switch_webhook", Word: "Switch to the webhook", Command: console.SwitchWebhook, Timed: true},
	{ID: "hold", Word: "Hold the present mode", Command: console.HoldMode, Timed: true},
	{ID: "switch_auto", Word: "Back to automatic", Command: console.SwitchAuto},
	{ID: "ack", Word: "Acknowledge a freeze", Command: console.AckFreeze},
	{ID: "drill", Word: "Run a drill"},
	{ID: "halt", Word: "Halt all drills"},
	{ID: "resume", Word: "Let drills run again"},
}

type action struct {
	ID, Word, Command string
	Timed             bool
}

// spans are the durations to choose from.
var spans = []choice{{"0", "until it is lifted"}, {"600", "10 minutes"}, {"1800", "30 minutes"}, {"3600", "1 hour"}, {"14400", "4 hours"}, {"86400", "1 day"}}

type choice struct{ Value, Word string }

// controls is what the page offers to whoever may act.
type controls struct {
	Who         string
	Actions     []action
	Spans       []choice
	Board       *Board
	Done        *result
	Experiments []Experiment
}

// result is what became of an action.
type result struct {
	ID        uint64
	Bot       string
	What      string
	Next      string
	By        string
	At        time.Time
	Failed    bool
	Unchanged bool
}

// results remembers the latest, for the page that is shown after an action.
type results struct {
	mu   sync.Mutex
	last uint64
	all  []result
}

const keptResults = 50

func (r *results) add(x result) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	x.ID = r.last
	r.all = append(r.all, x)
	if len(r.all) > keptResults {
		r.all = slices.Delete(r.all, 0, len(r.all)-keptResults)
	}
	return x.ID
}

func (r *results) get(id string) *result {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range r.all {
		if x.ID == n {
			return &x
		}
	}
	return nil
}

func (p *Page) controls(v *view, by console.Caller, done string) *controls {
	c := &controls{Who: by.String(), Spans: spans, Board: v.board, Done: p.results.get(done)}
	for _, a := range actions {
		switch {
		case a.Command != "" && p.o.Operator == nil, a.Command == "" && p.o.Drills == nil:
			continue
		}
		c.Actions = append(c.Actions, a)
	}
	return c
}

// order is a filled-in form.
type order struct {
	Action     action
	Bot        string
	Experiment string
	Seconds    int
	Reason     string
	Name       string // of whoever acts, in their own words
}

// maxName bounds a name.
const maxName = 40

// maxForm bounds a form.
const maxForm = 16 << 10

// readOrder reads the form and says what is wrong with it.
func readOrder(w http.ResponseWriter, r *http.Request) (o order, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return o, refuse("The form can't be read: "+err.Error(), "Go back and fill it in anew.")
	}
	get := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	o = order{Bot: get("bot"), Experiment: get("experiment"), Name: get("name")}
	i := slices.IndexFunc(actions, func(a action) bool { return a.ID == get("do") })
	if i < 0 {
		return o, refuse("There is no such action.", "Choose one of the form.")
	}
	o.Action = actions[i]
	if s := get("for"); o.Action.Timed && s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > int(console.MaxFor/time.Second) {
			return o, refuse("The time is not understood.", "Choose one of the form.")
		}
		o.Seconds = n
	}
	if o.Name == "" || len(o.Name) > maxName || strings.ContainsFunc(o.Name, unicode.IsControl) {
		return o, refuse("Your name is missing, or is too long.", "Say who you are: it stands in the journal beside the reason.")
	}
	if o.Reason, err = console.CheckReason(r.PostForm.Get("reason"), true); err != nil {
		return o, err
	}
	// Both are written down and shown.
	o.Name, o.Reason = botapi.Redact(o.Name), botapi.Redact(o.Reason)
	if o.Action.ID == "drill" && o.Experiment == "" {
		return o, refuse("Which drill?", "Choose one of the form.")
	}
	return o, nil
}

func refuse(message, fix string) error {
	return &console.Failure{Code: console.CodeBadRequest, Message: message, Fix: fix}
}

// by is who is written down: the page, in whose name, and from where.
func (o order) by(c console.Caller) console.Caller {
	c.User = "page (" + o.Name + ")"
	return c
}

// Title says what is done.
func (o order) Title() string {
	s := o.Action.Word
	if o.Action.ID == "drill" {
		s += ": " + o.Experiment
	}
	if o.Action.Timed && o.Seconds > 0 {
		s += " for " + span{}.words(time.Duration(o.Seconds)*time.Second)
	}
	return s
}

// words is a round duration.
func (span) words(d time.Duration) string {
	for _, c := range spans[1:] {
		if c.Value == strconv.Itoa(int(d/time.Second)) {
			return c.Word
		}
	}
	return short(d)
}

// confirmView asks whether it is meant.
type confirmView struct {
	Title    string
	Order    order
	What     string
	Warnings []console.Warning
	// Message and Fix say why it can't be; the form is shown again.
	Message, Fix string
	Back         string
}

// act answers a filled-in form with what would happen, and asks.
func (p *Page) act(w http.ResponseWriter, r *http.Request, who Who) {
	o, err := readOrder(w, r)
	v := confirmView{Title: "Confirm", Order: o, Back: "/#" + url.PathEscape("bot-"+o.Bot)}
	if err == nil {
		v.What, v.Warnings, err = p.preview(r, o, o.by(who(r)))
	}
	code := http.StatusOK
	if err != nil {
		v.Title, code = "Not possible", http.StatusConflict
		v.Message, v.Fix = said(err)
	}
	p.html(w, code, "confirm", v)
}

// said is an error for people.
func said(err error) (message, fix string) {
	var f *console.Failure
	if errors.As(err, &f) {
		return upper(sentence(f.Message)), upper(sentence(f.Fix))
	}
	return upper(sentence(err.Error())), ""
}

// preview says what would happen, and does nothing.
func (p *Page) preview(r *http.Request, o order, by console.Caller) (string, []console.Warning, error) {
	switch o.Action.ID {
	case "drill":
		if p.o.Drills == nil {
			return "", nil, refuse("There are no drills here.", "")
		}
		err := p.o.Drills.Begin(r.Context(), DrillOrder{Bot: o.Bot, Experiment: o.Experiment, Reason: o.Reason, DryRun: true, By: by})
		return "It could begin now. Its faults act on live traffic and end by themselves; the drill goes on when this page is closed. Halt all drills ends it at once.", nil, err
	case "halt":
		return "A drill under way ends at once, and none begins, also after a restart, until drills are let run again.", nil, nil
	case "resume":
		return "Drills may be run again, and schedules begin them.", nil, nil
	}
	c, err := p.operate(r, o, by, true)
	return c.Next, c.Warnings, err
}

func (p *Page) operate(r *http.Request, o order, by console.Caller, dry bool) (console.Change, error) {
	if p.o.Operator == nil {
		return console.Change{}, refuse("This dualgram takes no commands.", "")
	}
	return p.o.Operator.Operate(r.Context(), console.Order{Bot: o.Bot, Command: o.Action.Command, For: time.Duration(o.Seconds) * time.Second,
		Reason: o.Reason, DryRun: dry, By: by})
}

// confirm carries the order out.
func (p *Page) confirm(w http.ResponseWriter, r *http.Request, who Who) {
	o, err := readOrder(w, r)
	res := result{Bot: o.Bot, What: o.Title(), At: time.Now()}
	if err == nil {
		by := o.by(who(r))
		res.By = by.String()
		switch o.Action.ID {
		case "drill":
			if p.o.Drills == nil {
				err = refuse("There are no drills here.", "")
				break
			}
			err = p.o.Drills.Begin(r.Context(), DrillOrder{Bot: o.Bot, Experiment: o.Experiment, Reason: o.Reason, By: by})
			res.Next = "The drill is under way: watch the banner and the timeline."
		case "halt", "resume":
			if p.o.Drills == nil {
				err = refuse("There are no drills here.", "")
				break
			}
			if o.Action.ID == "halt" {
				err, res.Next = p.o.Drills.Halt(r.Context(), by, o.Reason), "Drills are halted."
			} else {
				err, res.Next = p.o.Drills.Resume(r.Context(), by, o.Reason), "Drills may run again."
			}
		default:
			var c console.Change
			c, err = p.operate(r, o, by, false)
			res.Next, res.Unchanged = c.Next, !c.Changed
		}
	}
	if err != nil {
		v := confirmView{Title: "Not done", Order: o, Back: "/#" + url.PathEscape("bot-"+o.Bot)}
		v.Message, v.Fix = said(err)
		p.html(w, http.StatusConflict, "confirm", v)
		return
	}
	id := p.results.add(res)
	http.Redirect(w, r, fmt.Sprintf("/?done=%d#done", id), http.StatusSeeOther)
}
