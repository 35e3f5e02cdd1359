package telegramsim

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

var queueClauses = map[string]func(*testing.T){
	"S1": func(t *testing.T) {
		cloud(t, func(w *world) {
			first := w.push(Update{})
			if first < 2_000_001 || first > 1_000_000_000 {
				w.Errorf("first id %d", first)
			}
			if _, err := w.s.Push(botID, Update{Kind: "chat_member"}); !errors.Is(err, ErrFiltered) {
				w.Errorf("filtered: %v", err)
			}
			if _, err := w.s.Push(botID, Update{Text: strings.Repeat("x", 600<<10)}); !errors.Is(err, ErrTooBig) {
				w.Errorf("too big: %v", err)
			}
			if id := w.push(Update{}); id != first+1 {
				w.Errorf("second id %d after %d", id, first)
			}
			if err := w.s.ResetSeries(botID, 1_999_999_997); err != nil {
				w.Fatal(err)
			}
			a, b := w.push(Update{}), w.push(Update{})
			if a != 1_999_999_997 || b != 1_999_999_998 || w.s.Pending(botID) != 2 {
				w.Errorf("at the end of the ids: %d, %d, %d pending", a, b, w.s.Pending(botID))
			}
			c := w.push(Update{})
			if c > 1_000_000_000 || w.s.Pending(botID) != 1 {
				w.Errorf("after the end of the ids: %d, %d pending", c, w.s.Pending(botID))
			}
			if r := w.record(b); r.State != StateCleared {
				w.Errorf("the last of the old ids is %s", r.State)
			}
		})
	},
	"S2": func(t *testing.T) {
		lives := map[string]time.Duration{
			"inline_query": 30 * time.Second, "callback_query": 150 * time.Second, "shipping_query": 150 * time.Second,
			"pre_checkout_query": 150 * time.Second, "chosen_inline_result": 600 * time.Second,
		}
		cloud(t, func(w *world) {
			w.call("getUpdates", "allowed_updates", `["`+strings.Join(Kinds(), `","`)+`"]`)
			dated := []string{"message", "edited_message", "channel_post", "edited_channel_post", "business_message", "edited_business_message",
				"guest_message", "chat_member", "my_chat_member", "chat_join_request", "chat_boost", "removed_chat_boost", "message_reaction", "message_reaction_count"}
			for _, k := range Kinds() {
				want := lives[k]
				if want == 0 {
					want = 24 * time.Hour
				}
				if got := w.record(w.push(Update{Kind: k})).ExpiresAt.Sub(time.Now().Truncate(time.Second)); got != want {
					w.Errorf("%s is kept %v, want %v", k, got, want)
				}
				old := w.record(w.push(Update{Kind: k, Date: time.Now().Add(-10 * time.Hour)}))
				if slices.Contains(dated, k) {
					want -= 10 * time.Hour
				}
				if got := old.ExpiresAt.Sub(time.Now().Truncate(time.Second)); got != want {
					w.Errorf("%s of ten hours ago is kept %v, want %v", k, got, want)
				}
			}
		})
	},
	"S3": func(t *testing.T) {
		cloud(t, func(w *world) {
			if _, err := w.s.Push(botID, Update{Date: time.Now().Add(-24 * time.Hour)}); !errors.Is(err, ErrTooOld) {
				w.Errorf("a message of yesterday: %v", err)
			}
			w.push(Update{Date: time.Now().Add(-24*time.Hour + time.Second)})
		})
	},
	"S4": func(t *testing.T) {
		const chat, user = -1001234567890, 42
		cloud(t, func(w *world) {
			w.call("getUpdates", "allowed_updates", `["`+strings.Join(Kinds(), `","`)+`"]`)
			for kind, want := range map[string]int64{
				"message": chat, "edited_message": chat, "channel_post": chat, "edited_channel_post": chat,
				"inline_query": user + 1<<33, "chosen_inline_result": user + 2<<33, "callback_query": user + 3<<33,
				"shipping_query": user + 4<<33, "pre_checkout_query": user + 4<<33, "my_chat_member": chat + 5<<33,
				"chat_member": user + 6<<33, "chat_join_request": user + 6<<33, "chat_boost": chat + 7<<33, "removed_chat_boost": chat + 7<<33,
				"message_reaction": chat + 8<<33, "message_reaction_count": chat + 9<<33, "business_connection": user + 10<<33,
				"business_message": chat + 11<<33, "edited_business_message": chat + 11<<33, "deleted_business_messages": chat + 11<<33,
				"purchased_paid_media": user + 12<<33, "guest_message": chat + 12<<33, "managed_bot": user + 13<<33,
				"poll": 999, "poll_answer": 999,
			} {
				if got := w.record(w.push(Update{Kind: kind, Chat: chat, User: user, Poll: 999})).Queue; got != want {
					w.Errorf("%s is in queue %d, want %d", kind, got, want)
				}
			}
			if id, err := w.s.PushRaw(botID, "custom_event", []byte(`{}`)); err != nil || w.record(id).Queue != 0 {
				w.Errorf("custom event: %v", err)
			}
		})
	},
	"S5": func(t *testing.T) {
		cloud(t, func(w *world) {
			payload := []byte(`{"chat":{"id":1},"text":"` + strings.Repeat("x", 500<<10) + `"}`)
			n := 0
			for ; ; n++ {
				if _, err := w.s.PushRaw(botID, "message", payload); err != nil {
					if !errors.Is(err, ErrQueueFull) {
						w.Fatal(err)
					}
					break
				}
			}
			if want := (128 << 20) / (len(payload) + len(`"message":`)); n != want {
				w.Errorf("the queue took %d of 500 KiB, want %d", n, want)
			}
			w.s.ResetSeries(botID, 0)
			n = 0
			for ; ; n++ {
				if _, err := w.s.PushRaw(botID, "message", []byte(`{}`)); err != nil {
					break
				}
			}
			if n != 100_000 {
				w.Errorf("the queue took %d events", n)
			}
		})
	},
	"S6": func(t *testing.T) {
		local(t, func(w *world) {
			w.push(Update{})
			w.push(Update{Kind: "inline_query"})
			if got := len(w.ids()); got != 2 || w.s.Pending(botID) != 2 {
				w.Errorf("fetched %d, pending %d", got, w.s.Pending(botID))
			}
			time.Sleep(40 * time.Second)
			if w.s.Pending(botID) != 2 {
				w.Errorf("expired, before the collection: %d", w.s.Pending(botID))
			}
			time.Sleep(21 * time.Second)
			if w.s.Pending(botID) != 1 {
				w.Errorf("after the collection: %d", w.s.Pending(botID))
			}
			srv := w.listen("bot.example.com:80", nil, func(http.ResponseWriter, *http.Request) { time.Sleep(10 * time.Second) })
			w.set()
			time.Sleep(time.Second)
			if len(srv.arrivals()) != 1 || w.info().PendingUpdateCount != 1 {
				w.Errorf("in flight: %d pending", w.info().PendingUpdateCount)
			}
		})
	},
	"S7": func(t *testing.T) {
		local(t, func(w *world) {
			allowed := func(kind string) bool {
				_, err := w.s.Push(botID, Update{Kind: kind})
				return err == nil
			}
			if allowed("chat_member") || allowed("message_reaction") || allowed("message_reaction_count") || !allowed("my_chat_member") {
				w.Error("the default is wrong")
			}
			w.call("getUpdates", "allowed_updates", `["MESSAGE","chat_member"]`)
			if !allowed("message") || !allowed("chat_member") || allowed("callback_query") {
				w.Error("a list by getUpdates is not applied")
			}
			for _, same := range []string{"", `not json`, `{"a":1}`, `["message",1]`} {
				w.call("getUpdates", "allowed_updates", same)
				if allowed("callback_query") || !allowed("chat_member") {
					w.Errorf("allowed_updates=%q changed something", same)
				}
			}
			w.listen("bot.example.com:80", nil, nil)
			w.set() // sticky over transports
			if allowed("callback_query") || !slices.Equal(w.info().AllowedUpdates, []string{"message", "chat_member"}) {
				w.Errorf("after setWebhook without the parameter: %v", w.info().AllowedUpdates)
			}
			w.want(w.call("setWebhook", "url", hookAt, "allowed_updates", `["callback_query"]`), 200, "Webhook is already set")
			if !allowed("callback_query") || allowed("message") {
				w.Error("a no-op set does not apply the list")
			}
			w.call("deleteWebhook")
			for _, def := range []string{`[]`, `["nonsense"]`} {
				w.call("getUpdates", "allowed_updates", `["message"]`)
				w.call("getUpdates", "allowed_updates", def)
				if !allowed("callback_query") || allowed("chat_member") || w.info().AllowedUpdates != nil {
					w.Errorf("%s is not the default: %v", def, w.info().AllowedUpdates)
				}
			}
			before := w.s.Pending(botID)
			w.call("getUpdates", "allowed_updates", `["poll"]`)
			if w.s.Pending(botID) != before {
				w.Error("the list was applied to queued updates")
			}
		})
	},
}

func TestTelegramJSON(t *testing.T) {
	got, err := marshal(map[string]string{"text": "a/b <é> 🌸 \"q\""})
	if want := `{"text":"a\/b <\u00e9> \ud83c\udf38 \"q\""}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	if !bytes.Contains((&event{id: 5, payload: []byte(`"message":{}`)}).body(), []byte("{\"update_id\":5,\n\"message\":{}}")) {
		t.Error("body")
	}
}
