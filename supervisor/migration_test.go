package supervisor_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"dualgram/supervisor"
	"dualgram/supervisor/failover"
	"dualgram/transport/webhook"
)

// post sends one update as a relay without the secret would, and returns the
// status.
func (w *testWorld) post(t *testing.T, id int, header ...string) int {
	t.Helper()
	tr := &http.Transport{DialContext: w.net.From("149.154.167.220").Dial, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: w.ca.Pool(), ServerName: testHost, Time: time.Now}}
	body := fmt.Sprintf(`{"update_id":%d,"message":{"message_id":1,"chat":{"id":7},"text":"x"}}`, id)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, testURL, bytes.NewReader([]byte(body)))
	must0(t, err)
	for _, h := range header {
		req.Header[webhook.SecretHeader] = []string{h}
	}
	resp, err := tr.RoundTrip(req)
	must0(t, err)
	_ = resp.Body.Close()
	return resp.StatusCode
}

func (h *host) warning(t *testing.T, code string) string {
	t.Helper()
	s, err := h.sup.Status(t.Context())
	must0(t, err)
	for _, w := range s.Bots[0].Warnings {
		if w.Code == code {
			return w.Text
		}
	}
	return ""
}

// TestMigration: for the time asked for, from the first start on and not from the
// last one, requests without the header are taken and counted; a wrong one never
// is. The end is journaled and enforced.
func TestMigration(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		length := 10 * time.Minute
		w.tune = func(o *supervisor.BotOptions) { o.Webhook.SecretMigration = length }
		h := w.start(nil)
		must0(t, h.await("webhook", true, 10*time.Second))
		waitFor(t, "beginning", 5*time.Second, func() bool { return w.saw(supervisor.SecretMigrationBegun) })
		began := time.Now()
		for i := range 3 {
			if got := w.post(t, 1000+i); got != http.StatusOK {
				t.Fatalf("no header: %d", got)
			}
		}
		if got := w.post(t, 2000, "wrong"); got != http.StatusForbidden {
			t.Errorf("a wrong header: %d", got)
		}
		if got := w.post(t, 2000, ""); got != http.StatusForbidden {
			t.Errorf("an empty header: %d", got)
		}
		time.Sleep(2 * time.Minute)
		if text := h.warning(t, "secret_migration"); !strings.HasPrefix(text, "3 so far; for another 8m0s") {
			t.Errorf("warning %q", text)
		}
		must0(t, h.stop())
		time.Sleep(4 * time.Minute)
		h = w.start(nil)
		must0(t, h.await("webhook", false, time.Minute*2))
		if got := w.post(t, 1003); got != http.StatusOK {
			t.Errorf("after a restart: %d", got)
		}
		time.Sleep(time.Second) // the status is as of the last tick
		if text := h.warning(t, "secret_migration"); !strings.HasPrefix(text, "4 so far") {
			t.Errorf("warning %q", text)
		}
		time.Sleep(time.Until(began.Add(length).Add(-5 * time.Second)))
		if got := w.post(t, 1004); got != http.StatusOK {
			t.Errorf("just before the end: %d", got)
		}
		time.Sleep(10 * time.Second)
		for _, when := range []string{"after the end", "after the end and a restart"} {
			if got := w.post(t, 1005); got != http.StatusForbidden {
				t.Errorf("%s: %d", when, got)
			}
			if text := h.warning(t, "secret_migration"); text != "" {
				t.Errorf("%s: %q", when, text)
			}
			must0(t, h.stop())
			h = w.start(nil)
			must0(t, h.await("webhook", false, time.Minute*2))
		}
		time.Sleep(time.Second)
		ends := 0
		for _, e := range w.story() {
			if e.Kind == supervisor.EventSecret && e.Name == supervisor.SecretMigrationEnded {
				ends++
				if e.Count != 5 {
					t.Errorf("%d were taken", e.Count)
				}
			}
		}
		if ends != 1 {
			t.Errorf("ended %d times", ends)
		}
		must0(t, h.stop())
		// More time is an operator's word; so is turning it off and on.
		length = time.Hour
		h = w.start(nil)
		must0(t, h.await("webhook", false, time.Minute*2))
		if got := w.post(t, 1006); got != http.StatusOK {
			t.Errorf("a longer one: %d", got)
		}
		must0(t, h.stop())
		length = 0
		h = w.start(nil)
		must0(t, h.await("webhook", false, time.Minute*2))
		if got := w.post(t, 1007); got != http.StatusForbidden {
			t.Errorf("turned off: %d", got)
		}
		must0(t, h.stop())
		length = time.Minute
		h = w.start(nil)
		must0(t, h.await("webhook", false, time.Minute*2))
		if got := w.post(t, 1008); got != http.StatusOK {
			t.Errorf("turned on again: %d", got)
		}
		must0(t, h.stop())
	})
}

// TestMigrationIsNoEvidence: what anybody can send without a secret neither proves
// a webhook nor hides that Telegram's deliveries don't arrive.
func TestMigrationIsNoEvidence(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		t.Run(fmt.Sprintf("networks %v", allowed), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *testWorld) {
				w.tune = func(o *supervisor.BotOptions) {
					o.Webhook.SecretMigration = time.Hour
					o.Policy = failover.Policy{HoldDown: 10 * time.Second, MaxHoldDown: 10 * time.Second}
					if allowed {
						o.Webhook.Networks = []netip.Prefix{netip.MustParsePrefix("149.154.160.0/20")}
					}
				}
				h := w.start(nil)
				must0(t, h.await("webhook", true, 10*time.Second))
				for i := range 25 { // a quiet webhook is proven after 65 s, a busy one after 20 s
					w.post(t, 1000+i)
					time.Sleep(time.Second)
				}
				if _, trial := h.phase(); trial == allowed {
					t.Errorf("trial %v after 25 s of requests without the header", trial)
				}
				must0(t, h.stop())
			})
		})
	}
}
