package host

import (
	"context"
	"time"

	"dualgram/chaos/drill"
)

// Simulated is what is known where Telegram is played.
type Simulated struct {
	drill.Simulator
	// Compare ends the traffic, waits a while until the bot has what was sent, and
	// compares the two; injected is when the first fault began. It is called once, at
	// the end of a drill.
	Compare func(ctx context.Context, injected time.Time) (*drill.Books, error)
}

// shown is what the evidence says of it; nil for a live host.
func (s *Simulated) shown() *drill.Simulator {
	if s == nil {
		return nil
	}
	return &s.Simulator
}

// Books implements [drill.Witness].
func (d *drillHost) Books(ctx context.Context, injected time.Time) (*drill.Books, error) {
	s := d.h.opt.Simulated
	if s == nil || s.Compare == nil {
		return nil, nil //nolint:nilnil // a live host has none
	}
	return s.Compare(ctx, injected)
}
