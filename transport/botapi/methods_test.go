package botapi

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestWire checks what goes over the wire for each method.
func TestWire(t *testing.T) {
	cert := []byte("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
	for _, tc := range []struct {
		name   string
		answer string
		call   func(*Client) (any, error)
		path   string
		want   map[string]any // JSON body; nil: none
		form   map[string]string
		result any
	}{
		{"first poll", `{"ok":true,"result":[]}`, func(c *Client) (any, error) {
			p, err := c.GetUpdates(within(time.Second), GetUpdates{Limit: 100})
			return len(p.Elements), err
		}, "getUpdates", map[string]any{"limit": 100.0, "timeout": 0.0}, nil, 0},
		{"long poll", `{"ok":true,"result":[{"update_id":5}]}`, func(c *Client) (any, error) {
			p, err := c.GetUpdates(within(time.Second), GetUpdates{Offset: 5, Limit: 50, Timeout: 25 * time.Second, AllowedUpdates: []string{"message"}})
			return len(p.Elements), err
		}, "getUpdates", map[string]any{"offset": 5.0, "limit": 50.0, "timeout": 25.0, "allowed_updates": []any{"message"}}, nil, 1},
		{"default types", `{"ok":true,"result":[]}`, func(c *Client) (any, error) {
			_, err := c.GetUpdates(within(time.Second), GetUpdates{AllowedUpdates: []string{}})
			return nil, err
		}, "getUpdates", map[string]any{"timeout": 0.0, "allowed_updates": []any{}}, nil, nil},
		{"set", `{"ok":true,"result":true,"description":"Webhook was set"}`, func(c *Client) (any, error) {
			r, err := c.SetWebhook(within(time.Second), SetWebhook{URL: "https://b.example.com/x", SecretToken: "s", IPAddress: "45.67.0.1", MaxConnections: 3, AllowedUpdates: []string{}})
			return r.Description, err
		}, "setWebhook", map[string]any{"url": "https://b.example.com/x", "secret_token": "s", "ip_address": "45.67.0.1", "max_connections": 3.0, "allowed_updates": []any{}}, nil, "Webhook was set"},
		{"set with certificate", `{"ok":true,"result":true}`, func(c *Client) (any, error) {
			_, err := c.SetWebhook(within(time.Second), SetWebhook{URL: "https://b.example.com/x", SecretToken: "s", MaxConnections: 3, AllowedUpdates: []string{"poll", "message"}, Certificate: cert, DropPending: true})
			return nil, err
		}, "setWebhook", nil, map[string]string{"url": "https://b.example.com/x", "secret_token": "s", "max_connections": "3", "allowed_updates": `["poll","message"]`, "drop_pending_updates": "true", "certificate": string(cert)}, nil},
		{"delete", `{"ok":true,"result":true,"description":"Webhook was deleted"}`, func(c *Client) (any, error) {
			r, err := c.DeleteWebhook(within(time.Second), false)
			return r.Description, err
		}, "deleteWebhook", map[string]any{"drop_pending_updates": false}, nil, "Webhook was deleted"},
		{"getMe", `{"ok":true,"result":{"id":123456789,"is_bot":true,"first_name":"N","username":"n_bot"}}`, func(c *Client) (any, error) {
			return c.GetMe(within(time.Second))
		}, "getMe", nil, nil, User{123456789, true, "N", "n_bot"}},
		{"info", `{"ok":true,"result":{"url":"https://b.example.com/x","has_custom_certificate":true,"pending_update_count":3,"ip_address":"<unknown>","last_error_date":1700000000,"last_error_message":"Connection refused","last_synchronization_error_date":1700000001,"max_connections":40,"allowed_updates":["message"],"new_field":1}}`, func(c *Client) (any, error) {
			i, err := c.GetWebhookInfo(within(time.Second))
			i.Date = time.Time{}
			return i, err
		}, "getWebhookInfo", nil, nil, WebhookInfo{URL: "https://b.example.com/x", HasCustomCertificate: true, PendingUpdateCount: 3, IPAddress: "<unknown>", LastErrorDate: time.Unix(1700000000, 0), LastErrorMessage: "Connection refused", LastSynchronizationErrorDate: time.Unix(1700000001, 0), MaxConnections: 40, AllowedUpdates: []string{"message"}}},
		{"info without webhook", `{"ok":true,"result":{"url":"","has_custom_certificate":false,"pending_update_count":0}}`, func(c *Client) (any, error) {
			i, err := c.GetWebhookInfo(within(time.Second))
			i.Date = time.Time{}
			return i, err
		}, "getWebhookInfo", nil, nil, WebhookInfo{}},
		{"raw", `{"ok":true,"result":{"a":[1]}}`, func(c *Client) (any, error) {
			r, err := c.Call(within(time.Second), PoolInfo, Retry{}, "getMyName", map[string]string{"language_code": "en"})
			return string(r), err
		}, "getMyName", map[string]any{"language_code": "en"}, nil, `{"a":[1]}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || r.URL.Path != "/prefix/bot"+testToken+"/"+tc.path || r.Header.Get("User-Agent") != "dualgram" {
					t.Errorf("%s %s", r.Method, r.URL.Path)
				}
				checkBody(t, r, tc.want, tc.form)
				answerWith(200, "application/json", tc.answer)(w, r)
			}), func(o *Options) { o.BaseURL += "/prefix/" }, func(r *rig) {
				got, err := tc.call(r.c)
				if err != nil || !reflect.DeepEqual(got, tc.result) {
					t.Errorf("got %+v, %v; want %+v", got, err, tc.result)
				}
			})
		})
	}
}

func checkBody(t *testing.T, r *http.Request, want map[string]any, form map[string]string) {
	ct, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if form != nil {
		mr := multipart.NewReader(r.Body, params["boundary"])
		got := map[string]string{}
		for {
			p, err := mr.NextPart()
			if err != nil {
				break
			}
			b, _ := io.ReadAll(p)
			got[p.FormName()] = string(b)
			if (p.FileName() != "") != (p.FormName() == "certificate") {
				t.Errorf("%s: file name %q", p.FormName(), p.FileName())
			}
		}
		if !reflect.DeepEqual(got, form) || ct != "multipart/form-data" {
			t.Errorf("form %v", got)
		}
		return
	}
	b, _ := io.ReadAll(r.Body)
	if want == nil {
		if len(b) != 0 {
			t.Errorf("body %s", b)
		}
		return
	}
	var got map[string]any
	if json.Unmarshal(b, &got) != nil || !reflect.DeepEqual(got, want) || ct != "application/json" {
		t.Errorf("%s: %s", ct, b)
	}
}

func TestRefusedBeforeSending(t *testing.T) {
	bubble(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("sent") }), nil, func(r *rig) {
		_, err1 := r.c.GetUpdates(within(time.Second), GetUpdates{Offset: -1})
		_, err2 := r.c.SetWebhook(within(time.Second), SetWebhook{})
		_, err3 := r.c.Call(within(time.Second), PoolInfo, Retry{}, "getMe/../x", nil)
		_, err4 := r.c.Call(within(time.Second), PoolInfo, Retry{}, "sendMessage", func() {})
		_, err5 := r.c.Call(within(time.Second), 9, Retry{}, "getMe", nil)
		for i, err := range []error{err1, err2, err3, err4, err5} {
			var e *Error
			if !errors.As(err, &e) || e.Kind != KindBadRequest || e.Code != 0 || e.MayHaveHappened {
				t.Errorf("%d: %v", i+1, err)
			}
		}
	})
}

func TestPageSizes(t *testing.T) {
	elem := `{"update_id":1,"x":"` + strings.Repeat("y", 1<<20) + `"}`
	page := `{"ok":true,"result":[` + strings.Repeat(elem+",", 14) + elem + `]}`
	gz := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, page)
		_ = z.Close()
	})
	bomb := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		for range 18 {
			_, _ = io.WriteString(z, elem)
		}
		_ = z.Close()
	})
	for name, tc := range map[string]struct {
		h    http.Handler
		kind Kind
		n    int
	}{"15 MiB": {answerWith(200, "application/json", page), "", 15}, "gzip": {gz, "", 15}, "bomb": {bomb, KindTooLarge, 0}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, tc.h, nil, func(r *rig) {
				p, err := r.c.GetUpdates(within(5*time.Second), GetUpdates{MaxBytes: 5})
				if KindOf(err) != tc.kind || len(p.Elements) != tc.n {
					t.Fatalf("%d elements, %v", len(p.Elements), err)
				}
				if tc.n > 0 && (string(p.Elements[14]) != elem || p.Size != len(page) || p.Date.IsZero()) {
					t.Error("not the bytes sent")
				}
			})
		})
	}
}
