package chaos

import (
	"context"
	"time"
)

func storeSlow() kind {
	return kind{Info{
		Kind:     "store.slow",
		Layer:    "store",
		Unit:     "commit",
		Doc:      "The disk is slow: each commit takes that much longer.",
		Delay:    "the time added; 0 means 1s",
		Params:   []Param{pointsParam},
		ProdSafe: true,
	}, slowAt(SeamStore)}
}

// slowAt makes the prepare function of a fault that waits at a seam's points.
func slowAt(seam Seam) func(*Registry, Spec, *params) (behaviour, error) {
	return func(_ *Registry, s Spec, p *params) (behaviour, error) {
		d := s.Delay
		if d == 0 {
			d = time.Second
		}
		return behaviour{hook: &hookRule{seam, pointMatch(seam, p), func(ctx context.Context, f *fault, _ string) error {
			return f.wait(ctx, d)
		}}}, nil
	}
}
