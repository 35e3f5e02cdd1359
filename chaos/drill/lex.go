package drill

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

type tokKind int8

const (
	tokEnd tokKind = iota
	tokName
	tokValue
	tokOp
	tokOpen
	tokClose
)

// tok is a token of an expression.
type tok struct {
	kind tokKind
	text string
	col  int // from 1, in characters
	val  value
}

// String is how a message names the token.
func (t tok) String() string {
	if t.kind == tokEnd {
		return "the end"
	}
	return fmt.Sprintf("%q", t.text)
}

// maxExpr bounds an expression's length, in bytes.
const maxExpr = 1000

// lex cuts an expression into tokens, the last of which is tokEnd.
func lex(text string) ([]tok, error) {
	if len(text) > maxExpr {
		return nil, &ExprError{1, fmt.Sprintf("longer than %d bytes", maxExpr), "split it into several probes"}
	}
	var out []tok
	rs := []rune(text)
	for i := 0; i < len(rs); {
		r, col := rs[i], i+1
		run := func(ok func(rune) bool) string {
			from := i
			for i < len(rs) && ok(rs[i]) {
				i++
			}
			return string(rs[from:i])
		}
		switch {
		case unicode.IsSpace(r):
			i++
		case r == '(':
			i++
			out = append(out, tok{kind: tokOpen, text: "(", col: col})
		case r == ')':
			i++
			out = append(out, tok{kind: tokClose, text: ")", col: col})
		case r == '"' || r == '\'':
			i++
			s := run(func(c rune) bool { return c != r })
			if i == len(rs) {
				return nil, &ExprError{col, "the quote is not closed", fmt.Sprintf("add %c", r)}
			}
			i++
			out = append(out, tok{kind: tokValue, text: s, col: col, val: word(s)})
		case r >= '0' && r <= '9':
			s := run(func(c rune) bool { return c == '.' || c == 'µ' || isNameRune(c) })
			v, err := literal(s)
			if err != nil {
				return nil, &ExprError{col, fmt.Sprintf("%q is neither a number nor a duration", s), "write numbers like 100 and durations like 10s, 1m30s, 500ms"}
			}
			out = append(out, tok{kind: tokValue, text: s, col: col, val: v})
		case isNameRune(r):
			s := run(isNameRune)
			if s == "true" || s == "false" {
				out = append(out, tok{kind: tokValue, text: s, col: col, val: boolean(s == "true")})
				continue
			}
			out = append(out, tok{kind: tokName, text: s, col: col})
		case strings.ContainsRune("=!<>&|", r):
			s := run(func(c rune) bool { return strings.ContainsRune("=!<>&|", c) })
			switch op(s) {
			case opEq, opNe, opLt, opLe, opGt, opGe:
				out = append(out, tok{kind: tokOp, text: s, col: col})
			default:
				fix := map[string]string{"=": "write ==", "&&": "write and", "||": "write or", "!": "write not"}[s]
				return nil, &ExprError{col, fmt.Sprintf("there is no operator %s", s), fix}
			}
		default:
			return nil, &ExprError{col, fmt.Sprintf("%q means nothing here", r), ""}
		}
	}
	return append(out, tok{kind: tokEnd, col: len(rs) + 1}), nil
}

func isNameRune(r rune) bool {
	return r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// literal reads a number or a duration.
func literal(s string) (value, error) {
	if n, err := strconv.ParseFloat(s, 64); err == nil && !strings.ContainsAny(s, "eExXpP_") {
		return number(n), nil
	}
	d, err := time.ParseDuration(s)
	return span(d), err
}
