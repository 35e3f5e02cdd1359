package console

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Names of the schemas of the faults.
const (
	SchemaChaos       = "dualgram/chaos/v1"
	SchemaFault       = "dualgram/fault/v1"
	SchemaFaultOrder  = "dualgram/fault-order/v1"
	SchemaFaultsEnded = "dualgram/faults-ended/v1"
)

// States of a fault.
const (
	FaultActive  = "active"  // it acts
	FaultLeashed = "leashed" // it is listed and counts what it would hit, and does nothing
	FaultDryRun  = "dry_run" // the answer to a dry run: it would be active
	FaultEnded   = "ended"   // by whoever injected it
	FaultExpired = "expired" // its time was up, or its runner fell silent
	FaultCleared = "cleared" // by somebody else's word, or the end of the process
)

// Chaos is the answer of GET /v1/chaos.
type Chaos struct {
	Schema string `json:"schema"`
	// Enabled, Leashed and Destructive are the three locks of the configuration.
	Enabled     bool `json:"enabled"`
	Leashed     bool `json:"leashed"`
	Destructive bool `json:"destructive"`
	// MaxFor bounds a fault's whole life.
	MaxFor float64 `json:"max_for_s"`
	// Kinds is the catalogue; Faults are those whose lease runs, in the order of
	// their injection; Ended the latest that are over, the newest first. Never null.
	Kinds  []FaultKind `json:"kinds"`
	Faults []Fault     `json:"faults"`
	Ended  []Fault     `json:"ended"`
}

// FaultKind is one entry of the catalogue.
type FaultKind struct {
	Kind string `json:"kind"`
	// Doc is what the fault does, as the other side sees it; Layer where it acts.
	Doc   string `json:"doc"`
	Layer string `json:"layer"`
	// Unit is what share and count speak of. Delay says what delay_s means; it is
	// absent if the kind takes none. Whole: it takes neither share nor count.
	Unit   string       `json:"unit"`
	Delay  string       `json:"delay,omitempty"`
	Whole  bool         `json:"whole"`
	Params []FaultParam `json:"params"`
	// ProdSafe: no update can be lost, and all heals when the lease ends.
	ProdSafe bool `json:"prod_safe"`
	// Destructive kinds are refused unless chaos.destructive is set.
	Destructive bool `json:"destructive"`
	// PerBot: it can be kept to one bot of several.
	PerBot bool `json:"per_bot"`
}

// FaultParam is a parameter of a kind.
type FaultParam struct {
	Name    string `json:"name"`
	Doc     string `json:"doc"`
	Default string `json:"default,omitempty"`
}

// Fault is one injected fault.
type Fault struct {
	Schema string `json:"schema,omitempty"`
	// ID is its number in this process; 0 in a dry run.
	ID   uint64 `json:"id"`
	Kind string `json:"kind"`
	// Bot is the only bot that it concerns; absent if it concerns all of them.
	Bot   string `json:"bot,omitempty"`
	State string `json:"state"`
	// Share, Count (0: no limit), Delay, Seed and Params are as injected, with
	// defaults filled in and secrets left out.
	Share  float64           `json:"share"`
	Count  int               `json:"count"`
	Delay  float64           `json:"delay_s"`
	Seed   uint64            `json:"seed"`
	Params map[string]string `json:"params"`
	// For is how long it was given. Lease, if not 0, is the time after which it ends
	// unless its runner renews it.
	For   float64 `json:"for_s"`
	Lease float64 `json:"lease_s"`
	// InjectedAt is when it began; LeftS the time until its lease ends; EndsAt when
	// it ends at the latest, or when it has ended.
	InjectedAt time.Time `json:"injected_at,omitzero"`
	LeftS      float64   `json:"left_s"`
	EndsAt     time.Time `json:"ends_at,omitzero"`
	// Fired counts the units that it hit, Would those that it would have hit if it
	// were not leashed.
	Fired uint64 `json:"fired"`
	Would uint64 `json:"would"`
	// By and Reason say whose doing it is.
	By     Caller `json:"by"`
	Reason string `json:"reason"`
}

// FaultsEnded is the answer to a DELETE.
type FaultsEnded struct {
	Schema string `json:"schema"`
	// Ended are the faults that were active, in the order of their injection; never
	// null.
	Ended []Fault `json:"ended"`
}

// FaultRequest is the body of POST /v1/chaos/faults. Kind, For and Reason are
// required; without a reason it has to be a dry run.
type FaultRequest struct {
	// Schema may be left out.
	Schema string `json:"schema,omitempty"`
	Kind   string `json:"kind"`
	// For is how long the fault lasts at most, in seconds.
	For float64 `json:"for_s"`
	// Lease, if given, ends it that much earlier unless it is renewed, so that it
	// does not outlive its runner.
	Lease float64 `json:"lease_s,omitempty"`
	// Bot keeps it to one bot.
	Bot string `json:"bot,omitempty"`
	// Share is the part of the units that is hit, above 0 up to 1; 0 means all.
	// Count is after how many it goes quiet; 0 means never.
	Share  float64           `json:"share,omitempty"`
	Count  int               `json:"count,omitempty"`
	Delay  float64           `json:"delay_s,omitempty"`
	Seed   uint64            `json:"seed,omitempty"`
	Params map[string]string `json:"params,omitempty"`
	Reason string            `json:"reason,omitempty"`
	DryRun bool              `json:"dry_run,omitempty"`
}

// FaultOrder is a checked [FaultRequest] and who gave it.
type FaultOrder struct {
	Kind, Bot, Reason string
	For, Lease, Delay time.Duration
	Share             float64
	Count             int
	Seed              uint64
	Params            map[string]string
	DryRun            bool
	By                Caller
}

// Faults injects faults and ends them. Errors are [Failure] values where somebody
// can do something about them. An order is in the journal before it takes effect.
type Faults interface {
	Chaos(ctx context.Context) (Chaos, error)
	Inject(ctx context.Context, o FaultOrder) (Fault, error)
	// Renew prolongs the lease of a fault by its own length, never beyond its time.
	// Fault tells of one that may have ended.
	Renew(ctx context.Context, id uint64, by Caller) (Fault, error)
	Fault(ctx context.Context, id uint64) (Fault, error)
	// End ends one fault, or all if id is 0. When it returns they act no more.
	End(ctx context.Context, id uint64, by Caller) (FaultsEnded, error)
}

// faultRoutes are the resources of the faults.
func (s *Server) faultRoutes() (all []Route) {
	handle := func(pattern, what, doc, response string, f func(*http.Request, Faults) (any, error)) {
		all = append(all, Route{pattern, doc, "", response, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.o.Faults == nil {
				fail(w, CodeUnsupported, "this dualgram injects no faults", "")
				return
			}
			out, err := f(r, s.o.Faults)
			if err != nil {
				WriteFailure(w, what, err)
				return
			}
			WriteJSON(w, http.StatusOK, out)
		})})
	}
	handle("GET /v1/chaos", "chaos", "The faults that can be injected, and those that are", SchemaChaos, func(r *http.Request, p Faults) (any, error) {
		c, err := p.Chaos(r.Context())
		c.Schema, c.Kinds, c.Faults, c.Ended = SchemaChaos, notNil(c.Kinds), notNil(c.Faults), notNil(c.Ended)
		for i := range c.Kinds {
			c.Kinds[i].Params = notNil(c.Kinds[i].Params)
		}
		return c, err
	})
	all = append(all, Route{"POST /v1/chaos/faults", "Inject a fault, for a time", SchemaFaultOrder, SchemaFault, http.HandlerFunc(s.postFault)})
	one := func(f Fault, err error) (any, error) {
		f.Schema = SchemaFault
		return f, err
	}
	handle("GET /v1/chaos/faults/{id}", "fault", "One fault, also one that has ended", SchemaFault, func(r *http.Request, p Faults) (any, error) {
		id, err := faultID(r)
		if err != nil {
			return nil, err
		}
		return one(p.Fault(r.Context(), id))
	})
	handle("POST /v1/chaos/faults/{id}/renew", "renew", "Keep a fault with a lease alive", SchemaFault, func(r *http.Request, p Faults) (any, error) {
		id, err := faultID(r)
		if err != nil {
			return nil, err
		}
		return one(p.Renew(r.Context(), id, CallerOf(r)))
	})
	end := func(r *http.Request, p Faults, id uint64) (any, error) {
		out, err := p.End(r.Context(), id, CallerOf(r))
		out.Schema, out.Ended = SchemaFaultsEnded, notNil(out.Ended)
		return out, err
	}
	handle("DELETE /v1/chaos/faults/{id}", "end", "End one fault", SchemaFaultsEnded, func(r *http.Request, p Faults) (any, error) {
		id, err := faultID(r)
		if err != nil {
			return nil, err
		}
		return end(r, p, id)
	})
	handle("DELETE /v1/chaos/faults", "clear", "End all faults", SchemaFaultsEnded, func(r *http.Request, p Faults) (any, error) {
		return end(r, p, 0)
	})
	return all
}

// faultID is the number in the path.
func faultID(r *http.Request) (uint64, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil || id == 0 {
		return 0, &Failure{Code: CodeBadRequest, Message: fmt.Sprintf("%q is not the number of a fault", r.PathValue("id")), Fix: "see GET /v1/chaos"}
	}
	return id, nil
}

func (s *Server) postFault(w http.ResponseWriter, r *http.Request) {
	if s.o.Faults == nil {
		fail(w, CodeUnsupported, "this dualgram injects no faults", "")
		return
	}
	var q FaultRequest
	if !Decode(w, r, &q, SchemaFaultOrder, "kind, for_s, lease_s, bot, share, count, delay_s, seed, params, reason, dry_run") {
		return
	}
	o, bad := q.order()
	if bad != nil {
		WriteFailure(w, "inject", bad)
		return
	}
	o.By = CallerOf(r)
	f, err := s.o.Faults.Inject(r.Context(), o)
	if err != nil {
		WriteFailure(w, "inject", err)
		return
	}
	f.Schema = SchemaFault
	WriteJSON(w, http.StatusOK, f)
}

// order checks what does not depend on the kind.
func (q FaultRequest) order() (FaultOrder, error) {
	bad := func(message, fix string) (FaultOrder, error) {
		return FaultOrder{}, &Failure{Code: CodeBadRequest, Message: message, Fix: fix}
	}
	seconds := func(v float64) bool { return !math.IsNaN(v) && v >= 0 && v <= MaxFor.Seconds() }
	switch {
	case q.Kind == "":
		return bad("which fault?", "give its kind, such as tls.expired; GET /v1/chaos lists them")
	case q.For == 0:
		return bad("for how long?", "give for_s, in seconds: no fault is without an end")
	case !seconds(q.For), !seconds(q.Lease), !seconds(q.Delay):
		return bad("for_s, lease_s and delay_s are numbers of seconds", "")
	}
	reason, err := CheckReason(q.Reason, !q.DryRun)
	if err != nil {
		return FaultOrder{}, err
	}
	span := func(v float64) time.Duration { return time.Duration(v * float64(time.Second)) }
	return FaultOrder{Kind: q.Kind, Bot: q.Bot, Reason: reason, For: span(q.For), Lease: span(q.Lease), Delay: span(q.Delay),
		Share: q.Share, Count: q.Count, Seed: q.Seed, Params: q.Params, DryRun: q.DryRun}, nil
}
