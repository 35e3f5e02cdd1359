package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"path"
	"regexp"
	"time"
)

//go:embed assets
var embedded embed.FS

// assetNames are the files that browsers ask for, in assets/.
var assetNames = []string{"page.css", "page.js", "icon.svg"}

// templates are the page's templates and files.
type templates struct {
	set    *template.Template
	assets map[string][]byte
	hash   string // of all assets, in their addresses: a new one is never taken for an old one
}

func parseTemplates() (*templates, error) {
	t := &templates{assets: map[string][]byte{}}
	sum := sha256.New()
	for _, name := range assetNames {
		data, err := embedded.ReadFile("assets/" + name)
		if err != nil {
			return nil, fmt.Errorf("page: %w", err)
		}
		t.assets[name] = data
		sum.Write(data)
	}
	t.hash = hex.EncodeToString(sum.Sum(nil))[:12]
	var err error
	t.set, err = template.New("").Funcs(template.FuncMap{
		"asset": func(name string) string { return "/assets/" + t.hash + "/" + name },
		"stamp": func(at time.Time) string { return at.Format(time.RFC3339) },
		"long":  func(at time.Time) string { return at.Format("Mon 2 Jan 15:04:05") },
		"clock": clock,
		"hhmm":  func(at time.Time) string { return at.Format("15:04") },
		"icon":  func(name string) template.HTML { return icons[name] },
		"pair":  func(b *botView, c *controls) map[string]any { return map[string]any{"Bot": b, "Control": c} },
	}).ParseFS(embedded, "assets/*.html")
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	return t, nil
}

// asset serves a file. Its address changes with its content, so it is kept for ever.
func (t *templates) asset(w http.ResponseWriter, r *http.Request) {
	data, ok := t.assets[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(r.PathValue("name"))))
	if r.PathValue("hash") == t.hash {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(data)
}

// region is a part of the page that changes by itself. ID is that of its element.
type region struct{ ID, HTML string }

// The templates of the regions of the page and of each bot, in the page's order.
var (
	pageRegions = []string{"announce", "about", "banners"}
	botRegions  = []string{"head", "warnings", "figures", "plot", "timeline", "items", "signals", "lanes"}
)

// regions renders all of them.
func (t *templates) regions(v *view) ([]region, error) {
	var out []region
	add := func(id, name string, data any) error {
		var b bytes.Buffer
		if err := t.set.ExecuteTemplate(&b, name, data); err != nil {
			return fmt.Errorf("page: %w", err)
		}
		out = append(out, region{id, b.String()})
		return nil
	}
	for _, name := range pageRegions {
		if err := add(name, name, v); err != nil {
			return nil, err
		}
	}
	for _, b := range v.Bots {
		for _, name := range botRegions {
			if err := add(b.ID+"-"+name, name, b); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// ages matches what only says how much time has passed, which the browser counts on
// by itself.
var ages = regexp.MustCompile(`(<time data-(?:ago|left)[^>]*>)[^<]*(</time>)|(<progress[^>]*) value="[0-9]*"`)

// key is a region without what the browser knows by itself.
func (r region) key() string { return ages.ReplaceAllString(r.HTML, "$1$2$3") }

// icons are drawn in the color of the text; the word beside them says the same.
var icons = func() map[string]template.HTML {
	out := map[string]template.HTML{}
	for name, shape := range map[string]string{
		"ok":      `<circle cx="8" cy="8" r="6.5"/><path d="M5 8.2l2.1 2.1L11 6"/>`,
		"warn":    `<path d="M8 1.8L15 14H1z"/><path d="M8 6v3.6M8 11.6v.6"/>`,
		"bad":     `<path d="M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2z"/><path d="M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8"/>`,
		"info":    `<circle cx="8" cy="8" r="6.5"/><path d="M8 7.2v4M8 4.6v.6"/>`,
		"off":     `<circle cx="8" cy="8" r="6.5" stroke-dasharray="2 2"/><path d="M5.5 8h5"/>`,
		"webhook": `<path d="M8 1.5v9M4.2 7L8 10.8 11.8 7M2 14h12"/>`,
		"polling": `<path d="M13.5 8a5.5 5.5 0 1 1-1.7-4M13.5 1.5V5H10"/>`,
		"none":    `<circle cx="8" cy="8" r="6.5"/><path d="M3.5 3.5l9 9"/>`,
	} {
		out[name] = template.HTML(`<svg class="i" viewBox="0 0 16 16" aria-hidden="true" focusable="false">` + shape + `</svg>`) //nolint:gosec // constants
	}
	return out
}()
