package chaos

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// params reads a Spec's parameters by the kind's own list: a parameter that is
// not given has the default of the list, one that the list doesn't have is an
// error. The first error is kept, so a kind reads all it needs and looks once.
type params struct {
	kind  Kind
	given map[string]string
	known []Param
	err   error
}

func newParams(k kind, given map[string]string) *params {
	p := &params{kind: k.Kind, given: given, known: k.Params}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.ContainsFunc(k.Params, func(q Param) bool { return q.Name == name }) {
			names := make([]string, len(k.Params))
			for i, q := range k.Params {
				names[i] = q.Name
			}
			if len(names) == 0 {
				p.fail("it takes no parameters, got %q", name)
			} else {
				p.fail("unknown parameter %q; it takes %s", name, strings.Join(names, ", "))
			}
		}
	}
	return p
}

func (p *params) fail(format string, args ...any) {
	if p.err == nil {
		p.err = specErr(p.kind, format, args...)
	}
}

func (p *params) str(name string) string {
	if v, ok := p.given[name]; ok {
		return v
	}
	for _, q := range p.known {
		if q.Name == name {
			return q.Default
		}
	}
	panic("chaos: " + string(p.kind) + " reads a parameter that it does not declare: " + name)
}

func (p *params) number(name string, low, high int64) int64 {
	s := p.str(name)
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < low || n > high {
		p.fail("%s is %q, must be a whole number from %d to %d", name, s, low, high)
		return low
	}
	return n
}

func (p *params) oneOf(name string, choices ...string) string {
	s := p.str(name)
	if !slices.Contains(choices, s) {
		p.fail("%s is %q, must be one of %s", name, s, strings.Join(choices, ", "))
	}
	return s
}

// list splits a comma-separated value; empty means nil.
func (p *params) list(name string) []string {
	var out []string
	for s := range strings.SplitSeq(p.str(name), ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
