package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxNesting bounds chains of anchors, aliases and merges. The depth of the
// rest is bounded by the types.
const maxNesting = 32

// parseYAML returns the file's only document, nil if it is empty.
func parseYAML(data []byte) (doc ast.Node, prob *Problem) {
	defer func() {
		// The parser is a third party's and the file is anybody's.
		if r := recover(); r != nil {
			doc, prob = nil, &Problem{What: "can't be read as YAML", Fix: "check the indentation and the quotes"}
		}
	}()
	// Keys written twice are ours to report, with the key's path.
	f, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		p := &Problem{What: "can't be read as YAML", Fix: "check the indentation and the quotes at and above this line"}
		var se *yaml.SyntaxError
		if errors.As(err, &se) {
			p.What = "can't be read as YAML: " + Redact(se.GetMessage())
			p.Where.Line, p.Where.Column = position(se.GetToken())
			if tabIndented(data, p.Where.Line) {
				p.Fix = "indent with spaces: YAML allows no tabs there"
			}
		}
		return nil, p
	}
	for _, d := range f.Docs {
		if d == nil || d.Body == nil {
			continue
		}
		if _, ok := d.Body.(*ast.CommentGroupNode); ok {
			continue
		}
		if doc != nil {
			p := &Problem{What: "holds a second YAML document", Fix: "remove the line --- and what follows it"}
			p.Where.Line, p.Where.Column = position(d.Body.GetToken())
			return nil, p
		}
		doc = d.Body
	}
	return doc, nil
}

// tabIndented says whether a line starts with blanks and a tab among them.
func tabIndented(data []byte, line int) bool {
	n := 0
	for l := range bytes.Lines(data) {
		if n++; n == line {
			return bytes.ContainsRune(l[:len(l)-len(bytes.TrimLeft(l, " \t"))], '\t')
		}
	}
	return false
}

func position(t *token.Token) (line, column int) {
	if t == nil || t.Position == nil {
		return 0, 0
	}
	return t.Position.Line, t.Position.Column
}

type anchors map[string]ast.Node

// Visit collects the anchors of a document.
func (a anchors) Visit(n ast.Node) ast.Visitor {
	if an, ok := n.(*ast.AnchorNode); ok && an.Name != nil && an.Name.GetToken() != nil {
		a[an.Name.GetToken().Value] = an.Value
	}
	return a
}

// at is the place of a node in the file.
func (l *loader) at(n ast.Node) Origin {
	o := Origin{Source: SourceFile, File: l.cfg.File}
	if n != nil {
		o.Line, o.Column = position(n.GetToken())
	}
	return o
}

// unwrap follows anchors and aliases to the node meant. It reports what it
// can't follow and returns nil then.
func (l *loader) unwrap(n ast.Node, where Origin, key string) ast.Node {
	for range maxNesting {
		switch v := n.(type) {
		case nil:
			return nil
		case *ast.AnchorNode:
			n = v.Value
		case *ast.AliasNode:
			name := ""
			if v.Value != nil && v.Value.GetToken() != nil {
				name = v.Value.GetToken().Value
			}
			target, ok := l.anchors[name]
			if !ok {
				l.problem(where, key, fmt.Sprintf("*%s refers to nothing", name), fmt.Sprintf("write &%s before the value meant", name))
				return nil
			}
			n = target
		case *ast.TagNode:
			l.problem(where, key, "has a YAML tag", "remove the tag that starts with !")
			return nil
		default:
			return n
		}
	}
	l.problem(where, key, "refers to itself", "write the value instead of the alias")
	return nil
}

type entry struct {
	name  string
	where Origin
	value ast.Node
}

// entries lists the keys of a mapping, with merged ones (<<) behind its own.
func (l *loader) entries(n ast.Node, key string, depth int) []entry {
	var pairs []*ast.MappingValueNode
	switch v := n.(type) {
	case *ast.MappingNode:
		pairs = v.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{v}
	}
	var own, merged []entry
	seen := map[string]bool{}
	for _, p := range pairs {
		if p == nil || p.Key == nil {
			continue
		}
		where := l.at(p.Key)
		if _, ok := p.Key.(*ast.MergeKeyNode); ok {
			if depth >= maxNesting || seen["<<"] {
				// One per section keeps a file of merges that merge from growing
				// without bound.
				l.problem(where, key, "merges itself, or more than one section", "write << once, for a section that doesn't lead back here")
				continue
			}
			seen["<<"] = true
			target := l.unwrap(p.Value, where, key)
			switch target.(type) {
			case *ast.MappingNode, *ast.MappingValueNode:
				merged = append(merged, l.entries(target, key, depth+1)...)
			case nil:
			default:
				l.problem(where, key, "<< wants a section to merge", "write <<: *name, with &name in front of a section above")
			}
			continue
		}
		name := ""
		if t := p.Key.GetToken(); t != nil {
			name = t.Value
		}
		if seen[name] {
			l.problem(where, join(key, name), "is written twice", "remove one of the two")
			continue
		}
		seen[name] = true
		own = append(own, entry{name, where, p.Value})
	}
	for _, m := range merged {
		if !seen[m.name] {
			seen[m.name] = true
			own = append(own, m)
		}
	}
	return own
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// section decodes a mapping into a struct.
func (l *loader) section(n ast.Node, v reflect.Value, key string) {
	fields := fieldsOf(v.Type())
	for _, e := range l.entries(n, key, 0) {
		f, ok := fields[e.name]
		if !ok {
			l.unknownKey(e, v.Type(), key)
			continue
		}
		l.value(e.value, v.Field(f.index), join(key, e.name), e.where, f.off)
	}
}

// unknownKey reports a key and the one that was meant.
func (l *loader) unknownKey(e entry, t reflect.Type, key string) {
	in := "at the top level"
	if key != "" {
		in = "in " + key
	}
	names := fieldNames(t)
	fix := "remove it; known here: " + strings.Join(names, ", ")
	if near, ok := Nearest(e.name, names); ok {
		fix = fmt.Sprintf("did you mean %q?", near)
		l.bad[join(key, near)] = true
	} else if path, ok := elsewhere(e.name); ok {
		fix = fmt.Sprintf("this key belongs to %s", path)
	}
	l.problem(e.where, "", fmt.Sprintf("unknown key %s %s", quoted(e.name), in), fix)
}

// value decodes a node into a field. where is the place of its key.
func (l *loader) value(n ast.Node, v reflect.Value, key string, where Origin, mayBeOff bool) {
	n = l.unwrap(n, where, key)
	if n == nil {
		return
	}
	if _, ok := n.(*ast.NullNode); ok {
		l.null(v, key, where)
		return
	}
	l.cfg.origins[key] = where
	if mayBeOff {
		if s, ok := scalarText(n); ok && isOff(s) {
			setOff(v)
			return
		}
	}
	switch t := v.Type(); {
	case t == secretType:
		l.secret(n, v, key)
	case t == networksType:
		l.networks(n, v, key)
	case t == hookType:
		l.hook(n, v, key)
	case t == prefixType, t == durationType, t.Kind() == reflect.String, t.Kind() == reflect.Bool, t.Kind() == reflect.Int:
		l.scalar(n, v, key)
	case t.Kind() == reflect.Slice:
		l.list(n, v, key, where)
	case t.Kind() == reflect.Pointer:
		p := newDefault(t.Elem())
		if l.wantSection(n, key, t.Elem(), mayBeOff) {
			l.section(n, p.Elem(), key)
		}
		v.Set(p)
	case t.Kind() == reflect.Struct:
		if l.wantSection(n, key, t, mayBeOff) {
			l.section(n, v, key)
		}
	}
}

// null is a key with nothing behind it. A section may have all its lines
// commented out; a value that was meant to be there is missing.
func (l *loader) null(v reflect.Value, key string, where Origin) {
	if k := v.Kind(); k == reflect.Slice || k == reflect.Pointer || (k == reflect.Struct && v.Type() != secretType && v.Type() != networksType && v.Type() != prefixType) {
		return
	}
	l.problem(where, key, "has no value", "write one, or remove the line")
}

func (l *loader) wantSection(n ast.Node, key string, t reflect.Type, mayBeOff bool) bool {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	fix := "write its keys below it, indented: " + strings.Join(fieldNames(t), ", ")
	if mayBeOff {
		fix += "; or off"
	}
	l.problem(l.at(n), key, "wants keys below it, not "+describe(n), fix)
	return false
}

func (l *loader) list(n ast.Node, v reflect.Value, key string, where Origin) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		fix := "write it as a list: [one, two]"
		if s, ok := scalarText(n); ok {
			fix = fmt.Sprintf("write it as a list: [%s]", redactURL(s))
		} else if v.Type().Elem().Kind() == reflect.Struct {
			fix = "write a dash before the first key of each"
		}
		l.problem(l.at(n), key, "wants a list, not "+describe(n), fix)
		return
	}
	out := reflect.MakeSlice(v.Type(), 0, len(seq.Values))
	for i, item := range seq.Values {
		elem := reflect.New(v.Type().Elem()).Elem()
		if elem.Type() == reflect.TypeFor[Bot]() {
			elem.Set(reflect.ValueOf(DefaultBot()))
		}
		place := l.at(item)
		if place.Line == 0 {
			place = where
		}
		l.value(item, elem, fmt.Sprintf("%s[%d]", key, i), place, false)
		out = reflect.Append(out, elem)
	}
	v.Set(out)
}
