//go:build browser

package page

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"dualgram/supervisor/console"
	"dualgram/supervisor/console/page/pagetest"

	"github.com/chromedp/chromedp/kb"
)

// TestLooks shows a day full of events in both themes and at both widths: nothing is
// wider than the window, nothing is inaccessible, and the theme can be chosen.
func TestLooks(t *testing.T) {
	f := newFixture(time.Now())
	p := f.page()
	srv := httptest.NewServer(p.Control(func(r *http.Request) console.Caller {
		return console.Caller{User: console.TokenUser, UID: -1, Remote: r.RemoteAddr}
	}))
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	b := pagetest.Open(t)
	for _, scheme := range []string{"light", "dark"} {
		b.Scheme(scheme)
		for name, size := range map[string][2]int64{"wide": {1280, 900}, "phone": {360, 740}} {
			b.Viewport(size[0], size[1])
			b.Goto(srv.URL + "/")
			b.Until(5*time.Second, `document.getElementById("live").textContent === "live"`)
			if n := b.Overflows(); n > 0 {
				t.Errorf("%s, %s: %d pixels too wide", scheme, name, n)
			}
			b.Shot("fixture-" + scheme + "-" + name)
			if scheme == "light" || name == "wide" { // each takes seconds
				b.Accessible(scheme + ", " + name)
			}
		}
		b.Viewport(1280, 900)
		for _, path := range []string{"/runbooks/", "/runbooks/frozen", "/runbooks/none"} {
			b.Goto(srv.URL + path)
			if scheme == "light" || path == "/runbooks/frozen" {
				b.Accessible(scheme + ", " + path)
			}
			if path == "/runbooks/frozen" {
				b.Shot("runbook-" + scheme)
			}
		}
		b.Expect("404")
	}
	// The choice outlives a reload.
	b.Scheme("light")
	b.Goto(srv.URL + "/")
	b.Click("#theme")
	b.Click("#theme")
	light := pagetest.Eval[string](b, `getComputedStyle(document.body).backgroundColor`)
	b.Goto(srv.URL + "/")
	if got := pagetest.Eval[string](b, `document.documentElement.dataset.theme + " " + getComputedStyle(document.body).backgroundColor`); got != "dark "+light {
		t.Errorf("the chosen theme is %s, and was %s", got, light)
	}
	// The first thing that the keyboard meets leads past the header.
	b.Press(kb.Tab)
	if got := pagetest.Eval[string](b, `document.activeElement.textContent`); got != "Skip to the content" {
		t.Errorf("the first tab stop is %q", got)
	}
}
