package host

import (
	"testing"
	"time"

	"dualgram/supervisor/console"
)

// TestIncident: what nobody asked for is an incident, and what was asked for is not.
func TestIncident(t *testing.T) {
	began := time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC)
	ended := began.Add(time.Second)
	for name, c := range map[string]struct {
		h    *console.Handover
		want time.Time
	}{
		"none":             {nil, time.Time{}},
		"a failover":       {&console.Handover{From: "webhook", To: "polling", By: "automatic", StartedAt: began, FinishedAt: ended}, ended},
		"one under way":    {&console.Handover{From: "webhook", To: "polling", By: "automatic", StartedAt: began}, began},
		"the way back":     {&console.Handover{From: "polling", To: "webhook", By: "automatic", StartedAt: began, FinishedAt: ended}, ended},
		"the first set":    {&console.Handover{From: "none", To: "webhook", By: "automatic", StartedAt: began, FinishedAt: ended}, time.Time{}},
		"another secret":   {&console.Handover{From: "webhook", To: "webhook", By: "automatic", StartedAt: began, FinishedAt: ended}, time.Time{}},
		"an operator's":    {&console.Handover{From: "webhook", To: "polling", By: "operator", StartedAt: began, FinishedAt: ended}, time.Time{}},
		"of another drill": {&console.Handover{From: "webhook", To: "polling", By: "drill", StartedAt: began, FinishedAt: ended}, time.Time{}},
	} {
		if got := incident(c.h); !got.Equal(c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}
