package runbooks

import (
	"strings"
	"testing"
)

func TestHTML(t *testing.T) {
	for _, p := range List() {
		body := string(p.HTML())
		if !strings.Contains(body, "<h1") {
			t.Errorf("%s has no heading", p.Path())
		}
		if strings.Contains(body, `.md"`) || strings.Contains(body, `.md#`) {
			t.Errorf("%s links to a file instead of a page", p.Path())
		}
	}
	p, ok := Lookup("DualgramForeignWebhook")
	if !ok {
		t.Fatal("no such page")
	}
	for _, want := range []string{"<h1>DualgramForeignWebhook</h1>", `<pre><code class="language-sh">dualgram status`} {
		if !strings.Contains(string(p.HTML()), want) {
			t.Errorf("the page is without %q", want)
		}
	}
}
