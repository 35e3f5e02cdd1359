package botapi

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

func TestSendMessage(t *testing.T) {
	bubble(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/bot"+testToken+"/sendMessage" {
			t.Errorf("%s", r.URL.Path)
		}
		checkBody(t, r, map[string]any{"chat_id": "-5", "text": "ü", "disable_notification": true, "link_preview_options": map[string]any{"is_disabled": true}}, nil)
		answerWith(200, "application/json", `{"ok":true,"result":{"message_id":7}}`)(w, r)
	}), nil, func(r *rig) {
		if err := r.c.SendMessage(within(time.Second), SendMessage{ChatID: "-5", Text: "ü", Silent: true}); err != nil {
			t.Error(err)
		}
		if len(r.calls) != 1 || r.calls[0].Pool != PoolNotify || PoolNotify.String() != "notify" {
			t.Errorf("%+v", r.calls)
		}
		if err := r.c.SendMessage(within(time.Second), SendMessage{Text: "x"}); KindOf(err) != KindBadRequest || len(r.calls) != 1 {
			t.Errorf("%v", err)
		}
	})
}

// A message is sent once, whatever the answer, and the error says what to do next.
func TestSendMessageRefused(t *testing.T) {
	for name, x := range map[string]struct {
		status int
		answer string
		want   Error
	}{
		"limited":  {429, `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 9","parameters":{"retry_after":9}}`, Error{Kind: KindRateLimited, Code: 429, RetryAfter: 9 * time.Second}},
		"migrated": {400, `{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1005}}`, Error{Kind: KindBadRequest, Code: 400, MigratedTo: -1005}},
		"blocked":  {403, `{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}`, Error{Kind: KindBadRequest, Code: 403}},
		"down":     {502, `<html>`, Error{Kind: KindServer, Code: 502}},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int64
			bubble(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				answerWith(x.status, "application/json", x.answer)(w, r)
			}), nil, func(r *rig) {
				err := r.c.SendMessage(within(time.Minute), SendMessage{ChatID: "-5", Text: "x"})
				var e *Error
				if !errors.As(err, &e) || e.Kind != x.want.Kind || e.Code != x.want.Code || e.RetryAfter != x.want.RetryAfter || e.MigratedTo != x.want.MigratedTo {
					t.Errorf("%#v", err)
				}
				if calls.Load() != 1 {
					t.Errorf("%d calls", calls.Load())
				}
			})
		})
	}
}
