package runbooks

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
)

//go:embed *.md drills/*.md
var files embed.FS

// notPages are Markdown files that are none of the pages.
var notPages = []string{"configuration.md", "false_beliefs.md", "fault-matrix.md"}

// load reads all pages of a file system, in the order of [List].
func load(files fs.FS) ([]*Page, error) {
	var pages []*Page
	var problems []error
	for _, pattern := range []string{"*.md", "drills/*.md"} {
		names, err := fs.Glob(files, pattern)
		if err != nil {
			return nil, err
		}
		for _, file := range names {
			if slices.Contains(notPages, file) {
				continue
			}
			source, err := fs.ReadFile(files, file)
			if err != nil {
				return nil, err
			}
			p, err := parse(strings.TrimSuffix(path.Base(file), ".md"), path.Dir(file) == "drills", string(source))
			if err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", file, err))
				continue
			}
			pages = append(pages, p)
		}
	}
	kinds := []Kind{Alert, Task, Drill}
	slices.SortFunc(pages, func(a, b *Page) int {
		return cmp.Or(cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)), cmp.Compare(a.Name, b.Name))
	})
	return pages, errors.Join(problems...)
}

var library = sync.OnceValue(func() []*Page {
	pages, err := load(files)
	if err != nil {
		panic("runbooks: " + err.Error()) // the tests of this package would have said so
	}
	return pages
})

// List returns all pages: those of alerts, of tasks and of drills, each by name.
func List() []*Page { return slices.Clone(library()) }

// Lookup finds a page by its name, by the name of its alert in any case, or as
// drills/NAME. Of an alert and a drill of the same name it is the alert's.
func Lookup(name string) (*Page, bool) {
	for _, p := range library() {
		if name == p.Name || name == p.Path() || p.Alert != "" && strings.EqualFold(name, p.Alert) {
			return p, true
		}
	}
	return nil, false
}
