package console

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Names of the schemas of what waits.
const (
	SchemaInbox      = "dualgram/inbox/v1"
	SchemaUpdates    = "dualgram/updates/v1"
	SchemaDead       = "dualgram/dead/v1"
	SchemaQuarantine = "dualgram/quarantine/v1"
	SchemaSettle     = "dualgram/settle/v1"
	SchemaSettled    = "dualgram/settled/v1"
	SchemaReveal     = "dualgram/reveal/v1"
)

// Limits of what waits.
const (
	DefaultInbox = 100
	MaxInbox     = 1000
)

// InboxLanes is the answer of GET /v1/bots/{name}/inbox: what the bot has not taken,
// by lane. It names chats by their number, as the lanes do, and nothing of what is
// in the updates.
type InboxLanes struct {
	Schema string `json:"schema"`
	Bot    string `json:"bot"`
	// Waiting counts the updates, InDelivery those of them that the bot has been given,
	// LaneCount the lanes, more of which may exist than are told.
	Waiting    int64     `json:"waiting"`
	InDelivery int64     `json:"in_delivery"`
	Bytes      int64     `json:"bytes"`
	OldestAt   time.Time `json:"oldest_at,omitzero"`
	LaneCount  int64     `json:"lane_count"`
	Dead       int64     `json:"dead"`
	Quarantine int64     `json:"quarantined"`
	// Lanes are those whose next update has waited longest; never null.
	Lanes []InboxLane `json:"lanes"`
}

// InboxLane is one lane.
type InboxLane struct {
	// Lane begins with its kind (c: a chat, u: a user, p: a poll, i: an update of its
	// own) and goes on with Telegram's number.
	Lane    string `json:"lane"`
	Waiting int64  `json:"waiting"`
	// Next is the update that is delivered next, or being delivered.
	Next UpdateInfo `json:"next"`
}

// Places of an update.
const (
	PlaceWaiting    = "waiting"
	PlaceInDelivery = "in_delivery"
	PlaceDead       = "dead"
)

// UpdateInfo is what is known of an update besides its content.
type UpdateInfo struct {
	// Ref names it in this API: its number within its id series, as "3:1017".
	Ref      string `json:"ref"`
	UpdateID int64  `json:"update_id"`
	Place    string `json:"place"`
	Lane     string `json:"lane"`
	// Kind is the field that Telegram put it in, such as message.
	Kind       string    `json:"kind"`
	Source     string    `json:"source,omitempty"`
	ReceivedAt time.Time `json:"received_at,omitzero"`
	Bytes      int64     `json:"bytes"`
	// Attempts counts the failed deliveries; LastCause is the kind of the last failure.
	Attempts      int64     `json:"attempts"`
	FirstFailedAt time.Time `json:"first_failed_at,omitzero"`
	LastCause     string    `json:"last_cause,omitempty"`
	// NextTryAt is absent if it is now, or if there is none.
	NextTryAt time.Time `json:"next_try_at,omitzero"`
	// BuriedAt and Burial say when and why a dead one was given up.
	BuriedAt time.Time `json:"buried_at,omitzero"`
	Burial   string    `json:"burial,omitempty"`
}

// Updates is the answer of GET /v1/bots/{name}/inbox/{id}: usually one, several if the
// same update_id was given in several series.
type Updates struct {
	Schema  string       `json:"schema"`
	Bot     string       `json:"bot"`
	Updates []UpdateInfo `json:"updates"`
}

// DeadLetters is the answer of GET /v1/bots/{name}/dead, the oldest ids first.
type DeadLetters struct {
	Schema string       `json:"schema"`
	Bot    string       `json:"bot"`
	Total  int64        `json:"total"`
	Dead   []UpdateInfo `json:"dead"` // never null
	// Next is the after of the request that continues here; absent at the end.
	Next string `json:"next,omitempty"`
}

// Quarantined is the answer of GET /v1/bots/{name}/quarantine: what Telegram sent
// without a readable update_id.
type Quarantined struct {
	Schema      string           `json:"schema"`
	Bot         string           `json:"bot"`
	Total       int64            `json:"total"`
	Quarantined []QuarantineInfo `json:"quarantined"` // never null
}

// QuarantineInfo is one entry of the quarantine.
type QuarantineInfo struct {
	Seq        uint64    `json:"seq"`
	Source     string    `json:"source"`
	ReceivedAt time.Time `json:"received_at,omitzero"`
	Bytes      int64     `json:"bytes"`
}

// SettleRequest is the body of the resources that settle: which, and why. To drop
// wants a reason.
type SettleRequest struct {
	Schema string `json:"schema,omitempty"`
	// IDs are refs, or update_ids that are unique; numbers of the quarantine.
	IDs []string `json:"ids,omitempty"`
	// All takes what is there at that moment, instead of IDs.
	All    bool   `json:"all,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// What can be settled, as the journal names it.
const (
	DeadRetry      = "dead_retry"      // back to the lanes
	DeadDrop       = "dead_drop"       // for good
	QuarantineDrop = "quarantine_drop" // for good
)

// SettleOrder is a checked [SettleRequest].
type SettleOrder struct {
	Bot, What string
	IDs       []string
	All       bool
	Reason    string
	By        Caller
}

// Settled is the answer to it.
type Settled struct {
	Schema string `json:"schema"`
	Bot    string `json:"bot"`
	What   string `json:"what"`
	// Count is how many it was; Left how many are there now.
	Count int64 `json:"count"`
	Left  int64 `json:"left"`
}

// RevealRequest is the body of the resources that hand out the content of an update.
type RevealRequest struct {
	Schema string `json:"schema,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Inbox is what waits for a bot, and what was given up. Errors are [Failure] values
// where somebody can do something about them.
type Inbox interface {
	Lanes(ctx context.Context, bot string, limit int) (InboxLanes, error)
	Find(ctx context.Context, bot, id string) (Updates, error)
	Dead(ctx context.Context, bot, after string, limit int) (DeadLetters, error)
	Quarantine(ctx context.Context, bot string, after uint64, limit int) (Quarantined, error)
	// Settle does it as a whole, with its line in the journal, or not at all. A dead
	// letter that is tried again is never lost, whenever the process dies.
	Settle(ctx context.Context, o SettleOrder) (Settled, error)
	// Reveal returns the bytes of an update, or of one in the quarantine, as Telegram
	// sent them. Who asked is in the journal before.
	Reveal(ctx context.Context, bot, id string, quarantine bool, by Caller, reason string) ([]byte, error)
}

// InboxRoutes are the resources of what waits. Content is handed out by one of them
// alone, and only over the unix socket.
func InboxRoutes(p Inbox) []Route {
	get := func(pattern, doc, response string, f func(r *http.Request, limit int) (any, error)) Route {
		return Route{pattern, doc, "", response, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			limit := DefaultInbox
			if s := r.URL.Query().Get("limit"); s != "" {
				n, err := strconv.Atoi(s)
				if err != nil || n < 1 || n > MaxInbox {
					badRequest(w, fmt.Sprintf("limit is not a number from 1 to %d", MaxInbox), "")
					return
				}
				limit = n
			}
			out, err := f(r, limit)
			if err != nil {
				WriteFailure(w, "inbox", err)
				return
			}
			WriteJSON(w, http.StatusOK, out)
		})}
	}
	settle := func(pattern, doc, what string) Route {
		return Route{pattern, doc, SchemaSettle, SchemaSettled, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var q SettleRequest
			if !Decode(w, r, &q, SchemaSettle, "ids, all, reason") {
				return
			}
			reason, bad := CheckReason(q.Reason, what != DeadRetry)
			switch {
			case bad != nil:
				WriteFailure(w, "", bad)
				return
			case q.All == (len(q.IDs) > 0):
				badRequest(w, "which ones?", "give ids, or all: true")
				return
			}
			out, err := p.Settle(r.Context(), SettleOrder{Bot: r.PathValue("name"), What: what, IDs: q.IDs, All: q.All, Reason: reason, By: CallerOf(r)})
			if err != nil {
				WriteFailure(w, what, err)
				return
			}
			out.Schema = SchemaSettled
			WriteJSON(w, http.StatusOK, out)
		})}
	}
	return []Route{
		get("GET /v1/bots/{name}/inbox", "What waits for the bot, by lane", SchemaInbox, func(r *http.Request, limit int) (any, error) {
			out, err := p.Lanes(r.Context(), r.PathValue("name"), limit)
			out.Schema, out.Lanes = SchemaInbox, notNil(out.Lanes)
			return out, err
		}),
		get("GET /v1/bots/{name}/inbox/{id}", "One update that waits or is dead, without its content", SchemaUpdates, func(r *http.Request, _ int) (any, error) {
			out, err := p.Find(r.Context(), r.PathValue("name"), r.PathValue("id"))
			out.Schema, out.Updates = SchemaUpdates, notNil(out.Updates)
			return out, err
		}),
		get("GET /v1/bots/{name}/dead", "The dead letters", SchemaDead, func(r *http.Request, limit int) (any, error) {
			out, err := p.Dead(r.Context(), r.PathValue("name"), r.URL.Query().Get("after"), limit)
			out.Schema, out.Dead = SchemaDead, notNil(out.Dead)
			return out, err
		}),
		get("GET /v1/bots/{name}/quarantine", "What came without a readable update_id", SchemaQuarantine, func(r *http.Request, limit int) (any, error) {
			var after uint64
			if s := r.URL.Query().Get("after"); s != "" {
				var err error
				if after, err = strconv.ParseUint(s, 10, 64); err != nil {
					return nil, &Failure{Code: CodeBadRequest, Message: "after is not a whole number", Fix: "write the seq of the last one seen"}
				}
			}
			out, err := p.Quarantine(r.Context(), r.PathValue("name"), after, limit)
			out.Schema, out.Quarantined = SchemaQuarantine, notNil(out.Quarantined)
			return out, err
		}),
		settle("POST /v1/bots/{name}/dead/retry", "Give dead letters back to their lanes", DeadRetry),
		settle("POST /v1/bots/{name}/dead/drop", "Delete dead letters for good", DeadDrop),
		settle("POST /v1/bots/{name}/quarantine/drop", "Delete from the quarantine for good", QuarantineDrop),
		reveal("POST /v1/bots/{name}/inbox/{id}/reveal", "The bytes of an update as Telegram sent them, over the unix socket only", p, false),
		reveal("POST /v1/bots/{name}/quarantine/{id}/reveal", "The bytes of a quarantined update, over the unix socket only", p, true),
	}
}

// reveal is the one way by which message text leaves. It is not there for TCP, where
// a page or a proxy could keep it.
func reveal(pattern, doc string, p Inbox, quarantine bool) Route {
	return Route{pattern, doc, SchemaReveal, "application/octet-stream", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		by := CallerOf(r)
		if by.Remote != "" {
			fail(w, CodeForbidden, "the content of an update is handed out over the unix socket only", "ask on the host itself, as the user dualgram runs as")
			return
		}
		var q RevealRequest
		if !Decode(w, r, &q, SchemaReveal, "reason") {
			return
		}
		reason, err := CheckReason(q.Reason, false)
		if err != nil {
			WriteFailure(w, "", err)
			return
		}
		raw, err := p.Reveal(r.Context(), r.PathValue("name"), r.PathValue("id"), quarantine, by, reason)
		if err != nil {
			WriteFailure(w, "reveal", err)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(raw)
	})}
}
