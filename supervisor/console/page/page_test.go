package page

import (
	"flag"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"dualgram/supervisor/console"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	time.Local = time.UTC // what is shown is in the zone of the host
	os.Exit(m.Run())
}

var noon = time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)

// markup renders the fixture at noon. The address of the files is left out.
func markup(t *testing.T, f *fixture, control bool) string {
	t.Helper()
	p := f.page()
	v, err := p.looked(t.Context(), noon)
	if err != nil {
		t.Fatal(err)
	}
	if control {
		v.Control = p.controls(v, console.Caller{User: console.TokenUser, UID: -1, Remote: "127.0.0.1:50000"}, "")
	}
	var b strings.Builder
	if err := p.t.set.ExecuteTemplate(&b, "page", v); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(b.String(), p.t.hash, "HASH")
}

// The page as it is, with and without actions.
func TestGolden(t *testing.T) {
	for name, control := range map[string]bool{"observe": false, "control": true} {
		got := markup(t, newFixture(noon), control)
		file := filepath.Join("testdata", name+".html")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			line := 0
			for a, b := strings.Split(got, "\n"), strings.Split(string(want), "\n"); line < min(len(a), len(b)) && a[line] == b[line]; {
				line++
			}
			t.Errorf("%s differs from line %d on; see it with -update and git diff", file, line+1)
		}
	}
}

// All that the page has to say is in the markup: it needs no script.
func TestFactsWithoutScript(t *testing.T) {
	text := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(markup(t, newFixture(noon), false), "\x00")
	text = regexp.MustCompile(`\x00+`).ReplaceAllString(text, " ")
	text = strings.Join(strings.Fields(html.UnescapeString(text)), " ")
	for _, want := range []string{
		"v1.4.0 up 3d 4h store 48.0 MiB",
		"Fault injected on purpose: net.blackhole , 41s left. It has hit 118. By ann (pid 4711): quarterly rehearsal",
		"Drill under way: black-hole on orders . Since 11:57:25. Fault: the faults act.",
		"Updates come by polling for 3m , since 11:57:30 Why Stall: 23 pending at Telegram in 6 samples over 3.2 s, nothing arrived. Next The webhook is tried again in 57s",
		"Failback is frozen critical for 3m", "Runbook: Failback is frozen",
		"Pending at Telegram 23", "Waiting here 12 in 11 lanes", "Oldest undelivered 1m 35s", "Standby ready", "Breaker, deliveries half-open", "Breaker, Bot API closed", "Probe bad", "Certificate 63 days until 3 May 2026",
		"Dead letters 2", "Quarantine 1", "Missing or lost 3 missing 0 lost", "Last by webhook 3m 4s ago",
		"webhook 0 /s polling 2.4 /s",
		"From webhook to polling in 4.1s, stall", "switch polling for 30m, by ann (pid 4711): new proxy", "2 updates are lost", "Somebody else takes this bot's updates",
		"stall tripped for 3m 23 pending", "drift disabled", "store ok", "c-1001234567890 4 1m 35s in 12s", "c42 2 8s under way", "9 more",
		"Pinned to webhook for another 22m by page (ann) from 127.0.0.1:51234: firewall is being changed",
		"Standby not ready getUpdates: 502 Bad Gateway", "Certificate 9 days", "Drills are halted info for 2h By ann", "Empty: the bot has taken everything.",
	} {
		if !strings.Contains(strings.ToLower(text), strings.ToLower(want)) {
			t.Errorf("the page doesn't say %q", want)
		}
	}
	if strings.Contains(text, "A fault is injected on purpose") {
		t.Error("the warning is shown beside the banner that says it")
	}
	if n := strings.Count(markup(t, newFixture(noon), false), "/runbooks/no_such_page"); n > 0 {
		t.Error("a link to a runbook that there isn't")
	}
}

// Whatever an error or a reason holds stays text, and nothing needs what the policy
// forbids.
func TestNothingInline(t *testing.T) {
	f := newFixture(noon)
	evil := `<script>alert(1)</script>"><img src=x onerror='alert(2)'>`
	b := &f.status.Bots[0]
	b.Evidence, b.StandbyError, b.StandbyReady, b.Next = evil, evil, false, evil
	b.Warnings[0].Text, b.Warnings[0].Title, b.Warnings[0].Code = evil, evil, evil
	b.Signals[0].Detail, b.Signals[0].State = evil, console.SignalTripped
	f.status.Faults[0].Reason = evil
	f.board.Experiments[0].Title = evil
	f.status.Bots[1].PinnedBy.Reason = evil
	out := markup(t, f, true)
	if strings.Contains(out, "<script>") || strings.Contains(out, "<img") {
		t.Error("markup got in")
	}
	for _, bad := range []string{`<[^>]*\sstyle=`, `<style`, `<script(>|\s[^>]*>[^<])`, `<[^>]*\son[a-z]+=`, `(src|href|action)="(https?:)?//`, `javascript:`} {
		if m := regexp.MustCompile(bad).FindString(out); m != "" {
			t.Errorf("%s: %s", bad, m)
		}
	}
}

func get(h http.Handler, method, path string, form ...string) *httptest.ResponseRecorder {
	var body io.Reader
	if len(form) > 0 {
		body = strings.NewReader(strings.Join(form, "&"))
	}
	r := httptest.NewRequest(method, path, body)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8") // as browsers send it
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Every answer has the policy; files are kept for ever, all else never.
func TestHeaders(t *testing.T) {
	p := newFixture(time.Now()).page()
	for path, code := range map[string]int{"/": 200, "/assets/" + p.t.hash + "/page.css": 200, "/assets/" + p.t.hash + "/page.js": 200, "/assets/" + p.t.hash + "/icon.svg": 200,
		"/assets/" + p.t.hash + "/none": 404, "/runbooks/": 200, "/runbooks/frozen": 200, "/runbooks/frozen.md": 200, "/runbooks/drills/black-hole": 200,
		"/runbooks/none": 404, "/runbooks/..%2fpage.go": 404, "/nothing": 404} {
		w := get(p.Observe(), "GET", path)
		if w.Code != code {
			t.Errorf("%s: %d, want %d", path, w.Code, code)
		}
		h := w.Header()
		csp := h.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") == "" {
			t.Errorf("%s: %v", path, h)
		}
		if kept := strings.Contains(h.Get("Cache-Control"), "immutable"); kept != (code == 200 && strings.HasPrefix(path, "/assets/")) || !kept && h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control %q", path, h.Get("Cache-Control"))
		}
	}
	if w := get(p.Observe(), "GET", "/assets/000000000000/page.css"); w.Code != 200 || strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("under an old address: %d %v", w.Code, w.Header())
	}
}

// Nothing can be changed where one only looks on.
func TestObserveIsReadOnly(t *testing.T) {
	f := newFixture(time.Now())
	h := f.page().Observe()
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
		for _, path := range []string{"/", "/act", "/confirm", "/events", "/runbooks/frozen"} {
			if w := get(h, method, path, "do=switch_polling&bot=orders&reason=x&name=x"); w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
		}
	}
	if len(f.orders)+len(f.drills)+len(f.levers) > 0 {
		t.Error("something was ordered")
	}
	if out := get(h, "GET", "/").Body.String(); strings.Contains(out, "<form") || strings.Contains(out, "Log out") {
		t.Error("there is a form")
	}
}

// What can't be read is said, with what to do.
func TestStarting(t *testing.T) {
	f := newFixture(time.Now())
	f.err = &console.Failure{Code: console.CodeStarting, Message: "dualgram is starting", Fix: "try again in a moment"}
	w := get(f.page().Observe(), "GET", "/")
	if w.Code != 503 || !strings.Contains(w.Body.String(), "dualgram is starting.") || !strings.Contains(w.Body.String(), "try again in a moment.") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// The page stays small: of two bots with a full day, a phone gets less than a photo.
func TestWeight(t *testing.T) {
	f := newFixture(noon)
	n := len(markup(t, f, true))
	for _, a := range f.page().t.assets {
		n += len(a)
	}
	if t.Logf("%d bytes, uncompressed", n); n > 80<<10 {
		t.Errorf("%d bytes", n)
	}
}

// The list of the runbooks is in groups, and each of them can be opened.
func TestRunbookIndex(t *testing.T) {
	h := newFixture(time.Now()).page().Observe()
	out := get(h, "GET", "/runbooks/").Body.String()
	if strings.Count(out, "<h2>Alerts</h2>") != 1 || strings.Count(out, "<h2>Drills</h2>") != 1 {
		t.Error(out)
	}
	hrefs := regexp.MustCompile(`href="(/runbooks/[^"]+)"`).FindAllStringSubmatch(out, -1)
	if len(hrefs) != 3 {
		t.Errorf("%q", hrefs)
	}
	for _, m := range hrefs {
		if w := get(h, "GET", m[1]); w.Code != 200 || !strings.Contains(w.Body.String(), `<pre tabindex="0">`) || !strings.Contains(w.Body.String(), `tabindex="0" role="region"`) {
			t.Errorf("%s: %d", m[1], w.Code)
		}
	}
}

// Whoever is paged reads a runbook by curl: it is Markdown unless a browser asks, and
// under NAME.md always.
func TestRunbookAsText(t *testing.T) {
	h := newFixture(time.Now()).page().Observe()
	for _, c := range []struct {
		path, accept, begins string
		code                 int
	}{
		{"/runbooks/frozen", "*/*", "# DualgramFrozen\n", 200},
		{"/runbooks/frozen", "", "# DualgramFrozen\n", 200},
		{"/runbooks/frozen", "text/markdown", "# DualgramFrozen\n", 200},
		{"/runbooks/frozen", "Text/HTML", "<!doctype html>", 200},
		{"/runbooks/frozen.md", "text/html", "# DualgramFrozen\n", 200},
		{"/runbooks/drills/black-hole", "*/*", "# DualgramFrozen\n", 200},
		{"/runbooks/none", "*/*", "There is no runbook", 404},
		{"/runbooks/none", "text/html", "<!doctype html>", 404},
		{"/runbooks/", "*/*", "# Runbooks\n\n## Alerts\n\n- /runbooks/frozen: Failback is frozen.\n", 200},
		{"/runbooks/", "text/html", "<!doctype html>", 200},
	} {
		r := httptest.NewRequest(http.MethodGet, c.path, nil)
		if c.accept != "" {
			r.Header.Set("Accept", c.accept)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		want := "text/plain; charset=utf-8"
		if c.begins[0] == '<' {
			want = "text/html; charset=utf-8"
		}
		if got := w.Header().Get("Content-Type"); w.Code != c.code || got != want || !strings.HasPrefix(w.Body.String(), c.begins) {
			t.Errorf("%s, Accept %q: %d %s %.60q", c.path, c.accept, w.Code, got, w.Body)
		}
		if w.Header().Get("Vary") != "Accept" {
			t.Errorf("%s may be kept for a client that asks otherwise", c.path)
		}
	}
}

// BenchmarkRender is what one second costs while somebody looks on: two bots with a
// full day.
func BenchmarkRender(b *testing.B) {
	f := newFixture(time.Now())
	p := f.page()
	for b.Loop() {
		if _, _, err := p.render(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
