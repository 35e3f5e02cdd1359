package drill

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"dualgram/chaos"
)

// witness is a host whose Telegram is played.
type witness struct {
	*fakeHost
	books *Books
	err   error
	asked time.Time
}

func (w *witness) Books(context.Context, time.Time) (*Books, error) {
	w.asked = time.Now()
	return w.books, w.err
}

// TestBooks: where Telegram is played its word counts, whatever the host says; and a
// live host is not asked.
func TestBooks(t *testing.T) {
	soon, late := 3.5, 10.5
	good := Books{Sent: 100, Delivered: 100, ByWebhook: 60, ByPolling: 40, Switch: &soon}
	with := func(change func(*Books)) *Books { b := good; change(&b); return &b }
	for name, c := range map[string]struct {
		books *Books
		err   error
		live  bool
		want  Outcome
		says  string
	}{
		"good":         {books: &good, want: Held},
		"lost":         {books: with(func(b *Books) { b.Lost, b.Details = 2, []string{"lost: update 7"} }), want: Deviated, says: "2 of 100 updates were lost"},
		"doubled":      {books: with(func(b *Books) { b.Doubled = 1 }), want: Deviated, says: "more than once"},
		"out of order": {books: with(func(b *Books) { b.OutOfOrder = 1 }), want: Deviated, says: "out of order"},
		"late":         {books: with(func(b *Books) { b.Waiting = 1 }), want: Deviated, says: "had not come"},
		"altered":      {books: with(func(b *Books) { b.Altered = 1 }), want: Deviated, says: "altered"},
		"nothing sent": {books: &Books{}, want: Deviated, says: "no update was sent"},
		"late switch":  {books: with(func(b *Books) { b.Switch = &late }), want: Deviated, says: "took over after 10.5s"},
		"no switch":    {books: with(func(b *Books) { b.Switch = nil }), want: Deviated, says: "handed out no update"},
		"unreadable":   {err: errTest, want: Deviated, says: "could not be read"},
		"live":         {books: &Books{Lost: 5}, live: true, want: Held},
	} {
		bubble(t, name, func(t *testing.T, h *fakeHost) {
			w := &witness{fakeHost: h, books: c.books, err: c.err}
			s := &Simulator{Rate: 5, Chats: 10, Shortened: []string{"failover.hold_down is 1s instead of 1m0s"}}
			d := office(t, w, &memStore{}, func(o *Options) {
				if !c.live {
					o.Simulator = s
				}
			})
			j := do(t, d, Request{Experiment: plan(t, expectPolling)}, c.want)
			if all := strings.Join(j.Reasons, "; "); !strings.Contains(all, c.says) {
				t.Errorf("%q does not say %q", all, c.says)
			}
			switch {
			case c.live:
				if j.Simulated || j.Simulator != nil || !w.asked.IsZero() {
					t.Errorf("a live host: %+v, asked %v", j.Simulator, w.asked)
				}
			case !j.Simulated || j.Simulator.Books != c.books || len(j.Simulator.Shortened) != 1:
				t.Errorf("%+v", j.Simulator)
			case w.asked.Before(j.Timeline.Recovered):
				t.Error("asked before the recovery was over, which ends the traffic that proves it")
			}
			if s.Books != nil {
				t.Error("one run's books are the next one's")
			}
		})
	}
}

// TestLoses: updates that are lost on purpose have to be counted, those and no others.
func TestLoses(t *testing.T) {
	details := []string{"lost: update 7"}
	for name, c := range map[string]struct {
		books           Books
		thrown, counted int64
		loses           bool
		says            []string
	}{
		"all counted":   {Books{Sent: 9, Lost: 3, Details: details}, 3, 3, true, nil},
		"one missed":    {Books{Sent: 9, Lost: 3, Details: details}, 3, 2, true, []string{"2 updates were counted as lost, and 3 were lost on purpose"}},
		"another lost":  {Books{Sent: 9, Lost: 4, Details: details}, 3, 4, true, []string{"4 updates were counted as lost, and 3 were lost on purpose", "by the simulator's books, 4 of 9 updates were lost", "lost: update 7"}},
		"more is wrong": {Books{Sent: 9, Lost: 3, Doubled: 1, Details: details}, 3, 3, true, []string{"by the simulator's books, 1 of 9 updates came to the bot more than once", "lost: update 7"}},
		"not meant":     {Books{Sent: 9, Lost: 3, Details: details}, 3, 3, false, []string{"by the simulator's books, 3 of 9 updates were lost", "lost: update 7"}},
	} {
		j := &Journal{Experiment: Experiment{Expect: Expect{Loses: c.loses}}, Counts: Counts{Lost: c.counted}, Simulator: &Simulator{Books: &c.books},
			Run: []Step{{Fault: &chaos.Status{Fired: 50}}, {Fault: &chaos.Status{Fired: uint64(c.thrown), Info: chaos.Info{Destructive: true}}}}}
		if got := j.deviations(); !slices.Equal(got, c.says) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
