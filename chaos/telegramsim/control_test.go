package telegramsim

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestControl(t *testing.T) {
	s := New(Options{Seed: 1})
	defer s.Close()
	h := s.ControlHandler()
	do := func(method, path, body string, code int, want string) string {
		t.Helper()
		r := httptest.NewRequest(method, "/control/v1"+path, strings.NewReader(body))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		got := strings.TrimSpace(w.Body.String())
		if w.Code != code || !strings.Contains(got, want) {
			t.Errorf("%s %s %s: %d %s, want %d %s", method, path, body, w.Code, got, code, want)
		}
		return got
	}
	do("POST", "/bots", `{"token":"5:AA"}`, 200, `{"id":5}`)
	do("POST", "/bots", `{"token":"nonsense"}`, 400, "token is not of the form")
	do("GET", "/bots", "", 200, "[5]")
	do("POST", "/bots/5/push", `{"kind":"message","text":"hi","count":3}`, 200, `"update_ids":[`)
	do("POST", "/bots/5/push", `{"kind":"poll","raw":{"id":"9"}}`, 200, `"update_ids":[`)
	do("POST", "/bots/6/push", `{}`, 404, "unknown bot")
	do("POST", "/bots/5/push", `{"kund":"message"}`, 400, "unknown field")
	do("POST", "/bots/5/push", `{"kind":"chat_member"}`, 400, "allowed_updates")
	do("GET", "/bots/5/info", "", 200, `"pending_update_count":4`)
	do("GET", "/truth?bot=5", "", 200, `"pending":4`)
	do("GET", "/truth", "", 200, `"bots":[{"id":5`)
	do("POST", "/bots/5/redeliver", `{"update_id":1}`, 404, "no such update")
	do("POST", "/bots/5/series", `{"next":7000000}`, 200, "ok")
	do("POST", "/bots/5/push", `{}`, 200, `[7000000]`)
	do("POST", "/bots/5/series", `{"next":-1}`, 400, "next is -1")
	do("PUT", "/knobs", `{"latency":5,"openssl11":true}`, 200, `"latency":5`)
	do("PUT", "/knobs", `{"local":true}`, 200, `"openssl11":true`)
	do("GET", "/knobs", "", 200, `"local":true`)
	do("POST", "/faults", `{"kind":"429","method":"getMe","retry_after":3}`, 200, "ok")
	do("DELETE", "/faults", "", 200, `{"hits":[0]}`)
	do("PUT", "/hosts/bot.example.com", `["45.1.1.1"]`, 200, "ok")
	do("PUT", "/hosts/bot.example.com", `["x"]`, 400, "not an IP address")
	do("DELETE", "/dns", "", 200, "ok")
	do("POST", "/bots/5/webhook", `{"url":"ftp://x"}`, 200, `"code":400`)
	do("POST", "/bots/5/webhook", `{"url":""}`, 200, "already deleted")
	do("PUT", "/bots/5/traffic", `{"rate":-1}`, 400, "rate is -1")
	do("PUT", "/bots/9/traffic", `{}`, 404, "unknown bot")
	do("PUT", "/bots/5/traffic", `{"rate":1000000,"max":50}`, 200, "ok")
	do("PUT", "/bots/5/poller", `{"timeout":1}`, 200, "ok")
	do("PUT", "/bots/5/poller", `{"timeout":2}`, 200, "ok")
	do("DELETE", "/bots/5/traffic", "", 200, "ok")
	do("DELETE", "/bots/5/poller", "", 200, "ok")
	do("PUT", "/bots/5/traffic", `{"rate":1000}`, 200, "ok")
	do("POST", "/restart", `{}`, 200, "ok")
	do("POST", "/reset", "", 200, "ok")
	do("GET", "/knobs", "", 200, `"local":false`)
}

func TestTraffic(t *testing.T) {
	run := func(seed uint64) (bodies []string, kinds map[string]int, chats map[int64]int) {
		kinds, chats = map[string]int{}, map[int64]int{}
		synctest.Test(t, func(t *testing.T) {
			s := New(Options{Seed: 1, Dial: nil})
			defer s.Close()
			id, _ := s.AddBot(token)
			start := time.Now()
			err := Traffic{Seed: seed, Bot: id, Rate: 50, Chats: 40, Max: 3000}.Run(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if d := time.Since(start); d < 50*time.Second || d > 70*time.Second {
				t.Errorf("3000 updates at 50/s took %v", d)
			}
			for _, r := range s.Truth().Bots[0].Updates {
				if !json.Valid(r.Body) {
					t.Errorf("not JSON: %s", r.Body)
				}
				bodies = append(bodies, string(r.Body))
				kinds[r.Kind]++
				chats[r.Chat]++
			}
		})
		return bodies, kinds, chats
	}
	a, kinds, chats := run(7)
	b, _, _ := run(7)
	c, _, _ := run(8)
	if strings.Join(a, "") != strings.Join(b, "") {
		t.Error("the same seed gave other traffic")
	}
	if strings.Join(a, "") == strings.Join(c, "") {
		t.Error("another seed gave the same traffic")
	}
	for k := range usualMix() {
		if kinds[k] == 0 {
			t.Errorf("no %s in 3000 updates", k)
		}
	}
	most := 0
	for _, n := range chats {
		most = max(most, n)
	}
	if most < 3000/20 {
		t.Errorf("the busiest of %d chats has %d of 3000: not Zipf", len(chats), most)
	}
	if err := (Traffic{}).Run(context.Background(), nil); err == nil {
		t.Error("a rate of 0 is taken")
	}
}

// TestKeepEnded: a server that runs for days lets go of what is over.
func TestKeepEnded(t *testing.T) {
	bubble(t, Options{Local: true, KeepEnded: 100}, func(w *world) {
		first := w.push(Update{})
		var last int64
		for range 499 {
			last = w.push(Update{})
		}
		w.ids("offset", str(last)) // all but the last
		b, _ := w.s.Bot(botID)
		if n := len(b.Updates); n < 101 || n > 126 || b.Counters.Forgotten != 500-n || b.Counters.Polling != 499 {
			w.Errorf("%d records, %+v", n, b.Counters)
		}
		if _, err := w.s.Record(botID, first); err == nil {
			w.Error("the first is still there")
		}
		if b.Updates[len(b.Updates)-1].ID != last {
			w.Error("the pending one is gone")
		}
	})
}

func TestClose(t *testing.T) {
	bubble(t, Options{Local: true}, func(w *world) {
		w.n.Blackhole(botIP, true)
		poll := w.goCall("getUpdates", "timeout", "50")
		stop, _ := w.s.ForeignPoller(botID, 0)
		defer stop()
		go Traffic{Bot: botID, Rate: 1}.Run(context.Background(), w.s)
		time.Sleep(time.Second)
		w.set()
		w.s.Close()
		w.s.Close()
		if r := <-poll; r.Err == nil && r.Code == 200 && len(pageIDs(w.T, r)) == 0 {
			w.Errorf("%s", r.Raw)
		}
		if _, err := w.s.Push(botID, Update{}); err != ErrClosed {
			w.Error(err)
		}
	})
}

func TestHookURL(t *testing.T) {
	for raw, want := range map[string]hookURL{
		"https://Bot.Example.com":            {https: true, host: "bot.example.com", port: 443, target: "/"},
		"bot.example.com:8443/a":             {https: true, host: "bot.example.com", port: 8443, target: "/a"},
		"HTTP://h/x?y#z":                     {host: "h", port: 80, target: "/x?y#z"},
		"https://u:p@[2001:db8::1]:88?q=a b": {https: true, userinfo: "u:p", host: "2001:db8::1", port: 88, target: "/?q=a%20b"},
	} {
		if got, ok := parseHookURL(raw); !ok || got != want {
			t.Errorf("%s: %+v, %v", raw, got, ok)
		}
	}
	for _, raw := range []string{"", "https://", "ftp://x", "https://x:y", "https://x:0", "https://[::1", "https://a b/"} {
		if got, ok := parseHookURL(raw); ok {
			t.Errorf("%s: %+v", raw, got)
		}
	}
}

// FuzzGetUpdates calls getUpdates with anything: it must answer, must never
// hand out an expired or confirmed update, and must keep the account.
func FuzzGetUpdates(f *testing.F) {
	f.Add("0", "100", "0", "", uint8(3))
	f.Add("-1", "0", "-5", "[]", uint8(9))
	f.Add("99999999999999999999", "x", "1e9", `["poll"]`, uint8(0))
	f.Add("-2147483648", "-1", "", `{"`, uint8(200))
	f.Fuzz(func(t *testing.T, offset, limit, timeout, allowed string, n uint8) {
		s := New(Options{Seed: 1})
		defer s.Close()
		id, _ := s.AddBot(token)
		_ = s.ResetSeries(id, 1000)
		for range n {
			if _, err := s.PushRaw(id, "message", []byte(`{"chat":{"id":1}}`)); err != nil {
				t.Fatal(err)
			}
		}
		c, err := s.inside(id, "getupdates", map[string]string{"offset": offset, "limit": limit, "timeout": timeout, "allowed_updates": allowed})
		if err != nil {
			t.Fatal(err)
		}
		b, _ := s.Bot(id)
		if !b.Parked {
			a := <-c.done
			var page []struct {
				ID int64 `json:"update_id"`
			}
			if a.code != 200 || json.Unmarshal(a.result, &page) != nil || len(page) > 100 {
				t.Fatalf("%+v", a)
			}
			for _, u := range page {
				if r, err := s.Record(id, u.ID); err != nil || r.State != StatePending || len(r.Returned) != 1 {
					t.Fatalf("%+v %v", r, err)
				}
			}
		}
		pending := 0
		for _, u := range b.Updates {
			if u.State == StatePending {
				pending++
			}
		}
		if k := b.Counters; pending != b.Pending || k.Pushed != pending+k.Polling+k.Cleared || k.Pushed != int(n) {
			t.Fatalf("%d pending of %d: %+v", pending, b.Pending, k)
		}
	})
}

// FuzzResponse: whatever a webhook answers, the reader comes to an end.
func FuzzResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\nContent-Type: application/json\r\n\r\nabc"))
	f.Fuzz(func(t *testing.T, data []byte) {
		br := newReader(data)
		for range 3 {
			r, err := readResponse(br)
			if err != nil {
				return
			}
			if !r.request && r.reason == "" && r.code == 0 && r.args != nil {
				t.Fatalf("%+v", r)
			}
		}
	})
}
