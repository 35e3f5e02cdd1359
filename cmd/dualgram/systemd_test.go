package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/supervisor/console"
)

// told plays systemd for so long; change may alter what there is to tell meanwhile.
func toldSystemd(t *testing.T, watchdog time.Duration, alive func(time.Duration) error, long time.Duration) (out []string) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex
		s := &systemd{watchdog: watchdog, monotonic: func() int64 { return 42 },
			send: func(m string) {
				mu.Lock()
				defer mu.Unlock()
				out = append(out, time.Since(began).String()+" "+strings.ReplaceAll(m, "\n", " "))
			},
			alive:  func(now time.Time) error { return alive(now.Sub(began)) },
			status: func(context.Context) string { return "orders: webhook" },
		}
		ctx, cancel := context.WithCancel(t.Context())
		done, ended := make(chan struct{}), make(chan struct{})
		go func() { defer close(ended); s.run(ctx, done) }()
		time.Sleep(long)
		s.reload(func() {})
		cancel()
		time.Sleep(5 * time.Second)
		close(done)
		<-ended
	})
	return out
}

func TestSystemd(t *testing.T) {
	out := toldSystemd(t, 0, func(d time.Duration) error {
		if d < 3*time.Second {
			return errors.New("not yet")
		}
		return nil
	}, 10*time.Second+time.Millisecond)
	want := "0s STATUS=orders: webhook|3s READY=1|10.001s RELOADING=1 MONOTONIC_USEC=42|10.001s READY=1|10.001s STOPPING=1 STATUS=stopping: the bots take what is waiting"
	if got := strings.Join(out, "|"); got != want {
		t.Errorf("told\n%s\nwant\n%s", got, want)
	}
}

// A sign of life comes in time for as long as the loops tick, and while dualgram
// stops; once they stand still there is none.
func TestSystemdWatchdog(t *testing.T) {
	dead := func(d time.Duration) error {
		if d >= 5*time.Minute {
			return errors.New("the loop has not ticked")
		}
		return nil
	}
	for _, watchdog := range []time.Duration{2 * time.Second, 20 * time.Second, time.Minute} {
		var last, longest, stopping time.Duration
		for _, line := range toldSystemd(t, watchdog, dead, 10*time.Minute) {
			at, what, _ := strings.Cut(line, " ")
			d, _ := time.ParseDuration(at)
			if strings.HasPrefix(what, "STOPPING") {
				stopping = d
			}
			if what != "WATCHDOG=1" {
				continue
			}
			if stopping == 0 {
				longest = max(longest, d-last)
				last = d
			}
		}
		if last >= 5*time.Minute || last < 5*time.Minute-watchdog {
			t.Errorf("%v: the last sign of life came after %v", watchdog, last)
		}
		if longest > watchdog/2 {
			t.Errorf("%v: %v without a sign of life", watchdog, longest)
		}
	}
}

func TestStatusLine(t *testing.T) {
	full := console.Warning{Code: "store_failing", Severity: console.SeverityCritical}
	info := console.Warning{Code: "probe_unproven", Severity: console.SeverityInfo}
	down := console.Warning{Code: "bot_down", Severity: console.SeverityCritical}
	for want, st := range map[string]console.Status{
		"orders: webhook; news: to polling":                       {Bots: []console.Bot{{Name: "orders", Phase: "webhook", Warnings: []console.Warning{info}}, {Name: "news", Phase: "to_polling"}}},
		"orders: webhook; 2 warnings, see dualgram status":        {Warnings: []console.Warning{full}, Bots: []console.Bot{{Name: "orders", Phase: "webhook", Warnings: []console.Warning{full, down}}}},
		"a: webhook; b: webhook; 2 warnings, see dualgram status": {Bots: []console.Bot{{Name: "a", Phase: "webhook", Warnings: []console.Warning{down}}, {Name: "b", Phase: "webhook", Warnings: []console.Warning{down}}}},
	} {
		if got := statusLine(st); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
