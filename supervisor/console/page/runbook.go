package page

import (
	"html/template"
	"net/http"
	"strings"
)

// hasRunbook says whether there is a page of the name.
func (p *Page) hasRunbook(name string) bool {
	if p.o.Runbooks == nil {
		return false
	}
	_, ok := p.o.Runbooks.Runbook(name)
	return ok
}

// runbook answers GET /runbooks/NAME.
func (p *Page) runbook(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimSuffix(r.PathValue("name"), ".md")
	var book Runbook
	ok := false
	if p.o.Runbooks != nil {
		book, ok = p.o.Runbooks.Runbook(name)
	}
	if !ok {
		p.html(w, http.StatusNotFound, "problem", problemView{Title: "No such runbook", Message: "There is no runbook of this name.", Fix: "All of them are at /runbooks/."})
		return
	}
	book.HTML = scrollable(book.HTML)
	p.html(w, http.StatusOK, "runbook", book)
}

// scrollable lets wide blocks be scrolled by keyboard as well.
func scrollable(html template.HTML) template.HTML {
	return template.HTML(strings.NewReplacer( //nolint:gosec // it was HTML before
		"<pre>", `<pre tabindex="0">`,
		"<table>", `<div class="wide" tabindex="0" role="region" aria-label="Table"><table>`,
		"</table>", "</table></div>",
	).Replace(string(html)))
}

// runbookList is what the list shows.
type runbookList struct {
	Title  string
	Index  bool // there is a page that leads from what is seen to the page for it
	Groups []runbookGroup
}

type runbookGroup struct {
	Name  string
	Pages []Runbook
}

// runbookIndex answers GET /runbooks/ with a list.
func (p *Page) runbookIndex(w http.ResponseWriter, _ *http.Request) {
	v := runbookList{Title: "Runbooks", Index: p.hasRunbook("index")}
	if p.o.Runbooks != nil {
		for _, b := range p.o.Runbooks.Runbooks() {
			if n := len(v.Groups); n == 0 || v.Groups[n-1].Name != b.Group {
				v.Groups = append(v.Groups, runbookGroup{Name: b.Group})
			}
			g := &v.Groups[len(v.Groups)-1]
			g.Pages = append(g.Pages, b)
		}
	}
	p.html(w, http.StatusOK, "runbooks", v)
}
