package console

import (
	"context"
	"net/http"
	"time"
)

// SchemaVitals names its answer.
const SchemaVitals = "dualgram/vitals/v1"

// VitalsProvider tells what only the process itself can: it is for those who check
// it. Vitals reads what is known; with probe it also looks at each webhook once from
// outside, which takes as long as a probe does, and counts for nothing.
type VitalsProvider interface {
	Vitals(ctx context.Context, probe bool) (Vitals, error)
}

// Vitals is the answer of GET /v1/vitals. With ?probe=1 each webhook is probed for
// it; nothing else is asked of anybody, and nothing changes.
type Vitals struct {
	Schema  string `json:"schema"`
	Version string `json:"version"`
	PID     int    `json:"pid"`
	UID     int    `json:"uid"`
	// ConfigHash is that of the configuration in use, as config print shows it.
	ConfigHash string `json:"config_hash"`
	// FileLimit is how many files the process may have open (RLIMIT_NOFILE); 0 if
	// that is not known.
	FileLimit uint64 `json:"file_limit"`
	// Notify: systemd waits for word of the process. WatchdogS is how often it wants
	// a sign of life; 0 if it doesn't.
	Notify    bool    `json:"notify"`
	WatchdogS float64 `json:"watchdog_s"`
	// Observe is the address of the observe listener; absent if it is off.
	Observe string      `json:"observe,omitempty"`
	Store   StoreVitals `json:"store"`
	// Bots are in the order of the configuration; never null.
	Bots []BotVitals `json:"bots"`
}

// StoreVitals is how the store's commits go.
type StoreVitals struct {
	Path string `json:"path"`
	// OK is false from a failed commit to the next one that succeeds; Error is the
	// failure, Full says that it was for want of space, Since is when OK changed.
	OK    bool      `json:"ok"`
	Error string    `json:"error,omitempty"`
	Full  bool      `json:"full"`
	Since time.Time `json:"since,omitzero"`
	// InProgressS is how long a commit has been running; 0 if none is.
	InProgressS float64 `json:"in_progress_s"`
	// LastCommitMS and MaxCommitMS are how long the last commit took, and the
	// longest since the start. Commits and Failures count them.
	LastCommitMS float64 `json:"last_commit_ms"`
	MaxCommitMS  float64 `json:"max_commit_ms"`
	Commits      uint64  `json:"commits"`
	Failures     uint64  `json:"failures"`
}

// BotVitals is what one bot's part knows.
type BotVitals struct {
	Name string `json:"name"`
	// SkewS is Telegram's clock minus this host's; 0 for what means nothing.
	SkewS float64 `json:"skew_s"`
	// Connections is how many the listener takes at once; 0 without a webhook.
	Connections int `json:"connections"`
	// Probe is null unless one was asked for and made.
	Probe *ProbeVitals `json:"probe"`
}

// ProbeVitals is the result of one probe, in the words of dualgram/transport/probe.
type ProbeVitals struct {
	OK       bool   `json:"ok"`
	Stage    string `json:"stage,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Detail   string `json:"detail,omitempty"`
	Status   int    `json:"status,omitempty"`
	Impostor bool   `json:"impostor"`
	// Address was dialled; absent if none was.
	Address   string         `json:"address,omitempty"`
	Advice    []ProbeAdvice  `json:"advice"`
	NotBefore time.Time      `json:"not_before,omitzero"`
	NotAfter  time.Time      `json:"not_after,omitzero"`
	TookMS    float64        `json:"took_ms"`
	StagesMS  ProbeStageTime `json:"stages_ms"`
}

// ProbeAdvice is something worth knowing that doesn't make a probe bad.
type ProbeAdvice struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// ProbeStageTime is how long each stage took, in milliseconds; 0 for one that wasn't
// begun.
type ProbeStageTime struct {
	DNS     float64 `json:"dns"`
	Connect float64 `json:"connect"`
	TLS     float64 `json:"tls"`
	HTTP    float64 `json:"http"`
}

// VitalsRoute is the resource that tells what only the process itself can.
func VitalsRoute(p VitalsProvider) Route {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := p.Vitals(r.Context(), r.URL.Query().Get("probe") == "1")
		if err != nil {
			WriteFailure(w, "vitals", err)
			return
		}
		WriteJSON(w, http.StatusOK, v)
	})
	return Route{"GET /v1/vitals", "What only the process itself can tell about its set-up; ?probe=1 looks at each webhook once from outside", "", SchemaVitals, h}
}
