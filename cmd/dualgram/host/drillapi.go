package host

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"dualgram/chaos/drill"
	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/console"
)

// maxDrillBody bounds a request: an experiment is a short file.
const maxDrillBody = 128 << 10

// DrillRequest is the body of POST /v1/bots/{name}/drills.
type DrillRequest struct {
	// Schema may be left out.
	Schema string `json:"schema,omitempty"`
	// Name is an experiment that the host knows; Text one in YAML, File its name for
	// messages. One of the two is needed.
	Name string `json:"name,omitempty"`
	Text string `json:"text,omitempty"`
	File string `json:"file,omitempty"`
	// Reason is kept in the evidence; needed unless DryRun.
	Reason string  `json:"reason,omitempty"`
	DryRun bool    `json:"dry_run,omitempty"`
	Share  float64 `json:"share,omitempty"`
	For    float64 `json:"for_s,omitempty"`
	Seed   uint64  `json:"seed,omitempty"`
}

// DrillLine is one line of the answer: what happens, and at last the evidence. The
// drill ends when the request does.
type DrillLine struct {
	Schema   string          `json:"schema"`
	Progress *drill.Progress `json:"progress,omitempty"`
	Journal  *drill.Journal  `json:"journal,omitempty"`
	// Head is the hash of the last record, for whoever keeps it elsewhere.
	Head  string `json:"head,omitempty"`
	Error string `json:"error,omitempty"`
}

// LeverRequest is the body of POST /v1/drills/halt and /v1/drills/resume.
type LeverRequest struct {
	// Schema may be left out.
	Schema string `json:"schema,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// drillRoutes are the resources of the drills.
func (h *Host) drillRoutes() []console.Route {
	get := func(f func(*http.Request) (any, error)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			out, err := f(r)
			if err != nil {
				console.WriteFailure(w, "drills", err)
				return
			}
			console.WriteJSON(w, http.StatusOK, out)
		})
	}
	lever := func(halt bool) http.Handler {
		return get(func(r *http.Request) (any, error) {
			var q LeverRequest
			if err := readJSON(r, &q); err != nil {
				return nil, err
			}
			reason, err := console.CheckReason(q.Reason, true)
			if err != nil {
				return nil, err
			}
			if err := h.pull(r.Context(), halt, whoAsks(r, config.Redact(reason))); err != nil {
				return nil, err
			}
			return h.drillsStatus(r.Context())
		})
	}
	return []console.Route{
		{Pattern: "GET /v1/drills", Doc: "The drills under way, the halt lever, the schedules", Response: SchemaDrills,
			Handler: get(func(r *http.Request) (any, error) { return h.drillsStatus(r.Context()) })},
		{Pattern: "POST /v1/drills/halt", Doc: "End the drills under way, and let none begin", Request: SchemaDrillLever, Response: SchemaDrills,
			Handler: lever(true)},
		{Pattern: "POST /v1/drills/resume", Doc: "Let drills run again", Request: SchemaDrillLever, Response: SchemaDrills,
			Handler: lever(false)},
		{Pattern: "GET /v1/bots/{name}/drills", Doc: "The runs of the past, and whether their chain is whole", Response: SchemaDrillHistory,
			Handler: get(func(r *http.Request) (any, error) {
				o, err := h.office(r.PathValue("name"))
				if err != nil {
					return nil, err
				}
				return o.history(r.Context(), r.URL.Query().Get("head"))
			})},
		{Pattern: "GET /v1/bots/{name}/drills/{id}", Doc: "The report of one run; format is markdown, html, junit or json", Response: "text/plain", Handler: http.HandlerFunc(h.getReport)},
		{Pattern: "POST /v1/bots/{name}/drills", Doc: "Run a drill, for as long as the request lasts; a line for each thing that happens", Request: SchemaDrillOrder,
			Response: SchemaDrillRun, Handler: http.HandlerFunc(h.postDrill)},
	}
}

func badDrill(message, fix string) error {
	return &console.Failure{Code: console.CodeBadRequest, Message: message, Fix: fix}
}

func readJSON(r *http.Request, into any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, maxDrillBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return badDrill("the body is not understood: "+err.Error(), "")
	}
	// net/http notices that a client hung up only once the body has been read.
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxDrillBody))
	return nil
}

func whoAsks(r *http.Request, reason string) drill.Who {
	c := console.CallerOf(r)
	if c.Remote != "" {
		c.User = c.String()
	}
	return drill.Who{User: c.User, UID: c.UID, PID: c.PID, Reason: strings.TrimSpace(reason)}
}

// getReport answers with a report in the form that is asked for.
func (h *Host) getReport(w http.ResponseWriter, r *http.Request) {
	o, err := h.office(r.PathValue("name"))
	if err != nil {
		console.WriteFailure(w, "report", err)
		return
	}
	rep, err := o.drills.Report(r.Context(), r.PathValue("id"))
	if errors.Is(err, drill.ErrNotFound) {
		err = badDrill("there is no run "+r.PathValue("id"), "see them: dualgram drill history")
	}
	var b strings.Builder
	if err == nil {
		format := drill.Format(r.URL.Query().Get("format"))
		if format == "" {
			format = drill.JSON
		}
		err = rep.Write(&b, format)
	}
	if err != nil {
		console.WriteFailure(w, "report", err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, b.String())
}

// postDrill runs a drill for as long as the request lasts, and tells a line for each
// thing that happens.
func (h *Host) postDrill(w http.ResponseWriter, r *http.Request) {
	o, q, e, err := h.drillRequest(r)
	if err != nil {
		console.WriteFailure(w, "drill", err)
		return
	}
	// The drill ends when the command goes away, or dualgram stops.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.life, cancel)()
	lines := make(chan drill.Progress, 256)
	done := make(chan DrillLine, 1)
	go func() {
		j, err := o.drills.Do(ctx, drill.Request{Experiment: e, Who: whoAsks(r, q.Reason), DryRun: q.DryRun, Share: q.Share,
			For: time.Duration(q.For * float64(time.Second)), Seed: q.Seed, Observe: func(p drill.Progress) {
				select {
				case lines <- p:
				default: // who doesn't read misses something
				}
			}})
		last := DrillLine{Schema: SchemaDrillRun, Journal: j}
		if err != nil {
			last.Error = err.Error()
		} else if hist, err := o.history(context.WithoutCancel(ctx), ""); err == nil {
			last.Head = hist.Head
		}
		done <- last
	}()
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	tell := func(l DrillLine) {
		if enc.Encode(l) == nil {
			_ = flush.Flush()
		}
	}
	for {
		select {
		case p := <-lines:
			tell(DrillLine{Schema: SchemaDrillRun, Progress: &p})
		case last := <-done:
			for len(lines) > 0 {
				p := <-lines
				tell(DrillLine{Schema: SchemaDrillRun, Progress: &p})
			}
			tell(last)
			return
		}
	}
}

// drillRequest reads and checks what is asked for.
func (h *Host) drillRequest(r *http.Request) (o *drillOffice, q DrillRequest, e *drill.Experiment, err error) {
	if o, err = h.office(r.PathValue("name")); err != nil {
		return o, q, nil, err
	}
	if err = readJSON(r, &q); err != nil {
		return o, q, nil, err
	}
	switch {
	case (q.Name == "") == (q.Text == ""):
		return o, q, nil, badDrill("which experiment?", "give its name, or its text")
	case q.Share < 0 || q.Share > 1 || q.For < 0 || q.For > 900:
		return o, q, nil, badDrill("share is from 0 to 1, and for_s from 0 to 900", "")
	}
	if q.Reason, err = console.CheckReason(q.Reason, !q.DryRun); err != nil {
		return o, q, nil, err
	}
	q.Reason = config.Redact(q.Reason)
	if q.Text != "" {
		e, err = drill.Parse(q.File, []byte(q.Text))
	} else {
		e, err = lookupExperiment(h.cfg.Drills.Experiments, q.Name)
	}
	if err == nil && q.For > 0 {
		_, err = e.Lasting(time.Duration(q.For * float64(time.Second)))
	}
	if err != nil {
		return o, q, nil, badDrill(strings.TrimPrefix(err.Error(), "drill: "), "")
	}
	return o, q, e, nil
}
