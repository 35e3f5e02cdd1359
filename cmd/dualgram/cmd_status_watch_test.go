package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/console"
)

// A line for each change of what counts, and one when dualgram goes away.
func TestWatchTellsChanges(t *testing.T) {
	pending := func(n int64) *int64 { return &n }
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	answers := []*console.Status{
		{StartedAt: at, Bots: []console.Bot{{Name: "a", Phase: "webhook", PendingAtTelegram: pending(0)}, {Name: "b", Phase: "webhook"}}},
		{StartedAt: at, Bots: []console.Bot{{Name: "a", Phase: "webhook", PendingAtTelegram: pending(7), Waiting: 3}, {Name: "b", Phase: "polling"}}}, // only counters, for a
		{StartedAt: at, Bots: []console.Bot{{Name: "a", Phase: "polling"}, {Name: "b", Phase: "polling"}}},
		nil, nil, // away
		{StartedAt: at, Bots: []console.Bot{{Name: "a", Phase: "polling"}, {Name: "b"}}},
		{StartedAt: at, Bots: []console.Bot{{Name: "a", Phase: "polling", Warnings: []console.Warning{{Code: "blind", Severity: "warning"}}}}},
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	socket := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i := calls
		calls++
		if i >= len(answers) {
			cancel()
			i = len(answers) - 1
		}
		if answers[i] == nil {
			console.WriteFailure(w, "status", errors.New("it broke"))
			return
		}
		st := *answers[i]
		st.Schema = console.SchemaStatus
		console.WriteJSON(w, http.StatusOK, st)
	}))
	var out bytes.Buffer
	a := &app{stdout: &out, stderr: &out, output: choice{value: "json"}}
	err := a.watchStatus(ctx, newControl(socket, config.Origin{}), &statusFlags{bots: []string{"a"}, every: time.Millisecond})
	var f *failure
	if !errors.As(err, &f) || f.code != exitNotOK || f.message != "" {
		t.Errorf("ended with %v", err)
	}
	var got []string
	for line := range strings.SplitSeq(strings.TrimSpace(out.String()), "\n") {
		var l struct {
			console.Status
			Error string `json:"error"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		switch {
		case l.Schema == console.SchemaError:
			got = append(got, "away: "+l.Error)
		case len(l.Bots) != 1:
			t.Errorf("not only bot a: %s", line)
		default:
			got = append(got, l.Bots[0].Phase+strings.Repeat("!", len(l.Bots[0].Warnings)))
		}
	}
	if want := "webhook, polling, away: dualgram: status: it broke, polling, polling!"; strings.Join(got, ", ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestWatchDraws(t *testing.T) {
	var out bytes.Buffer
	w := &statusWatch{app: &app{stdout: &out, color: choice{value: "never"}}, screen: true}
	now := time.Now()
	if err := w.show(console.Status{Version: "v1", StartedAt: now}, now); err != nil {
		t.Fatal(err)
	}
	w.away(&failure{message: "nobody answers", fix: "start it"})
	w.leave()
	s := out.String()
	for _, want := range []string{"\x1b[?1049h", "dualgram v1, up 0s, 0 bots\x1b[K\r\n", "nobody answers\x1b[K\r\nstart it\x1b[K\r\n", "\x1b[?1049l"} {
		if !strings.Contains(s, want) {
			t.Errorf("no %q in %q", want, s)
		}
	}
	if w.verdict() == nil {
		t.Error("well, although nobody answers")
	}
}
