package drill

import (
	"fmt"
	"slices"
	"strings"
)

// maxExprDepth bounds the parser's recursion.
const maxExprDepth = 50

type exprParser struct {
	toks []tok
	i    int
}

func (p *exprParser) peek() tok { return p.toks[p.i] }

func (p *exprParser) next() tok {
	t := p.toks[p.i]
	if t.kind != tokEnd {
		p.i++
	}
	return t
}

func (p *exprParser) word(s string) bool {
	if t := p.peek(); t.kind == tokName && t.text == s {
		p.i++
		return true
	}
	return false
}

func (p *exprParser) or(depth int) (*node, error)  { return p.chain(opOr, p.and, depth) }
func (p *exprParser) and(depth int) (*node, error) { return p.chain(opAnd, p.not, depth) }

// chain parses operands joined by a word.
func (p *exprParser) chain(o op, operand func(int) (*node, error), depth int) (*node, error) {
	left, err := operand(depth)
	for err == nil {
		col := p.peek().col
		if !p.word(string(o)) {
			break
		}
		var right *node
		if right, err = operand(depth); err != nil {
			break
		}
		for _, n := range []*node{left, right} {
			if n.typ != typeBool {
				return nil, &ExprError{n.col, fmt.Sprintf("%s joins conditions, and this is %s", o, n.typ.article()), "compare it with something"}
			}
		}
		left = &node{op: o, typ: typeBool, col: col, left: left, right: right}
	}
	return left, err
}

func (p *exprParser) not(depth int) (*node, error) {
	if depth > maxExprDepth {
		return nil, &ExprError{p.peek().col, "too deep", "write it with fewer parentheses"}
	}
	col := p.peek().col
	if !p.word("not") {
		return p.comparison(depth)
	}
	n, err := p.not(depth + 1)
	if err != nil {
		return nil, err
	}
	if n.typ != typeBool {
		return nil, &ExprError{n.col, fmt.Sprintf("not wants a condition, and this is %s", n.typ.article()), "compare it with something"}
	}
	return &node{op: opNot, typ: typeBool, col: col, left: n}, nil
}

func (p *exprParser) comparison(depth int) (*node, error) {
	left, err := p.term(depth)
	if err != nil {
		return nil, err
	}
	t := p.peek()
	o, negate := op(t.text), false
	switch {
	case t.kind == tokOp:
		p.next()
	case t.kind == tokName && t.text == "in":
		p.next()
	case t.kind == tokName && t.text == "not":
		p.next()
		if !p.word("in") {
			return nil, &ExprError{t.col, "not is not expected here", `write "x" not in warnings, or put not in front of the condition`}
		}
		o, negate = opIn, true
	default:
		return left, nil
	}
	right, err := p.term(depth)
	if err != nil {
		return nil, err
	}
	n := &node{op: o, typ: typeBool, col: t.col, left: left, right: right}
	if err := n.check(); err != nil {
		return nil, err
	}
	if after := p.peek(); after.kind == tokOp || after.kind == tokName && after.text == "in" {
		return nil, &ExprError{after.col, "comparisons can't be chained", "write a < b and b < c"}
	}
	if negate {
		n = &node{op: opNot, typ: typeBool, col: t.col, left: n}
	}
	return n, nil
}

// check looks at the types of a comparison.
func (n *node) check() error {
	l, r := n.left, n.right
	if n.op == opIn {
		if l.typ != typeText || r.typ != typeList {
			return &ExprError{n.col, fmt.Sprintf("in wants a word and a list, not %s and %s", l.typ.article(), r.typ.article()), `write it like "blind" in warnings`}
		}
		return nil
	}
	if l.typ == typeList || r.typ == typeList {
		return &ExprError{n.col, "a list can't be compared", `write "blind" in warnings`}
	}
	if l.typ != r.typ {
		e := &ExprError{n.col, fmt.Sprintf("%s is compared with %s", l.typ.article(), r.typ.article()), ""}
		if l.typ == typeDuration && r.typ == typeNumber || l.typ == typeNumber && r.typ == typeDuration {
			e.Fix = "write a duration with its unit, such as 10s"
		}
		return e
	}
	if n.op != opEq && n.op != opNe && l.typ != typeNumber && l.typ != typeDuration {
		return &ExprError{n.col, fmt.Sprintf("%s has no order", l.typ.article()), "use == or !="}
	}
	for _, pair := range [][2]*node{{l, r}, {r, l}} {
		if name, lit := pair[0], pair[1]; name.op == opName && lit.op == opLiteral && len(name.name.Values) > 0 && !slices.Contains(name.name.Values, lit.lit.text) {
			return &ExprError{lit.col, fmt.Sprintf("%s is never %q", name.name.Name, lit.lit.text), "it is one of " + strings.Join(name.name.Values, ", ")}
		}
	}
	return nil
}

func (p *exprParser) term(depth int) (*node, error) {
	t := p.next()
	switch t.kind {
	case tokOpen:
		n, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		if end := p.next(); end.kind != tokClose {
			return nil, &ExprError{end.col, fmt.Sprintf("the parenthesis at column %d is not closed", t.col), "add )"}
		}
		return n, nil
	case tokValue:
		return &node{op: opLiteral, typ: t.val.typ, col: t.col, lit: t.val}, nil
	case tokName:
		if slices.Contains([]string{"and", "or", "in"}, t.text) {
			break
		}
		all := names()
		for i := range all {
			if all[i].Name == t.text {
				return &node{op: opName, typ: all[i].Type, col: t.col, name: &all[i]}, nil
			}
		}
		known := make([]string, len(all))
		for i, n := range all {
			known[i] = n.Name
		}
		fix := "the names are " + strings.Join(known, ", ")
		if near, ok := nearest(t.text, known); ok {
			fix = fmt.Sprintf("did you mean %s?", near)
		}
		return nil, &ExprError{t.col, fmt.Sprintf("there is no %s", t.text), fix}
	}
	return nil, &ExprError{t.col, fmt.Sprintf("a name or a value is missing before %s", t), ""}
}
