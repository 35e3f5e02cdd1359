package page

import (
	"fmt"
	"html/template"
	"io"
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

// browses tells a browser, which asks for HTML by name, from curl, which takes
// anything and is read in a terminal.
func browses(r *http.Request) bool {
	return strings.Contains(strings.ToLower(strings.Join(r.Header.Values("Accept"), ",")), "text/html")
}

// plain answers with text for a terminal.
func plain(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text)
}

// runbook answers GET /runbooks/NAME: with Markdown, unless it is a browser that asks.
// GET /runbooks/NAME.md is Markdown for everybody.
func (p *Page) runbook(w http.ResponseWriter, r *http.Request) {
	name, markdown := strings.CutSuffix(r.PathValue("name"), ".md")
	markdown = markdown || !browses(r)
	w.Header().Add("Vary", "Accept")
	var book Runbook
	ok := false
	if p.o.Runbooks != nil {
		book, ok = p.o.Runbooks.Runbook(name)
	}
	switch {
	case !ok && markdown:
		plain(w, http.StatusNotFound, "There is no runbook of this name. All of them are at /runbooks/.\n")
		return
	case markdown:
		plain(w, http.StatusOK, book.Text)
		return
	case !ok:
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
func (p *Page) runbookIndex(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept")
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
	if browses(r) {
		p.html(w, http.StatusOK, "runbooks", v)
		return
	}
	plain(w, http.StatusOK, v.text())
}

// text is the list as Markdown.
func (v runbookList) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", v.Title)
	for _, g := range v.Groups {
		fmt.Fprintf(&b, "\n## %s\n\n", g.Name)
		for _, r := range g.Pages {
			fmt.Fprintf(&b, "- /runbooks/%s: %s\n", r.Name, r.Summary)
		}
	}
	return b.String()
}
