package drill

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// value decodes a node into a field.
func (l *loader) value(n ast.Node, v reflect.Value, key, enum string) {
	switch n.(type) {
	case *ast.NullNode:
		l.problem(l.at[key], key, "has no value", "write one, or remove the line")
		return
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		l.problem(placeOf(n), key, "anchors, aliases and tags are not read here", "write the value out")
		return
	}
	switch t := v.Type(); {
	case t == reflect.TypeFor[Expr]():
		l.expr(n, v, key)
	case t.Kind() == reflect.Struct:
		if l.wantMapping(n, key, t) {
			l.section(n, v, key)
		}
	case t.Kind() == reflect.Pointer:
		p := reflect.New(t.Elem())
		if l.wantMapping(n, key, t.Elem()) {
			l.section(n, p.Elem(), key)
		}
		v.Set(p)
	case t.Kind() == reflect.Slice:
		l.list(n, v, key, enum)
	case t.Kind() == reflect.Map:
		l.texts(n, v, key)
	default:
		l.scalar(n, v, key, enum)
	}
}

func (l *loader) list(n ast.Node, v reflect.Value, key, enum string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		fix := "write a dash in front of each entry"
		if s, ok := scalarText(n); ok {
			fix = fmt.Sprintf("write it as a list: [%s]", s)
		}
		l.problem(placeOf(n), key, "wants a list, not "+describe(n), fix)
		return
	}
	out := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		path := fmt.Sprintf("%s[%d]", key, i)
		l.at[path] = placeOf(item)
		l.value(item, out.Index(i), path, enum)
	}
	v.Set(out)
}

// texts decodes a mapping of names to scalars, each as it is written.
func (l *loader) texts(n ast.Node, v reflect.Value, key string) {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
	default:
		l.problem(placeOf(n), key, "wants names and values below it, not "+describe(n), "write them like {code: 503}")
		return
	}
	out := map[string]string{}
	for _, p := range l.pairs(n, key) {
		name := p.Key.GetToken().Value
		path := join(key, name)
		l.at[path] = placeOf(p.Key)
		s, ok := scalarText(p.Value)
		if !ok {
			l.problem(placeOf(p.Value), path, "wants a single value, not "+describe(p.Value), "")
			continue
		}
		out[name] = s
	}
	v.Set(reflect.ValueOf(out))
}

func (l *loader) scalar(n ast.Node, v reflect.Value, key, enum string) {
	s, ok := scalarText(n)
	if !ok {
		l.problem(placeOf(n), key, "wants a single value, not "+describe(n), "")
		return
	}
	l.at[key] = placeOf(n)
	bad := func(what, fix string) { l.problem(placeOf(n), key, what, fix) }
	switch v.Kind() {
	case reflect.Int64: // Duration
		var d Duration
		if err := d.UnmarshalText([]byte(s)); err != nil {
			bad(fmt.Sprintf("%q is no duration", s), "write it with a unit: 10s, 1m30s, 500ms")
			return
		}
		if d < 0 {
			bad("is negative", "write a duration above 0")
			return
		}
		v.SetInt(int64(d))
	case reflect.Int:
		i, err := strconv.Atoi(s)
		if err != nil {
			bad(fmt.Sprintf("%q is no whole number", s), "")
			return
		}
		v.SetInt(int64(i))
	case reflect.Float64:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			bad(fmt.Sprintf("%q is no number", s), "")
			return
		}
		v.SetFloat(f)
	case reflect.Bool:
		if s != "true" && s != "false" {
			bad(fmt.Sprintf("%q is neither true nor false", s), "")
			return
		}
		v.SetBool(s == "true")
	default:
		if all := strings.Split(enum, ","); enum != "" && !slices.Contains(all, s) {
			fix := "it is one of " + strings.Join(all, ", ")
			if near, ok := nearest(s, all); ok {
				fix = fmt.Sprintf("did you mean %s?", near)
			}
			bad(fmt.Sprintf("%q is not known", s), fix)
			return
		}
		v.SetString(s)
	}
}

// expr decodes an expression, and points into it where it is wrong.
func (l *loader) expr(n ast.Node, v reflect.Value, key string) {
	s, ok := scalarText(n)
	if !ok {
		l.problem(placeOf(n), key, "wants an expression, not "+describe(n), `write it like 'mode == "webhook"'`)
		return
	}
	l.at[key] = placeOf(n)
	x, err := ParseExpr(s)
	var ee *ExprError
	if !errors.As(err, &ee) {
		v.Set(reflect.ValueOf(x))
		return
	}
	p := placeOf(n)
	if t := n.GetToken(); !strings.Contains(t.Origin, "\n") || t.Type == token.StringType {
		p.column += ee.Column - 1
		if t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType {
			p.column++
		}
	}
	l.problem(p, key, ee.What, ee.Fix)
}

// scalarText is a scalar as it is written, without its quotes.
func scalarText(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return strings.TrimSpace(v.Value.Value), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// describe names what a node is.
func describe(n ast.Node) string {
	if s, ok := scalarText(n); ok {
		return strconv.Quote(s)
	}
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	}
	return "this"
}
