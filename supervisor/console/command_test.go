package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/memnet"
)

type fakeOperator struct {
	got *Order
	err error
}

func (f fakeOperator) Operate(_ context.Context, o Order) (Change, error) {
	*f.got = o
	return Change{Bot: o.Bot, Command: o.Command}, f.err
}

func say(h http.Handler, target, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", target, strings.NewReader(body)))
	return w
}

func TestCommands(t *testing.T) {
	var got Order
	h := (&Server{o: Options{Status: fakeStatus{}, Operator: fakeOperator{got: &got}}}).Handler()
	agreed := "https://old.example.com/#12"
	for _, c := range []struct {
		target, body string
		code         int
		want         Order
		says         string
	}{
		{"orders/switch", `{"to":"webhook","reason":" why "}`, 200, Order{Bot: "orders", Command: SwitchWebhook, Reason: "why"}, `"schema":"dualgram/change/v1"`},
		{"orders/switch", `{"schema":"dualgram/switch/v1","to":"polling","for_s":90.5,"reason":"x"}`, 200, Order{Bot: "orders", Command: SwitchPolling, Reason: "x", For: 90500 * time.Millisecond}, `"warnings":[]`},
		{"a%20b/switch", `{"to":"auto"}`, 200, Order{Bot: "a b", Command: SwitchAuto}, ""},
		{"orders/switch", `{"to":"polling","dry_run":true}`, 200, Order{Bot: "orders", Command: SwitchPolling, DryRun: true}, ""},
		{"orders/switch", `{"to":"auto","take_over":true,"foreign":"https://old.example.com/#12","reason":"x"}`, 200, Order{Bot: "orders", Command: SwitchAuto, TakeOver: true, Foreign: &agreed, Reason: "x"}, ""},
		{"orders/hold", `{"reason":"x","for_s":60}`, 200, Order{Bot: "orders", Command: HoldMode, Reason: "x", For: time.Minute}, ""},
		{"orders/ack", ``, 200, Order{Bot: "orders", Command: AckFreeze}, ""},
		{"orders/ack", `{"reason":"done"}` + "\n", 200, Order{Bot: "orders", Command: AckFreeze, Reason: "done"}, ""},

		{"orders/switch", `{"to":"webhook"}`, 400, Order{}, "a reason is needed"},
		{"orders/switch", `{"to":"polling","reason":"  "}`, 400, Order{}, "a reason is needed"},
		{"orders/switch", `{"to":"auto","take_over":true}`, 400, Order{}, "a reason is needed"},
		{"orders/hold", `{}`, 400, Order{}, "a reason is needed"},
		{"orders/switch", `{"to":"webhok","reason":"x"}`, 400, Order{}, "write webhook, polling or auto"},
		{"orders/switch", ``, 400, Order{}, "write webhook, polling or auto"},
		{"orders/switch", `{"to":"auto","for_s":60}`, 400, Order{}, "auto has no end"},
		{"orders/switch", `{"to":"auto","foreign":""}`, 400, Order{}, "foreign goes with take_over"},
		{"orders/switch", `{"to":"polling","why":"x"}`, 400, Order{}, `unknown field \"why\"`},
		{"orders/switch", `{"to":"polling","reason":"x"} {}`, 400, Order{}, "something follows the object"},
		{"orders/switch", `{"to":"polling","reason":7}`, 400, Order{}, "the keys to, for_s, reason"},
		{"orders/switch", `["to"]`, 400, Order{}, "not understood"},
		{"orders/switch", `{"schema":"dualgram/hold/v1","to":"polling","reason":"x"}`, 400, Order{}, "write dualgram/switch/v1"},
		{"orders/hold", `{"reason":"x","for_s":-1}`, 400, Order{}, "for_s is not"},
		{"orders/hold", `{"reason":"x","for_s":1e300}`, 400, Order{}, "for_s is not"},
		{"orders/hold", `{"reason":"two\nlines"}`, 400, Order{}, "not one line"},
		{"orders/hold", `{"reason":"` + strings.Repeat("x", MaxReason+1) + `"}`, 400, Order{}, "not one line"},
		{"orders/hold", `{"reason":"` + strings.Repeat("x", maxBody) + `"}`, 400, Order{}, "too large"},
		{"orders/pin", `{}`, 404, Order{}, "no such resource"},
	} {
		got = Order{}
		w := say(h, "/v1/bots/"+c.target, c.body)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %.80s: %d %s, want %d %s", c.target, c.body, w.Code, w.Body, c.code, c.says)
		}
		if (got.Foreign == nil) != (c.want.Foreign == nil) || got.Foreign != nil && *got.Foreign != *c.want.Foreign {
			t.Errorf("%s: foreign %v", c.body, got.Foreign)
		}
		got.Foreign, c.want.Foreign = nil, nil
		if got != c.want {
			t.Errorf("%s %.80s: %+v, want %+v", c.target, c.body, got, c.want)
		}
		var e Error
		if c.code == 400 && (json.Unmarshal(w.Body.Bytes(), &e) != nil || e.Code != CodeBadRequest || e.Schema != SchemaError) {
			t.Errorf("%s: %s", c.body, w.Body)
		}
	}
	if w := say((&Server{o: Options{Status: fakeStatus{}}}).Handler(), "/v1/bots/a/ack", ""); w.Code != 501 {
		t.Errorf("no operator: %d", w.Code)
	}
	for code, status := range map[string]int{CodeBadRequest: 400, CodeUnknownBot: 404, CodeRefused: 409, CodeNotSaved: 503, CodeStarting: 503, CodeInternal: 500} {
		h := (&Server{o: Options{Status: fakeStatus{}, Operator: fakeOperator{got: &got, err: &Failure{Code: code, Message: "no", Fix: "mend it"}}}}).Handler()
		var e Error
		if w := say(h, "/v1/bots/a/ack", ""); w.Code != status || json.Unmarshal(w.Body.Bytes(), &e) != nil || e.Code != code || e.Message != "no" || e.Fix != "mend it" {
			t.Errorf("%s: %d %s", code, w.Code, w.Body)
		}
	}
	h = (&Server{o: Options{Status: fakeStatus{}, Operator: fakeOperator{got: &got, err: errors.New("it broke")}}}).Handler()
	if w := say(h, "/v1/bots/a/ack", ""); w.Code != 500 || !strings.Contains(w.Body.String(), "ack: it broke") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// The kernel says who is at the other end, not the request.
func TestCaller(t *testing.T) {
	var got Order
	path := filepath.Join(t.TempDir(), "control.sock")
	stop := running(t, Options{Socket: path, Status: fakeStatus{}, Operator: fakeOperator{got: &got}})
	resp, err := client(path).Post("http://dualgram/v1/bots/orders/ack", "application/json", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got.By.UID != int64(os.Geteuid()) || got.By.User == "" || runtime.GOOS == "linux" && got.By.PID != int64(os.Getpid()) {
		t.Errorf("%+v", got.By)
	}
	for c, want := range map[Caller]string{{}: "the program itself", {User: "root"}: "root", {User: "alice", UID: 7, PID: 9}: "alice (pid 9)"} {
		if c.String() != want {
			t.Errorf("%q, want %q", c.String(), want)
		}
	}
}

// growing has an event from some time on.
type growing struct{ from time.Time }

func (g growing) Events(_ context.Context, q EventsQuery) (Events, error) {
	out := Events{Cursor: q.Cursor + "x"}
	if time.Now().After(g.from) {
		out.Events = []Event{{Seq: 7, Kind: "a"}}
	}
	return out, nil
}

// A request that waits gets the first event at once, nothing after its time, and
// does not hold up the end of the server; the server's limit for reading a request
// doesn't cut it.
func TestEventsWait(t *testing.T) {
	for name, c := range map[string]struct {
		query          string
		after          time.Duration // the event
		stop           time.Duration // of the server; 0: never
		took, at       time.Duration
		events, nobody bool
	}{
		"there already":   {query: "wait=25", took: 0, events: true},
		"news":            {query: "wait=25", after: 15 * time.Second, took: 15 * time.Second, events: true},
		"none":            {query: "wait=25", after: time.Hour, took: 25 * time.Second},
		"not to wait":     {query: "limit=3", after: time.Hour, took: 0},
		"the server ends": {query: "wait=25", after: time.Hour, stop: 3 * time.Second, took: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				l, err := n.Listen("127.0.0.1:80")
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				s := &Server{o: Options{Status: fakeStatus{}, StopTimeout: time.Minute, Events: growing{began.Add(c.after)}}, stop: make(chan struct{})}
				s.http = httpServer(s.Handler())
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- s.serve(ctx, l) }()
				if c.after == 0 {
					time.Sleep(time.Second)
				}
				if c.stop > 0 {
					time.AfterFunc(c.stop, cancel)
				}
				began = time.Now()
				cl := &http.Client{Transport: &http.Transport{DialContext: n.Dial, DisableKeepAlives: true}}
				resp, err := cl.Get("http://127.0.0.1/v1/events?" + c.query)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if took := time.Since(began); took < c.took || took > c.took+time.Second || strings.Contains(string(body), `"seq":7`) != c.events || resp.StatusCode != 200 {
					t.Errorf("after %v: %s %s", took, resp.Status, body)
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
				time.Sleep(2 * time.Minute)
			})
		})
	}
}

func TestEventsParameters(t *testing.T) {
	h := (&Server{o: Options{Status: fakeStatus{}, Events: growing{}}}).Handler()
	for query, want := range map[string]string{
		"after=1&tail=1": "give one of them", "cursor=x&after=0": "give one of them", "tail=yes": "tail is 1", "since=yesterday": "RFC 3339",
		"wait=31": "from 0 to 30", "wait=-1": "from 0 to 30", "wait=NaN": "from 0 to 30", "bots=a": "unknown parameter",
	} {
		if w := ask(h, "GET", "/v1/events?"+query); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	q, wait, bad := parseEvents(map[string][]string{"bot": {"a", "b"}, "kind": {"phase"}, "since": {"2026-03-01T12:00:00Z"}, "limit": {"7"}, "tail": {"1"}, "wait": {"1.5"}})
	if bad != nil || len(q.Bots) != 2 || len(q.Kinds) != 1 || q.Since.IsZero() || q.Limit != 7 || !q.Tail || wait != 1500*time.Millisecond {
		t.Errorf("%+v %v %v", q, wait, bad)
	}
}
