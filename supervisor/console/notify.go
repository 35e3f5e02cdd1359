package console

import (
	"context"
	"net/http"
)

// SchemaNotifyTest names its answer.
const SchemaNotifyTest = "dualgram/notify-test/v1"

// NotifyTester sends a message that says that it is a test on each channel by which
// people are told of warnings, and to the heartbeat's watcher if there is one. It
// returns what became of each; none if there is no channel.
type NotifyTester interface {
	TestNotify(ctx context.Context) ([]NotifyChannel, error)
}

// NotifyTests is the answer of POST /v1/notify/test.
type NotifyTests struct {
	Schema   string          `json:"schema"`
	OK       bool            `json:"ok"`
	Channels []NotifyChannel `json:"channels"`
}

// NotifyChannel is what became of a test on one channel.
type NotifyChannel struct {
	Name  string  `json:"name"` // webhook, telegram or heartbeat
	OK    bool    `json:"ok"`
	Error string  `json:"error,omitempty"`
	Fix   string  `json:"fix,omitempty"`
	Took  float64 `json:"took_s"`
}

// NotifyTest is the resource that sends a test message by every channel.
func NotifyTest(t NotifyTester) Route {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		channels, err := t.TestNotify(r.Context())
		if err != nil {
			WriteFailure(w, "test the notifications", err)
			return
		}
		out := NotifyTests{Schema: SchemaNotifyTest, OK: true, Channels: append([]NotifyChannel{}, channels...)}
		for _, c := range channels {
			out.OK = out.OK && c.OK
		}
		WriteJSON(w, http.StatusOK, out)
	})
	return Route{"POST /v1/notify/test", "Send a test message by each channel by which people are told of warnings", "", SchemaNotifyTest, h}
}
