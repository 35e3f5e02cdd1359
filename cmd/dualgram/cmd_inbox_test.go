package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dualgram/supervisor/console"
)

// fixedInbox answers with what is known in advance, and remembers what it was told.
type fixedInbox struct {
	mu   sync.Mutex
	said []string
}

func (f *fixedInbox) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, fmt.Sprintf(format, args...))
}

// slack is how long the test may take before a time reads otherwise.
const slack = 10 * time.Second

func ago(d time.Duration) time.Time { return time.Now().Add(-d) }

func (f *fixedInbox) Lanes(_ context.Context, bot string, limit int) (console.InboxLanes, error) {
	lanes := []console.InboxLane{
		{Lane: "c-1001", Waiting: 3, Next: console.UpdateInfo{Ref: "1:17", Kind: "message", ReceivedAt: ago(3*time.Hour + slack), Attempts: 4, LastCause: "status", NextTryAt: time.Now().Add(2*time.Hour + slack), Place: console.PlaceWaiting}},
		{Lane: "u5", Waiting: 1, Next: console.UpdateInfo{Ref: "1:20", Kind: "callback_query", ReceivedAt: ago(2*time.Hour + slack), Place: console.PlaceInDelivery}},
	}
	return console.InboxLanes{Bot: bot, Waiting: 4, InDelivery: 1, Bytes: 5000, OldestAt: ago(3*time.Hour + slack), LaneCount: 3, Dead: 1, Quarantine: 2, Lanes: lanes[:min(limit, 2)]}, nil
}

func (f *fixedInbox) Find(_ context.Context, bot, id string) (console.Updates, error) {
	if id != "17" {
		return console.Updates{}, &console.Failure{Code: console.CodeNotFound, Message: "no update " + id, Fix: "look again"}
	}
	return console.Updates{Bot: bot, Updates: []console.UpdateInfo{
		{Ref: "1:17", Kind: "message", Lane: "c5", Source: "webhook", ReceivedAt: ago(time.Hour + slack), Bytes: 300, Attempts: 7, FirstFailedAt: ago(4*time.Hour + slack), LastCause: "status", BuriedAt: ago(5*time.Hour + slack), Burial: "status", Place: console.PlaceDead},
		{Ref: "2:17", Kind: "message", Lane: "c6", Source: "polling", ReceivedAt: ago(6*time.Hour + slack), Bytes: 301, Place: console.PlaceWaiting},
	}}, nil
}

func (f *fixedInbox) Dead(_ context.Context, bot, _ string, limit int) (console.DeadLetters, error) {
	return console.DeadLetters{Bot: bot, Total: 3, Dead: []console.UpdateInfo{{Ref: "1:17", Kind: "message", Lane: "c5", ReceivedAt: ago(time.Hour + slack), Attempts: 7, BuriedAt: ago(5*time.Hour + slack), Burial: "status"}}[:min(limit, 1)]}, nil
}

func (f *fixedInbox) Quarantine(_ context.Context, bot string, _ uint64, _ int) (console.Quarantined, error) {
	return console.Quarantined{Bot: bot, Total: 1, Quarantined: []console.QuarantineInfo{{Seq: 9, Source: "webhook", ReceivedAt: ago(time.Hour + slack), Bytes: 4}}}, nil
}

func (f *fixedInbox) Settle(_ context.Context, o console.SettleOrder) (console.Settled, error) {
	f.note("%s %v all=%v %q", o.What, o.IDs, o.All, o.Reason)
	return console.Settled{Bot: o.Bot, What: o.What, Count: max(1, int64(len(o.IDs))), Left: 2}, nil
}

func (f *fixedInbox) Reveal(_ context.Context, _, id string, quarantine bool, by console.Caller, reason string) ([]byte, error) {
	f.note("reveal %s quarantine=%v %q by=%v", id, quarantine, reason, by.User != "")
	return []byte("{\"text\":\"\x1b[2J private\"}"), nil
}

func TestInboxCommands(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	in := &fixedInbox{}
	host := &fakeHost{status: console.Status{Bots: []console.Bot{{Name: "orders"}}}}
	host.more = console.InboxRoutes(in)
	defer host.run(t, socket)()
	env := []string{"DUALGRAM_CONTROL_SOCKET=" + socket, "TZ=UTC"}
	var script strings.Builder
	for line := range strings.SplitSeq(strings.TrimSpace(`
inbox
inbox --limit 1 --bot orders
inbox show 17
inbox show 18
inbox show
inbox show 17 --raw --reason look
inbox show 17 --raw -o json
inbox dead
inbox dead list
inbox dead show 17
inbox dead retry 17 18 --reason repaired
inbox dead retry --all
inbox dead retry
inbox dead retry 17 --all
inbox dead drop 17 --yes
inbox dead drop 17 --reason spam
inbox dead drop 17 --reason spam --yes
inbox quarantine list
inbox quarantine show 9
inbox quarantine show 9 --raw
inbox quarantine drop --all --reason junk -y
inbox --bot nobody
inbox ded
inbox --limit 0`), "\n") {
		code, stdout, stderr := dualgram(env, strings.Fields(line)...)
		fmt.Fprintf(&script, "$ dualgram %s\n%s%s[exit %d]\n", line, stdout, stderr, code)
		if strings.Contains(stdout, "private") != (code == exitOK && strings.Contains(line, "--raw")) {
			t.Errorf("%s: %s", line, stdout)
		}
	}
	script.WriteString("\n" + strings.Join(in.said, "\n") + "\n")
	golden(t, "testdata/inbox.golden", strings.ReplaceAll(script.String(), "\x1b", "<ESC>"))
}

// What is named in a path is one part of it, whatever it is.
func TestPathsAreEscaped(t *testing.T) {
	var got string
	socket := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.URL.EscapedPath()
		w.WriteHeader(http.StatusTeapot)
	}))
	env := []string{"DUALGRAM_CONTROL_SOCKET=" + socket}
	dualgram(env, "inbox", "show", "../x?y", "--bot", "a/b")
	if got != "/v1/bots/a%2Fb/inbox/..%2Fx%3Fy" {
		t.Error(got)
	}
}
