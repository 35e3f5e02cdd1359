package page

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"net/http"
	"sync"
	"time"

	"dualgram/supervisor/console"
)

// Options are what a [Page] shows. Status, Events and Intake are required.
type Options struct {
	Status console.StatusProvider
	Events console.EventsProvider
	Intake console.IntakeProvider
	// Operator takes the orders that are given on the page; nil: none are.
	Operator console.Operator
	// Drills tells of drills and begins them; nil: there are none.
	Drills Drills
	// Facts are what the process knows of itself; nil: nothing.
	Facts func() Facts
	// Inbox tells of the lanes; nil: they are only counted.
	Inbox Inbox
	// Runbooks are the pages that can be read; nil: there are none.
	Runbooks Library
	// MaxClients bounds who may look on live at the same time; 0 means 32.
	MaxClients int
}

// Facts are of the process as a whole.
type Facts struct {
	// StoreBytes is the size of the store's file; 0 if it is not known.
	StoreBytes int64
}

// Library holds the runbooks.
type Library interface {
	// Runbook is the page of the name, as Markdown and as HTML without a frame. Its
	// links to other pages are relative to /runbooks/NAME.
	Runbook(name string) (Runbook, bool)
	// Runbooks lists all of them without their text, group by group.
	Runbooks() []Runbook
}

// Runbook is one page.
type Runbook struct {
	// Name is its path, such as frozen or drills/black-hole. Group is the heading that
	// the list has it under.
	Name, Group, Title, Summary string
	// Text is Markdown for whoever reads without a browser, HTML for one.
	Text string
	HTML template.HTML
}

// Inbox is what the page needs of [console.Inbox].
type Inbox interface {
	Lanes(ctx context.Context, bot string, limit int) (console.InboxLanes, error)
}

// Drills is what the page needs of the drills.
type Drills interface {
	// Board tells how it stands with the drills.
	Board(ctx context.Context) (Board, error)
	// Begin starts a drill and returns as soon as it is under way or refused; it goes
	// on after that. A dry run only says whether it could begin.
	Begin(ctx context.Context, o DrillOrder) error
	// Halt ends every drill and lets none begin until Resume.
	Halt(ctx context.Context, by console.Caller, reason string) error
	Resume(ctx context.Context, by console.Caller, reason string) error
}

// DrillOrder asks for a drill.
type DrillOrder struct {
	Bot, Experiment, Reason string
	DryRun                  bool
	By                      console.Caller
}

// Board is how it stands with the drills.
type Board struct {
	// Possible says whether faults may act; NotPossible why they may not.
	Possible    bool
	NotPossible string
	Experiments []Experiment
	// Runs are those of the last day, the oldest first, by the name of the bot.
	Runs map[string][]DrillRun
}

// Experiment is a drill that can be run.
type Experiment struct{ Name, Title string }

// DrillRun is one that is over.
type DrillRun struct {
	Experiment, Outcome, By string
	Start                   time.Time
	Duration                time.Duration
}

// Page renders the status. Its handlers may be mounted on any number of listeners.
type Page struct {
	o Options
	t *templates

	mu      sync.Mutex // held while one looks and renders
	stories map[string]*story
	cursor  string
	sent    map[string]string // the regions as last broadcast, ages left out
	seq     uint64
	clients map[*client]struct{}
	over    bool

	results results
}

// New makes a page. It shows something as soon as its providers answer; for it to
// be live, [Page.Run] has to run.
func New(o Options) (*Page, error) {
	if o.Status == nil || o.Events == nil || o.Intake == nil {
		return nil, errors.New("page: status, events and intake are required")
	}
	if o.MaxClients <= 0 {
		o.MaxClients = 32
	}
	if o.Facts == nil {
		o.Facts = func() Facts { return Facts{} }
	}
	t, err := parseTemplates()
	if err != nil {
		return nil, err
	}
	return &Page{o: o, t: t, stories: map[string]*story{}, sent: map[string]string{}, clients: map[*client]struct{}{}}, nil
}

// Observe is the page for whoever may look on: nothing can be changed there. It
// serves the paths /, /events, /assets/ and /runbooks/.
func (p *Page) Observe() http.Handler {
	return secured(p.routes(http.NewServeMux(), nil))
}

// routes adds what both kinds of page have; who is nil where nothing can be changed.
func (p *Page) routes(mux *http.ServeMux, who Who) *http.ServeMux {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { p.whole(w, r, who) })
	mux.HandleFunc("GET /events", p.stream)
	mux.HandleFunc("GET /assets/{hash}/{name}", p.t.asset)
	mux.HandleFunc("GET /runbooks/{$}", p.runbookIndex)
	mux.HandleFunc("GET /runbooks/{name...}", p.runbook)
	return mux
}

// policy is the page's content security policy
// (https://www.w3.org/TR/CSP3/): only what this listener serves, and no inline
// script or style.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secured adds the headers that every answer has.
func secured(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", policy)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("X-Frame-Options", "DENY")
		// With no-referrer a form would be sent with Origin: null, and be refused.
		head.Set("Referrer-Policy", "same-origin")
		head.Set("Cross-Origin-Opener-Policy", "same-origin")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		head.Set("Cache-Control", "no-store")
		h.ServeHTTP(w, r)
	})
}

// whole answers with the page.
func (p *Page) whole(w http.ResponseWriter, r *http.Request, who Who) {
	v, err := p.look(r.Context())
	if err != nil {
		p.problem(w, http.StatusServiceUnavailable, err)
		return
	}
	if who != nil {
		v.Control = p.controls(v, who(r), r.URL.Query().Get("done"))
	}
	p.html(w, http.StatusOK, "page", v)
}

// html answers with a template.
func (p *Page) html(w http.ResponseWriter, code int, name string, data any) {
	var b bytes.Buffer
	if err := p.t.set.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, "the page could not be rendered: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(b.Bytes())
}

// problem answers with what is wrong and what to do about it.
func (p *Page) problem(w http.ResponseWriter, code int, err error) {
	v := problemView{Title: "Not to be shown now", Message: err.Error(), Fix: "Reload the page in a moment."}
	var f *console.Failure
	if errors.As(err, &f) {
		v.Message, v.Fix = sentence(f.Message), sentence(f.Fix)
	}
	p.html(w, code, "problem", v)
}

type problemView struct{ Title, Message, Fix string }

// look gathers all that is shown.
func (p *Page) look(ctx context.Context) (*view, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.looked(ctx, time.Now())
}

// looked is look for whoever holds the lock.
func (p *Page) looked(ctx context.Context, now time.Time) (*view, error) {
	st, err := p.o.Status.Status(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.read(ctx, now); err != nil {
		return nil, err
	}
	in := inputs{Status: st, Now: now, Facts: p.o.Facts(), Story: p.stories, Intake: map[string]console.Intake{}, Lanes: map[string][]console.InboxLane{}, Runbook: p.hasRunbook}
	for _, b := range st.Bots {
		in.Intake[b.Name] = p.o.Intake.Intake(b.Name)
		if p.o.Inbox != nil && b.Waiting > 0 {
			// Without the lanes the rest is shown all the same.
			if l, err := p.o.Inbox.Lanes(ctx, b.Name, shownLanes); err == nil {
				in.Lanes[b.Name] = l.Lanes
			}
		}
	}
	if p.o.Drills != nil {
		// Without the drills the rest is shown all the same.
		if board, err := p.o.Drills.Board(ctx); err == nil {
			in.Board = &board
		}
	}
	return newView(in), nil
}
