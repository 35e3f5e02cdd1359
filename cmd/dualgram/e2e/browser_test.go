//go:build browser

package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"dualgram/supervisor/console/page/pagetest"

	"github.com/chromedp/chromedp/kb"
)

// TestPage looks at the status page of a real dualgram in Chromium: a failover is
// seen live, without a reload; then an operator logs in and switches, by keyboard
// alone, and the journal knows who and why.
func TestPage(t *testing.T) {
	w := newWorld(t)
	listen := w.withControl()
	w.conf.Failover = "hold_down: 10m, info_interval: 500ms"
	w.flowing(10)
	b := pagetest.Open(t)
	p := w.run()
	p.phase("webhook", 10*time.Second)
	w.vault.secret(w.controlToken())

	b.Goto("http://" + w.conf.Observe + "/")
	b.Until(5*time.Second, `document.getElementById("live").textContent === "live"`)
	b.Until(5*time.Second, headline("by webhook"))
	b.Until(10*time.Second, drawn("webhook"))
	if pagetest.Eval[bool](b, drawn("polling")) {
		t.Error("the plot shows polling before there was any")
	}
	pagetest.Eval[int](b, `window.sameDocument = 1`)
	time.Sleep(4 * time.Second) // a plot with something in it
	began := time.Now()
	w.path.set(pathSilent)
	b.Until(budget, headline("by polling"))
	t.Logf("the page says polling %.1f s after the fault", time.Since(began).Seconds())
	b.Until(3*time.Second, `document.getElementById("announce").textContent.includes("polling")`)
	b.Until(10*time.Second, drawn("polling")+"&&"+drawn("webhook"))
	b.Until(5*time.Second, `document.querySelector(".items").innerText.includes("From webhook to polling")`)
	if !pagetest.Eval[bool](b, `window.sameDocument === 1 && document.title.includes("orders: polling")`) {
		t.Error("the page was loaded anew, or has the old title")
	}
	b.Shot("failover-light")
	b.Scheme("dark")
	b.Viewport(360, 740)
	b.Shot("failover-dark-phone")
	if n := b.Overflows(); n > 0 {
		t.Errorf("%d pixels too wide for a phone", n)
	}
	b.Viewport(1280, 900)
	b.Scheme("light")
	b.Click(`.warning a[href="/runbooks/on_standby"]`)
	b.Until(5*time.Second, `location.pathname === "/runbooks/on_standby" && document.querySelector("main h1")`)
	b.Accessible("a runbook")
	code, body, err := p.observe("/") // the vault searches it
	if err != nil || code != http.StatusOK || strings.Contains(body, `action="/act"`) {
		t.Errorf("the page of the observe listener: %d, %v, or it has actions", code, err)
	}
	for _, path := range []string{"/act", "/confirm"} {
		if resp, err := http.Post("http://"+w.conf.Observe+path, "application/x-www-form-urlencoded", strings.NewReader("do=ack")); err == nil {
			resp.Body.Close()
			if resp.StatusCode < 400 {
				t.Errorf("%s on the observe listener: %s", path, resp.Status)
			}
		}
	}

	w.path.set(pathOpen)
	w.switchByKeyboard(b, "http://"+listen)
	if code, out, errs := w.cli("events", "--config", w.file("dualgram.yaml"), "--kind", "operator"); code != 0 ||
		!strings.Contains(out, "page (Ann)") || !strings.Contains(out, "a new proxy") || !strings.Contains(out, "switch polling for 10m") {
		t.Errorf("events: %d %s %s", code, out, errs)
	}
	b.Goto("http://" + w.conf.Observe + "/")
	b.Until(5*time.Second, `document.querySelector(".flags").innerText.includes("Pinned to polling")`)
	w.settle(20*time.Second, 0)
	began = time.Now()
	p.stop()
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("with a page open it took %v to stop", d)
	}
	b.Until(10*time.Second, `document.getElementById("live").textContent.startsWith("not live")`)
	b.Expect("ERR_")
}

// headline says that the page tells so.
func headline(words string) string {
	return fmt.Sprintf(`document.querySelector(".headline").textContent.includes(%q)`, words)
}

// drawn says that the plot has an area for the transport. That of polling is below
// that of the webhook, and seen where it is larger.
func drawn(transport string) string {
	area := func(class string) string {
		return `document.querySelector(".plot path.` + class + `").getAttribute("d")`
	}
	if transport == "polling" {
		return fmt.Sprintf(`(%s.length > %s.length)`, area("polling"), area("webhook"))
	}
	return area("webhook") + `.length > 0`
}

// switchByKeyboard logs in and switches to polling for ten minutes without a mouse.
func (w *world) switchByKeyboard(b *pagetest.Browser, url string) {
	t := w.t
	t.Helper()
	b.Goto(url + "/")
	b.Until(5*time.Second, `document.activeElement.id === "token"`)
	b.Press("wrong", kb.Enter)
	b.Until(5*time.Second, `document.querySelector("[role=alert]") && document.activeElement.id === "token"`)
	b.Expect("401")
	b.Press(w.controlToken(), kb.Enter)
	b.Until(5*time.Second, `document.getElementById("live")?.textContent === "live"`)
	b.Expect("401")
	b.Accessible("the page with actions")
	tab := func(id string) {
		t.Helper()
		for range 40 {
			if b.Press(kb.Tab); pagetest.Eval[string](b, `document.activeElement.id`) == id {
				if !pagetest.Eval[bool](b, `getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
					t.Errorf("the focus on %s can't be seen", id)
				}
				return
			}
		}
		t.Fatalf("Tab does not lead to %s", id)
	}
	tab("b0-do")
	tab("b0-for")
	b.Press("10")
	tab("b0-reason")
	b.Press("a new proxy")
	tab("b0-who")
	b.Press("Ann", kb.Enter)
	b.Until(5*time.Second, `document.querySelector("form.sure") && document.activeElement.textContent === "Switch to polling"`)
	if text := pagetest.Eval[string](b, `document.body.innerText`); !strings.Contains(text, "Switch to polling for 10 minutes?") || !strings.Contains(text, "Polling stays until") || !strings.Contains(text, "a new proxy") {
		t.Errorf("the confirmation says\n%s", text)
	}
	b.Shot("confirm")
	b.Accessible("the confirmation")
	b.Press(kb.Enter)
	b.Until(5*time.Second, `document.activeElement.id === "done" && document.activeElement.innerText.includes("Polling stays until")`)
	b.Until(5*time.Second, `document.querySelector(".flags").innerText.includes("a new proxy")`)
	b.Shot("done")
}
