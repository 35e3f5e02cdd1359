package chaos

import (
	"context"
	"errors"
	"sync/atomic"
)

func crashAt() kind {
	return kind{Info{
		Kind:  "crash.at",
		Layer: "crash",
		Unit:  "passage",
		Doc:   "The process ends at a named point, without any clean-up. The fault is gone with it.",
		Params: []Param{
			{Name: "point", Doc: "the point, such as delete-sent, or seam:point, such as store:commit"},
			{Name: "nth", Doc: "the passage at which it crashes, counted from the injection, 1 to 1000000", Default: "1"},
		},
		Destructive: true,
	}, func(r *Registry, _ Spec, p *params) (behaviour, error) {
		point := p.str("point")
		nth := p.number("nth", 1, 1_000_000)
		switch {
		case point == "":
			p.fail("point must be given")
		case r.opts.Exit == nil:
			p.fail("this process has not said how it can be ended")
		}
		var passed atomic.Int64
		return behaviour{hook: &hookRule{
			match: func(s Seam, at string) bool {
				return (at == point || string(s)+":"+at == point) && passed.Add(1) >= nth
			},
			at: func(_ context.Context, f *fault, at string) error {
				r.opts.Exit(at)
				return f.error(errors.New("the process was ended at " + at))
			},
		}}, nil
	}}
}
