package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// outside is everybody that dualgram speaks to on its own account: a receiver of
// notifications, a chat, a watcher.
type outside struct {
	mu   sync.Mutex
	got  map[string][]string // the bodies by path
	sign []string
}

func (o *outside) serve(t *testing.T, api string) string {
	o.got = map[string][]string{}
	front := httputil.NewSingleHostReverseProxy(must(url.Parse("http://" + api)))
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		chat := strings.HasSuffix(r.URL.Path, "/sendMessage")
		if !chat && !strings.HasPrefix(r.URL.Path, "/out/") {
			front.ServeHTTP(rw, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		path := r.URL.Path
		if chat {
			path = "chat"
			_, _ = io.WriteString(rw, `{"ok":true,"result":{"message_id":1}}`)
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.got[path] = append(o.got[path], string(body))
		if s := r.Header.Get("Dualgram-Signature"); s != "" {
			o.sign = append(o.sign, s)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func (o *outside) bodies(path string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.got[path]...)
}

// People are told of a warning once on each channel, and when it is over; a watcher
// hears that all is well; and `dualgram notify test` tries all of it.
func TestOutward(t *testing.T) {
	w := newWorld(t)
	var out outside
	base := out.serve(t, w.api.addr)
	w.vault.secret("hunter2hunter2")
	w.vault.secret("s1gn1ngs3cret")
	w.conf.API = base
	w.conf.More = fmt.Sprintf(`notify:
  webhook: {url_file: %s, secret_file: %s}
  telegram: {chat_id: -100123}
  min_severity: warning
heartbeat: {url_file: %s, interval: 10s, style: healthchecks}`,
		w.write("hook-url", base+"/out/hook/hunter2hunter2\n"), w.write("hook-secret", "s1gn1ngs3cret\n"), w.write("beat-url", base+"/out/beat/hunter2hunter2\n"))
	p := w.run()
	w.steady(p)

	code, stdout, stderr := w.cli("notify", "test", "--config", w.file("dualgram.yaml"))
	if code != 0 || strings.Count(stdout, "sent") != 3 {
		t.Errorf("notify test: %d %s%s", code, stdout, stderr)
	}
	if m := out.bodies("/out/hook/hunter2hunter2"); len(m) != 1 || !strings.Contains(m[0], `"status":"test"`) || !strings.HasPrefix(out.sign[0], "t=") {
		t.Errorf("the webhook got %q", m)
	}
	if m := out.bodies("chat"); len(m) != 1 || !strings.Contains(m[0], "Nothing is wrong") {
		t.Errorf("the chat got %q", m)
	}
	if m := out.bodies("/out/beat/hunter2hunter2/start"); len(m) != 1 {
		t.Errorf("the watcher heard %q", m)
	}
	eventually(t, 5*time.Second, "heartbeats", func() error {
		if m := out.bodies("/out/beat/hunter2hunter2"); len(m) < 2 {
			return fmt.Errorf("%q", m)
		}
		return nil
	})

	if code, stdout, stderr = w.cli("hold", "--reason", "a test", "--config", w.file("dualgram.yaml")); code != 0 {
		t.Fatalf("hold: %s%s", stdout, stderr)
	}
	told := func(path, state string) func() error {
		return func() error {
			for _, m := range out.bodies(path)[1:] {
				if strings.Contains(m, state) {
					return nil
				}
			}
			return errors.New("not told")
		}
	}
	// A start is quiet for half a minute.
	eventually(t, 50*time.Second, "the webhook is told", told("/out/hook/hunter2hunter2", `"state":"raised","bot":"orders","code":"automation_held"`))
	eventually(t, 5*time.Second, "the chat is told", told("chat", "dualgram runbook automation_held"))
	var m struct {
		Schema, Host, Severity string
		Warnings               []struct{ Code string }
	}
	if err := json.Unmarshal([]byte(out.bodies("/out/hook/hunter2hunter2")[1]), &m); err != nil || m.Schema != "dualgram/notification/v1" || m.Host == "" || m.Severity != "warning" {
		t.Errorf("%+v, %v", m, err)
	}
	if code, stdout, stderr = w.cli("events", "--kind", "notice", "--config", w.file("dualgram.yaml")); code != 0 || !strings.Contains(stdout, "1 warning told by webhook, raised automation_held (orders)") {
		t.Errorf("events: %s%s", stdout, stderr)
	}
	metrics := p.scrape()
	for _, line := range []string{`dualgram_notifications_sent_total{channel="webhook"} 1`, `dualgram_notifications_failed_total{channel="telegram"} 0`, "dualgram_heartbeats_failed_total 0"} {
		if !strings.Contains(metrics, line) {
			t.Errorf("metrics don't say %s", line)
		}
	}
	if strings.Contains(metrics, "dualgram_heartbeat_last_success_timestamp_seconds 0") {
		t.Error("no heartbeat was noted")
	}
	w.settle(20*time.Second, 0)
	p.stop()
}
