package supervisor

import (
	"testing"
	"time"

	"dualgram/transport"
)

func sum(counts []uint32) (n int) {
	for _, c := range counts {
		n += int(c)
	}
	return n
}

// Each update is in the span in which it came, for as long as the ring reaches, and
// no clock makes the ring wrong or large.
func TestIntakeCounts(t *testing.T) {
	t0 := time.Date(2026, 3, 1, 12, 0, 0, 500e6, time.UTC)
	c := newIntakeCounts()
	c.add(transport.SourceWebhook, 3, t0)
	c.add(transport.SourceWebhook, 2, t0.Add(400*time.Millisecond))
	c.add(transport.SourcePolling, 100, t0.Add(2*time.Second))
	in := c.read(t0.Add(3 * time.Second))
	s := in.Seconds
	if n := len(s.Webhook); n != countedSeconds || len(s.Polling) != n || s.Webhook[n-4] != 5 || s.Polling[n-2] != 100 || sum(s.Webhook) != 5 || sum(s.Polling) != 100 {
		t.Errorf("seconds: %v %v", s.Webhook[n-5:], s.Polling[n-5:])
	}
	if want := t0.Truncate(time.Second).Add(4*time.Second - countedSeconds*time.Second); !s.Begin.Equal(want) || s.Step != time.Second {
		t.Errorf("begins %v, want %v", s.Begin, want)
	}
	if m := in.Minutes; len(m.Webhook) != countedMinutes || m.Webhook[countedMinutes-1] != 5 || m.Polling[countedMinutes-1] != 100 {
		t.Errorf("minutes: %v", m.Webhook[countedMinutes-2:])
	}
	// At the end of the reach it is still there, a second later it is not.
	if n := sum(c.read(t0.Add((countedSeconds - 1) * time.Second)).Seconds.Webhook); n != 5 {
		t.Errorf("%d within reach", n)
	}
	if n := sum(c.read(t0.Add(countedSeconds * time.Second)).Seconds.Webhook); n != 0 {
		t.Errorf("%d out of reach", n)
	}
	// The clock is set back: what comes counts, and nothing earlier is doubled.
	c.add(transport.SourceWebhook, 7, t0)
	if n := sum(c.read(t0).Seconds.Webhook); n != 7 {
		t.Errorf("%d after the clock was set back", n)
	}
	// It jumps by years.
	c.add(transport.SourceWebhook, 1, t0.AddDate(5, 0, 0))
	if in := c.read(t0.AddDate(5, 0, 0)); sum(in.Seconds.Webhook) != 1 || sum(in.Minutes.Webhook) != 1 || sum(in.Minutes.Polling) != 0 {
		t.Errorf("after a jump: %d, %d", sum(in.Seconds.Webhook), sum(in.Minutes.Webhook))
	}
}
