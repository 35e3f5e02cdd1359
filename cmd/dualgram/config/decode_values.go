package config

import (
	"fmt"
	"reflect"

	"github.com/goccy/go-yaml/ast"
)

// scalarText returns a scalar as it is written in the file.
func scalarText(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		if v.Value == nil {
			return "", true
		}
		return v.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		if t := n.GetToken(); t != nil {
			return t.Value, true
		}
	}
	return "", false
}

// describe names the kind of a node for a message.
func describe(n ast.Node) string {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return "a text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a section"
	case *ast.NullNode:
		return "nothing"
	}
	return "this"
}

// scalar decodes a value that is one word, strictly: a text is no number and a
// number is no text.
func (l *loader) scalar(n ast.Node, v reflect.Value, key string) {
	where := l.at(n)
	s, ok := scalarText(n)
	if !ok {
		l.problem(where, key, fmt.Sprintf("wants %s, not %s", wanted(v.Type()), describe(n)), "write "+wanted(v.Type()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		if _, number := n.(*ast.IntegerNode); !isText(n) && (!number || v.Type() != chatType) {
			l.problem(where, key, fmt.Sprintf("wants a text, and YAML reads %s as %s", quoted(s), describe(n)), "put it in quotes")
			return
		}
	case reflect.Bool:
		// YAML 1.2 reads yes, no, on and off as texts; people don't.
		if _, isBool := n.(*ast.BoolNode); !isBool && !isText(n) {
			l.problem(where, key, "wants true or false, not "+quoted(s), "write true or false")
			return
		}
	case reflect.Int:
		if _, isInt := n.(*ast.IntegerNode); v.Type() != durationType && !isInt {
			l.problem(where, key, fmt.Sprintf("wants a whole number, not %s", quoted(s)), "write a number such as 40, without quotes")
			return
		}
	}
	if err := setText(v, s); err != nil {
		l.problem(where, key, err.what, err.fix)
	}
}

func isText(n ast.Node) bool {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return true
	}
	return false
}

func wanted(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration such as 30s"
	case t == prefixType:
		return "a network such as 10.0.0.0/8"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "a whole number"
	}
	return "a text"
}

func (l *loader) networks(n ast.Node, v reflect.Value, key string) {
	var texts []string
	places := []ast.Node{n}
	if seq, ok := n.(*ast.SequenceNode); ok {
		places = seq.Values
	}
	for _, item := range places {
		item = l.unwrap(item, l.at(item), key)
		if item == nil {
			return
		}
		s, ok := scalarText(item)
		if !ok || !isText(item) {
			l.problem(l.at(item), key, "wants telegram, any or a list of networks, not "+describe(item), "write telegram, any or networks such as 10.0.0.0/8")
			return
		}
		texts = append(texts, s)
		// Each alone first, so that the error stands at the wrong one.
		if _, err := parseNetworks([]string{s}); err != nil {
			l.problem(l.at(item), key, err.what, err.fix)
			return
		}
	}
	ns, err := parseNetworks(texts)
	if err != nil {
		l.problem(l.at(n), key, err.what, err.fix)
		return
	}
	v.Set(reflect.ValueOf(ns))
}

// hook decodes a program, alone or with arguments as a list.
func (l *loader) hook(n ast.Node, v reflect.Value, key string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		if !isText(n) {
			l.problem(l.at(n), key, "wants a program, not "+describe(n), "write the path of a program, or [program, argument]")
			return
		}
		l.scalar(n, v, key)
		return
	}
	var h Hook
	for _, item := range seq.Values {
		item = l.unwrap(item, l.at(item), key)
		if item == nil {
			return
		}
		s, ok := scalarText(item)
		if !ok {
			l.problem(l.at(item), key, "wants words, not "+describe(item), "write [program, argument]")
			return
		}
		h = append(h, s)
	}
	if len(h) == 0 || h[0] == "" {
		l.problem(l.at(n), key, "names no program", "write [program, argument], or remove the hook")
		return
	}
	v.Set(reflect.ValueOf(h))
}

// secret decodes ${NAME}. The message never holds the value.
func (l *loader) secret(n ast.Node, v reflect.Value, key string) {
	s, ok := scalarText(n)
	m := variableRef.FindStringSubmatch(s)
	if !ok || m == nil {
		l.problem(l.at(n), key, "holds a literal value; secrets don't belong in this file, which is copied, diffed and committed",
			fmt.Sprintf("put it into a file of its own and name that in %s_file, or write ${NAME} and set the variable NAME. If this file has been shared, change the secret", lastName(key)))
		return
	}
	l.referenced[m[1]] = true
	value, ok := l.env[m[1]]
	if !ok || value == "" {
		l.problem(l.at(n), key, fmt.Sprintf("the variable %s is not set", m[1]),
			fmt.Sprintf("set %s, or name a file in %s_file", m[1], lastName(key)))
		return
	}
	v.Set(reflect.ValueOf(Secret{value: value, variable: m[1]}))
}
