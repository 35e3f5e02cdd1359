package supervisor_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"dualgram/chaos"
	"dualgram/store"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
	"dualgram/supervisor/failover"
	"dualgram/supervisor/warning"
	"dualgram/transport/botapi"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// told returns the entries of a kind in the journal.
func (w *testWorld) told(t *testing.T, h *host, kind string) (out []supervisor.Event) {
	t.Helper()
	page, err := h.sup.Events(t.Context(), console.EventsQuery{Kinds: []string{kind}, Limit: console.MaxEvents})
	must0(t, err)
	for _, raw := range page.Events {
		var e supervisor.Event
		must0(t, json.Unmarshal(raw.Data, &e))
		out = append(out, e)
	}
	return out
}

// TestAudit: each change is in the journal with who, when and why, before what came
// of it; a token in a reason is not.
func TestAudit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		var log bytes.Buffer
		var mu sync.Mutex
		w.log = zerolog.New(writerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return log.Write(p)
		}))
		h, stop := w.proven(t, 5)
		time.Sleep(time.Millisecond) // the trial may have passed at this very moment
		at := time.Now()
		h.order(t, console.SwitchPolling, lasting(time.Hour), func(o *console.Order) { o.Reason = "the token was " + testToken })
		must0(t, h.await("polling", false, 5*time.Second))
		h.order(t, console.HoldMode)
		h.order(t, console.SwitchAuto, func(o *console.Order) { o.Reason = "" })
		must0(t, h.sup.Command(t.Context(), "test", failover.Event{Command: failover.Hold, Cause: failover.Cause{Name: failover.CauseOperator, Evidence: "in Go"}}))
		h.order(t, console.SwitchAuto)
		must0(t, h.await("webhook", false, 3*time.Minute))
		want := []supervisor.Event{
			{Name: "switch_polling", Evidence: "the token was [token]", Seconds: 3600, By: &alice},
			{Name: "hold", Evidence: "a test", By: &alice}, {Name: "switch_auto", By: &alice},
			{Name: "hold", Evidence: "in Go"}, {Name: "switch_auto", Evidence: "a test", By: &alice},
		}
		said := w.told(t, h, supervisor.EventOperator)
		if len(said) != len(want) {
			t.Fatalf("%d entries, want %d: %+v", len(said), len(want), said)
		}
		for i, e := range said {
			x := want[i]
			if e.Name != x.Name || e.Evidence != x.Evidence || e.Seconds != x.Seconds || (e.By == nil) != (x.By == nil) || e.By != nil && *e.By != *x.By || e.At.Before(at) {
				t.Errorf("%d: %+v, want %+v", i, e, x)
			}
		}
		page, err := h.sup.Events(t.Context(), console.EventsQuery{Since: at, Limit: 100})
		must0(t, err)
		if page.Events[0].Kind != supervisor.EventOperator || page.Events[1].Kind != supervisor.EventPhase {
			t.Errorf("the story begins with %s, %s", page.Events[0].Kind, page.Events[1].Kind)
		}
		w.settle(t, h, stop, time.Now())
		mu.Lock()
		defer mu.Unlock()
		if strings.Contains(log.String(), testToken) || !strings.Contains(log.String(), `"by":"alice"`) {
			t.Error("the log has the token, or not the name")
		}
	})
}

// TestWarningsTold: status, log and metric say the same, each raising and clearing
// is one line, and every series is there from the start.
func TestWarningsTold(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		reg := prometheus.NewRegistry()
		var mu sync.Mutex
		var lines []string
		w.log = zerolog.New(writerFunc(func(p []byte) (int, error) {
			var l struct{ Event, State, Code, Bot, Severity string }
			if json.Unmarshal(p, &l) == nil && l.Event == "warning" {
				mu.Lock()
				defer mu.Unlock()
				lines = append(lines, strings.Join([]string{l.State, l.Bot, l.Code, l.Severity}, " "))
			}
			return len(p), nil
		}))
		w.reg = reg
		h, heal, stop := w.broken(t, 5)
		series := 0
		for _, k := range warning.Kinds() {
			series += len(k.Severities())
		}
		time.Sleep(3 * time.Second)
		active := func() (out []string) {
			n := 0
			defer func() {
				if n != series {
					t.Errorf("%d series, want %d", n, series)
				}
			}()
			all, err := reg.Gather()
			must0(t, err)
			for _, f := range all {
				if f.GetName() != "dualgram_warning_active" {
					continue
				}
				for _, m := range f.GetMetric() {
					n++
					if m.GetGauge().GetValue() == 1 {
						var labels []string
						for _, l := range m.GetLabel() {
							labels = append(labels, l.GetValue())
						}
						out = append(out, strings.Join(labels, " "))
					}
				}
			}
			return out
		}
		if got := active(); !slices.Equal(got, []string{"test on_standby warning"}) {
			t.Errorf("active: %v", got)
		}
		if !hasWarning(h.state(t).Warnings, "on_standby") {
			t.Error("the status does not say so")
		}
		lease, err := h.faults.Inject(chaos.Spec{Kind: "store.fail", For: time.Minute})
		must0(t, err)
		time.Sleep(3 * time.Second)
		s, err := h.sup.Status(t.Context())
		must0(t, err)
		if !hasWarning(s.Warnings, "store_failing") || !slices.Contains(active(), " store_failing critical") {
			t.Errorf("%v, %v", s.Warnings, active())
		}
		lease.End()
		h.faults.Clear()
		heal()
		must0(t, h.await("webhook", false, 3*time.Minute))
		time.Sleep(2 * time.Second)
		if got := active(); len(got) != 0 {
			t.Errorf("still active: %v", got)
		}
		mu.Lock()
		told := slices.Clone(lines)
		mu.Unlock()
		if want := []string{"raised test on_standby warning", "raised  store_failing critical", "cleared  store_failing critical", "cleared test on_standby warning"}; !slices.Equal(told, want) {
			t.Errorf("log:\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
		}
		// The journal has them too, what befell the store included, each with its time.
		var kept []string
		for _, e := range w.told(t, h, supervisor.EventWarning) {
			kept = append(kept, strings.Join([]string{e.Level, e.Bot, e.Name, e.Severity}, " "))
			if (e.Level == "cleared") != (e.Seconds > 0) || (e.Level == "raised") != (e.Evidence != "") || e.Count != 0 {
				t.Errorf("%+v", e)
			}
		}
		if !slices.Equal(kept, told) {
			t.Errorf("journal:\n%s\nlog\n%s", strings.Join(kept, "\n"), strings.Join(told, "\n"))
		}
		w.settle(t, h, stop, time.Now())
	})
}

// TestEventsOverBots: pages over several journals, read one after another by the
// cursor, tell each entry once and keep the order of each journal, whatever the
// size of the page and whatever comes in between.
func TestEventsOverBots(t *testing.T) {
	s, err := store.Open(store.Options{Path: filepath.Join(t.TempDir(), "x.db")})
	must0(t, err)
	defer s.Close()
	var o supervisor.Options
	ledgers := map[string]*store.Ledger{}
	for i, name := range []string{"a", "b", "c"} {
		l, err := s.Ledger(int64(1000 + i))
		must0(t, err)
		ledgers[name] = l
		api, err := botapi.New(botapi.Options{Token: testToken})
		must0(t, err)
		o.Bots = append(o.Bots, supervisor.BotOptions{Name: name, BotID: int64(1000 + i), API: api, Ledger: l, Handler: newSampleBot()})
	}
	sup, err := supervisor.New(t.Context(), o)
	must0(t, err)
	t0 := time.Now().Add(-time.Hour)
	add := func(bot string, at int, kind string) {
		must0(t, ledgers[bot].Save(t.Context(), nil, store.Entry{At: t0.Add(time.Duration(at) * time.Second), Kind: kind, Data: []byte("{}")}))
	}
	get := func(q console.EventsQuery) console.Events {
		t.Helper()
		page, err := sup.Events(t.Context(), q)
		must0(t, err)
		return page
	}
	// Within b the times go back once: an entry may tell of something earlier.
	for i, e := range []struct {
		bot string
		at  int
	}{{"a", 1}, {"b", 2}, {"b", 9}, {"b", 3}, {"a", 4}, {"c", 5}, {"a", 6}, {"c", 6}, {"b", 10}, {"a", 11}} {
		add(e.bot, e.at, []string{"phase", "would"}[i%2])
	}
	type id struct {
		bot string
		seq uint64
	}
	for limit := 1; limit <= 12; limit++ {
		seen, cursor := map[id]int{}, ""
		last := map[string]uint64{}
		late := limit == 3
		for range 30 {
			page := get(console.EventsQuery{Cursor: cursor, Limit: limit})
			for _, e := range page.Events {
				seen[id{e.Bot, e.Seq}]++
				if e.Seq <= last[e.Bot] {
					t.Errorf("limit %d: %s went back to %d", limit, e.Bot, e.Seq)
				}
				last[e.Bot] = e.Seq
			}
			if len(page.Events) > limit || page.Skipped != 0 {
				t.Errorf("limit %d: %d events, %d skipped", limit, len(page.Events), page.Skipped)
			}
			if late && len(seen) > 5 { // older than what was told, and not lost
				late = false
				add("c", 0, "phase")
			}
			cursor = page.Cursor
		}
		want := 10
		if limit >= 3 {
			want = 11
		}
		if len(seen) != want {
			t.Errorf("limit %d: %d events, want %d", limit, len(seen), want)
		}
		for x, n := range seen {
			if n != 1 {
				t.Errorf("limit %d: %v told %d times", limit, x, n)
			}
		}
	}
	// Filters move the cursor past what they leave out, and a tail ends at the end.
	page := get(console.EventsQuery{Kinds: []string{"would"}, Bots: []string{"a"}, Limit: 10})
	if len(page.Events) != 1 || page.Next == nil || *page.Next != 4 {
		t.Errorf("%+v", page)
	}
	page = get(console.EventsQuery{Tail: true, Limit: 2})
	if len(page.Events) != 2 || page.Events[1].Bot != "a" || page.Events[0].Bot != "b" || page.Next != nil {
		t.Errorf("%+v", page)
	}
	if more := get(console.EventsQuery{Cursor: page.Cursor, Limit: 10}); len(more.Events) != 0 || more.Cursor != page.Cursor {
		t.Errorf("after the tail: %+v", more)
	}
	if page = get(console.EventsQuery{Tail: true, Limit: 3, Kinds: []string{"phase"}, Since: t0.Add(4 * time.Second)}); len(page.Events) != 3 {
		t.Errorf("%+v", page)
	}
	after := uint64(2)
	if page = get(console.EventsQuery{After: &after, Bots: []string{"b"}, Limit: 10}); len(page.Events) != 2 {
		t.Errorf("%+v", page)
	}
	for _, q := range []console.EventsQuery{{After: &after}, {Cursor: "!"}, {Cursor: "bnVsbA"}} {
		_, err := sup.Events(t.Context(), q)
		failure(t, err, console.CodeBadRequest)
	}
	_, err = sup.Events(t.Context(), console.EventsQuery{Bots: []string{"z"}})
	failure(t, err, console.CodeUnknownBot)
	// What concerns all bots stands in each journal and is told once, also where a page
	// ends; of one bot it is told as well.
	whole := store.Entry{At: t0.Add(20 * time.Second), Kind: supervisor.EventWarning, Data: []byte(`{"bot":"","name":"store_slow"}`)}
	for _, l := range ledgers {
		must0(t, l.Save(t.Context(), nil, whole))
	}
	for limit := 1; limit <= 3; limit++ {
		n, cursor := 0, ""
		for range 30 {
			page := get(console.EventsQuery{Cursor: cursor, Limit: limit})
			for _, e := range page.Events {
				if e.Kind == supervisor.EventWarning {
					n++
					if e.Bot != "" {
						t.Errorf("%+v", e)
					}
				}
			}
			cursor = page.Cursor
		}
		if n != 1 {
			t.Errorf("limit %d: what concerns all is told %d times", limit, n)
		}
	}
	if page = get(console.EventsQuery{Tail: true, Limit: 5, Bots: []string{"b"}, Kinds: []string{supervisor.EventWarning}}); len(page.Events) != 1 {
		t.Errorf("%+v", page)
	}
	if page = get(console.EventsQuery{Since: t0.Add(4 * time.Second), Until: t0.Add(6 * time.Second), Limit: 100}); len(page.Events) != 2 {
		t.Errorf("until: %+v", page.Events)
	}
	// A store that was made anew is told from its beginning.
	after = 4000
	if page = get(console.EventsQuery{After: &after, Bots: []string{"b"}, Limit: 10}); len(page.Events) != 5 {
		t.Errorf("%+v", page)
	}
	// What the journal has dropped is counted.
	entries := make([]store.Entry, 500)
	for i := range entries {
		entries[i] = store.Entry{Kind: "phase", Data: []byte("{}")}
	}
	for range 45 {
		must0(t, ledgers["c"].Save(t.Context(), nil, entries...))
	}
	after = 1
	if page = get(console.EventsQuery{After: &after, Bots: []string{"c"}, Limit: 10}); page.Skipped == 0 || page.Events[0].Seq != after+page.Skipped+1 {
		t.Errorf("skipped %d, and then %+v", page.Skipped, page.Events[:1])
	}
}

// TestEventKinds: every kind that is journaled can be asked for. What is not
// journaled is a step or the change of a signal.
func TestEventKinds(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	must0(t, err)
	kinds, others := supervisor.EventKinds(), []string{supervisor.EventStep, supervisor.EventSignal}
	n := 0
	for name, o := range file.Scope.Objects {
		if o.Kind != ast.Con || !strings.HasPrefix(name, "Event") {
			continue
		}
		n++
		value, err := strconv.Unquote(o.Decl.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value)
		must0(t, err)
		if slices.Contains(kinds, value) == slices.Contains(others, value) {
			t.Errorf("%s (%s) is not in EventKinds", name, value)
		}
	}
	if n != len(kinds)+len(others) {
		t.Errorf("%d kinds in event.go, %d known", n, len(kinds)+len(others))
	}
}
