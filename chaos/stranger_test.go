package chaos

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// ask posts as our own probe does, or as Telegram.
func (c *client) ask(t *testing.T, probe bool) (status int, page string) {
	t.Helper()
	req, _ := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://"+host+"/webhook/orders", strings.NewReader(`{"update_id":1}`))
	req.Header.Set(secretHeader, secret)
	if probe {
		req.Header.Set(probeHeader, "c0ffee")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// The stranger of a drill takes the probes and no delivery; the one that takes
// deliveries is destructive, and leaves the probes.
func TestStrangers(t *testing.T) {
	bubble(t, "impostor", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		l := r.inject(Spec{Kind: "http.impostor"})
		c := r.client()
		if code, page := c.ask(t, true); code != 200 || !strings.Contains(page, "Welcome") || r.handled.Load() != 0 {
			t.Errorf("a probe: %d %q, %d handled", code, page, r.handled.Load())
		}
		if code, page := c.ask(t, false); code != 200 || page != "ok" || r.handled.Load() != 1 || l.Status().Fired != 1 {
			t.Errorf("a delivery: %d %q, %d handled, %+v", code, page, r.handled.Load(), l.Status())
		}
	})
	bubble(t, "thief", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		if _, err := r.reg.Inject(Spec{Kind: "http.swallow"}); !errors.Is(err, ErrDestructive) {
			t.Errorf("it is not destructive: %v", err)
		}
		r = newRig(t, rigOptions{chaos: Options{Destructive: true}})
		r.inject(Spec{Kind: "http.swallow", Count: 1})
		c := r.client()
		if code, page := c.ask(t, true); code != 200 || page != "ok" || r.handled.Load() != 1 {
			t.Errorf("a probe: %d %q, %d handled", code, page, r.handled.Load())
		}
		if code, page := c.ask(t, false); code != 200 || page != "" || r.handled.Load() != 1 {
			t.Errorf("a delivery: %d %q, %d handled", code, page, r.handled.Load())
		}
		if code, page := c.ask(t, false); code != 200 || page != "ok" || r.handled.Load() != 2 {
			t.Errorf("the next: %d %q, %d handled", code, page, r.handled.Load())
		}
	})
}

// answering is a Bot API with one answer.
type answering struct {
	status int
	body   string
}

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	closeBody(r)
	return response(r, a.status, "application/json", a.body), nil
}

func TestForeignWebhook(t *testing.T) {
	const mine = `{"ok":true,"result":{"url":"https://mine.example.com/hook","pending_update_count":12345678901,"ip_address":"192.0.2.7"}}`
	for name, c := range map[string]struct {
		method string
		api    answering
		want   string
	}{
		"info":           {"getWebhookInfo", answering{200, mine}, `{"ok":true,"result":{"ip_address":"192.0.2.7","pending_update_count":12345678901,"url":"https://else.invalid/"}}`},
		"any case":       {"GETWEBHOOKINFO", answering{200, mine}, `{"ok":true,"result":{"ip_address":"192.0.2.7","pending_update_count":12345678901,"url":"https://else.invalid/"}}`},
		"another method": {"getMe", answering{200, mine}, mine},
		"refused":        {"getWebhookInfo", answering{401, `{"ok":false}`}, `{"ok":false}`},
		"no info":        {"getWebhookInfo", answering{200, `{"ok":true,"result":true}`}, `{"ok":true,"result":true}`},
		"no JSON":        {"getWebhookInfo", answering{200, `<html>`}, `<html>`},
	} {
		t.Run(name, func(t *testing.T) {
			reg := New(Options{Enabled: true})
			defer func() { _ = reg.Close() }()
			if _, err := reg.Inject(Spec{Kind: "botapi.foreign_webhook", Params: map[string]string{"url": "https://else.invalid/"}}); err != nil {
				t.Fatal(err)
			}
			a := call(context.Background(), reg.RoundTripper(c.api), c.method)
			if a.err != nil || a.status != c.api.status || a.body != c.want || a.reuse {
				t.Errorf("%+v", a)
			}
		})
	}
}
