package check

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/console"
	"dualgram/supervisor/warning"
	"dualgram/transport/botapi"
)

// Each of Telegram's last errors: what it is called, how bad it is, what to do. Old
// ones, and those after which deliveries came through, are no news.
func TestLastErrors(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		message string
		code    Code
		status  Status
		fix     string
	}{
		{"SSL error {error:0A000086:SSL routines::certificate verify failed}", WebhookError, Fail, "tls checks"},
		{"Read timeout expired", WebhookError, Fail, "149.154.160.0/20"},
		{"Connection timed out", WebhookError, Fail, "149.154.160.0/20"},
		{"Connection refused", WebhookError, Fail, "listens on the public port"},
		{"Connection reset by peer", WebhookError, Warn, "cuts connections"},
		{"No route to host", WebhookError, Fail, "routes"},
		{"Failed to resolve host: Name or service not known", WebhookError, Fail, "A record"},
		{"HTTP Version Not Supported", WebhookError, Warn, "HTTP/1.1"},
		{"Internal Server Error: can't create temporary file", WebhookError, Warn, "Telegram's side"},
		{"Wrong response from the webhook: 301 Moved Permanently", WebhookError, Warn, "redirect"},
		{"Wrong response from the webhook: 401 Unauthorized", SecretAgrees, Fail, "X-Telegram-Bot-Api-Secret-Token"},
		{"Wrong response from the webhook: 403 Forbidden", SecretAgrees, Fail, "X-Telegram-Bot-Api-Secret-Token"},
		{"Wrong response from the webhook: 404 Not Found", WebhookError, Warn, "path"},
		{"Wrong response from the webhook: 410 Gone", WebhookError, Warn, "23 hours"},
		{"Wrong response from the webhook: 429 Too Many Requests", WebhookError, Warn, "limit"},
		{"Wrong response from the webhook: 502 Bad Gateway", WebhookError, Warn, "where the proxy leads"},
		{"Something that nobody has seen yet", WebhookError, Warn, "detail says"},
	} {
		look := func(ago, arrived time.Duration, pending int, warns bool) Result {
			t.Helper()
			const hook = "https://bot.example.com/webhook"
			cfg := config.Defaults()
			cfg.Bots = []config.Bot{{Name: "a", Webhook: config.Webhook{PublicURL: hook, MaxConnections: 40}}}
			b := &bot{c: &cfg.Bots[0], url: &url.URL{}, info: botapi.WebhookInfo{URL: hook, LastErrorMessage: c.message, LastErrorDate: now.Add(-ago),
				Date: now, PendingUpdateCount: pending, MaxConnections: 40}}
			b.live = &console.Bot{Phase: "webhook", Webhook: &console.Webhook{LastArrivalAt: now.Add(-arrived)}}
			if warns {
				b.live.Warnings = []console.Warning{{Code: string(warning.TelegramErrors)}}
			}
			k := &checkup{cfg: cfg, status: console.Status{Schema: "x"}}
			f := &findings{}
			k.registration(t.Context(), b, f)
			r, ok := f.has(c.code)
			if !ok {
				t.Fatalf("%s: nothing of %s", c.message, c.code)
			}
			for _, other := range []Code{WebhookError, SecretAgrees} {
				if x, _ := f.has(other); other != c.code && x.Status != Pass {
					t.Errorf("%s: %+v too", c.message, x)
				}
			}
			k.dress(&r)
			return r
		}
		if r := look(time.Minute, time.Hour, 3, false); r.Status != c.status || !strings.Contains(r.Fix, c.fix) {
			t.Errorf("%s: %s %s | %s", c.message, r.Status, r.Detail, r.Fix)
		}
		if r := look(time.Minute, 10*time.Second, 3, false); r.Status != Pass {
			t.Errorf("%s, and something came since: %s %s", c.message, r.Status, r.Detail)
		}
		if r := look(time.Minute, 10*time.Second, 3, true); r.Status != c.status {
			t.Errorf("%s, and dualgram warns of more: %s %s", c.message, r.Status, r.Detail)
		}
		if r := look(time.Hour, 24*time.Hour, 0, false); r.Status != Pass {
			t.Errorf("%s an hour ago, with nothing pending: %s %s", c.message, r.Status, r.Detail)
		}
		if r := look(time.Hour, 24*time.Hour, 3, false); r.Status != c.status {
			t.Errorf("%s an hour ago, with three pending: %s %s", c.message, r.Status, r.Detail)
		}
	}
}

// What a stranger answered isn't quoted.
func TestLastErrorIsNotQuoted(t *testing.T) {
	const echo = "Wrong response from the webhook: POST /private-path HTTP/1.1\nX-Telegram-Bot-Api-Secret-Token: the-secret\n\n{\"text\":\"hello\"}"
	b := &bot{c: &config.Bot{}, url: &url.URL{}, info: botapi.WebhookInfo{LastErrorMessage: echo, LastErrorDate: time.Now(), Date: time.Now(), PendingUpdateCount: 1}}
	f := &findings{}
	(&checkup{cfg: config.Defaults()}).judgeError(b, f)
	for _, r := range f.all {
		for _, private := range []string{"private-path", "the-secret", "hello"} {
			if strings.Contains(r.Detail+r.Fix, private) {
				t.Errorf("%q: %s", private, r.Detail)
			}
		}
	}
}
