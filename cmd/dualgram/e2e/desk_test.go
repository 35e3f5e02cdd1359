package e2e_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// The operator's desk, by the real binary: the API over TCP with its token, a dead
// letter looked at and tried again across a kill, the log's level for a while, and a
// bug report without anything that must not be in it.
func TestDesk(t *testing.T) {
	w := newWorld(t)
	tcp := freeAddr(t)
	tokenFile := w.file("control-token")
	w.conf.Control = ", listen: " + tcp + ", token_file: " + tokenFile
	w.conf.Deliver = "{forward: {url: " + w.bot.url + ", timeout: 3s}, max_attempts: 2, bury_after: 1s}"
	w.conf.Log = "{level: info}"
	p := w.run()
	p.phase("webhook", 15*time.Second)
	raw, err := os.ReadFile(tokenFile)
	if st, serr := os.Stat(tokenFile); err != nil || serr != nil || st.Mode().Perm() != 0o600 || len(strings.TrimSpace(string(raw))) < 43 {
		t.Fatalf("the token's file: %v %v %d bytes", err, serr, len(raw))
	}
	token := strings.TrimSpace(string(raw))
	w.vault.add("the control token", token)
	w.overTCP(tcp, token)
	poison := w.deadLetter(p)
	w.reported(p)

	// Tried again over TCP, with a kill right after the answer: it is not lost.
	env := environment("DUALGRAM_CONTROL_TOKEN_FILE=" + tokenFile)
	code, stdout, stderr := w.command(env, "inbox", "dead", "retry", "--all", "--reason", "the bot is repaired", "--control", "http://"+tcp)
	if code != 0 || !strings.Contains(stdout, "1 update back in its lane, 0 left") {
		t.Errorf("retry: %d %s%s", code, stdout, stderr)
	}
	p.kill()
	w.bot.refusing(nil)
	p = w.run()
	eventually(t, 20*time.Second, "the dead letter", func() error {
		if !w.bot.has(poison) {
			return errors.New("not delivered")
		}
		return p.running()
	})
	code, stdout, _ = w.cli("events", "--config", w.file("dualgram.yaml"), "--kind", "operator")
	for _, want := range []string{"dead retry (1) by tcp token from 127.0.0.1:", "the bot is repaired", fmt.Sprintf("reveal 1:%d by", poison), "log level debug for 1h"} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("the journal has no %q:\n%s", want, stdout)
		}
	}
	w.settle(20*time.Second, 1)
	p.stop()
}

// overTCP: nothing without the token, nothing for other sites, and all with it.
func (w *world) overTCP(tcp, token string) {
	w.t.Helper()
	c := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func(change func(*http.Request)) int {
		r := must(http.NewRequest(http.MethodGet, "http://"+tcp+"/v1/status", nil))
		change(r)
		resp, err := c.Do(r)
		if err != nil {
			w.t.Fatal(err)
		}
		defer resp.Body.Close()
		body := must(io.ReadAll(resp.Body))
		w.vault.search(w.t, "the answer over TCP", string(body))
		if !json.Valid(body) {
			w.t.Errorf("not JSON: %s", body)
		}
		return resp.StatusCode
	}
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	for name, x := range map[string]struct {
		change func(*http.Request)
		code   int
	}{
		"no token":     {func(*http.Request) {}, 401},
		"wrong token":  {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token[1:]+"x") }, 401},
		"token":        {bearer, 200},
		"rebound name": {func(r *http.Request) { bearer(r); r.Host = "evil.example" }, 403},
		"other site":   {func(r *http.Request) { bearer(r); r.Header.Set("Origin", "https://evil.example") }, 403},
	} {
		if got := ask(x.change); got != x.code {
			w.t.Errorf("%s: %d, want %d", name, got, x.code)
		}
	}
	code, _, stderr := w.command(environment("DUALGRAM_CONTROL_TOKEN_FILE="+w.file("secret")), "status", "--control", "http://"+tcp)
	if code != 2 {
		w.t.Errorf("the wrong file: %d %s", code, stderr)
	}
	code, stdout, stderr := w.cli("status", "--config", w.file("dualgram.yaml"), "--control", "http://"+tcp, "-o", "json")
	if code != 0 || !strings.Contains(stdout, `"schema": "dualgram/status/v1"`) {
		w.t.Errorf("status over TCP: %d %s%s", code, stdout, stderr)
	}
}

// deadLetter lets one update be given up, and looks at it.
func (w *world) deadLetter(p *process) int64 {
	w.t.Helper()
	poison := w.push(666)
	w.bot.refusing(func(id int64) bool { return id == poison })
	w.flowing(20)
	p.until(30*time.Second, "a dead letter", func(b botStatus) bool { return b.Dead == 1 })
	cfg := w.file("dualgram.yaml")
	code, stdout, stderr := w.cli("inbox", "dead", "list", "--config", cfg)
	if code != 0 || !strings.Contains(stdout, fmt.Sprintf("1:%d", poison)) {
		w.t.Errorf("dead list: %d %s%s", code, stdout, stderr)
	}
	// Its content is shown to whoever asks for it in so many words, and written down.
	cmd := []string{"inbox", "show", fmt.Sprint(poison), "--raw", "--config", cfg}
	code, stdout, stderr = w.unsearched(cmd...)
	var u struct {
		UpdateID int64 `json:"update_id"`
	}
	if code != 0 || json.Unmarshal([]byte(stdout), &u) != nil || u.UpdateID != poison {
		w.t.Errorf("show --raw: %d %s", code, stderr)
	}
	return poison
}

// reported: a report tells much, and nothing that it must not.
func (w *world) reported(p *process) {
	w.t.Helper()
	cfg := w.file("dualgram.yaml")
	if code, stdout, stderr := w.cli("log", "level", "debug", "--for", "1h", "--config", cfg); code != 0 || !strings.Contains(stdout, "debug by ") || !strings.Contains(stdout, "then info again") {
		w.t.Errorf("log level: %d %s%s", code, stdout, stderr)
	}
	before := strings.Count(p.stderr.String(), `"level":"debug"`)
	file := w.file("report.tar.gz")
	code, stdout, stderr := w.cli("bugreport", "--out", file, "--config", cfg)
	if code != 0 {
		w.t.Fatalf("bugreport: %d %s%s", code, stdout, stderr)
	}
	if st := must(os.Stat(file)); st.Mode().Perm() != 0o600 {
		w.t.Errorf("mode %v", st.Mode())
	}
	z := must(gzip.NewReader(must(os.Open(file))))
	var names []string
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		data := string(must(io.ReadAll(tr)))
		names = append(names, strings.TrimPrefix(h.Name, "dualgram-report/"))
		w.vault.search(w.t, "the report's "+h.Name, data)
		if strings.Contains(data, "/webhook/orders") || strings.Contains(data, "/updates") {
			w.t.Errorf("%s has the path of a URL", h.Name)
		}
		if want := map[string]string{"status.json": `"dead": 1`, "metrics.txt": "dualgram_", "goroutines.txt": "goroutine ", "config.json": hookHost, "events.json": `"kind": "phase"`,
			"inbox.json": `"lanes"`, "store.json": `"Dead": 1`}[names[len(names)-1]]; !strings.Contains(data, want) {
			w.t.Errorf("%s does not say %q", h.Name, want)
		}
	}
	for _, want := range []string{"README.txt", "client.txt", "status.json", "vitals.json", "config.json", "events.json", "metrics.txt", "store.json", "inbox.json", "drills.json", "faults.json", "log.json", "goroutines.txt", "build.txt", "host.json"} {
		if !slices.Contains(names, want) {
			w.t.Errorf("the report has no %s: %v", want, names)
		}
	}
	if code, _, stderr := w.cli("bugreport", "--out", file, "--config", cfg); code != 3 || !strings.Contains(stderr, "there already") {
		w.t.Errorf("over what is there: %d %s", code, stderr)
	}
	// What debug adds is a step or the change of a signal.
	if code, _, stderr := w.cli("switch", "polling", "--reason", "to see the steps", "--config", cfg); code != 0 {
		w.t.Errorf("switch: %d %s", code, stderr)
	}
	if after := strings.Count(p.stderr.String(), `"level":"debug"`); before != 0 || after == 0 {
		w.t.Errorf("%d lines of debug before, %d after", before, after)
	}
	if code, _, stderr := w.cli("switch", "auto", "--config", cfg); code != 0 {
		w.t.Errorf("switch auto: %d %s", code, stderr)
	}
}
