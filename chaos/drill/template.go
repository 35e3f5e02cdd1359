package drill

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"sync"
)

//go:embed templates/*.yaml
var templateFiles embed.FS

// shipped parses the templates once. A template that doesn't parse is a bug of
// this package, which its tests find.
var shipped = sync.OnceValue(func() map[string]*Experiment {
	out := map[string]*Experiment{}
	files, err := templateFiles.ReadDir("templates")
	if err != nil {
		panic(err)
	}
	for _, f := range files {
		data, err := templateFiles.ReadFile("templates/" + f.Name())
		if err != nil {
			panic(err)
		}
		e, err := Parse("templates/"+f.Name(), data)
		if err != nil {
			panic(fmt.Sprintf("drill: a shipped template is wrong: %v", err))
		}
		out[e.Name] = e
	}
	return out
})

// Templates lists the experiments that the program ships, by name.
func Templates() []Experiment {
	var out []Experiment
	for _, e := range shipped() {
		out = append(out, *e)
	}
	slices.SortFunc(out, func(a, b Experiment) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Template returns a shipped experiment and its file's text.
func Template(name string) (*Experiment, []byte, error) {
	e, ok := shipped()[name]
	if !ok {
		var all []string
		for _, t := range Templates() {
			all = append(all, t.Name)
		}
		fix := "there are " + strings.Join(all, ", ")
		if near, ok := nearest(name, all); ok {
			fix = fmt.Sprintf("did you mean %s?", near)
		}
		return nil, nil, fmt.Errorf("drill: there is no experiment %q; %s", name, fix)
	}
	data, err := templateFiles.ReadFile("templates/" + name + ".yaml")
	if err != nil {
		return nil, nil, fmt.Errorf("drill: reading a template: %w", err)
	}
	c := *e
	return &c, data, nil
}
