//go:build browser

// Package pagetest looks at the status page as a person does: in Chromium, headless,
// with the keyboard, in both themes, on a phone. It needs chromium and the npm
// package axe-core, and fails the test if one of them is missing: make browser brings
// what it can.
package pagetest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// The environment: where axe-core's axe.min.js is, and where to keep pictures.
const (
	envAxe   = "AXE_CORE"
	envShots = "PAGE_SHOTS"
)

// Browser is a tab.
type Browser struct {
	t   testing.TB
	ctx context.Context
	axe string

	mu       sync.Mutex
	problems []string
}

// Open starts a browser, which ends with the test. What the browser complains of
// (an exception, a breach of the content security policy, a file that is not there)
// fails the test.
func Open(t testing.TB) *Browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Fatal("chromium is missing: apt-get install chromium")
	}
	axe, err := os.ReadFile(os.Getenv(envAxe))
	if err != nil {
		t.Fatalf("%s does not name axe.min.js of the npm package axe-core: %v", envAxe, err)
	}
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("force-color-profile", "srgb"))...)
	ctx, stop := chromedp.NewContext(alloc)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	b := &Browser{t: t, ctx: ctx, axe: string(axe)}
	t.Cleanup(func() {
		cancel()
		stop()
		stopAlloc()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, p := range b.problems {
			t.Errorf("the browser complains: %s", p)
		}
	})
	b.do(chromedp.Navigate("about:blank"))
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *Browser) listen(ev any) {
	words := ""
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		words = fmt.Sprintf("%+v", e.ExceptionDetails)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			words = e.Entry.Text
		}
	}
	if words != "" {
		b.mu.Lock()
		b.problems = append(b.problems, words)
		b.mu.Unlock()
	}
}

// Expect forgets complaints with the text: the test has caused them.
func (b *Browser) Expect(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = slices.DeleteFunc(b.problems, func(p string) bool { return strings.Contains(p, text) })
}

func (b *Browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("the browser: %v", err)
	}
}

// Goto opens a page.
func (b *Browser) Goto(url string) { b.t.Helper(); b.do(chromedp.Navigate(url)) }

// Eval is the value of a JavaScript expression.
func Eval[T any](b *Browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// Until waits for an expression to be true, also beyond a navigation, and says how
// long it took.
func (b *Browser) Until(most time.Duration, expression string) time.Duration {
	b.t.Helper()
	began := time.Now()
	for {
		v, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		if err == nil && v {
			return time.Since(began)
		}
		if time.Since(began) > most {
			text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
			b.Shot("failed")
			b.t.Fatalf("not within %v: %s (%v)\n%s", most, expression, err, text)
		}
		time.Sleep(25 * time.Millisecond)
	}
}

// Press types on the keyboard: words go where the focus is, see the kb package for
// the other keys.
func (b *Browser) Press(keys ...string) {
	b.t.Helper()
	for _, k := range keys {
		b.do(chromedp.KeyEvent(k))
	}
}

// Click clicks on the element of a CSS selector.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// Scheme is what prefers-color-scheme says: light or dark.
func (b *Browser) Scheme(name string) {
	b.t.Helper()
	b.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return chromedp.Void{}, err
	})
}

// Viewport sets the size of the window.
func (b *Browser) Viewport(width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// Shot keeps a picture of the whole page, if anybody wants pictures.
func (b *Browser) Shot(name string) {
	b.t.Helper()
	dir := os.Getenv(envShots)
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Fatalf("picture %s: %v", name, err)
	}
}

// Accessible fails the test on each finding of axe-core that is serious or critical
// (https://github.com/dequelabs/axe-core), and reports the others.
func (b *Browser) Accessible(what string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](b.axe))
	raw, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify({
		passes: r.passes.length, violations: r.violations.map((v) => ({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.map((n) => n.html + " " + n.failureSummary)}))}))`,
		chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("axe: %v", err)
	}
	var found struct {
		Passes     int
		Violations []struct {
			ID, Impact, Help string
			Nodes            []string
		}
	}
	if err := json.Unmarshal([]byte(raw), &found); err != nil || found.Passes < 10 {
		b.t.Fatalf("axe looked at nothing: %v %.200s", err, raw)
	}
	for _, v := range found.Violations {
		report := b.t.Logf
		if v.Impact == "serious" || v.Impact == "critical" {
			report = b.t.Errorf
		}
		report("%s: axe: %s: %s: %s: %d times: %.600s", what, v.Impact, v.ID, v.Help, len(v.Nodes), strings.Join(v.Nodes, "\n"))
	}
	b.t.Logf("%s: axe: %d rules kept, %d broken", what, found.Passes, len(found.Violations))
}

// Overflows is by how many pixels the page is wider than the window.
func (b *Browser) Overflows() int {
	b.t.Helper()
	return Eval[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`)
}
