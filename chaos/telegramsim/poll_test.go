package telegramsim

import (
	"bytes"
	"context"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func str(v int64) string { return strconv.FormatInt(v, 10) }

var pollClauses = map[string]func(*testing.T){
	"S8": func(t *testing.T) {
		local(t, func(w *world) {
			id := w.push(Update{})
			w.s.SetKnobs(Knobs{Local: true, DNSDelay: 5 * time.Second})
			set := w.goCall("setWebhook", "url", hookAt)
			w.want(w.call("getUpdates", "offset", str(id+1)), 409, conflictWebhook) // being set
			w.want(<-set, 200, "Webhook was set")
			time.Sleep(5 * time.Second)
			w.want(w.call("getUpdates", "offset", str(id+1)), 409, conflictWebhook)
			if w.s.Pending(botID) != 1 {
				w.Error("a refused call confirmed something")
			}
		})
	},
	"S9": func(t *testing.T) {
		cloud(t, func(w *world) {
			for range 120 {
				w.push(Update{})
			}
			for limit, want := range map[string]int{"": 100, "0": 1, "-3": 1, "7": 7, "100": 100, "1000": 100, "12abc": 12} {
				time.Sleep(time.Second)
				if got := len(w.ids("limit", limit)); got != want {
					w.Errorf("limit %q gives %d, want %d", limit, got, want)
				}
			}
			send := func(method, path, contentType, body string) int {
				time.Sleep(time.Second)
				req, _ := http.NewRequest(method, "http://api.telegram.org/bot"+token+"/"+path, strings.NewReader(body))
				if contentType != "" {
					req.Header.Set("Content-Type", contentType)
				}
				return len(pageIDs(w.T, w.send(req)))
			}
			if n := send("GET", "GETUPDATES?limit=3", "", ""); n != 3 {
				w.Errorf("query: %d", n)
			}
			if n := send("POST", "getupdates", "application/json", `{"limit": 4, "offset": null, "allowed_updates": ["message"]}`); n != 4 {
				w.Errorf("JSON: %d", n)
			}
			if n := send("POST", "getUpdates", "application/json", `{"limit": `); n != 100 {
				w.Errorf("bad JSON is ignored: %d", n)
			}
			var b bytes.Buffer
			m := multipart.NewWriter(&b)
			m.WriteField("limit", "5")
			m.Close()
			if n := send("POST", "GetUpdates", m.FormDataContentType(), b.String()); n != 5 {
				w.Errorf("multipart: %d", n)
			}
			time.Sleep(time.Second)
			w.ids("offset", str(w.ids()[99]+21))
			start := time.Now()
			w.ids("timeout", "60", "offset", "-1")
			if d := time.Since(start).Truncate(time.Millisecond); d != 50*time.Second {
				w.Errorf("timeout 60 took %v", d)
			}
		})
	},
	"S10": func(t *testing.T) {
		cloud(t, func(w *world) {
			a := w.push(Update{})
			w.push(Update{})
			equal(w, "page", w.ids("offset", str(a+1)), []int64{a + 1})
			if r := w.record(a); r.State != StateAcknowledged || r.By != Polling || !r.Unseen {
				w.Errorf("confirmed without having been seen: %+v", r)
			}
			if r := w.record(a + 1); r.State != StatePending || len(r.Returned) != 1 {
				w.Errorf("returned: %+v", r)
			}
			// Parked and then displaced: confirmed all the same.
			old := w.goCall("getUpdates", "offset", str(a+2), "timeout", "50")
			if w.s.Pending(botID) != 0 {
				w.Error("a parked call has not confirmed")
			}
			newer := w.goCall("getUpdates", "timeout", "5")
			w.want(<-old, 409, conflictPoll)
			<-newer
			// The client is gone before the answer.
			c := w.push(Update{})
			w.s.SetKnobs(Knobs{Latency: 2 * time.Second})
			ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
			defer cancel()
			w.do(ctx, "getUpdates", "offset", str(c+1))
			if r := w.record(c); r.State != StateAcknowledged || !r.Unseen {
				w.Errorf("client gone: %+v", r)
			}
		})
	},
	"S11": func(t *testing.T) {
		cloud(t, func(w *world) {
			first := w.push(Update{})
			for range 9 {
				w.push(Update{})
			}
			for _, offset := range []string{"", "0"} {
				if got := w.ids("offset", offset); got[0] != first || w.s.Pending(botID) != 10 {
					w.Errorf("offset %q: from %d, %d left", offset, got[0], w.s.Pending(botID))
				}
				time.Sleep(time.Second)
			}
			equal(w, "the last three", w.ids("offset", "-3"), []int64{first + 7, first + 8, first + 9})
			if w.s.Pending(botID) != 3 || w.record(first).State != StateCleared {
				w.Errorf("%d left, first is %s", w.s.Pending(botID), w.record(first).State)
			}
		})
	},
	"S12": func(t *testing.T) {
		cloud(t, func(w *world) {
			w.s.ResetSeries(botID, 500_000)
			a := w.push(Update{})
			b := w.push(Update{})
			tail := b + 1
			for _, off := range []int64{tail + 11, 2_000_000_000, a - 100_001, 1} {
				equal(w, "offset "+str(off), w.ids("offset", str(off)), []int64{a, b})
				time.Sleep(4 * time.Second)
			}
			equal(w, "lowest in range", w.ids("offset", str(a-100_000)), []int64{a, b})
			equal(w, "highest in range", w.ids("offset", str(tail+10)), []int64{})
			if w.s.Pending(botID) != 0 {
				w.Error("tail+10 confirmed nothing")
			}
		})
	},
	"S13": func(t *testing.T) {
		cloud(t, func(w *world) {
			id := w.push(Update{})
			poll := w.goCall("getUpdates", "offset", str(id+4), "timeout", "50")
			for range 3 {
				w.push(Update{})
			}
			equal(w, "the woken poll", pageIDs(w.T, <-poll), []int64{})
			if r := w.record(id + 3); r.State != StateAcknowledged || !r.Unseen {
				w.Errorf("%+v", r)
			}
			w.push(Update{})
			equal(w, "the next", w.ids(), []int64{id + 4})
		})
	},
	"S14": func(t *testing.T) {
		cloud(t, func(w *world) {
			a, b := w.push(Update{Kind: "inline_query"}), w.push(Update{})
			time.Sleep(30 * time.Second)
			equal(w, "at 30 s", w.ids(), []int64{a, b})
			time.Sleep(time.Second)
			equal(w, "at 31 s", w.ids(), []int64{b})
			if r := w.record(a); r.State != StateExpired {
				w.Errorf("%+v", r)
			}
		})
	},
	"S15": func(t *testing.T) {
		cloud(t, func(w *world) {
			for range 20 {
				w.push(Update{Text: strings.Repeat("x", 400<<10)})
			}
			r := w.call("getUpdates")
			if n := len(pageIDs(w.T, r)); n != 10 || len(r.Raw) > 4<<20+100 {
				w.Errorf("%d updates in %d bytes", n, len(r.Raw))
			}
		})
	},
	"S16": func(t *testing.T) {
		cloud(t, func(w *world) {
			timed := func(args ...string) time.Duration {
				start := time.Now()
				w.ids(args...)
				return time.Since(start).Truncate(time.Millisecond)
			}
			if d := timed(); d != 0 {
				w.Errorf("first call took %v", d)
			}
			time.Sleep(2900 * time.Millisecond)
			if d := timed("timeout", "1"); d != 3*time.Second {
				w.Errorf("same offset after 2.9 s took %v", d)
			}
			if d := timed("timeout", "1"); d != time.Second {
				w.Errorf("same offset after 3 s took %v", d)
			}
			if d := timed("offset", "5"); d != 0 {
				w.Errorf("another offset took %v", d)
			}
			time.Sleep(4 * time.Second)
			for range 5 {
				w.push(Update{})
			}
			if n := len(w.ids()); n != 5 {
				w.Errorf("first page has %d", n)
			}
			if n := len(w.ids()); n != 1 {
				w.Errorf("page in a hurry has %d", n)
			}
			time.Sleep(600 * time.Millisecond)
			if n := len(w.ids()); n != 5 {
				w.Errorf("page after 0.6 s has %d", n)
			}
		})
	},
	"S17": func(t *testing.T) {
		cloud(t, func(w *world) {
			start := time.Now()
			equal(w, "empty", w.ids("timeout", "10"), []int64{})
			if d := time.Since(start).Truncate(time.Millisecond); d != 10*time.Second {
				w.Errorf("took %v", d)
			}
			poll := w.goCall("getUpdates", "timeout", "50", "offset", "0")
			time.Sleep(7 * time.Second)
			start = time.Now()
			a := w.push(Update{})
			time.Sleep(700 * time.Microsecond)
			w.push(Update{})
			time.Sleep(700 * time.Microsecond)
			w.push(Update{})
			got := pageIDs(w.T, <-poll)
			equal(w, "woken", got, []int64{a, a + 1, a + 2})
			if d := time.Since(start).Round(100 * time.Microsecond); d != 2*time.Millisecond {
				w.Errorf("woken after %v", d)
			}
			w.ids("offset", str(a+3))
			poll = w.goCall("getUpdates", "timeout", "50", "offset", "1")
			start = time.Now()
			w.push(Update{})
			<-poll
			if d := time.Since(start).Round(100 * time.Microsecond); d != time.Millisecond {
				w.Errorf("a single update woke it after %v", d)
			}
		})
	},
	"S18": func(t *testing.T) {
		cloud(t, func(w *world) {
			old := w.goCall("getUpdates", "timeout", "50")
			equal(w, "timeout 0", w.ids("offset", "3"), []int64{})
			if b, _ := w.s.Bot(botID); !b.Parked {
				w.Error("a call that need not park displaced the parked one")
			}
			newer := w.goCall("getUpdates", "timeout", "2", "offset", "4")
			w.want(<-old, 409, conflictPoll)
			equal(w, "the newer", pageIDs(w.T, <-newer), []int64{})
			old = w.goCall("getUpdates", "timeout", "50", "offset", "5")
			id := w.push(Update{})
			equal(w, "the newer has data at once", w.ids("timeout", "50"), []int64{id})
			equal(w, "and so has the older", pageIDs(w.T, <-old), []int64{id})
		})
	},
	"S19": func(t *testing.T) {
		cloud(t, func(w *world) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if r := w.do(ctx, "getUpdates", "timeout", "50"); r.Err == nil {
				w.Fatal("the client did not give up")
			}
			time.Sleep(time.Second)
			if b, _ := w.s.Bot(botID); !b.Parked {
				w.Error("the call left its slot with its client")
			}
			id := w.push(Update{})
			time.Sleep(time.Second)
			equal(w, "nothing was confirmed", w.ids(), []int64{id})
			if b, _ := w.s.Bot(botID); b.Parked {
				w.Error("still parked after an update")
			}
		})
	},
	"S20": func(t *testing.T) {
		local(t, func(w *world) {
			w.set()
			time.Sleep(4 * time.Second)
			var got []time.Duration
			start := time.Now()
			ch := []<-chan result{}
			for range 3 {
				ch = append(ch, w.goCall("getUpdates"))
				time.Sleep(100 * time.Millisecond)
			}
			for _, c := range ch {
				w.want(<-c, 409, conflictWebhook)
				got = append(got, time.Since(start).Truncate(100*time.Millisecond))
			}
			equal(w, "409s", got, []time.Duration{300 * time.Millisecond, 3100 * time.Millisecond, 3200 * time.Millisecond})
			start = time.Now()
			w.want(w.call("getUpdates"), 409, conflictWebhook)
			if d := time.Since(start); d != 0 {
				w.Errorf("after 3 s a 409 took %v", d)
			}
			synctest.Wait()
		})
	},
}
