package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dualgram/supervisor"
	"dualgram/supervisor/console"
)

// fakeHost is a running dualgram of the test's making.
type fakeHost struct {
	mu      sync.Mutex
	status  console.Status
	orders  []console.Order
	answer  func(o console.Order) (console.Change, error)
	after   func(n int, st *console.Status) // changes the status at the n-th question
	asked   int
	journal []console.Event
	queries []console.EventsQuery
	more    []console.Route
}

func (f *fakeHost) Status(context.Context) (console.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.after != nil {
		f.after(f.asked, &f.status)
	}
	st := f.status
	st.Bots = slices.Clone(st.Bots)
	return st, nil
}

func (f *fakeHost) Operate(_ context.Context, o console.Order) (console.Change, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.orders = append(f.orders, o)
	return f.answer(o)
}

func (f *fakeHost) Events(_ context.Context, q console.EventsQuery) (console.Events, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queries = append(f.queries, q)
	var from int
	_, _ = fmt.Sscanf(q.Cursor, "at-%d", &from)
	if q.Tail {
		from = max(0, len(f.journal)-q.Limit)
	}
	to := min(len(f.journal), from+q.Limit)
	return console.Events{Events: slices.Clone(f.journal[from:to]), Cursor: fmt.Sprintf("at-%d", to)}, nil
}

// run serves it on a socket until the returned function is called.
func (f *fakeHost) run(t *testing.T, socket string) (stop func()) {
	t.Helper()
	srv, err := console.Listen(console.Options{Socket: socket, Status: f, Events: f, Operator: f, More: f.more})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// obedient answers as if the bot did what it is told, at once.
func obedient(o console.Order) (console.Change, error) {
	c := console.Change{Bot: o.Bot, Command: o.Command, By: console.Caller{User: "alice", UID: 1000, PID: 4711}, Reason: o.Reason, For: o.For.Seconds(),
		TakeOver: o.TakeOver, DryRun: o.DryRun, Changed: true, Next: "And so it goes."}
	c.Before = console.Stand{Mode: "webhook", Phase: "webhook", Epoch: 3}
	c.After = c.Before
	switch o.Command {
	case console.SwitchPolling:
		c.After = console.Stand{Mode: "polling", Phase: "to_polling", Epoch: 4, Pin: "polling"}
		c.Wants = "polling"
	case console.SwitchWebhook:
		c.After.Pin, c.Wants = "webhook", "webhook"
	}
	return c, nil
}

func bots(names ...string) []console.Bot {
	var out []console.Bot
	for _, n := range names {
		out = append(out, console.Bot{Name: n, Phase: "webhook", Mode: "webhook", Epoch: 3, StandbyReady: true})
	}
	return out
}

// TestOperate is what the commands print and how they exit, against a dualgram of
// the test's making.
func TestOperate(t *testing.T) {
	pending := int64(37)
	foreign := func() []console.Bot {
		b := bots("orders")
		b[0].Phase, b[0].Reason, b[0].Evidence = "held", "foreign_webhook", "https://old.example.com/#12ab with 37 pending"
		b[0].ForeignWebhook, b[0].PendingAtTelegram = "https://old.example.com/#12ab", &pending
		return b
	}
	polls := func(n int, st *console.Status) { // in polling from the third question on
		if n >= 3 {
			st.Bots[0].Phase, st.Bots[0].Mode, st.Bots[0].Epoch, st.Bots[0].Pin = "polling", "polling", 4, "polling"
		} else if n == 2 {
			st.Bots[0].Phase, st.Bots[0].Epoch, st.Bots[0].Pin = "to_polling", 4, "polling"
		}
	}
	stuck := func(n int, st *console.Status) {
		if n >= 2 {
			b := &st.Bots[0]
			b.Phase, b.Epoch, b.Pin, b.Reason = "to_polling", 4, "polling", "operator"
			b.Warnings = []console.Warning{{Code: "blind", Title: "Polling could not take over", Severity: "critical"}}
			b.LastHandover = &console.Handover{Steps: []console.Step{{Name: "delete-acked", Error: "deleteWebhook: no answer"}}}
		}
	}
	refusing := func(code string) func(console.Order) (console.Change, error) {
		return func(console.Order) (console.Change, error) {
			return console.Change{}, &console.Failure{Code: code, Message: "bot orders has no webhook (webhook: off)", Fix: "give it one"}
		}
	}
	var script strings.Builder
	times := regexp.MustCompile(`after [0-9.]+m?s\b`)
	waits := regexp.MustCompile(`"waited_s": [0-9.e-]+`)
	for _, c := range []struct {
		name   string
		bots   []console.Bot
		answer func(console.Order) (console.Change, error)
		after  func(int, *console.Status)
		lines  []string
	}{
		{name: "one bot", lines: []string{"switch webhook --reason why", "switch auto", "hold --reason why --for 2h", "ack", "ack --bot order", "ack --bot orders --all",
			"ack --bot orders --bot orders", "switch polling --dry-run", "switch polling --reason why --wait=false", "switch auto --take-over --reason why"}},
		{name: "the mode is reached after a while", after: polls, lines: []string{"switch polling --reason why", "switch polling --reason why -o json"}},
		{name: "it is not reached", after: stuck, lines: []string{"switch polling --reason why --timeout 250ms"}},
		{name: "another command comes in between", after: func(n int, st *console.Status) {
			if n >= 2 {
				st.Bots[0].Pin = "webhook"
			}
		}, lines: []string{"switch polling --reason why"}},
		{name: "somebody else's webhook comes in between", after: func(n int, st *console.Status) {
			if n >= 2 {
				st.Bots = foreign()
			}
		}, lines: []string{"switch polling --reason why"}},
		{name: "refused", answer: refusing(console.CodeRefused), lines: []string{"switch webhook --reason why", "switch webhook --reason why -o json"}},
		{name: "starting", answer: refusing(console.CodeStarting), lines: []string{"switch webhook --reason why"}},
		{name: "the store fails", answer: refusing(console.CodeNotSaved), lines: []string{"hold --reason why"}},
		{name: "something speaks against it", answer: func(o console.Order) (console.Change, error) {
			c, err := obedient(o)
			c.Warnings = []console.Warning{{Code: "webhook_not_ready", Severity: "warning", Title: "The webhook is not ready", Text: "Certificate expired."}}
			return c, err
		}, lines: []string{"switch webhook --dry-run", "switch webhook --reason why"}},
		{name: "several bots", bots: bots("orders", "news"), lines: []string{"ack", "ack --bot news", "ack --all", "ack --bot news --bot orders -o json"}},
		{name: "somebody else's webhook", bots: foreign(), lines: []string{"switch auto --take-over --dry-run", "switch auto --take-over --reason why",
			"switch auto --take-over --reason why --yes"}},
	} {
		fmt.Fprintf(&script, "# %s\n", c.name)
		socket := filepath.Join(t.TempDir(), "s")
		for _, line := range c.lines {
			f := &fakeHost{answer: obedient, after: c.after, status: console.Status{Bots: bots("orders")}}
			if c.bots != nil {
				f.status.Bots = slices.Clone(c.bots)
			}
			if c.answer != nil {
				f.answer = c.answer
			}
			stop := f.run(t, socket)
			args := strings.Fields(line)
			code, stdout, stderr := dualgram([]string{"DUALGRAM_CONTROL_SOCKET=" + socket}, args...)
			stop()
			fmt.Fprintf(&script, "$ dualgram %s\n%s", line, waits.ReplaceAllString(times.ReplaceAllString(stdout, "after T"), `"waited_s": T`))
			for l := range strings.Lines(stderr) {
				script.WriteString("! " + l)
			}
			if code != exitOK {
				fmt.Fprintf(&script, "[exit %d]\n", code)
			}
			f.mu.Lock()
			for _, o := range f.orders {
				if o.TakeOver != strings.Contains(line, "take-over") || o.TakeOver && (o.Foreign == nil || *o.Foreign != f.status.Bots[0].ForeignWebhook) {
					t.Errorf("%s: order %+v", line, o)
				}
			}
			f.mu.Unlock()
		}
		script.WriteString("\n")
	}
	golden(t, "testdata/operate.golden", script.String())
}

func TestAsk(t *testing.T) {
	for in, want := range map[string]bool{"y\n": true, "YES\n": true, " y ": true, "n\n": false, "\n": false, "": false, "yeah\n": false} {
		var out bytes.Buffer
		got, err := ask(strings.NewReader(in), &printer{w: &out}, "Take over? ")
		if got != want || err != nil || !strings.HasPrefix(out.String(), "Take over? ") {
			t.Errorf("%q: %v %v %q", in, got, err, out.String())
		}
	}
}

func event(bot, kind string, seq uint64, e supervisor.Event) console.Event {
	e.Kind, e.Bot = kind, bot
	raw, _ := json.Marshal(e)
	return console.Event{Seq: seq, At: time.Date(2026, 3, 1, 12, 0, int(seq), 0, time.UTC), Bot: bot, Kind: kind, Data: raw}
}

func story() []console.Event {
	return []console.Event{
		event("orders", supervisor.EventPhase, 1, supervisor.Event{From: "webhook", To: "to_polling", Cause: "stall", Evidence: "3 pending\x1b[2J"}),
		event("orders", supervisor.EventHandover, 2, supervisor.Event{From: "webhook", To: "polling", Cause: "stall", Seconds: 4.2}),
		event("orders", supervisor.EventFirstUpdate, 3, supervisor.Event{Source: "polling", Seconds: 4.3}),
		event("orders", supervisor.EventTrial, 4, supervisor.Event{Count: 43, Seconds: 20}),
		event("news", supervisor.EventWould, 5, supervisor.Event{Name: "to_polling", Level: "held", Cause: "tls", Evidence: "expired"}),
		event("news", supervisor.EventOperator, 6, supervisor.Event{Name: "switch_polling", Seconds: 7200, Evidence: "new proxy", By: &console.Caller{User: "alice", PID: 4711}}),
		event("news", supervisor.EventForeign, 7, supervisor.Event{Cause: "foreign_webhook", Evidence: "https://old.example.com/#12ab"}),
		event("news", supervisor.EventLoss, 8, supervisor.Event{Evidence: "2 lost, 0 probably expired before they could be taken"}),
		event("", supervisor.EventWarning, 8, supervisor.Event{Name: "store_failing", Level: "raised", Severity: "critical", Evidence: "The last commit failed"}),
		event("news", supervisor.EventWarning, 8, supervisor.Event{Name: "blind", Level: "cleared", Severity: "warning", Seconds: 63, Count: 4}),
		event("news", supervisor.EventOperator, 8, supervisor.Event{Name: "log_level", Level: "debug", Seconds: 600, By: &console.Caller{User: "tcp token", UID: -1, Remote: "127.0.0.1:5511"}}),
		{Seq: 9, At: time.Date(2026, 3, 1, 12, 0, 9, 0, time.UTC), Kind: "new_kind", Data: json.RawMessage(`["x"]`)},
	}
}

func TestEvents(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	f := &fakeHost{journal: story()}
	defer f.run(t, socket)()
	env := []string{"DUALGRAM_CONTROL_SOCKET=" + socket, "TZ=UTC"}
	var script strings.Builder
	for _, line := range []string{"events", "events --limit 2 -o json"} {
		code, stdout, stderr := dualgram(env, strings.Fields(line)...)
		fmt.Fprintf(&script, "$ dualgram %s\n%s%s", line, stdout, stderr)
		if code != exitOK {
			t.Errorf("%s: exit code %d", line, code)
		}
	}
	golden(t, "testdata/events.golden", script.String())
	f.mu.Lock()
	if q := f.queries[0]; !q.Tail || q.Limit != console.DefaultEvents || len(q.Bots)+len(q.Kinds) != 0 {
		t.Errorf("%+v", q)
	}
	// All since a time takes as many pages as there are.
	for len(f.journal) < 2500 {
		f.journal = append(f.journal, story()...)
	}
	f.queries = nil
	f.mu.Unlock()
	code, stdout, _ := dualgram(env, "events", "--since", "30m", "--until", "1m", "--type", "phase,loss", "--bot", "a", "--bot", "b", "-o", "json")
	f.mu.Lock()
	var page console.Events
	if err := json.Unmarshal([]byte(stdout), &page); err != nil || code != exitOK || len(page.Events) != len(f.journal) || len(f.queries) != 3 {
		t.Errorf("%d: %d events in %d pages; %v", code, len(page.Events), len(f.queries), err)
	}
	if q := f.queries[2]; q.Cursor != "at-2000" || !slices.Equal(q.Bots, []string{"a", "b"}) || !slices.Equal(q.Kinds, []string{"phase", "loss"}) || time.Since(q.Since) > 31*time.Minute || time.Since(q.Since) < 29*time.Minute ||
		time.Since(q.Until) < time.Minute || time.Since(q.Until) > 2*time.Minute {
		t.Errorf("%+v", q)
	}
	f.journal = nil
	f.mu.Unlock()
	if _, stdout, _ := dualgram(env, "events"); stdout != "nothing happened\n" {
		t.Errorf("%q", stdout)
	}
}

// lockedBuffer is read while a command writes to it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestFollow: a dualgram that goes away and comes back is followed on, and each
// event is told once.
func TestFollow(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	f := &fakeHost{journal: story()[:4]}
	stop := f.run(t, socket)
	var out, errs lockedBuffer
	a := &app{env: []string{"DUALGRAM_CONTROL_SOCKET=" + socket}, stdout: &out, stderr: &errs, output: choice{value: "json"}, color: choice{value: "never"}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.runEvents(ctx, eventFlags{follow: true, limit: 2}, time.Now()) }()
	wait := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %q %q", what, out.String(), errs.String())
			}
		}
	}
	lines := func(n int) func() bool { return func() bool { return strings.Count(out.String(), "\n") == n } }
	wait("the newest two", lines(2))
	f.mu.Lock()
	f.journal = append(f.journal, story()[4:6]...)
	f.mu.Unlock()
	wait("news", lines(4))
	stop()
	wait("that it is away", func() bool { return strings.Contains(errs.String(), "waiting for it to come back") })
	f.mu.Lock()
	f.journal = append(f.journal, story()[6:8]...)
	f.mu.Unlock()
	stop = f.run(t, socket)
	wait("that it is back", func() bool { return strings.Contains(errs.String(), "dualgram answers again") })
	wait("what happened meanwhile", lines(6))
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	stop()
	var seqs []uint64
	for l := range strings.Lines(out.String()) {
		var e console.Event
		if err := json.Unmarshal([]byte(l), &e); err != nil || e.Schema != console.SchemaEvent {
			t.Errorf("%q: %v", l, err)
		}
		seqs = append(seqs, e.Seq)
	}
	if !slices.Equal(seqs, []uint64{3, 4, 5, 6, 7, 8}) {
		t.Errorf("told: %v", seqs)
	}
	if n := strings.Count(errs.String(), "warning:"); n != 1 {
		t.Errorf("it was said %d times that dualgram is away: %q", n, errs.String())
	}
	// One that was never there is an error.
	if code, _, stderr := dualgram(a.env, "events", "--follow"); code != exitFailed || !strings.Contains(stderr, "no control socket") {
		t.Errorf("%d %q", code, stderr)
	}
}
