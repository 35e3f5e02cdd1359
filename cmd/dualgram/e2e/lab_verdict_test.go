//go:build lab && linux

package e2e_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"dualgram/chaos/telegramsim"
)

// labResult is what a row came to, by what Telegram and the bot have seen.
type labResult struct {
	row                 labRun
	onset, healed, back time.Time // back: the first update by webhook after the healing
	signal              string    // that dualgram names

	failover time.Duration // -1: there was none
	waited   time.Duration // the longest that an update waited at Telegram from the onset on
	eaten    int
	changes  int
	verdict  verdict
	failed   bool
	late     string // a run by chance that took longer than it may
}

// tardy fails the test, or has the run made once more.
func (r *labResult) tardy(t *testing.T, format string, args ...any) {
	t.Helper()
	if r.row.chance {
		r.late = fmt.Sprintf(format, args...)
		return
	}
	t.Errorf(format, args...)
}

// judge works the result out, and fails the test for what is outside of the
// guarantees.
func (r *labResult) judge(t *testing.T, l *lab) {
	t.Helper()
	truth := must(l.w.sim.Bot(l.w.botID))
	var eaten []telegramsim.Record
	if r.row.eats {
		truth, eaten = uneaten(truth, l.w.bot, r.onset)
	}
	r.eaten = len(eaten)
	r.verdict = judge(truth, l.w.bot, 0)
	for _, p := range r.verdict.Problems {
		t.Error(p)
	}
	r.waited = longestWait(truth, r.onset)
	r.changes = modeChanges(truth, r.onset)

	r.failover = -1
	if !handedOut(truth, r.onset).IsZero() {
		d, err := l.w.failover(r.onset)
		if err != nil {
			t.Errorf("failover: %v", err)
		}
		if len(eaten) > 0 { // nothing waited: the first that was eaten is what the fault took
			d = max(d, deleted(truth, r.onset).Sub(eaten[0].EndedAt))
		}
		r.failover = d
	}
	needed := r.row.lasts == 0
	switch {
	case r.row.harmless && (r.failover >= 0 || r.changes > 0):
		t.Errorf("failover because of %q, though nothing is wrong", r.signal)
	case needed && r.failover < 0:
		t.Error("no failover")
	case r.failover > budget:
		r.tardy(t, "the failover took %v", r.failover)
	}
	if !needed && r.waited > budget {
		r.tardy(t, "an update waited for %v", r.waited)
	}
	want := 0
	if r.failover >= 0 {
		want = 2
	}
	if r.changes != want {
		t.Errorf("%d changes of the mode, want %d: %s", r.changes, want, calls(truth, r.onset))
	}
	if r.back.IsZero() || truth.URL != l.w.conf.PublicURL {
		t.Errorf("after the healing no update came by webhook; the webhook at Telegram is %q", truth.URL)
	} else if d := r.back.Sub(r.healed); d > labBack {
		t.Errorf("the failback took %v", d)
	}

	// The fault was there: attempts to deliver met it, or a connection that was made
	// in advance.
	met := maps.Clone(l.reported())
	for _, u := range append(slices.Clone(truth.Updates), eaten...) {
		for _, a := range u.Attempts {
			if a.Start.After(r.onset) && a.Start.Before(r.healed) {
				met[a.Result]++
			}
		}
	}
	t.Logf("Telegram met under the fault: %v", met)
	if r.row.met != "" && !slices.ContainsFunc(slices.Collect(maps.Keys(met)), func(s string) bool { return strings.Contains(s, r.row.met) }) {
		t.Errorf("Telegram never met %q: the row shows nothing", r.row.met)
	}
	if r.row.eats {
		if len(eaten) > 0 {
			t.Logf("the page said 200 from %.1f s to %.1f s after the onset, the webhook was deleted after %.1f s", eaten[0].EndedAt.Sub(r.onset).Seconds(),
				eaten[len(eaten)-1].EndedAt.Sub(r.onset).Seconds(), deleted(truth, r.onset).Sub(r.onset).Seconds())
		}
		// nginx's own record says how many may be gone; none, if the page is found
		// before an update comes to it.
		if n := l.nginx.pages(); n == 0 || r.eaten > n {
			t.Errorf("%d updates are gone, and nginx answered 200 by itself to %d requests", r.eaten, n)
		}
	}
}

func (r labResult) cells() []string {
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }
	failover, back, signal, word := "-", "-", r.signal, "ok"
	if r.onset.IsZero() { // it ended before anything could be measured
		return []string{r.row.name, fmt.Sprint(r.row.rate), "-", "-", "-", "-", "-", "-", "-", "-", "-", "FAIL"}
	}
	if r.failover >= 0 {
		failover = seconds(r.failover)
		if !r.back.IsZero() {
			back = seconds(r.back.Sub(r.healed))
		}
	}
	if signal == "" {
		signal = "-"
	}
	if r.failed {
		word = "FAIL"
	}
	v := r.verdict
	n := func(n int) string { return fmt.Sprint(n) }
	return []string{r.row.name, fmt.Sprint(r.row.rate), signal, failover, seconds(r.waited), n(v.Sent - v.Delivered), n(r.eaten), n(v.Repeats), n(v.Reordered), n(r.changes), back, word}
}

// handedOut is when getUpdates first handed out an update after the onset.
func handedOut(truth telegramsim.BotTruth, onset time.Time) (first time.Time) {
	for _, u := range truth.Updates {
		for _, at := range u.Returned {
			if at.After(onset) && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
	}
	return first
}

// firstByWebhook is when the registration that stands brought its first update after
// the healing, one that the bot has got.
func firstByWebhook(truth telegramsim.BotTruth, bot *sampleBot, healed time.Time) (first time.Time) {
	if truth.URL == "" || len(truth.Webhooks) == 0 {
		return first
	}
	since := truth.Webhooks[len(truth.Webhooks)-1].From
	if since.Before(healed) {
		since = healed
	}
	for _, u := range truth.Updates {
		if u.By == telegramsim.Webhook && u.EndedAt.After(since) && (first.IsZero() || u.EndedAt.Before(first)) && bot.has(u.ID) {
			first = u.EndedAt
		}
	}
	return first
}

// deleted is when the first registration ended after the onset.
func deleted(truth telegramsim.BotTruth, onset time.Time) time.Time {
	for _, r := range truth.Webhooks {
		if r.To.After(onset) {
			return r.To
		}
	}
	return time.Time{}
}

// uneaten splits off what somebody else acknowledged by webhook from the onset until
// the webhook was deleted: the bot has not got it. What is missing from later on is
// lost.
func uneaten(truth telegramsim.BotTruth, bot *sampleBot, onset time.Time) (rest telegramsim.BotTruth, eaten []telegramsim.Record) {
	until := deleted(truth, onset)
	got := map[int64]bool{}
	for _, t := range bot.record() {
		got[t.ID] = true
	}
	rest = truth
	rest.Updates = nil
	for _, u := range truth.Updates {
		if u.By == telegramsim.Webhook && u.EndedAt.After(onset) && (until.IsZero() || u.EndedAt.Before(until)) && !got[u.ID] {
			eaten = append(eaten, u)
			continue
		}
		rest.Updates = append(rest.Updates, u)
	}
	slices.SortFunc(eaten, func(a, b telegramsim.Record) int { return a.EndedAt.Compare(b.EndedAt) })
	return rest, eaten
}

// longestWait is the longest time from the onset, or from the arrival of an update
// at Telegram, until it was acknowledged.
func longestWait(truth telegramsim.BotTruth, onset time.Time) (longest time.Duration) {
	for _, u := range truth.Updates {
		from, to := u.PushedAt, u.EndedAt
		if from.Before(onset) {
			from = onset
		}
		if to.IsZero() {
			to = time.Now() // it still waits
		}
		longest = max(longest, to.Sub(from))
	}
	return longest
}

// modeChanges counts registrations that ended and that began.
func modeChanges(truth telegramsim.BotTruth, onset time.Time) (n int) {
	for _, r := range truth.Webhooks {
		if r.From.After(onset) {
			n++
		}
		if r.To.After(onset) {
			n++
		}
	}
	return n
}

// calls lists the calls that set or delete a webhook.
func calls(truth telegramsim.BotTruth, onset time.Time) string {
	var all []string
	for _, c := range truth.Calls {
		if c.At.After(onset) {
			all = append(all, fmt.Sprintf("%s at %.1f s: %d", c.Method, c.At.Sub(onset).Seconds(), c.Code))
		}
	}
	return strings.Join(all, ", ")
}
