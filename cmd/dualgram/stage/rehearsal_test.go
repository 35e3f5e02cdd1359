package stage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dualgram/chaos/telegramsim"
	"dualgram/supervisor/failover"

	"go.uber.org/goleak"
)

// TestHoldDown: no failback is tried while the method goes on, at the least hold-down
// that the jitter may bring, and none is later than a live host's.
func TestHoldDown(t *testing.T) {
	for length, want := range map[time.Duration]time.Duration{
		0: 10 * time.Second, 5 * time.Second: 10 * time.Second, 15 * time.Second: 18 * time.Second, 45 * time.Second: 51 * time.Second,
		53 * time.Second: time.Minute, 10 * time.Minute: time.Minute,
	} {
		got := HoldDownFor(length)
		if got != want {
			t.Errorf("%v: %v, want %v", length, got, want)
		}
		if least := got * 9 / 10; least < length && got != failover.DefaultHoldDown {
			t.Errorf("%v: the hold-down may be over after %v", length, least)
		}
	}
}

// TestShortened: what differs from a live host is said, and what doesn't isn't.
func TestShortened(t *testing.T) {
	if got := shortened(18 * time.Second); len(got) != 3 || got[0] != "failover.hold_down is 18s instead of 1m" {
		t.Errorf("%q", got)
	}
	if got := strings.Join(shortened(failover.DefaultHoldDown), "; "); strings.Contains(got, "hold_down") {
		t.Errorf("%q", got)
	}
}

// TestRehearsal on real sockets: the books see what was sent and what came; one that
// is given up leaves no goroutine, no file, and no socket.
func TestRehearsal(t *testing.T) {
	defer goleak.VerifyNone(t)
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	r, err := NewRehearsal(t.Context(), RehearsalOptions{Length: 15 * time.Second, Rate: 50})
	if err != nil {
		t.Fatal(err)
	}
	if s := r.Simulator(); s.Rate != 50 || s.Chats != DefaultChats || len(s.Shortened) != 3 {
		t.Errorf("%+v", s)
	}
	limit := time.Now().Add(30 * time.Second)
	for r.Stage.Bot.Distinct() < 20 && time.Now().Before(limit) {
		<-time.After(10 * time.Millisecond)
	}
	b, err := r.Books(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if b.Sent < 20 || b.Delivered != b.Sent || b.ByWebhook != b.Sent || b.Lost+b.Doubled+b.OutOfOrder+b.Waiting+b.Altered != 0 || b.Switch != nil || len(b.Details) != 0 {
		t.Errorf("%+v", *b)
	}
	// What the bot had twice, and what Telegram never sent.
	have := r.Stage.Bot.Record()
	r.Stage.Bot.mu.Lock()
	r.Stage.Bot.all = append(r.Stage.Bot.all, have[0], Delivery{ID: 7})
	r.Stage.Bot.mu.Unlock()
	if b, err = r.Books(t.Context(), time.Now()); err != nil || b.Doubled != 1 || !strings.Contains(strings.Join(b.Details, "; "), "7, which was never sent") {
		t.Errorf("planted: %+v, %v", b, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Proven(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	dir := filepath.Join(t.TempDir(), "kept")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewRehearsal(t.Context(), RehearsalOptions{Dir: dir}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("into somebody's files: %v", err)
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestFailoverOfNothing: what was never handed out by polling is no failover.
func TestFailoverOfNothing(t *testing.T) {
	t0 := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	u := telegramsim.Record{ID: 1, PushedAt: t0, State: telegramsim.StateAcknowledged, By: telegramsim.Webhook, EndedAt: t0.Add(time.Second)}
	if _, ok := Failover([]telegramsim.Record{u}, t0, time.Time{}); ok {
		t.Error("a failover of nothing")
	}
}
