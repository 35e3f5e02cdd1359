package drill

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile bounds an experiment's file.
const maxFile = 64 << 10

// Parse reads an experiment, fills in what is left out, and checks it. The name
// of the file is for messages only. The error is a [*ProblemError] with all that
// is wrong.
func Parse(file string, data []byte) (*Experiment, error) {
	l := &loader{file: file, at: map[string]place{}, bad: map[string]bool{}}
	var e Experiment
	if doc := l.document(data); doc != nil && l.wantMapping(doc, "", reflect.TypeFor[Experiment]()) {
		l.section(doc, reflect.ValueOf(&e).Elem(), "")
		l.fill(&e)
		l.validate(&e)
	}
	if len(l.problems) > 0 {
		slices.SortStableFunc(l.problems, func(a, b Problem) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return nil, &ProblemError{l.problems}
	}
	return &e, nil
}

// place is a position in the file, from 1.
type place struct{ line, column int }

// loader reads one file and gathers what is wrong with it.
type loader struct {
	file     string
	at       map[string]place // of each key's value, by its path
	bad      map[string]bool  // keys that have a problem already
	problems []Problem
}

func (l *loader) problem(p place, key, what, fix string) {
	l.bad[key] = true
	l.problems = append(l.problems, Problem{File: l.file, Line: p.line, Column: p.column, Key: key, What: what, Fix: fix})
}

// wrong reports a key by its path, at its value or at what holds it.
func (l *loader) wrong(key, what, fix string) {
	if l.bad[key] {
		return
	}
	p, ok := l.at[key]
	for up := key; !ok && up != ""; {
		up = up[:max(0, strings.LastIndexAny(up, ".["))]
		p, ok = l.at[up]
	}
	l.problem(p, key, what, fix)
}

// document parses the file into its only document.
func (l *loader) document(data []byte) (doc ast.Node) {
	defer func() {
		// The parser is a third party's and the file is anybody's.
		if r := recover(); r != nil {
			doc = nil
			l.problem(place{}, "", "can't be read as YAML", "check the indentation and the quotes")
		}
	}()
	if len(data) > maxFile {
		l.problem(place{}, "", fmt.Sprintf("is larger than %d KiB", maxFile>>10), "an experiment is a short file; is it the right one?")
		return nil
	}
	f, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		what, p := "can't be read as YAML", place{}
		var se *yaml.SyntaxError
		if errors.As(err, &se) {
			what += ": " + se.GetMessage()
			if t := se.GetToken(); t != nil && t.Position != nil {
				p = place{t.Position.Line, t.Position.Column}
			}
		}
		l.problem(p, "", what, "check the indentation and the quotes at and above this line; write an expression with a colon or a quote in front in single quotes")
		return nil
	}
	for _, d := range f.Docs {
		if d == nil || d.Body == nil {
			continue
		}
		if _, ok := d.Body.(*ast.CommentGroupNode); ok {
			continue
		}
		if doc != nil {
			l.problem(placeOf(d.Body), "", "holds a second YAML document", "remove the line --- and what follows it: one experiment a file")
			return nil
		}
		doc = d.Body
	}
	if doc == nil {
		l.problem(place{}, "", "is empty", "begin with a template: dualgram drill new")
	}
	return doc
}

func placeOf(n ast.Node) place {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		n = m.Values[0].Key // the node itself stands at the first colon
	} else if m, ok := n.(*ast.MappingValueNode); ok {
		n = m.Key
	}
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return place{}
	}
	return place{n.GetToken().Position.Line, n.GetToken().Position.Column}
}

func (l *loader) wantMapping(n ast.Node, key string, t reflect.Type) bool {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	l.problem(placeOf(n), key, "wants keys below it, not "+describe(n), "known here: "+strings.Join(keysOf(t), ", "))
	return false
}

// keysOf lists a section's keys in the order of the struct.
func keysOf(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		if k := t.Field(i).Tag.Get("yaml"); k != "" {
			out = append(out, k)
		}
	}
	return out
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// pairs lists a mapping's keys and values, each key once.
func (l *loader) pairs(n ast.Node, key string) (out []*ast.MappingValueNode) {
	var all []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		all = m.Values
	case *ast.MappingValueNode:
		all = []*ast.MappingValueNode{m}
	}
	seen := map[string]bool{}
	for _, p := range all {
		if p == nil || p.Key == nil || p.Key.GetToken() == nil {
			continue
		}
		name := p.Key.GetToken().Value
		switch {
		case p.Key.IsMergeKey():
			l.problem(placeOf(p.Key), join(key, name), "merges are not read here", "write the keys out")
			continue
		case seen[name]:
			l.problem(placeOf(p.Key), join(key, name), "is written twice", "remove one of the two")
			continue
		}
		seen[name] = true
		out = append(out, p)
	}
	return out
}

// section decodes a mapping into a struct.
func (l *loader) section(n ast.Node, v reflect.Value, key string) {
	if _, ok := l.at[key]; !ok {
		l.at[key] = placeOf(n)
	}
	keys := keysOf(v.Type())
	for _, p := range l.pairs(n, key) {
		name := p.Key.GetToken().Value
		i := slices.IndexFunc(slices.Collect(fields(v.Type())), func(f reflect.StructField) bool { return f.Tag.Get("yaml") == name })
		if i < 0 {
			fix := "remove it; known here: " + strings.Join(keys, ", ")
			if near, ok := nearest(name, keys); ok {
				fix = fmt.Sprintf("did you mean %q?", near)
				l.bad[join(key, near)] = true
			}
			in := "at the top level"
			if key != "" {
				in = "in " + key
			}
			l.problem(placeOf(p.Key), "", fmt.Sprintf("unknown key %q %s", name, in), fix)
			continue
		}
		path := join(key, name)
		l.at[path] = placeOf(p.Key)
		if p.Value == nil {
			l.problem(placeOf(p.Key), path, "has no value", "write one, or remove the line")
			continue
		}
		l.value(p.Value, v.Field(i), path, v.Type().Field(i).Tag.Get("enum"))
	}
}

func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}
