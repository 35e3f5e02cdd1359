package telegramsim

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var deliveryClauses = map[string]func(*testing.T){
	"S33": func(t *testing.T) {
		local(t, func(w *world) {
			got := make(chan string, 9)
			serve := func(c net.Conn) {
				if r := request(c); len(r) > 0 {
					got <- string(r)
				}
				io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
			}
			w.raw("bot.example.com:80", serve)
			w.raw("bot.example.com:8443", serve)
			id, _ := w.s.PushRaw(botID, "message", []byte(`{"chat":{"id":5},"text":"\u00e9 é"}`))
			w.set("url", "http://bot.example.com?q=a b#frag", "secret_token", "s-e_1")
			body := fmt.Sprintf("{\"update_id\":%d,\n\"message\":{\"chat\":{\"id\":5},\"text\":\"\\u00e9 é\"}}", id)
			want := "POST /?q=a%20b#frag HTTP/1.1\r\nHost: bot.example.com\r\nX-Telegram-Bot-Api-Secret-Token: s-e_1\r\nContent-Type: application/json\r\n" +
				fmt.Sprintf("Content-Length: %d\r\nConnection: keep-alive\r\nAccept-Encoding: gzip, deflate\r\n\r\n%s", len(body), body)
			if r := <-got; r != want {
				w.Errorf("got\n%s\nwant\n%s", r, want)
			}
			w.set("url", "http://us%er:pass@bot.example.com:8443/p?x=1")
			w.push(Update{})
			r := <-got
			for _, line := range []string{"POST /p?x=1 HTTP/1.1\r\nHost: bot.example.com:8443\r\nAuthorization: Basic dXMlZXI6cGFzcw==\r\nContent-Type:"} {
				if !strings.Contains(r, line) {
					w.Errorf("no %q in\n%s", line, r)
				}
			}
			w.set("url", "http://bot.example.com/"+strings.Repeat("x", 4096))
			w.push(Update{})
			time.Sleep(time.Minute)
			if len(got) != 0 {
				w.Error("a request with more than 4096 bytes of headers was sent")
			}
		})
	},
	"S34": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("bot.example.com:80", nil, nil)
			for _, k := range []string{"message", "callback_query", "poll"} {
				w.push(Update{Kind: k, Text: "日本 🌸 /x"})
			}
			page := w.call("getUpdates")
			var raws []json.RawMessage
			if err := json.Unmarshal(page.Result, &raws); err != nil || len(raws) != 3 {
				w.Fatal(err)
			}
			w.set()
			time.Sleep(10 * time.Second)
			if n := len(srv.arrivals()); n != 3 {
				w.Fatalf("%d arrivals", n)
			}
			for _, a := range srv.arrivals() {
				found := false
				for _, r := range raws {
					found = found || string(r) == string(a.Body)
				}
				if r := w.record(a.ID); !found || string(r.Body) != string(a.Body) || !strings.HasPrefix(string(a.Body), fmt.Sprintf("{\"update_id\":%d,\n\"", a.ID)) {
					w.Errorf("delivered %s", a.Body)
				}
			}
		})
	},
	"S35": func(t *testing.T) {
		local(t, func(w *world) {
			bad := w.push(Update{User: 1})
			var busy, most int
			srv := w.listen("bot.example.com:80", nil, nil)
			srv.handle(func(rw http.ResponseWriter, r *http.Request) {
				got := srv.arrivals()
				if a := got[len(got)-1]; strings.Contains(string(a.Body), `"id":2,`) {
					srv.mu.Lock()
					busy++
					most = max(most, busy)
					srv.mu.Unlock()
					time.Sleep(2 * time.Second)
					srv.mu.Lock()
					busy--
					srv.mu.Unlock()
				} else if a.ID == bad && a.At < 20*time.Second {
					rw.WriteHeader(500)
				}
			})
			follower := w.push(Update{User: 1})
			var two []int64
			for range 5 {
				two = append(two, w.push(Update{User: 2}))
			}
			w.set()
			time.Sleep(18 * time.Second)
			var got []int64
			for _, a := range srv.arrivals() {
				if a.ID == follower {
					w.Error("the follower of a failing head was sent")
				}
				if a.ID > follower {
					got = append(got, a.ID)
				}
			}
			equal(w, "the other chat", got, two)
			synctest.Wait()
			if most != 1 {
				w.Errorf("%d of one chat in flight", most)
			}
			time.Sleep(time.Minute)
			if w.s.Pending(botID) != 0 {
				w.Error("not all were delivered")
			}
		})
	},
	"S36": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("bot.example.com:80", nil, nil)
			big, small, group := w.push(Update{User: 900}), w.push(Update{User: 5}), w.push(Update{User: 5, Chat: -77})
			w.set("max_connections", "2")
			if got := srv.ids(); len(got) != 3 || got[0] != group {
				w.Errorf("order %v: the group's %d is not first", got, group)
			}
			if s, b := w.record(small).Attempts[0], w.record(big).Attempts[0]; s.Connection != 1 || b.Connection != 2 {
				w.Errorf("the smaller chat got connection %d, the bigger %d", s.Connection, b.Connection)
			}
		})
	},
	"S37": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("bot.example.com:80", nil, status(500))
			for i := range 100 {
				w.push(Update{User: int64(1000 + i)})
			}
			w.set("max_connections", "2")
			time.Sleep(time.Minute)
			fresh := w.push(Update{User: 1})
			time.Sleep(time.Minute)
			seen := map[int64]bool{}
			for _, id := range srv.ids() {
				seen[id] = true
			}
			if len(seen) != 4 || seen[fresh] {
				w.Errorf("%d chats were tried, the fresh one: %v", len(seen), seen[fresh])
			}
		})
	},
	"S38": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("bot.example.com:80", nil, func(rw http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
			for i := range 30 {
				w.push(Update{User: int64(1 + i)})
			}
			w.set()
			time.Sleep(8500 * time.Millisecond)
			equal(w, "one request each 2 s", srv.times(), []int{0, 2, 4, 6, 8})
			srv.handle(func(rw http.ResponseWriter, r *http.Request) { time.Sleep(9 * time.Second) })
			if b, _ := w.s.Bot(botID); b.Conns > 1 {
				w.Errorf("%d connections", b.Conns)
			}
		})
	},
	"S39": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("bot.example.com:80", nil, nil)
			srv.handle(func(rw http.ResponseWriter, r *http.Request) {
				if len(srv.arrivals()) > 1 {
					time.Sleep(5 * time.Second)
				}
			})
			for i := range 60 {
				w.push(Update{User: int64(1 + i)})
			}
			w.set("max_connections", "40")
			got := srv.arrivals() // a second after the set
			at := func(d time.Duration) int {
				n := 0
				for _, a := range got {
					if a.At <= d {
						n++
					}
				}
				return n
			}
			equal(w, "requests by 0, 40, 60, 110, 510 ms", []int{at(0), at(40 * time.Millisecond), at(60 * time.Millisecond), at(110 * time.Millisecond), at(510 * time.Millisecond)}, []int{12, 12, 13, 14, 22})
			time.Sleep(2 * time.Second)
			if b, _ := w.s.Bot(botID); b.Conns != 40 || b.InFlight != 40 {
				w.Errorf("%d connections, %d in flight", b.Conns, b.InFlight)
			}
		})
	},
	"S40": func(t *testing.T) {
		local(t, func(w *world) {
			w.set() // nobody listens: the probe fails
			first := w.info()
			if first.LastErrorMessage != "Connection refused" {
				w.Errorf("probe: %q", first.LastErrorMessage)
			}
			id := w.push(Update{})
			for i := range 20 {
				time.Sleep(2 * time.Second)
				if got := w.info().LastErrorDate; got < time.Now().Unix()-2 {
					w.Fatalf("round %d: last error is %d s old", i, time.Now().Unix()-got)
				}
			}
			b, _ := w.s.Bot(botID)
			if n := len(w.record(id).Attempts); n < 5 || n > 7 || b.Counters.Dials < 18 {
				w.Errorf("%d attempts, %d dials", n, b.Counters.Dials)
			}
		})
	},
	"S44": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("bot.example.com:80", nil, status(500))
			w.set()
			start := int(w.at() / time.Second)
			id := w.push(Update{})
			time.Sleep(23 * time.Hour)
			var gaps []int
			ts := srv.times()
			for i := 1; i < len(ts); i++ {
				gaps = append(gaps, ts[i]-ts[i-1])
			}
			if ts[0] != start {
				w.Errorf("first attempt at %d, pushed at %d", ts[0], start)
			}
			equal(w, "first gaps", gaps[:6], []int{0, 2, 4, 8, 16, 32})
			for _, g := range gaps[6:] {
				if g < 60 || g > 120 {
					w.Errorf("gap of %d s", g)
				}
			}
			if n := len(gaps); n < 23*3600/120 || w.record(id).State != StatePending {
				w.Errorf("%d attempts in 23 hours, %s", n, w.record(id).State)
			}
			time.Sleep(time.Hour)
			if r := w.record(id); r.State != StateDropped || r.EndedAt.After(r.ExpiresAt) {
				w.Errorf("%s at %v", r.State, r.EndedAt)
			}
		})
	},
	"S45": func(t *testing.T) {
		local(t, func(w *world) {
			after := "7"
			srv := w.listen("bot.example.com:80", nil, nil)
			srv.handle(func(rw http.ResponseWriter, r *http.Request) {
				srv.mu.Lock()
				rw.Header().Set("Retry-After", after)
				srv.mu.Unlock()
				rw.WriteHeader(503)
			})
			w.set()
			start := int(w.at() / time.Second)
			w.push(Update{})
			time.Sleep(22 * time.Second)
			equal(w, "every 7 s", srv.times(), []int{start, start + 7, start + 14, start + 21})
			srv.mu.Lock()
			after = "Wed, 21 Oct 2015 07:28:00 GMT" // not an integer
			srv.mu.Unlock()
			time.Sleep(21 * time.Second)
			equal(w, "then the backoff", srv.times()[4:], []int{start + 28, start + 30, start + 34, start + 42})
			// An hour is the most, and an update with less than that to live goes at once.
			srv.mu.Lock()
			after = "100000"
			srv.mu.Unlock()
			cb := w.push(Update{Kind: "callback_query"})
			time.Sleep(time.Second)
			if r := w.record(cb); r.State != StateDropped || len(r.Attempts) != 1 {
				w.Errorf("%+v", r)
			}
			n := len(srv.arrivals())
			time.Sleep(time.Minute)
			n2 := len(srv.arrivals())
			time.Sleep(3500 * time.Second)
			if got := len(srv.arrivals()); n2 != n+1 || got != n2 {
				w.Errorf("attempts: %d, %d, %d", n, n2, got)
			}
			time.Sleep(60 * time.Second)
			if got := len(srv.arrivals()); got != n2+1 {
				w.Errorf("%d attempts after an hour, had %d", got, n2)
			}
		})
	},
	"S46": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("bot.example.com:80", nil, status(500))
			w.set()
			start := int(w.at() / time.Second)
			id := w.push(Update{Kind: "callback_query"})
			time.Sleep(200 * time.Second)
			equal(w, "attempts", srv.times(), []int{start, start, start + 2, start + 6, start + 14, start + 30, start + 62, start + 126})
			r := w.record(id)
			if r.State != StateDropped || r.EndedAt.Sub(r.PushedAt).Truncate(time.Second) != 126*time.Second {
				w.Errorf("%s after %v", r.State, r.EndedAt.Sub(r.PushedAt))
			}
			q := w.push(Update{Kind: "inline_query"})
			time.Sleep(40 * time.Second)
			if r := w.record(q); r.State != StateDropped || len(r.Attempts) != 6 {
				w.Errorf("inline query: %s after %d attempts", r.State, len(r.Attempts))
			}
		})
	},
	"S47": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("bot.example.com:80", nil, nil)
			codes := []int{200, 201, 204, 299, 500, 226}
			srv.handle(func(rw http.ResponseWriter, r *http.Request) {
				i := len(srv.arrivals()) - 1
				rw.WriteHeader(codes[min(i, 5)])
				if codes[min(i, 5)] != 204 {
					io.WriteString(rw, "whatever")
				}
			})
			w.set("max_connections", "1")
			var all []int64
			for i := range 5 {
				all = append(all, w.push(Update{User: int64(i + 1)}))
				time.Sleep(100 * time.Millisecond)
			}
			// The last one failed; those before are gone one by one: a hole on no side.
			time.Sleep(100 * time.Millisecond)
			equal(w, "arrivals", srv.ids(), append(all, all[4]))
			if w.s.Pending(botID) != 0 {
				w.Errorf("%d pending", w.s.Pending(botID))
			}
			if r := w.record(all[0]); r.By != Webhook || r.Attempts[0].Status != 200 {
				w.Errorf("%+v", r)
			}
			srv.handle(func(rw http.ResponseWriter, r *http.Request) {
				if got := srv.arrivals(); strings.Contains(string(got[len(got)-1].Body), `"id":1,`) {
					rw.WriteHeader(500)
				}
			})
			a, b := w.push(Update{User: 1}), w.push(Update{User: 2})
			time.Sleep(time.Second)
			w.call("deleteWebhook")
			equal(w, "the hole", w.ids(), []int64{a})
			if w.record(b).State != StateAcknowledged {
				w.Error("the later one is not acknowledged")
			}
		})
	},
	"S48": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("bot.example.com:80", nil, func(rw http.ResponseWriter, r *http.Request) {
				http.Redirect(rw, r, "http://bot.example.com/elsewhere", 302)
			})
			w.set()
			id := w.push(Update{})
			time.Sleep(time.Second)
			if m := w.info().LastErrorMessage; m != "Wrong response from the webhook: 302 Found" {
				w.Error(m)
			}
			for _, a := range srv.arrivals() {
				if a.ID != id {
					w.Error("the redirect was followed")
				}
			}
			w.raw("bot.example.com:8080", func(c net.Conn) {
				request(c)
				io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
				io.Copy(io.Discard, c)
			})
			w.set("url", "http://bot.example.com:8080/")
			if m := w.info().LastErrorMessage; m != "Wrong response from the webhook: 100 Continue" {
				w.Error(m)
			}
		})
	},
	"S49": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("bot.example.com:80", nil, status(410))
			w.set()
			w.push(Update{})
			time.Sleep(22 * time.Hour)
			if w.info().URL == "" {
				w.Fatal("removed before 23 hours")
			}
			srv.handle(status(500)) // resets the clock
			time.Sleep(3 * time.Minute)
			srv.handle(status(410))
			w.push(Update{User: 5})
			time.Sleep(22 * time.Hour)
			if w.info().URL == "" {
				w.Fatal("another failure did not reset the clock")
			}
			w.push(Update{User: 6})
			time.Sleep(90 * time.Minute)
			if i := w.info(); i.URL != "" || i.LastErrorMessage != "" {
				w.Errorf("%+v", i)
			}
			b, _ := w.s.Bot(botID)
			if h := b.Webhooks; !strings.Contains(h[len(h)-1].Why, "410") {
				w.Errorf("%+v", h)
			}
		})
	},
	"S50": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("bot.example.com:80", nil, status(500))
			w.set()
			start := int(w.at() / time.Second)
			old := time.Now().Add(20*time.Second - 24*time.Hour)
			a, b := w.push(Update{Date: old}), w.push(Update{Date: old})
			time.Sleep(17 * time.Second) // a is dropped at 14 s: 16 more would be too late
			var ids []int64
			var at []int
			for _, x := range srv.arrivals() {
				ids, at = append(ids, x.ID), append(at, int(x.At/time.Second)-start)
			}
			equal(w, "ids", ids, []int64{a, a, a, a, a, b, b, b})
			equal(w, "times", at, []int{0, 0, 2, 6, 14, 14, 14, 16})
		})
	},
	"S63": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("bot.example.com:80", nil, func(rw http.ResponseWriter, r *http.Request) { time.Sleep(40 * time.Second) })
			w.set("max_connections", "1")
			w.push(Update{Chat: -5})
			q := w.push(Update{Kind: "inline_query"})
			time.Sleep(90 * time.Second)
			if r := w.record(q); r.State != StateAcknowledged || r.Attempts[0].Start.Before(r.ExpiresAt) || len(srv.arrivals()) != 2 {
				w.Errorf("%s, %d arrivals", r.State, len(srv.arrivals()))
			}
			synctest.Wait()
		})
	},
}
