package runbooks

import (
	"bytes"
	"html/template"
	"net/http"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
)

// HTML is the page as a fragment: headings, paragraphs, tables and blocks of
// code, without a frame. Links to other pages are relative to the page's own
// address, /runbooks/NAME or /runbooks/drills/NAME.
func (p *Page) HTML() []byte {
	source := []byte(p.Markdown)
	doc := markdown.Parser().Parse(text.NewReader(source))
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if l, ok := n.(*ast.Link); ok && entering && !strings.Contains(string(l.Destination), "://") {
			l.Destination = bytes.Replace(l.Destination, []byte(".md"), nil, 1)
		}
		return ast.WalkContinue, nil
	})
	var b bytes.Buffer
	if err := markdown.Renderer().Render(&b, source, doc); err != nil {
		return []byte(template.HTMLEscapeString(p.Markdown))
	}
	return b.Bytes()
}

// Handler serves the pages, read-only: NAME and drills/NAME as HTML, the same with
// .md behind it as Markdown, and the index at the root. It is mounted behind
// http.StripPrefix; all of its links are relative.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "these pages are only read", http.StatusMethodNotAllowed)
			return
		}
		name := strings.Trim(r.URL.Path, "/")
		if name == "" {
			name = "index"
		}
		name, raw := strings.CutSuffix(name, ".md")
		p, ok := Lookup(name)
		if !ok {
			http.Error(w, "there is no such page; dualgram runbook lists them", http.StatusNotFound)
			return
		}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		if raw {
			h.Set("Content-Type", "text/markdown; charset=utf-8")
			_, _ = w.Write([]byte(p.Markdown))
			return
		}
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		_ = frame.Execute(w, struct {
			Title string
			Body  template.HTML
		}{p.Title, template.HTML(p.HTML())})
	})
}

var frame = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
:root { color-scheme: light dark; }
body { max-width: 50rem; margin: 0 auto; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h2 { margin-top: 1.6rem; font-size: 1.15rem; }
pre, code { font-family: ui-monospace, monospace; font-size: .9rem; }
pre { padding: .6rem; border: 1px solid #8886; border-radius: .3rem; overflow-x: auto; }
pre:has(.language-sh) { border-left: .3rem solid #2a7; }
pre:has(.language-text) { opacity: .85; border-style: dashed; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { padding: .25rem .6rem; border: 1px solid #8886; text-align: left; vertical-align: top; }
</style>
</head>
<body>
<main>
{{.Body}}
</main>
</body>
</html>
`))
