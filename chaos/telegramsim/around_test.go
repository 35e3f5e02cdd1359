package telegramsim

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var aroundClauses = map[string]func(*testing.T){
	"S64": func(t *testing.T) {
		local(t, func(w *world) {
			raw := func() string { return string(w.call("getWebhookInfo").Result) }
			if got := raw(); got != `{"url":"","has_custom_certificate":false,"pending_update_count":0}` {
				w.Error(got)
			}
			w.set("allowed_updates", `["poll"]`)
			if got := raw(); got != `{"url":"`+hookAt+`","has_custom_certificate":false,"pending_update_count":0,"ip_address":"`+botIP+`","last_error_date":946684800,"last_error_message":"Connection refused","max_connections":100,"allowed_updates":["poll"]}` {
				w.Error(got)
			}
			w.s.SetSyncError(botID, time.Now())
			if got := raw(); !strings.Contains(got, `"last_synchronization_error_date":94668480`) {
				w.Error(got)
			}
			w.s.SetKnobs(Knobs{Local: true, DNSDelay: time.Second})
			w.s.FlushDNS()
			set := w.goCall("setWebhook", "url", hookAt, "secret_token", "x")
			if got := raw(); !strings.Contains(got, `"ip_address":"\u003cunknown\u003e"`) && !strings.Contains(got, `<unknown>`) {
				w.Error(got)
			}
			<-set
		})
	},
	"S65": func(t *testing.T) {
		cloud(t, func(w *world) {
			r := w.call("deleteWebhook")
			if string(r.Raw) != `{"ok":true,"result":true,"description":"Webhook is already deleted"}` {
				w.Errorf("%s", r.Raw)
			}
			for h, want := range map[string]string{"Content-Type": "application/json", "Content-Length": "68", "Connection": "keep-alive", "Date": time.Now().UTC().Format(http.TimeFormat)} {
				if got := r.Header.Get(h); got != want {
					w.Errorf("%s: %q, want %q", h, got, want)
				}
			}
			get := func(path string) result {
				req, _ := http.NewRequest("GET", "http://api.telegram.org"+path, nil)
				return w.send(req)
			}
			for path, want := range map[string]string{
				"/bot" + token + "/nonsense": "404 Not Found: method not found",
				"/bot8:other/getMe":          "401 Unauthorized",
				"/botnonsense/getMe":         "401 Unauthorized: invalid token specified",
				"/":                          "404 Not Found",
				"/bot" + token:               "404 Not Found",
				"/bot" + token + "/":         "404 Not Found",
			} {
				r := get(path)
				if got := str(int64(r.Code)) + " " + r.Description; got != want || r.ErrorCode != r.Code || r.OK {
					w.Errorf("%s: %s, want %s", path, got, want)
				}
			}
		})
	},
	"S66": func(t *testing.T) {
		local(t, func(w *world) {
			if r := w.call("getMe"); !strings.Contains(string(r.Result), `"id":7,"is_bot":true`) || !strings.Contains(string(r.Result), `"username":"sim7_bot"`) {
				w.Errorf("%s", r.Raw)
			}
			srv := w.listen("bot.example.com:80", nil, nil)
			w.set()
			if r := w.call("close"); r.Code != 429 || r.Parameters.RetryAfter < 590 {
				w.Errorf("close in the first ten minutes: %s", r.Raw)
			}
			time.Sleep(10 * time.Minute)
			w.want(w.call("close"), 200, "")
			w.push(Update{})
			time.Sleep(time.Minute)
			if len(srv.arrivals()) != 0 {
				w.Error("a closed instance delivered")
			}
			w.call("getMe") // loads the bot again
			time.Sleep(time.Second)
			if len(srv.arrivals()) != 1 {
				w.Error("not delivered after the bot was loaded again")
			}
			w.call("deleteWebhook")
			w.push(Update{})
			w.want(w.call("logOut"), 200, "")
			w.want(w.call("getUpdates"), 400, "Logged out")
			if w.s.Pending(botID) != 0 || w.info().URL != "" {
				w.Error("logOut left something")
			}
			w.s.LogIn(botID)
			equal(w, "after logging in", w.ids(), []int64{})
		})
	},
	"S67": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("bot.example.com:80", nil, status(500))
			w.set("secret_token", "abc")
			id := w.push(Update{})
			time.Sleep(50 * time.Second)
			srv.handle(func(rw http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			w.push(Update{User: 9})
			time.Sleep(time.Second)
			n := len(srv.arrivals())
			w.s.Restart(5*time.Second, false)
			if i := w.info(); i.LastErrorMessage != "" || i.URL != hookAt || i.PendingUpdateCount != 2 {
				w.Errorf("%+v", i)
			}
			if r := w.call("getMe"); r.Code != 502 || !strings.HasPrefix(string(r.Raw), "<html>") {
				w.Errorf("while down: %d %s", r.Code, r.Raw)
			}
			srv.handle(nil)
			time.Sleep(6 * time.Second)
			if got := srv.arrivals(); len(got) != n+2 || got[n].Header.Get("X-Telegram-Bot-Api-Secret-Token") != "abc" || w.s.Pending(botID) != 0 {
				w.Errorf("%d arrivals after the restart, %d pending", len(got)-n, w.s.Pending(botID))
			}
			if a := w.record(id).Attempts; a[len(a)-1].Status != 200 {
				w.Errorf("%+v", a)
			}
			w.n.Refuse(botIP, true)
			time.Sleep(2 * time.Minute)
			w.s.Restart(0, false)
			time.Sleep(time.Minute)
			if m := w.info().LastErrorMessage; m != "" {
				w.Errorf("a probe after a restart: %s", m)
			}
			w.call("deleteWebhook")
			poll := w.goCall("getUpdates", "timeout", "50")
			w.s.Restart(0, false)
			if r := <-poll; r.Err == nil {
				w.Errorf("the parked call got %d", r.Code)
			}
			poll = w.goCall("getUpdates", "timeout", "50")
			w.s.Restart(0, true)
			w.want(<-poll, 500, "Internal Server Error: restart")
		})
	},
	"S68": func(t *testing.T) {
		local(t, func(w *world) {
			w.s.ResetSeries(botID, 727_334_708)
			a := w.push(Update{})
			w.s.ResetSeries(botID, 117_314_199)
			b := w.push(Update{})
			if a != 727_334_708 || b != 117_314_199 {
				w.Errorf("%d, %d", a, b)
			}
			if r := w.record(b); r.Series != 2 || w.record(a).Series != 1 || w.record(a).State != StateCleared {
				w.Errorf("%+v", r)
			}
			equal(w, "an old high offset is harmless", w.ids("offset", str(a+1)), []int64{b})
			if w.s.Pending(botID) != 1 {
				w.Error("it confirmed something")
			}
			srv := w.listen("bot.example.com:80", nil, nil)
			w.set()
			w.s.ResetSeries(botID, 5_000_000)
			w.push(Update{})
			time.Sleep(time.Second)
			equal(w, "by webhook", srv.ids(), []int64{b, 5_000_000})
		})
	},
	"S69": func(t *testing.T) {
		cloud(t, func(w *world) {
			w.s.SetFault(Fault{Kind: FaultTooMany, Method: "getMe", RetryAfter: 9, Count: 2})
			for range 2 {
				r := w.call("getme")
				w.want(r, 429, "Too Many Requests: retry after 9")
				if r.Header.Get("Retry-After") != "9" || r.Parameters.RetryAfter != 9 {
					w.Errorf("%s", r.Raw)
				}
			}
			w.want(w.call("getMe"), 200, "")
			w.s.SetFault(Fault{Kind: FaultError, Code: 401, Description: "Unauthorized"})
			w.want(w.call("deleteWebhook"), 401, "Unauthorized")
			equal(w, "hits", w.s.ClearFaults(), []int{2, 1})
			w.s.SetFault(Fault{Kind: FaultHTML})
			if r := w.call("getMe"); r.Code != 502 || r.Header.Get("Content-Type") != "text/html" {
				w.Errorf("%d %v", r.Code, r.Header)
			}
			w.s.ClearFaults()
			w.s.SetFault(Fault{Kind: FaultReset})
			if r := w.call("getMe"); !errors.Is(r.Err, syscall.ECONNRESET) {
				w.Errorf("%v", r.Err)
			}
			w.s.ClearFaults()
			w.s.SetFault(Fault{Kind: FaultHang})
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if r := w.do(ctx, "getMe"); !errors.Is(r.Err, context.DeadlineExceeded) {
				w.Errorf("%v", r.Err)
			}
			w.s.ClearFaults()
			w.s.SetFault(Fault{Kind: FaultLose, Method: "setWebhook", Count: 1})
			if r := w.call("setWebhook", "url", tlsHook); !errors.Is(r.Err, syscall.ECONNRESET) || w.info().URL != tlsHook {
				w.Errorf("%v, %q", r.Err, w.info().URL)
			}
			w.s.SetFault(Fault{Kind: FaultLoseHang, Method: "deleteWebhook", Count: 1})
			w.s.SetFault(Fault{Kind: FaultLate, Method: "getUpdates", Delay: time.Minute})
			ctx3, cancel3 := context.WithTimeout(context.Background(), time.Second)
			defer cancel3()
			w.do(ctx3, "getUpdates")
			time.Sleep(2 * time.Minute)
			if b, _ := w.s.Bot(botID); b.Counters.Methods["getupdates"] != 1 {
				w.Error("a late call was not carried out")
			}
			ctx2, cancel2 := context.WithTimeout(context.Background(), time.Second)
			defer cancel2()
			if r := w.do(ctx2, "deleteWebhook"); r.Err == nil || w.info().URL != "" {
				w.Errorf("%v, %q", r.Err, w.info().URL)
			}
		})
	},
	"S70": func(t *testing.T) {
		cloud(t, func(w *world) {
			w.s.SetKnobs(Knobs{Latency: 300 * time.Millisecond})
			start := time.Now()
			w.call("getMe")
			if d := time.Since(start); d != 300*time.Millisecond {
				w.Errorf("took %v", d)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			if r := w.do(ctx, "setWebhook", "url", tlsHook); r.Err == nil || w.info().URL != "" {
				w.Errorf("%v, %q", r.Err, w.info().URL)
			}
			time.Sleep(60 * time.Millisecond)
			if w.info().URL != tlsHook {
				w.Error("a call under way did not arrive because its client had given up")
			}
			w.s.SetKnobs(Knobs{Latency: 100 * time.Millisecond, LatencyMax: time.Second})
			seen := map[time.Duration]bool{}
			for range 10 {
				start := time.Now()
				w.call("getMe")
				d := time.Since(start)
				if seen[d] = true; d < 100*time.Millisecond || d > time.Second {
					w.Errorf("took %v", d)
				}
			}
			if len(seen) < 5 {
				w.Errorf("%d different latencies", len(seen))
			}
		})
	},
	"S71": func(t *testing.T) {
		cloud(t, func(w *world) {
			poll := w.goCall("getUpdates", "timeout", "50")
			stop, err := w.s.ForeignPoller(botID, 20*time.Second)
			if err != nil {
				w.Fatal(err)
			}
			w.want(<-poll, 409, conflictPoll)
			id := w.push(Update{})
			time.Sleep(time.Second)
			if r := w.record(id); r.State != StateAcknowledged || !r.Foreign {
				w.Errorf("%+v", r)
			}
			stop()
			if b, _ := w.s.Bot(botID); b.Parked {
				w.Error("the foreign poller is still parked")
			}
			if code, text, err := w.s.ForeignSetWebhook(botID, tlsHook); code != 200 || text != "Webhook was set" || err != nil {
				w.Errorf("%d %s %v", code, text, err)
			}
			w.want(w.call("getUpdates"), 409, conflictWebhook)
			if b, _ := w.s.Bot(botID); !b.Calls[len(b.Calls)-1].Foreign {
				w.Errorf("%+v", b.Calls)
			}
			w.s.ForeignDeleteWebhook(botID)
			if w.info().URL != "" {
				w.Error("not deleted")
			}
		})
	},
	"S72": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("bot.example.com:80", nil, nil)
			w.set()
			a, b := w.push(Update{}), w.push(Update{})
			time.Sleep(time.Second)
			if err := w.s.Redeliver(botID, a); err != nil {
				w.Fatal(err)
			}
			time.Sleep(time.Second)
			equal(w, "by webhook", srv.ids(), []int64{a, b, a})
			if got := srv.arrivals(); string(got[0].Body) != string(got[2].Body) {
				w.Error("another body")
			}
			if r := w.record(a); r.Again != 1 || r.State != StateAcknowledged || len(r.Attempts) != 2 {
				w.Errorf("%+v", r)
			}
			w.call("deleteWebhook")
			poll := w.goCall("getUpdates", "offset", str(b+1), "timeout", "50")
			w.s.Redeliver(botID, a)
			equal(w, "by a parked poll", pageIDs(w.T, <-poll), []int64{a})
			equal(w, "by polling", w.ids("offset", "1"), []int64{a})
			if err := w.s.Redeliver(botID, 1); !errors.Is(err, ErrNoUpdate) {
				w.Error(err)
			}
		})
	},
	"S73": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("bot.example.com:80", nil, nil)
			w.set()
			a := w.push(Update{Kind: "callback_query", Chat: -5, User: 3})
			time.Sleep(time.Second)
			srv.handle(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, ""); time.Sleep(time.Minute) })
			b := w.push(Update{})
			synctest.Wait()
			t := w.s.Truth().Bots[0]
			if t.Pending != 1 || t.InFlight != 1 || t.Conns != 1 || t.NextID != b+1 || t.URL != hookAt || len(t.Calls) != 1 || t.Calls[0].Description != "Webhook was set" {
				w.Errorf("%+v", t)
			}
			if u := t.Updates; len(u) != 2 || u[0].ID != a || u[0].By != Webhook || u[0].Chat != -5 || u[0].User != 3 || u[0].EndedAt.IsZero() ||
				u[1].State != StatePending || len(u[1].Attempts) != 1 || !u[1].Attempts[0].End.IsZero() {
				w.Errorf("%+v", u)
			}
			w.call("deleteWebhook")
			w.ids("offset", str(b+1))
			t = w.s.Truth().Bots[0]
			if c := t.Counters; c.Pushed != 2 || c.Webhook != 1 || c.Polling != 1 || c.Acknowledged != 2 || c.Attempts != 2 || c.Methods["getupdates"] != 1 {
				w.Errorf("%+v", c)
			}
			if u := t.Updates[1]; u.By != Polling || u.Unseen || u.Attempts[0].Result != "cut" {
				w.Errorf("%+v", u)
			}
			t.Updates[0].Attempts[0].Result = "changed" // a copy
			if w.record(a).Attempts[0].Result != "200 OK" {
				w.Error("Truth is not a copy")
			}
		})
	},
}
