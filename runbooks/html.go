package runbooks

import (
	"bytes"
	"html/template"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
)

// HTML is the page's Text as a fragment: headings, paragraphs, tables and blocks of
// code, without a frame. Links to other pages are relative to the page's own
// address, /runbooks/NAME or /runbooks/drills/NAME.
func (p *Page) HTML() []byte {
	source := []byte(p.Text())
	doc := markdown.Parser().Parse(text.NewReader(source))
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if l, ok := n.(*ast.Link); ok && entering && !strings.Contains(string(l.Destination), "://") {
			l.Destination = bytes.Replace(l.Destination, []byte(".md"), nil, 1)
		}
		return ast.WalkContinue, nil
	})
	var b bytes.Buffer
	if err := markdown.Renderer().Render(&b, source, doc); err != nil {
		return []byte(template.HTMLEscapeString(p.Text()))
	}
	return b.Bytes()
}
