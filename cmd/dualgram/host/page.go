package host

import (
	"context"
	"html/template"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"dualgram/chaos/drill"
	"dualgram/runbooks"
	"dualgram/supervisor/console"
	"dualgram/supervisor/console/page"
)

// openPage makes the status page. It shows something once the supervisor is there.
func (h *Host) openPage() error {
	var err error
	h.page, err = page.New(page.Options{Status: statusOf{h}, Events: eventsOf{h}, Intake: intakeOf{h}, Operator: operatorOf{h},
		Drills: &pageDrills{h: h}, Inbox: inboxOf{h}, Facts: h.facts, Runbooks: library{}})
	return err
}

// library is the runbooks of this binary.
type library struct{}

func (library) Runbook(name string) (page.Runbook, bool) {
	p, ok := runbooks.Lookup(name)
	if !ok {
		return page.Runbook{}, false
	}
	return page.Runbook{Name: p.Path(), Title: p.Title, Summary: p.Summary, Text: p.Text(), HTML: template.HTML(p.HTML())}, true //nolint:gosec // made from the pages in the binary
}

func (library) Runbooks() (out []page.Runbook) {
	groups := map[runbooks.Kind]string{runbooks.Alert: "Alerts and warnings", runbooks.Task: "Tasks", runbooks.Drill: "Drills"}
	for _, p := range runbooks.List() {
		out = append(out, page.Runbook{Name: p.Path(), Group: groups[p.Kind], Title: p.Title, Summary: p.Summary})
	}
	return out
}

// facts is what the page says of the process.
func (h *Host) facts() (f page.Facts) {
	if st, err := os.Stat(h.cfg.Store.Path); err == nil {
		f.StoreBytes = st.Size()
	}
	return f
}

// withPage is the handler of the observe listener with the page in it.
func (h *Host) withPage(observe http.Handler) http.Handler {
	p := h.page.Observe()
	mux := http.NewServeMux()
	for _, pattern := range []string{"GET /{$}", "GET /events", "GET /assets/", "GET /runbooks/"} {
		mux.Handle(pattern, p)
	}
	mux.Handle("/", observe)
	return mux
}

// intakeOf counts once the supervisor is there.
type intakeOf struct{ h *Host }

func (i intakeOf) Intake(bot string) console.Intake {
	if i.h.sup == nil {
		return console.Intake{}
	}
	return i.h.sup.Intake(bot)
}

// boardFor is how long the page's view of past drills and of what can be run is good:
// both are read from the disk.
const boardFor = 5 * time.Second

// pageDrills is what the page needs of the drills.
type pageDrills struct {
	h *Host

	mu          sync.Mutex
	read        time.Time
	experiments []page.Experiment
	runs        map[string][]page.DrillRun
}

// Board implements [page.Drills].
func (p *pageDrills) Board(ctx context.Context) (page.Board, error) {
	if p.h.sup == nil || p.h.offices == nil {
		return page.Board{}, errStarting
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.read.IsZero() || now.Sub(p.read) >= boardFor {
		p.read = now
		p.look(ctx, now)
	}
	b := page.Board{Possible: true, Experiments: p.experiments, Runs: p.runs}
	switch {
	case !p.h.cfg.Chaos.Enabled:
		b.Possible, b.NotPossible = false, "Drills can't run: chaos.enabled is off."
	case p.h.cfg.Chaos.Leashed:
		b.Possible, b.NotPossible = false, "Drills only count what they would hit: chaos.leashed is on."
	}
	return b, nil
}

// look reads what can be run and what was. What can't be read is left out.
func (p *pageDrills) look(ctx context.Context, now time.Time) {
	p.experiments, p.runs = nil, map[string][]page.DrillRun{}
	for _, e := range listExperiments(p.h.cfg.Drills.Experiments) {
		p.experiments = append(p.experiments, page.Experiment{Name: e.Name, Title: e.Title})
	}
	for name, o := range p.h.offices {
		if o.err != nil {
			continue
		}
		journals, err := o.drills.Journals(ctx)
		if err != nil {
			continue
		}
		for _, j := range journals {
			if j.Injected() && now.Sub(j.End) < 24*time.Hour {
				p.runs[name] = append(p.runs[name], page.DrillRun{Experiment: j.Experiment.Name, Outcome: string(j.Outcome), By: j.Who.User,
					Start: j.Start, Duration: j.End.Sub(j.Start)})
			}
		}
	}
}

// refusedWithin is how soon a drill that may not begin says so.
const refusedWithin = time.Second

// Begin implements [page.Drills].
func (p *pageDrills) Begin(ctx context.Context, q page.DrillOrder) error {
	o, err := p.h.office(q.Bot)
	if err != nil {
		return err
	}
	e, err := lookupExperiment(p.h.cfg.Drills.Experiments, q.Experiment)
	if err != nil {
		return badDrill(err.Error(), "choose one of the list")
	}
	refusals, err := o.drills.Check(ctx, e, time.Now())
	if err != nil {
		return err
	}
	if len(refusals) > 0 {
		var why []string
		for _, r := range refusals {
			why = append(why, r.Text)
		}
		return &console.Failure{Code: console.CodeRefused, Message: "the drill may not begin: " + strings.Join(why, "; "), Fix: "see what is in force: dualgram drill schedule"}
	}
	if q.DryRun {
		return nil
	}
	who := drill.Who{User: q.By.String(), UID: q.By.UID, Reason: q.Reason}
	over := make(chan *drill.Journal, 1)
	// It belongs to the host and not to the page: the browser may go away.
	p.h.begun.Go(func() {
		j, err := o.drills.Do(p.h.life, drill.Request{Experiment: e, Who: who})
		if err != nil {
			p.h.log.Error().Err(err).Str("bot", q.Bot).Str("experiment", e.Name).Msg("the evidence of a drill could not be written")
		}
		over <- j
	})
	soon := time.NewTimer(refusedWithin)
	defer soon.Stop()
	select {
	case j := <-over:
		if j.Outcome == drill.NotStarted {
			return &console.Failure{Code: console.CodeRefused, Message: "the drill did not begin: " + strings.Join(j.Reasons, "; "), Fix: "try again when that is over"}
		}
	case <-soon.C:
	case <-ctx.Done():
	}
	return nil
}

// Halt implements [page.Drills].
func (p *pageDrills) Halt(ctx context.Context, by console.Caller, reason string) error {
	return p.h.pull(ctx, true, whoPulls(by, reason))
}

// Resume implements [page.Drills].
func (p *pageDrills) Resume(ctx context.Context, by console.Caller, reason string) error {
	return p.h.pull(ctx, false, whoPulls(by, reason))
}

func whoPulls(by console.Caller, reason string) drill.Who {
	return drill.Who{User: by.String(), UID: by.UID, Reason: reason}
}
