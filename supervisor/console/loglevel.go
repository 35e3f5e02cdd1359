package console

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Names of the schemas of the log's level.
const (
	SchemaLog      = "dualgram/log/v1"
	SchemaLogOrder = "dualgram/log-order/v1"
)

// LogLevels are what the log can be set to, the most talkative first.
var LogLevels = []string{"debug", "info", "warn", "error"}

// LogState is the answer of the resource of the log.
type LogState struct {
	Schema string `json:"schema"`
	// Level is in force; Configured is what the configuration says, and what comes back
	// at Until. Until is absent if nothing has an end.
	Level      string    `json:"level"`
	Configured string    `json:"configured"`
	Until      time.Time `json:"until,omitzero"`
	// By is whose word is in force; null if nobody's.
	By *Said `json:"by"`
}

// LogRequest is the body of POST /v1/log. The configured level lifts what is in force.
type LogRequest struct {
	Schema string `json:"schema,omitempty"`
	Level  string `json:"level"`
	// For is after how many seconds the configured level comes back; 0 means never.
	For    float64 `json:"for_s,omitempty"`
	Reason string  `json:"reason,omitempty"`
}

// LogOrder is a checked [LogRequest].
type LogOrder struct {
	Level  string
	For    time.Duration
	Reason string
	By     Caller
}

// LogLeveler changes what is logged while dualgram runs. SetLog obeys also when the
// journal can't be written: that may be why somebody wants to see more.
type LogLeveler interface {
	Log(ctx context.Context) (LogState, error)
	SetLog(ctx context.Context, o LogOrder) (LogState, error)
}

// LogRoutes are the resources of the log's level.
func LogRoutes(p LogLeveler) []Route {
	answer := func(w http.ResponseWriter, s LogState, err error) {
		if err != nil {
			WriteFailure(w, "log", err)
			return
		}
		s.Schema = SchemaLog
		WriteJSON(w, http.StatusOK, s)
	}
	return []Route{
		{"GET /v1/log", "What is logged, and for how long", "", SchemaLog, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s, err := p.Log(r.Context())
			answer(w, s, err)
		})},
		{"POST /v1/log", "Log more or less, for a time", SchemaLogOrder, SchemaLog, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var q LogRequest
			if !Decode(w, r, &q, SchemaLogOrder, "level, for_s, reason") {
				return
			}
			reason, bad := CheckReason(q.Reason, false)
			switch {
			case bad != nil:
				WriteFailure(w, "", bad)
				return
			case !slices.Contains(LogLevels, q.Level):
				badRequest(w, "level is none of "+strings.Join(LogLevels, ", "), "")
				return
			case math.IsNaN(q.For) || q.For < 0 || q.For > MaxFor.Seconds():
				badRequest(w, "for_s is not a number of seconds up to a year", "leave it out to change the level until the next start")
				return
			}
			s, err := p.SetLog(r.Context(), LogOrder{Level: q.Level, For: time.Duration(q.For * float64(time.Second)), Reason: reason, By: CallerOf(r)})
			answer(w, s, err)
		})},
	}
}
