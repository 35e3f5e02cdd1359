package drill

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos"
)

// fakeHost is a bot that does what a supervisor does, by the clock: it fails
// over a while after a fault begins and back a while after it has gone. Faults
// are real ones of a real registry, and traffic meets them.
type fakeHost struct {
	reg *chaos.Registry
	web http.Handler

	mu       sync.Mutex
	born     time.Time
	injected time.Time // the last fault's beginning
	removed  time.Time // its end

	switchAfter  time.Duration // 0: never
	backAfter    time.Duration // 0: never
	quiet        bool          // no traffic
	pending      func(since time.Duration) *int
	change       func(f *Facts)
	events       []Event
	err          error
	rolled       []string
	facts        func() // called in each Facts
	registerFail error
	blocked      atomic.Bool
	clock        atomic.Int64 // nanoseconds that the wall clock was put on
}

func newHost() *fakeHost {
	h := &fakeHost{born: time.Now().Add(-time.Hour), switchAfter: 3 * time.Second, backAfter: 70 * time.Second}
	h.reg = chaos.New(chaos.Options{Enabled: true, WallClock: func() time.Time { return time.Now().Add(time.Duration(h.clock.Load())) }, OnChange: func(c chaos.Change) {
		h.mu.Lock()
		defer h.mu.Unlock()
		switch c.Event {
		case chaos.EventInjected:
			h.injected, h.removed = time.Now(), time.Time{}
		case chaos.EventRenewed:
		default:
			h.removed = time.Now()
		}
	}})
	h.web = h.reg.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return h
}

func (h *fakeHost) story() (out []Event) {
	if h.injected.IsZero() || h.switchAfter == 0 || !h.removed.IsZero() && h.removed.Sub(h.injected) < h.switchAfter {
		return h.events
	}
	at := h.injected.Add(h.switchAfter)
	for i, k := range []EventKind{EventDetected, EventDecided, EventDeleteAcked, EventFirstPoll, EventFirstUpdate} {
		out = append(out, Event{At: at.Add(time.Duration(i-3) * 100 * time.Millisecond), Kind: k})
	}
	if !h.removed.IsZero() && h.backAfter > 0 {
		out = append(out, Event{At: h.removed.Add(h.backAfter - 20*time.Second), Kind: EventWebhookSet}, Event{At: h.removed.Add(h.backAfter), Kind: EventWebhookProven})
	}
	return append(out, h.events...)
}

// Events implements [Host].
func (h *fakeHost) Events(_ context.Context, since time.Time) (out []Event, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.story() {
		if !e.At.Before(since) && !e.At.After(time.Now()) {
			out = append(out, e)
		}
	}
	return out, nil
}

// Facts implements [Host].
func (h *fakeHost) Facts(context.Context) (Facts, error) {
	h.mu.Lock()
	first := h.facts
	h.mu.Unlock()
	if first != nil {
		first()
	}
	if !h.quiet {
		h.web.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return Facts{}, h.err
	}
	now, zero := time.Now(), 0
	f := Facts{At: now, Started: h.born, Mode: "webhook", Phase: "webhook", StandbyReady: true, Pending: &zero, PendingAt: now, Warnings: []string{}, Signals: []string{}}
	var polled time.Duration
	for _, e := range h.story() {
		if e.At.After(now) {
			continue
		}
		switch e.Kind {
		case EventFirstPoll:
			polled = now.Sub(e.At)
			f.Mode, f.Phase, f.Warnings = "polling", "polling", []string{"on_standby"}
		case EventWebhookSet:
			polled -= now.Sub(e.At)
			f.Mode, f.Phase, f.Trial, f.Warnings = "webhook", "webhook", true, []string{}
		case EventWebhookProven:
			f.Trial = false
		}
	}
	f.Counts.ReceivedPolling = int64(polled.Seconds()) * 5
	f.Counts.ReceivedWebhook = int64(now.Sub(h.born).Seconds())*5 - f.Counts.ReceivedPolling
	f.Counts.Delivered = int64(now.Sub(h.born).Seconds()) * 5
	if h.pending != nil && !h.injected.IsZero() {
		if f.Pending = h.pending(now.Sub(h.injected)); f.Pending != nil && *f.Pending > 0 {
			f.PendingSince = now
		}
	}
	if h.change != nil {
		h.change(&f)
	}
	return f, nil
}

// stillFrom lets no update come from the time since now on, but as many as more
// says, of the time since then.
func (h *fakeHost) stillFrom(after time.Duration, more func(since time.Duration) int64) {
	at := time.Now().Add(after)
	h.change = func(f *Facts) {
		if since := time.Since(at); since >= 0 {
			f.Counts.ReceivedWebhook = int64(at.Sub(h.born).Seconds())*5 + more(since)
		}
	}
}

// Inject implements [Host].
func (h *fakeHost) Inject(_ context.Context, s chaos.Spec) (Fault, error) {
	if h.registerFail != nil {
		return nil, h.registerFail
	}
	return h.reg.Inject(s)
}

// Rollback implements [Rollbacker].
func (h *fakeHost) Rollback(_ context.Context, action string) error {
	h.rolled = append(h.rolled, action)
	return nil
}

// memStore is a [Store] in memory.
type memStore struct {
	mu      sync.Mutex
	records []Record
	err     error
}

func (m *memStore) Append(ctx context.Context, r Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.err != nil:
		return m.err
	case ctx.Err() != nil:
		return ctx.Err()
	case r.Seq != uint64(len(m.records))+1:
		return ErrSeq
	}
	m.records = append(m.records, r)
	return nil
}

func (m *memStore) List(context.Context) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.records), nil
}

func (m *memStore) Get(_ context.Context, id string) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.records {
		if r.ID == id {
			return r, nil
		}
	}
	return Record{}, ErrNotFound
}

// plan is an experiment whose fault meets the fake host's traffic.
func plan(t *testing.T, more string) *Experiment {
	t.Helper()
	e, err := Parse("test.yaml", []byte(`
version: 1
name: test
title: A test
steady-state-hypothesis:
  hold: 5s
  probes:
    - {name: on-webhook, expr: 'mode == "webhook" and not trial', phase: [before, after]}
    - {name: standby, expr: standby_ready, phase: [before, after]}
    - {name: nothing-lost, expr: lost == 0}
method:
  - {name: fail, fault: http.status, for: 60s}
stop_when: [pending > 500]
recover_within: 2m
`+more))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const expectPolling = "expect: {mode: polling, warnings: [on_standby], forbid_warnings: [blind]}\n"

// office opens the drills of a host.
func office(t *testing.T, h Host, s Store, change func(*Options)) *Drills {
	t.Helper()
	o := Options{Bot: "orders", Host: h, Store: s, Policy: Policy{Enabled: true}, Version: "1.2.3", ConfigHash: "abc"}
	if change != nil {
		change(&o)
	}
	d, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// bubble runs a case in virtual time and sees that no fault is left behind.
func bubble(t *testing.T, name string, f func(t *testing.T, h *fakeHost)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHost()
			f(t, h)
			if left := h.reg.List(); len(left) > 0 {
				t.Errorf("faults are left: %+v", left)
			}
			_ = h.reg.Close()
		})
	})
}

// do runs a drill and checks its outcome and that its record was written.
func do(t *testing.T, d *Drills, q Request, want Outcome) *Journal {
	t.Helper()
	j, err := d.Do(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if j.Outcome != want {
		t.Fatalf("outcome %s, want %s; reasons %q", j.Outcome, want, j.Reasons)
	}
	if (j.Outcome == Held) != (len(j.Reasons) == 0) {
		t.Errorf("%s with reasons %q", j.Outcome, j.Reasons)
	}
	return j
}

// gone is how long after a time the last fault ended.
func (h *fakeHost) gone(t *testing.T, since time.Time) time.Duration {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.injected.IsZero() || h.removed.IsZero() {
		t.Fatalf("injected %v, removed %v", h.injected, h.removed)
	}
	return h.removed.Sub(since)
}

var errTest = errors.New("test")

func contextUntil(t time.Time) (context.Context, context.CancelFunc) {
	return context.WithDeadline(context.Background(), t)
}
