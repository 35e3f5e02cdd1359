package runbooks

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHandler(t *testing.T) {
	h := http.StripPrefix("/runbooks", Handler())
	get := func(method, path string) (int, http.Header, string) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
		body, _ := io.ReadAll(rec.Body)
		return rec.Code, rec.Header(), string(body)
	}
	for _, p := range List() {
		code, head, body := get(http.MethodGet, "/runbooks/"+p.Path())
		if code != http.StatusOK || !strings.Contains(body, "<h1") || !strings.HasPrefix(head.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %v", p.Path(), code, head)
		}
		if strings.Contains(body, `.md"`) || strings.Contains(body, `.md#`) {
			t.Errorf("%s links to a file instead of a page", p.Path())
		}
	}
	for path, want := range map[string]string{
		"/runbooks/":                       "<h1>index</h1>",
		"/runbooks/foreign_webhook":        `<pre><code class="language-sh">dualgram status`,
		"/runbooks/foreign_webhook.md":     "# DualgramForeignWebhook\n",
		"/runbooks/DualgramForeignWebhook": "<h1>DualgramForeignWebhook</h1>",
	} {
		if code, _, body := get(http.MethodGet, path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d without %q:\n%.500s", path, code, want, body)
		}
	}
	if code, _, _ := get(http.MethodGet, "/runbooks/../doc"); code != http.StatusNotFound {
		t.Errorf("no such page: %d", code)
	}
	if code, _, _ := get(http.MethodPost, "/runbooks/index"); code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", code)
	}
}
