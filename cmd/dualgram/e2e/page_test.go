package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// form fills in a form of the page on the control listener, as a program with the
// token does. It returns the page that follows.
func (w *world) form(listen, path string, fields url.Values) (code int, body string) {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodPost, "http://"+listen+path, strings.NewReader(fields.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Bearer "+w.controlToken())
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	w.vault.search(w.t, "page "+path, string(raw))
	return resp.StatusCode, string(raw)
}

// controlToken waits for the token that dualgram makes.
func (w *world) controlToken() string {
	w.t.Helper()
	var raw []byte
	eventually(w.t, 5*time.Second, "control token", func() (err error) {
		raw, err = os.ReadFile(w.file("control-token"))
		return err
	})
	return strings.TrimSpace(string(raw))
}

// withControl gives dualgram the listener for the page with actions.
func (w *world) withControl() (listen string) {
	listen = freeAddr(w.t)
	w.conf.Control = ", listen: " + listen + ", token_file: " + w.file("control-token")
	return listen
}

// A drill that is begun on the page: it is asked for once more, everybody sees it, it
// goes on without the browser, and halting on the page ends it at once. The evidence
// says who.
func TestPageDrill(t *testing.T) {
	w := newWorld(t)
	listen := w.withControl()
	if err := os.Mkdir(w.file("experiments"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.conf.More = "chaos: {enabled: true, leashed: false}\ndrills: {quiet_after_start: 0s, quiet_after_error: 0s, experiments: " + w.file("experiments") + "}"
	code, out, errs := w.cli("drill", "new", "certificate-expired")
	if code != 0 {
		t.Fatal(errs)
	}
	w.write("experiments/certificate-expired.yaml", strings.NewReplacer("hold: 10s", "hold: 2s").Replace(out))
	p := w.run()
	w.flowing(5)
	fields := url.Values{"bot": {"orders"}, "do": {"drill"}, "experiment": {"certificate-expired"}, "reason": {"rehearsal with Bob"}, "name": {"Ann"}}
	p.phase("webhook", 10*time.Second)
	if code, body := w.form(listen, "/act", fields); code != http.StatusConflict || !strings.Contains(body, "may not begin") {
		t.Errorf("in its trial: %d %s", code, body)
	}
	p.until(60*time.Second, "a proven webhook", func(b botStatus) bool { return b.Phase == "webhook" && !b.Trial })
	eventually(t, 30*time.Second, "a drill may begin", func() error {
		if code, body := w.form(listen, "/act", fields); code != http.StatusOK || !strings.Contains(body, "It could begin now") {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})
	if runs := w.drillHistory().Runs; len(runs) > 0 {
		t.Errorf("unconfirmed, and run: %v", runs)
	}
	if code, body := w.form(listen, "/confirm", fields); code != http.StatusSeeOther {
		t.Fatalf("%d %s", code, body)
	}
	eventually(t, 30*time.Second, "the fault acts, and the page says so", func() error {
		_, body, err := p.observe("/")
		if err != nil || !strings.Contains(body, "Drill under way: certificate-expired on orders") || !strings.Contains(body, "Fault injected on purpose: tls.expired") {
			return fmt.Errorf("%v %t", err, strings.Contains(body, "Drill under way"))
		}
		return nil
	})
	fields.Set("do", "halt")
	fields.Set("reason", "enough")
	if code, body := w.form(listen, "/confirm", fields); code != http.StatusSeeOther {
		t.Fatalf("%d %s", code, body)
	}
	eventually(t, 5*time.Second, "no fault acts", func() error {
		if _, body, err := p.observe("/"); err != nil || strings.Contains(body, "Fault injected on purpose") {
			return fmt.Errorf("%v, or it still acts", err)
		}
		return nil
	})
	eventually(t, 60*time.Second, "the evidence", func() error {
		h, err := w.drillRuns()
		if err != nil {
			return err
		}
		if len(h.Runs) != 1 || h.Runs[0].Outcome != "aborted" || !strings.HasPrefix(h.Runs[0].By, "page (Ann) from 127.0.0.1:") {
			return fmt.Errorf("%+v", h.Runs)
		}
		return nil
	})
	w.settle(60*time.Second, 0)
	p.stop()
}
