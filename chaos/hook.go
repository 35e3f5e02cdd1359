package chaos

import (
	"context"
	"slices"
)

// Seam names a place that calls a hook at its points.
type Seam string

// The seams with faults of their own. Any other name may be used too; crash.at
// acts on all of them.
const (
	SeamStore    Seam = "store"
	SeamDelivery Seam = "delivery"
	SeamHandover Seam = "handover"
	SeamPolling  Seam = "polling"
)

// Hook returns a hook for the points of a seam, or nil if the registry is
// disabled. An error makes the step at that point fail; a wait ends with the
// fault or with the hook's context, whose error is then returned.
func (s *Scope) Hook(at Seam) func(ctx context.Context, point string) error {
	if !s.Enabled() {
		return nil
	}
	s.attachHook(seamHook, at)
	return func(ctx context.Context, point string) error {
		t := s.load()
		if t == nil {
			return nil
		}
		for _, f := range t.hook {
			if rule := f.b.hook; rule.match(at, point) && f.fire() {
				if err := rule.at(ctx, f, point); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

var pointsParam = Param{Name: "points", Doc: "only these points, separated by commas"}

func pointMatch(s Seam, p *params) func(Seam, string) bool {
	points := p.list("points")
	return func(at Seam, point string) bool {
		return at == s && (len(points) == 0 || slices.Contains(points, point))
	}
}
