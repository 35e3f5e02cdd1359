package page

import (
	"bytes"
	"html/template"
	"io/fs"
	"net/http"
	"regexp"
	"sort"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
)

// pageName is a runbook's: a path of words, so that nothing else can be asked for.
var pageName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*$`)

// hasRunbook says whether there is a page of the name.
func (p *Page) hasRunbook(name string) bool {
	if p.o.Runbooks == nil || !pageName.MatchString(name) {
		return false
	}
	st, err := fs.Stat(p.o.Runbooks, name+".md")
	return err == nil && !st.IsDir()
}

// markdown renders runbooks; what is HTML in them is left out.
var markdown = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))

type runbookView struct {
	Title string
	Body  template.HTML
}

// runbook answers GET /runbooks/NAME.
func (p *Page) runbook(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimSuffix(r.PathValue("name"), ".md")
	if !p.hasRunbook(name) {
		p.html(w, http.StatusNotFound, "problem", problemView{Title: "No such runbook", Message: "There is no runbook of this name.", Fix: "All of them are at /runbooks/."})
		return
	}
	text, err := fs.ReadFile(p.o.Runbooks, name+".md")
	var b bytes.Buffer
	if err == nil {
		err = markdown.Convert(text, &b)
	}
	if err != nil {
		p.problem(w, http.StatusInternalServerError, err)
		return
	}
	body := links.ReplaceAllString(b.String(), `href="$1$2"`)
	p.html(w, http.StatusOK, "runbook", runbookView{Title: title(text, name), Body: template.HTML(scrollable(body))}) //nolint:gosec // made from our own pages, without their HTML
}

// links of the pages among themselves end in .md, so that they work where the files
// are read, too.
var links = regexp.MustCompile(`href="([a-z0-9_./-]+)\.md(#[^"]*)?"`)

// scrollable lets wide blocks be scrolled by keyboard as well.
func scrollable(html string) string {
	html = strings.ReplaceAll(html, "<pre>", `<pre tabindex="0">`)
	html = strings.ReplaceAll(html, "<table>", `<div class="wide" tabindex="0" role="region" aria-label="Table"><table>`)
	return strings.ReplaceAll(html, "</table>", "</table></div>")
}

// title is the first heading of a page, or its name.
func title(text []byte, name string) string {
	for line := range strings.Lines(string(text)) {
		if h, ok := strings.CutPrefix(line, "# "); ok {
			return strings.TrimSpace(h)
		}
	}
	return name
}

type runbookList struct {
	Title string
	Pages []runbookLink
}

type runbookLink struct{ Name, Title string }

// runbookIndex answers GET /runbooks/.
func (p *Page) runbookIndex(w http.ResponseWriter, r *http.Request) {
	v := runbookList{Title: "Runbooks"}
	if p.o.Runbooks != nil {
		_ = fs.WalkDir(p.o.Runbooks, ".", func(path string, d fs.DirEntry, err error) error {
			name, ok := strings.CutSuffix(path, ".md")
			if err != nil || d.IsDir() || !ok || !pageName.MatchString(name) {
				return nil //nolint:nilerr // what can't be read is left out
			}
			if text, err := fs.ReadFile(p.o.Runbooks, path); err == nil {
				v.Pages = append(v.Pages, runbookLink{name, title(text, name)})
			}
			return nil
		})
	}
	sort.Slice(v.Pages, func(i, j int) bool { return v.Pages[i].Name < v.Pages[j].Name })
	p.html(w, http.StatusOK, "runbooks", v)
}
