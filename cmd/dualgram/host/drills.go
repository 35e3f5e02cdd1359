package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"dualgram/chaos/drill"
	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
)

// drillOffice runs the drills of one bot.
type drillOffice struct {
	host   *drillHost
	drills *drill.Drills
	err    error // why there can't be any
}

// openDrills makes the office of each bot. A history that is damaged keeps drills
// from running, and nothing else.
func (h *Host) openDrills(ctx context.Context, bots []supervisor.BotOptions) error {
	h.offices = map[string]*drillOffice{}
	var running []*drill.Drills
	policy, err := drillPolicy(h.cfg)
	if err != nil {
		return err
	}
	for _, b := range bots {
		o := &drillOffice{host: h.drillHosts[b.Name]}
		h.offices[b.Name] = o
		schedules, err := drillSchedules(h.cfg, b.Name)
		if err != nil {
			return err
		}
		ledger, err := h.store.Ledger(b.BotID)
		if err != nil {
			return err
		}
		o.drills, o.err = drill.New(ctx, drill.Options{
			Bot: b.Name, Host: o.host, Store: drillStore{ledger}, Policy: policy, Version: h.opt.Version, ConfigHash: config.Hash(h.cfg),
			Simulator: h.opt.Simulated.shown(), Schedules: schedules, Blocked: h.haltFile,
			Lookup: func(name string) (*drill.Experiment, error) { return lookupExperiment(h.cfg.Drills.Experiments, name) },
			Observe: func(p drill.Progress) {
				if o.host.under(p, o.drills.RunningID()) {
					h.tellDrill(p)
				}
			},
		})
		if o.err != nil {
			h.log.Error().Err(o.err).Str("bot", b.Name).Msg("the history of the drills can't be trusted: no drill of this bot can run")
			continue
		}
		running = append(running, o.drills)
	}
	h.drilling.Store(&running)
	return nil
}

// haltFile is the halt lever that is a file.
func (h *Host) haltFile() *drill.Halt {
	path := h.cfg.Drills.HaltFile
	if path == "" {
		return nil
	}
	st, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	halt := &drill.Halt{Who: drill.Who{User: "a file"}, Reason: "remove " + path + " to let drills run"}
	if err == nil {
		halt.At = st.ModTime()
	}
	return halt
}

// tellDrill logs what a drill does.
func (h *Host) tellDrill(p drill.Progress) {
	if p.Text == "" {
		return
	}
	l := h.plainLog.Info() //nolint:zerologlint // sent below
	if p.Outcome != "" && p.Outcome != drill.Held {
		l = h.plainLog.Warn() //nolint:zerologlint // sent below
	}
	l.Str("event", "drill").Str("bot", p.Bot).Str("drill_id", p.ID).Str("experiment", p.Experiment).Str("stage", string(p.Stage)).
		Str("outcome", string(p.Outcome)).Msg(p.Text)
}

// runDrills runs the schedules until the context ends.
func (h *Host) runDrills(ctx context.Context, wg *sync.WaitGroup) {
	for _, o := range h.offices {
		if o.err == nil && len(h.cfg.Drills.Schedules) > 0 {
			wg.Go(func() { o.drills.Run(ctx) })
		}
	}
}

// HaltDrills pulls the halt lever of every bot.
func (h *Host) HaltDrills(ctx context.Context, who drill.Who) error { return h.pull(ctx, true, who) }

// pull moves the lever of every bot, and writes into the journals who did. What can't
// be written down is done all the same: the lever is for emergencies.
func (h *Host) pull(ctx context.Context, halt bool, who drill.Who) error {
	if h.sup == nil {
		return errStarting
	}
	name, move := "drills_resume", (*drill.Drills).Resume
	if halt {
		name, move = "drills_halt", (*drill.Drills).Halt
	}
	var errs []error
	for _, o := range h.offices {
		if o.err == nil {
			errs = append(errs, move(o.drills, ctx, who))
		}
	}
	errs = append(errs, h.sup.Audit(ctx, supervisor.Audited{Name: name, Reason: who.Reason, By: console.Caller{User: who.User, UID: who.UID, PID: who.PID}}))
	if err := errors.Join(errs...); err != nil {
		return &console.Failure{Code: console.CodeNotSaved, Message: "it could not be saved, and a restart forgets it: " + err.Error(), Fix: "free or repair the disk of the store", Err: err}
	}
	return nil
}

// office returns that of a bot.
func (h *Host) office(bot string) (*drillOffice, error) {
	if h.sup == nil || h.offices == nil {
		return nil, errStarting
	}
	o, ok := h.offices[bot]
	switch {
	case !ok:
		return nil, &console.Failure{Code: console.CodeUnknownBot, Message: fmt.Sprintf("there is no bot %q", bot), Fix: "see dualgram status"}
	case o.err != nil:
		return nil, &console.Failure{Code: console.CodeRefused, Message: "the history of the drills can't be trusted: " + o.err.Error(),
			Fix: "keep a copy of the store for whoever audits it, and look for what changed it", Err: o.err}
	}
	return o, nil
}

// DrillsStatus is the answer of GET /v1/drills.
type DrillsStatus struct {
	Schema string `json:"schema"`
	// Enabled and Leashed are the locks of chaos.
	Enabled bool       `json:"enabled"`
	Leashed bool       `json:"leashed"`
	Bots    []BotDrill `json:"bots"`
	// Experiments are those of drills.experiments and the shipped ones.
	Experiments []DrillExperiment `json:"experiments"`
}

// BotDrill is how it stands with the drills of one bot.
type BotDrill struct {
	Bot string `json:"bot"`
	// Halt is the halt lever; null if it is not pulled. Running is the drill under
	// way; null if there is none.
	Halt    *drill.Halt     `json:"halt"`
	Running *drill.Progress `json:"running"`
	Plans   []DrillPlan     `json:"plans"`
	Error   string          `json:"error,omitempty"`
}

// DrillPlan is a schedule and its next time.
type DrillPlan struct {
	Experiment  string    `json:"experiment"`
	Cron        string    `json:"cron"`
	Zone        string    `json:"zone"`
	Next        time.Time `json:"next,omitzero"`
	LastRun     time.Time `json:"last_run,omitzero"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastOutcome string    `json:"last_outcome,omitempty"`
	// MissedSince is when a run was due that was not made; absent if none.
	// OverdueSince is when the second in a row was due without a success.
	MissedSince  time.Time `json:"missed_since,omitzero"`
	OverdueSince time.Time `json:"overdue_since,omitzero"`
}

// DrillExperiment is an experiment that can be run by its name.
type DrillExperiment struct {
	Name  string   `json:"name"`
	Title string   `json:"title"`
	Tags  []string `json:"tags"`
}

// SchemaDrills and the others name the answers about drills.
const (
	SchemaDrills       = "dualgram/drills/v1"
	SchemaDrillHistory = "dualgram/drill-history/v1"
	SchemaDrillRun     = "dualgram/drill-run/v1"
	SchemaDrillOrder   = "dualgram/drill-order/v1"
	SchemaDrillLever   = "dualgram/drill-lever/v1"
)

// drillsStatus gathers it.
func (h *Host) drillsStatus(context.Context) (DrillsStatus, error) {
	if h.sup == nil || h.offices == nil {
		return DrillsStatus{}, errStarting
	}
	out := DrillsStatus{Schema: SchemaDrills, Enabled: h.cfg.Chaos.Enabled, Leashed: h.cfg.Chaos.Leashed, Bots: []BotDrill{}, Experiments: []DrillExperiment{}}
	for _, e := range listExperiments(h.cfg.Drills.Experiments) {
		out.Experiments = append(out.Experiments, DrillExperiment{e.Name, e.Title, append([]string{}, e.Tags...)})
	}
	for i := range h.cfg.Bots {
		name := h.cfg.Bots[i].Name
		o := h.offices[name]
		b := BotDrill{Bot: name, Plans: []DrillPlan{}}
		if o.err != nil {
			b.Error = o.err.Error()
			out.Bots = append(out.Bots, b)
			continue
		}
		b.Halt = o.drills.Halted()
		if p, ok := o.drills.Running(); ok {
			b.Running = &p
		}
		for _, p := range o.drills.Plans(time.Now()) {
			zone := "UTC"
			if p.Schedule.Zone != nil {
				zone = p.Schedule.Zone.String()
			}
			b.Plans = append(b.Plans, DrillPlan{p.Experiment, p.Schedule.Cron, zone, p.Next.At, p.LastRun, p.LastSuccess, string(p.LastOutcome), p.MissedSince, p.OverdueSince})
		}
		out.Bots = append(out.Bots, b)
	}
	return out, nil
}

// DrillHistory is the answer of GET /v1/bots/{name}/drills.
type DrillHistory struct {
	Schema string `json:"schema"`
	Bot    string `json:"bot"`
	// Head is the hash of the last record, Records their number.
	Head    string         `json:"head"`
	Records int            `json:"records"`
	Verify  string         `json:"verify"` // ok, or what is wrong
	Runs    []DrillSummary `json:"runs"`   // oldest first; never null
}

// DrillSummary is one run in a list.
type DrillSummary struct {
	ID         string    `json:"id"`
	Experiment string    `json:"experiment"`
	Start      time.Time `json:"start"`
	Duration   float64   `json:"duration_s"`
	Outcome    string    `json:"outcome"`
	By         string    `json:"by"`
	// Switch is the time to the first poll, in seconds; null if there was none.
	Switch *float64 `json:"switch_s"`
	Fired  uint64   `json:"fired"`
}

// history reads the records of a bot, and verifies their chain up to the known
// head, if one is given.
func (o *drillOffice) history(ctx context.Context, known string) (DrillHistory, error) {
	out := DrillHistory{Schema: SchemaDrillHistory, Bot: o.host.bot, Verify: "ok", Runs: []DrillSummary{}}
	l, err := o.host.ledger()
	if err != nil {
		return out, err
	}
	records, err := drillStore{l}.List(ctx)
	if err != nil {
		return out, err
	}
	out.Records = len(records)
	if out.Head, err = drill.Verify(records, known); err != nil {
		out.Verify = err.Error()
	}
	journals, err := o.drills.Journals(ctx)
	if err != nil {
		return out, err
	}
	for _, j := range journals {
		out.Runs = append(out.Runs, DrillSummary{j.ID, j.Experiment.Name, j.Start, j.Duration, string(j.Outcome), j.Who.User, j.Timings.Switch, j.Fired})
	}
	return out, nil
}
