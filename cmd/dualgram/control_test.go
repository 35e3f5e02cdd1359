package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/console"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fixedStatus console.Status

func (s fixedStatus) Status(context.Context) (console.Status, error) { return console.Status(s), nil }

// serve answers on a socket until the test ends.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return path
}

func TestStatusOverTheSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "control.sock")
	for _, c := range []struct {
		name string
		st   console.Status
		code int
	}{
		{"well", console.Status{Version: "v1", StartedAt: time.Now(), Bots: []console.Bot{{Name: "orders", Phase: "webhook"}}}, exitOK},
		{"informed", console.Status{Warnings: []console.Warning{{Severity: console.SeverityInfo}}}, exitOK},
		{"warned", console.Status{Bots: []console.Bot{{Warnings: []console.Warning{{Code: "blind", Severity: console.SeverityWarning}}}}}, exitNotOK},
		{"warned as a whole", console.Status{Warnings: []console.Warning{{Severity: console.SeverityCritical}}}, exitNotOK},
		{"held", console.Status{Bots: []console.Bot{{Phase: "held"}}}, exitNotOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv, err := console.Listen(console.Options{Socket: socket, Status: fixedStatus(c.st)})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- srv.Run(ctx) }()
			defer func() { cancel(); <-done }()
			env := []string{"DUALGRAM_CONTROL_SOCKET=" + socket}
			code, stdout, stderr := dualgram(env, "status", "-o", "json")
			var got console.Status
			if err := json.Unmarshal([]byte(stdout), &got); err != nil || got.Schema != console.SchemaStatus || stderr != "" {
				t.Errorf("%q %q %v", stdout, stderr, err)
			}
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if code, stdout, stderr := dualgram(env, "status"); code != c.code || !strings.HasPrefix(stdout, "dualgram ") || stderr != "" {
				t.Errorf("table: %d %q %q", code, stdout, stderr)
			}
		})
	}
}

func TestControlErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	answer := func(code int, body string) string {
		return serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
		}))
	}
	for socket, want := range map[string]string{
		filepath.Join(dir, "none"): "no control socket at ",
		file:                       "is no socket",
		stale:                      "nobody answers on",
		answer(200, "hello"):       "is not dualgram",
		answer(200, `{"schema":"dualgram/status/v9"}`):              "answers dualgram/status/v9, and this command reads dualgram/status/v1",
		answer(200, `{"schema":"dualgram/status/v1","bots":7}`):     "read the answer",
		answer(500, `{"error":"status: it broke","fix":"mend it"}`): "error: dualgram: status: it broke\nfix: mend it\n",
		answer(502, `<html>`): "answered 502",
		answer(302, ``):       "answered 302",
		serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })): "ask dualgram on",
	} {
		code, stdout, stderr := dualgram([]string{"DUALGRAM_CONTROL_SOCKET=" + socket}, "status")
		if code != exitFailed || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("want %q: %d %q %q", want, code, stdout, stderr)
		}
	}
}

// One that accepts and never answers.
func TestControlTimeout(t *testing.T) {
	c := newControl("/nowhere", config.Origin{})
	err := c.unreachable(context.DeadlineExceeded)
	if !strings.Contains(err.Error(), "did not answer within 5s") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	hang := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() }))
	if err := newControl(hang, config.Origin{}).get(ctx, "/v1/status", nil, "", nil); err == nil {
		t.Error("no error")
	}
}

func TestPrintStatus(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	pending := int64(3)
	st := console.Status{Version: "v1.0.0", StartedAt: ago(49 * time.Hour), Warnings: []console.Warning{{Code: "disk", Severity: "critical", Title: "The disk is nearly full", Runbook: "disk", Text: "Free some space."}}, Bots: []console.Bot{
		{
			Name: "orders", Phase: "webhook", Mode: "webhook", Since: ago(3 * time.Hour), Reason: "trial_passed", PendingAtTelegram: new(int64), StandbyReady: true,
			Webhook:      &console.Webhook{URLHost: "bot.example.com", Listen: "0.0.0.0:8443", Listening: true, CertificateNotAfter: now.Add(63 * 24 * time.Hour), LastArrivalAt: ago(1500 * time.Millisecond)},
			Signals:      []console.Signal{{Name: "stall", State: "ok"}, {Name: "probe", State: "disabled"}},
			LastHandover: &console.Handover{From: "polling", To: "webhook", By: "automatic", Reason: "hold_down_over", FinishedAt: ago(3 * time.Hour), TookMS: 412, OK: true},
		},
		{
			Name: "news", Phase: "to_polling", Trial: true, Since: ago(4 * time.Second), Reason: "stall", Evidence: "3 pending, and nothing arrived\x1b[2J for 3 s",
			Held: true, Frozen: true, Pinned: true, HoldDownLeft: 75, NextFailbackAt: now.Add(75 * time.Second), PendingAtTelegram: &pending,
			Waiting: 2, Lanes: 1, OldestWaitingAt: ago(2 * time.Second), Dead: 1, Quarantined: 2, OpenHoles: 3, Lost: 4, StandbyError: "getUpdates: 401",
			Webhook:      &console.Webhook{URLHost: "news.example.com", Listen: ":443", CertificateNotAfter: ago(time.Hour)},
			Breakers:     console.Breakers{Deliveries: "open", BotAPI: "closed"},
			Drill:        &console.Drill{Experiment: "black-hole", Stage: "fault", Text: "the faults act", StartedAt: ago(4 * time.Second)},
			DrillsHalted: &console.DrillHalt{By: "ann", Reason: "release day"},
			Signals:      []console.Signal{{Name: "stall", State: "tripped", Since: ago(3 * time.Second), Detail: "3 pending"}, {Name: "probe", State: "suspect"}},
			LastHandover: &console.Handover{From: "webhook", To: "polling", By: "automatic", Reason: "stall", StartedAt: ago(time.Second)},
			Warnings:     []console.Warning{{Code: "blind", Severity: "warning", Title: "Polling is not ready", Text: "The token is refused."}},
		},
		{Name: "fresh", Phase: "held", LastHandover: &console.Handover{From: "webhook", To: "polling", By: "operator", FinishedAt: ago(time.Minute), Error: "401"}},
	}}
	for _, color := range []bool{false, true} {
		var b bytes.Buffer
		printStatus(&printer{w: &b, color: color}, st, now)
		if strings.Contains(b.String(), "[2J for") && strings.Contains(b.String(), "\x1b[2J") {
			t.Error("a control sequence got through")
		}
		if !color {
			golden(t, "testdata/status.golden", b.String())
		}
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 412 * time.Millisecond: "412ms", 1234 * time.Millisecond: "1.2s", 12345 * time.Millisecond: "12s", 90 * time.Second: "1m30s",
		2*time.Hour + 13*time.Minute + 40*time.Second: "2h14m", 47 * time.Hour: "47h", 50 * time.Hour: "2d", 63 * 24 * time.Hour: "63d",
	} {
		if got := short(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
