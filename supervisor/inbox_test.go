package supervisor_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dualgram/store"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
	"dualgram/transport"
	"dualgram/transport/botapi"
)

// desk is a supervisor over a store of its own that is not run, so that nothing is
// delivered.
func desk(t *testing.T) (*supervisor.Supervisor, *store.Ledger) {
	t.Helper()
	s, err := store.Open(store.Options{Path: filepath.Join(t.TempDir(), "x.db")})
	must0(t, err)
	t.Cleanup(func() { _ = s.Close() })
	l, err := s.Ledger(1000)
	must0(t, err)
	api, err := botapi.New(botapi.Options{Token: testToken})
	must0(t, err)
	sup, err := supervisor.New(t.Context(), supervisor.Options{Bots: []supervisor.BotOptions{{Name: "a", BotID: 1000, API: api, Ledger: l, Handler: newSampleBot()}}})
	must0(t, err)
	return sup, l
}

func waiting(t *testing.T, l *store.Ledger, ids ...int64) {
	t.Helper()
	b := transport.Batch{Source: transport.SourceWebhook, ReceivedAt: time.Now()}
	for _, id := range ids {
		b.Updates = append(b.Updates, transport.Update{ID: id, HasID: true, Kind: "message", Lane: fmt.Sprint("c", id%2), Raw: fmt.Appendf(nil, `{"update_id":%d,"message":{"text":"private"}}`, id)})
	}
	_, err := l.Accept(t.Context(), b)
	must0(t, err)
}

func buried(t *testing.T, l *store.Ledger, n int) {
	t.Helper()
	for range n {
		r, ok, _, err := l.Next(time.Now())
		must0(t, err)
		if !ok {
			t.Fatal("nothing to bury")
		}
		must0(t, l.Bury(t.Context(), r.Ref, store.Burial{Reason: "status", At: time.Now()}))
	}
}

func TestInbox(t *testing.T) {
	sup, l := desk(t)
	in := sup.Inbox()
	waiting(t, l, 100, 101, 102, 103, 104)
	buried(t, l, 3) // 100, 101, 102
	lanes, err := in.Lanes(t.Context(), "a", 1)
	must0(t, err)
	if lanes.Waiting != 2 || lanes.Dead != 3 || lanes.LaneCount != 2 || len(lanes.Lanes) != 1 {
		t.Errorf("%+v", lanes)
	}
	page, err := in.Dead(t.Context(), "a", "", 2)
	must0(t, err)
	rest, err := in.Dead(t.Context(), "a", page.Next, 2)
	must0(t, err)
	if len(page.Dead) != 2 || page.Total != 3 || len(rest.Dead) != 1 || rest.Dead[0].Ref != "1:102" || rest.Next != "" || rest.Dead[0].Place != console.PlaceDead {
		t.Errorf("%+v, %+v", page, rest)
	}
	if s := fmt.Sprintf("%+v %+v", lanes, page); strings.Contains(s, "private") {
		t.Error("a list tells content")
	}
	by := console.Caller{User: "alice", UID: 7}
	order := console.SettleOrder{Bot: "a", What: console.DeadRetry, IDs: []string{"100", "1:101"}, By: by, Reason: "fixed " + testToken}
	for _, bad := range []struct {
		ids  []string
		code string
	}{{[]string{"100", "103"}, console.CodeRefused}, {[]string{"100", "9"}, console.CodeNotFound}, {[]string{"x"}, console.CodeBadRequest}, {[]string{"100", "100"}, console.CodeEnded}} {
		o := order
		o.IDs = bad.ids
		_, err := in.Settle(t.Context(), o)
		failure(t, err, bad.code)
	}
	done, err := in.Settle(t.Context(), order)
	must0(t, err)
	if done.Count != 2 || done.Left != 1 || l.Stats().Waiting != 4 {
		t.Errorf("%+v", done)
	}
	done, err = in.Settle(t.Context(), console.SettleOrder{Bot: "a", What: console.DeadDrop, All: true, By: by, Reason: "spam"})
	must0(t, err)
	if done.Count != 1 || done.Left != 0 || l.Stats().Dead != 0 || l.Stats().Waiting != 4 {
		t.Errorf("%+v", done)
	}
	raw, err := in.Reveal(t.Context(), "a", "103", false, by, "look")
	must0(t, err)
	if string(raw) != `{"update_id":103,"message":{"text":"private"}}` {
		t.Errorf("%s", raw)
	}
	_, err = l.Accept(t.Context(), transport.Batch{Source: transport.SourceWebhook, Updates: []transport.Update{{Raw: []byte("junk")}}})
	must0(t, err)
	q, err := in.Quarantine(t.Context(), "a", 0, 10)
	must0(t, err)
	if len(q.Quarantined) != 1 || q.Quarantined[0].Bytes != 4 {
		t.Errorf("%+v", q)
	}
	raw, err = in.Reveal(t.Context(), "a", "1", true, by, "")
	must0(t, err)
	_, err = in.Reveal(t.Context(), "a", "2", true, by, "")
	failure(t, err, console.CodeNotFound)
	if done, err = in.Settle(t.Context(), console.SettleOrder{Bot: "a", What: console.QuarantineDrop, IDs: []string{"1"}, By: by, Reason: "junk"}); err != nil || done.Left != 0 || string(raw) != "junk" {
		t.Errorf("%+v %v %s", done, err, raw)
	}
	// Each is in the journal, with who and why.
	events, err := sup.Events(t.Context(), console.EventsQuery{Kinds: []string{supervisor.EventOperator}, Limit: 100})
	must0(t, err)
	var story []string
	for _, e := range events.Events {
		x := decodeEvent(t, e)
		story = append(story, fmt.Sprintf("%s %s %d %s %s", x.Name, x.Level, x.Count, x.By.User, x.Evidence))
	}
	want := "dead_retry  2 alice fixed [token]; dead_drop  1 alice spam; reveal 1:103 0 alice look; reveal quarantine 1 0 alice ; quarantine_drop  1 alice junk"
	if got := strings.Join(story, "; "); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	_, err = in.Lanes(t.Context(), "z", 1)
	failure(t, err, console.CodeUnknownBot)
}

// All means what was there: the chunks end, and each has its line.
func TestSettleAllInChunks(t *testing.T) {
	sup, l := desk(t)
	ids := make([]int64, 1100)
	for i := range ids {
		ids[i] = int64(100 + i)
	}
	waiting(t, l, ids...)
	buried(t, l, len(ids))
	done, err := sup.Inbox().Settle(t.Context(), console.SettleOrder{Bot: "a", What: console.DeadRetry, All: true})
	must0(t, err)
	if st := l.Stats(); done.Count != 1100 || st.Waiting != 1100 || st.Dead != 0 || st.Journal != 3 {
		t.Errorf("%+v %+v", done, st)
	}
}

func decodeEvent(t *testing.T, e console.Event) (out supervisor.Event) {
	t.Helper()
	must0(t, json.Unmarshal(e.Data, &out))
	return out
}
