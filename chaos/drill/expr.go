package drill

import (
	"fmt"
	"slices"
	"time"
)

// Expr is a parsed expression over a [View], such as
//
//	mode == "webhook" and pending < 100 and not ("blind" in warnings)
//
// It has comparisons (== != < <= > >=), "in" and "not in" for a word in a list,
// and, or, not, and parentheses. Literals are numbers, durations (10s, 1m30s),
// words in single or double quotes, true and false; [Names] lists the names.
// Both sides of a comparison are of one type, which is checked when it is
// parsed.
//
// What depends on something unknown is neither true nor false: [Unknown]. "and"
// and "or" look through it where the other side decides.
type Expr struct {
	text string
	root *node
}

// Truth is what an expression says of a view.
type Truth int8

// The truths.
const (
	Unknown Truth = iota
	True
	False
)

// ExprError says what is wrong with an expression.
type ExprError struct {
	Column    int // from 1, in characters
	What, Fix string
}

// Error implements error.
func (e *ExprError) Error() string {
	s := fmt.Sprintf("column %d: %s", e.Column, e.What)
	if e.Fix != "" {
		s += "; " + e.Fix
	}
	return s
}

// ParseExpr parses and checks an expression. The error is an [*ExprError].
func ParseExpr(text string) (Expr, error) {
	toks, err := lex(text)
	if err != nil {
		return Expr{}, err
	}
	p := &exprParser{toks: toks}
	n, err := p.or(0)
	if err == nil && p.peek().kind != tokEnd {
		t := p.peek()
		err = &ExprError{t.col, fmt.Sprintf("%s is not expected here", t), "join conditions with and, or"}
	}
	if err == nil && n.typ != typeBool {
		err = &ExprError{n.col, fmt.Sprintf("the expression is %s, not a condition", n.typ.article()), "compare it with something"}
	}
	if err != nil {
		return Expr{}, err
	}
	return Expr{text: text, root: n}, nil
}

// String is the expression as it was written.
func (x Expr) String() string { return x.text }

// MarshalText implements [encoding.TextMarshaler].
func (x Expr) MarshalText() ([]byte, error) { return []byte(x.text), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. Like a journal of another
// version, it may hold a name that this one does not know: the text is kept
// then, and is [Unknown] of everything.
func (x *Expr) UnmarshalText(b []byte) error {
	y, err := ParseExpr(string(b))
	if err != nil {
		y = Expr{text: string(b)}
	}
	*x = y
	return nil
}

// Eval says whether the expression is true of v. It reads nothing else.
func (x Expr) Eval(v *View) Truth {
	if x.root == nil {
		return Unknown
	}
	return x.root.eval(v).truth()
}

// Values returns the names that the expression uses and what they are in v; nil
// for what is not known.
func (x Expr) Values(v *View) map[string]any {
	out := map[string]any{}
	var walk func(n *node)
	walk = func(n *node) {
		if n == nil {
			return
		}
		if n.op == opName {
			out[n.name.Name] = n.name.get(v).plain()
		}
		walk(n.left)
		walk(n.right)
	}
	walk(x.root)
	return out
}

// valueType is the type of a value.
type valueType string

const (
	typeBool     valueType = "condition"
	typeNumber   valueType = "number"
	typeDuration valueType = "duration"
	typeText     valueType = "word"
	typeList     valueType = "list"
)

func (t valueType) article() string { return "a " + string(t) }

// value is a value, or unknown.
type value struct {
	typ   valueType
	known bool
	b     bool
	num   float64 // also a duration, in nanoseconds
	text  string
	list  []string
}

func boolean(b bool) value           { return value{typ: typeBool, known: true, b: b} }
func number(n float64) value         { return value{typ: typeNumber, known: true, num: n} }
func words(l []string) value         { return value{typ: typeList, known: true, list: l} }
func word(s string) value            { return value{typ: typeText, known: true, text: s} }
func span(d time.Duration) value     { return value{typ: typeDuration, known: true, num: float64(d)} }
func unknownValue(t valueType) value { return value{typ: t} }

func (v value) truth() Truth {
	switch {
	case !v.known:
		return Unknown
	case v.b:
		return True
	default:
		return False
	}
}

// plain is the value for people and JSON.
func (v value) plain() any {
	if !v.known {
		return nil
	}
	switch v.typ {
	case typeBool:
		return v.b
	case typeNumber:
		return v.num
	case typeDuration:
		return Duration(time.Duration(v.num).Round(time.Millisecond)).String()
	case typeText:
		return v.text
	default:
		return append([]string{}, v.list...)
	}
}

type op string

const (
	opLiteral op = "literal"
	opName    op = "name"
	opAnd     op = "and"
	opOr      op = "or"
	opNot     op = "not"
	opIn      op = "in"
	opEq      op = "=="
	opNe      op = "!="
	opLt      op = "<"
	opLe      op = "<="
	opGt      op = ">"
	opGe      op = ">="
)

// node is a node of an expression's tree.
type node struct {
	op          op
	typ         valueType
	col         int
	lit         value
	name        *Name
	left, right *node
}

func (n *node) eval(v *View) value {
	switch n.op {
	case opLiteral:
		return n.lit
	case opName:
		return n.name.get(v)
	case opNot:
		l := n.left.eval(v)
		l.b = !l.b
		return l
	case opAnd, opOr:
		l, r := n.left.eval(v), n.right.eval(v)
		decides := n.op == opOr // true decides an or, false an and
		if l.known && l.b == decides || r.known && r.b == decides {
			return boolean(decides)
		}
		if !l.known || !r.known {
			return unknownValue(typeBool)
		}
		return boolean(!decides)
	}
	l, r := n.left.eval(v), n.right.eval(v)
	if !l.known || !r.known {
		return unknownValue(typeBool)
	}
	switch n.op {
	case opIn:
		return boolean(slices.Contains(r.list, l.text))
	case opEq:
		return boolean(l.same(r))
	case opNe:
		return boolean(!l.same(r))
	case opLt:
		return boolean(l.num < r.num)
	case opLe:
		return boolean(l.num <= r.num)
	case opGt:
		return boolean(l.num > r.num)
	default:
		return boolean(l.num >= r.num)
	}
}

func (v value) same(w value) bool { return v.b == w.b && v.num == w.num && v.text == w.text }
