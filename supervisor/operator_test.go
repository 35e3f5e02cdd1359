package supervisor_test

import (
	"bytes"
	"encoding/json"
	"errors"
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
	"dualgram/chaos/telegramsim"
	"dualgram/store"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
	"dualgram/supervisor/failover"
	"dualgram/supervisor/warning"
	"dualgram/transport/botapi"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

var alice = console.Caller{User: "alice", UID: 1000, PID: 4711}

// order gives an order as the console does, and wants it to be taken.
func (h *host) order(t *testing.T, command string, change ...func(*console.Order)) console.Change {
	t.Helper()
	c, err := h.try(t, command, change...)
	must0(t, err)
	return c
}

func (h *host) try(t *testing.T, command string, change ...func(*console.Order)) (console.Change, error) {
	t.Helper()
	o := console.Order{Bot: "test", Command: command, Reason: "a test", By: alice}
	for _, f := range change {
		f(&o)
	}
	return h.sup.Operate(t.Context(), o)
}

func dry(o *console.Order)      { o.DryRun = true }
func takeOver(o *console.Order) { o.TakeOver = true }
func lasting(d time.Duration) func(*console.Order) {
	return func(o *console.Order) { o.For = d }
}

// state is the bot's part of the status.
func (h *host) state(t *testing.T) console.Bot {
	t.Helper()
	s, err := h.sup.Status(t.Context())
	must0(t, err)
	return s.Bots[0]
}

// restart stops the host as SIGTERM does and starts another on the same store.
func (h *host) restart(t *testing.T) *host {
	t.Helper()
	must0(t, h.stop())
	return h.w.start(nil)
}

// failure is the error as whoever asked sees it.
func failure(t *testing.T, err error, code string) *console.Failure {
	t.Helper()
	var f *console.Failure
	if !errors.As(err, &f) || f.Code != code || f.Fix == "" {
		t.Fatalf("error %v, want one of %s with a fix", err, code)
	}
	return f
}

// TestPinnedWebhookIsNotFailedOver: a pin to the webhook withholds the failover,
// also after a restart; what is withheld is told and warned about; lifting the pin
// brings the failover.
func TestPinnedWebhookIsNotFailedOver(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		stop() // what is withheld costs the updates that Telegram keeps for seconds only
		w.push(t, 3, 42)
		c := h.order(t, console.SwitchWebhook)
		if c.After.Pin != "webhook" || !c.Changed || c.Wants != "webhook" || c.Before.Pin != "" || !strings.Contains(c.Next, "whatever happens") {
			t.Errorf("%+v", c)
		}
		from := time.Now()
		lease, err := h.faults.Inject(chaos.Spec{Kind: "tls.expired", For: 15 * time.Minute})
		must0(t, err)
		time.Sleep(30 * time.Second)
		if m := w.moves(from); len(m) > 0 {
			t.Errorf("pinned, and moved: %v", m)
		}
		b := h.state(t)
		if !hasWarning(b.Warnings, "failover_withheld") || !hasWarning(b.Warnings, "pinned_webhook") || b.PinnedBy == nil || b.PinnedBy.By != alice || b.PinnedBy.Reason != "a test" {
			t.Errorf("%+v", b)
		}
		lease.End()
		h = h.restart(t)
		must0(t, h.await("webhook", false, 90*time.Second))
		if b := h.state(t); b.Pin != "webhook" || b.PinnedBy == nil || b.PinnedBy.By != alice {
			t.Errorf("after the restart: %+v", b)
		}
		from = time.Now()
		_, err = h.faults.Inject(chaos.Spec{Kind: "tls.expired", For: 15 * time.Minute})
		must0(t, err)
		time.Sleep(20 * time.Second)
		if m := w.moves(from); len(m) > 0 {
			t.Errorf("pinned before the restart, and moved: %v", m)
		}
		if c := h.order(t, console.HoldMode, dry); !hasWarning(c.Warnings, "failover_withheld") {
			t.Errorf("holding a broken webhook: %+v", c)
		}
		if c := h.order(t, console.SwitchAuto); !strings.Contains(c.Next, "broken (tls), so polling takes over now") || len(c.Warnings) != 0 {
			t.Errorf("%+v", c)
		}
		must0(t, h.await("polling", false, 10*time.Second))
		h.faults.Clear()
		must0(t, h.await("webhook", false, 3*time.Minute))
		w.settle(t, h, func() {}, time.Now())
	})
}

// TestHoldWithholds: a hold withholds failover and failback, outlives a restart,
// ends by itself, and is lifted by switch auto.
func TestHoldWithholds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		stop() // what is withheld costs the updates that Telegram keeps for seconds only
		w.push(t, 3, 42)
		h.order(t, console.HoldMode, lasting(4*time.Minute))
		h = h.restart(t)
		must0(t, h.await("webhook", false, 90*time.Second))
		lease, err := h.faults.Inject(chaos.Spec{Kind: "tls.expired", For: 15 * time.Minute})
		must0(t, err)
		from := time.Now()
		time.Sleep(20 * time.Second)
		b := h.state(t)
		if m := w.moves(from); len(m) > 0 || !b.Held || b.HeldUntil.IsZero() || b.HeldBy == nil || !hasWarning(b.Warnings, "automation_held") {
			t.Errorf("on hold: moves %v, %+v", m, b)
		}
		must0(t, h.await("polling", false, 4*time.Minute)) // it is over by itself
		lease.End()
		h.order(t, console.HoldMode)
		from = time.Now()
		time.Sleep(5 * time.Minute)
		if m := w.moves(from); len(m) > 0 {
			t.Errorf("a failback in spite of a hold: %v", m)
		}
		// Both at once, lifted at once.
		h.order(t, console.SwitchPolling)
		h.order(t, console.HoldMode)
		if c := h.order(t, console.SwitchAuto); c.After.Held || c.After.Pin != "" || !c.Before.Held || c.Before.Pin != "polling" || !c.Changed {
			t.Errorf("%+v", c)
		}
		must0(t, h.await("webhook", false, 3*time.Minute))
		w.settle(t, h, func() {}, time.Now())
	})
}

// TestAckEndsAFreeze: a freeze outlasts a restart and any time, an acknowledgement
// ends it and the failback comes; one of nothing changes nothing.
func TestAckEndsAFreeze(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		w.tune = func(o *supervisor.BotOptions) { o.Policy.MaxFailovers = 2 }
		h, stop := w.proven(t, 5)
		if c := h.order(t, console.AckFreeze); c.Changed {
			t.Errorf("acknowledged what was not frozen: %+v", c)
		}
		if n := len(w.told(t, h, supervisor.EventOperator)); n != 0 {
			t.Errorf("%d entries for a command that changed nothing", n)
		}
		for range 2 {
			must0(t, h.await("webhook", false, 3*time.Minute))
			lease, err := h.faults.Inject(chaos.Spec{Kind: "net.refuse", For: 15 * time.Minute})
			must0(t, err)
			must0(t, h.await("polling", false, 10*time.Second))
			lease.End()
		}
		stop()
		h = h.restart(t)
		must0(t, h.await("polling", false, 10*time.Second))
		time.Sleep(2 * time.Hour) // longer than what is counted
		b := h.state(t)
		if b.Phase != "polling" || !b.Frozen || !hasWarning(b.Warnings, "frozen") || hasWarning(b.Warnings, "on_standby") {
			t.Errorf("%+v", b)
		}
		if c := h.order(t, console.SwitchAuto); c.Changed || !strings.Contains(c.Next, "dualgram ack --bot test") {
			t.Errorf("switch auto of a frozen bot: %+v", c)
		}
		lease, err := h.faults.Inject(chaos.Spec{Kind: "net.refuse", For: 15 * time.Minute})
		must0(t, err)
		time.Sleep(time.Minute)
		if c := h.order(t, console.AckFreeze, dry); len(c.Warnings) != 1 || c.Warnings[0].Code != "webhook_not_seen" || !strings.Contains(c.Warnings[0].Text, "the next failback fails too: repair it first") {
			t.Errorf("of a webhook that is still broken: %+v", c.Warnings)
		}
		lease.End()
		time.Sleep(time.Minute)
		c := h.order(t, console.AckFreeze)
		if len(c.Warnings) != 0 {
			t.Errorf("of a webhook that was repaired: %+v", c.Warnings)
		}
		if !c.Changed || !c.Before.Frozen || c.After.Frozen || !strings.Contains(c.Next, "tried again now") {
			t.Errorf("%+v", c)
		}
		must0(t, h.await("webhook", false, 3*time.Minute))
		w.settle(t, h, func() {}, time.Now())
	})
}

// TestDryRunChangesNothing: what would be done is said from a copy of the state.
func TestDryRunChangesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, heal, stop := w.broken(t, 5)
		before, from := h.state(t), time.Now()
		c := h.order(t, console.SwitchWebhook, dry)
		if !c.DryRun || !c.Changed || c.Before.Mode != "polling" || c.After.Mode != "webhook" || c.After.Phase != "to_webhook" || c.After.Epoch != before.Epoch+1 {
			t.Errorf("%+v", c)
		}
		if c := h.order(t, console.SwitchPolling, dry); c.After.Pin != "polling" || c.After.Phase != "polling" || len(c.Warnings) != 0 {
			t.Errorf("%+v", c)
		}
		time.Sleep(time.Second)
		if m := w.moves(from); len(m) > 0 || h.state(t).Pin != "" || h.state(t).Epoch != before.Epoch {
			t.Errorf("a dry run did something: %v", m)
		}
		if n := len(w.told(t, h, supervisor.EventOperator)); n != 0 {
			t.Errorf("%d entries of a dry run", n)
		}
		heal()
		// A webhook that is not ready is said so, and no reason to refuse.
		must0(t, h.await("webhook", false, 3*time.Minute))
		h.order(t, console.SwitchPolling)
		must0(t, h.await("polling", false, 5*time.Second))
		lease, err := h.faults.Inject(chaos.Spec{Kind: "tls.expired", For: 15 * time.Minute})
		must0(t, err)
		time.Sleep(2 * time.Second)
		c = h.order(t, console.SwitchWebhook, dry)
		if !hasWarning(c.Warnings, "webhook_not_ready") || !strings.Contains(c.Warnings[0].Text, "expired") {
			t.Errorf("%+v", c.Warnings)
		}
		lease.End()
		h.order(t, console.SwitchAuto)
		must0(t, h.await("webhook", false, 3*time.Minute))
		w.settle(t, h, stop, time.Now())
	})
}

// TestTakeOverByOperator: somebody else's webhook is refused without take-over and
// with another one than was agreed to; taken over, nothing pending is lost, and
// the bot is automatic or pinned as was said.
func TestTakeOverByOperator(t *testing.T) {
	for to, want := range map[string]string{console.SwitchAuto: "webhook", console.SwitchWebhook: "webhook", console.SwitchPolling: "polling"} {
		t.Run(to, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *testWorld) {
				w.sim.SetHost("old.example.com", "5.45.72.99")
				_, _, err := w.sim.ForeignSetWebhook(w.botID, "https://old.example.com/hook-of-"+testToken)
				must0(t, err)
				w.push(t, 5, 42)
				h := w.start(nil)
				must0(t, h.await("held", false, 10*time.Second))
				seen := h.state(t).ForeignWebhook
				if !strings.HasPrefix(seen, "https://old.example.com/#") {
					t.Errorf("shown: %q", seen)
				}
				if to != console.SwitchAuto {
					_, err = h.try(t, to)
					failure(t, err, console.CodeRefused)
				}
				other := "https://other.example.com/#00000000"
				_, err = h.try(t, to, takeOver, func(o *console.Order) { o.Foreign = &other })
				failure(t, err, console.CodeRefused)
				none := ""
				_, err = h.try(t, to, takeOver, func(o *console.Order) { o.Foreign = &none })
				failure(t, err, console.CodeRefused)
				if n := w.calls(t, "setWebhook", time.Time{}) + w.calls(t, "deleteWebhook", time.Time{}); n != 1 {
					t.Errorf("%d sets and deletes; the one is the other's", n)
				}
				c := h.order(t, to, takeOver, func(o *console.Order) { o.Foreign = &seen })
				if c.Wants != want || c.Before.Phase != "held" || !c.Changed {
					t.Errorf("%+v", c)
				}
				must0(t, h.await(want, want == "webhook", 10*time.Second))
				pin := h.state(t).Pin
				if to == console.SwitchAuto && pin != "" || to != console.SwitchAuto && pin != want {
					t.Errorf("pinned to %q", pin)
				}
				said := w.told(t, h, supervisor.EventOperator)
				if len(said) != 1 || !strings.Contains(said[0].Evidence, "takes over from https://old.example.com/#") || strings.Contains(said[0].Evidence, "hook-of") {
					t.Errorf("journal: %+v", said)
				}
				w.settle(t, h, func() {}, time.Now())
			})
		})
	}
}

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

// TestRefusals: what could not come true is refused, and changes nothing.
func TestRefusals(t *testing.T) {
	t.Run("polling only", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *testWorld) {
			w.tune = func(o *supervisor.BotOptions) { o.Webhook = nil }
			h := w.start(nil)
			must0(t, h.await("polling", false, 10*time.Second))
			_, err := h.try(t, console.SwitchWebhook)
			failure(t, err, console.CodeRefused)
			if c := h.order(t, console.SwitchPolling); c.Wants != "polling" || c.After.Phase != "polling" {
				t.Errorf("%+v", c)
			}
			w.settle(t, h, func() {}, time.Now())
		})
	})
	t.Run("token refused", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *testWorld) {
			h, stop := w.proven(t, 5)
			w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultError, Code: 401, Description: "Unauthorized"})
			must0(t, h.await("held", false, 10*time.Second))
			for _, c := range []string{console.SwitchPolling, console.SwitchWebhook} {
				_, err := h.try(t, c, takeOver)
				failure(t, err, console.CodeRefused)
			}
			h.order(t, console.HoldMode)
			h.order(t, console.SwitchAuto)
			w.sim.ClearFaults()
			must0(t, h.await("webhook", true, 20*time.Second))
			w.settle(t, h, stop, time.Now())
		})
	})
	t.Run("no such bot", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *testWorld) {
			h := w.start(nil)
			must0(t, h.await("webhook", true, 10*time.Second))
			_, err := h.try(t, console.AckFreeze, func(o *console.Order) { o.Bot = "tets" })
			if f := failure(t, err, console.CodeUnknownBot); !strings.Contains(f.Fix, "test") {
				t.Errorf("%+v", f)
			}
			w.settle(t, h, func() {}, time.Now())
		})
	})
	t.Run("the store fails", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *testWorld) {
			h, stop := w.proven(t, 5)
			lease, err := h.faults.Inject(chaos.Spec{Kind: "store.fail", For: time.Minute})
			must0(t, err)
			time.Sleep(time.Second)
			_, err = h.try(t, console.SwitchPolling)
			failure(t, err, console.CodeNotSaved)
			if b := h.state(t); b.Pin != "" || b.Phase != "webhook" || b.PinnedBy != nil {
				t.Errorf("it is pinned all the same: %+v", b)
			}
			lease.End()
			h.faults.Clear()
			w.settle(t, h, stop, time.Now())
		})
	})
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
