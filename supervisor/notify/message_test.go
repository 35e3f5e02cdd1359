package notify

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"dualgram/supervisor/warning"
)

func message(items ...Item) Message {
	m := Message{Schema: Schema, ID: "x-1", Host: "web1", Version: "v1.2.3", SentAt: t0, Items: items}
	m.sum()
	return m
}

var (
	frozen = Item{State: Raised, Bot: "orders", Code: "frozen", Severity: c, Title: "Failback is frozen", Text: "4 failovers. Repair the webhook, then: dualgram ack --bot orders", Runbook: "frozen", Since: t0}
	down   = Item{State: Resolved, Bot: "orders", Code: "bot_down", Severity: c, Title: "The bot takes nothing", Text: "…", Since: t0, EndedAt: t0.Add(12 * time.Minute)}
	store  = Item{State: Continues, Code: "store_slow", Severity: w, Title: "The store commits slowly", Text: "Look.", Drill: true}
)

func TestText(t *testing.T) {
	for name, x := range map[string]struct {
		m    Message
		want string
	}{
		"one": {message(frozen), `dualgram on web1: orders: Failback is frozen

CRITICAL orders: Failback is frozen
4 failovers. Repair the webhook, then: dualgram ack --bot orders
Runbook: dualgram runbook frozen`},
		"some": {message(frozen, store, down), `dualgram on web1: 2 warnings, 1 over

CRITICAL orders: Failback is frozen
4 failovers. Repair the webhook, then: dualgram ack --bot orders
Runbook: dualgram runbook frozen

DRILL STILL WARNING The store commits slowly
Look.

OVER orders: The bot takes nothing, after 12m0s`},
		"drill": {message(store), "dualgram on web1: drill: The store commits slowly\n\nDRILL STILL WARNING The store commits slowly\nLook."},
		"over":  {message(down), "dualgram on web1: orders: The bot takes nothing (over)\n\nOVER orders: The bot takes nothing, after 12m0s"},
	} {
		if got := x.m.Text(maxMessage); got != x.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, x.want)
		}
	}
	if m := message(frozen, down); m.Status != StatusFiring || m.Severity != c || m.Drill {
		t.Errorf("%+v", m)
	}
	if m := message(down); m.Status != StatusResolved || m.Severity != c {
		t.Errorf("%+v", m)
	}
}

// However much there is to tell, Telegram takes it.
func TestTextFits(t *testing.T) {
	long := frozen
	long.Text = strings.Repeat("😀 ü ", 300)
	var items []Item
	for range 50 {
		items = append(items, long)
	}
	for _, limit := range []int{10, 100, 1000, maxMessage} {
		text := message(items...).Text(limit)
		if n := len(utf16.Encode([]rune(text))); n > limit || n == 0 {
			t.Errorf("%d units of %d", n, limit)
		}
		if limit == maxMessage && !strings.HasSuffix(text, "… and 48 more: dualgram status") {
			t.Errorf("ends with %q", text[len(text)-60:])
		}
	}
}

// The JSON form is what the documentation says.
func TestJSON(t *testing.T) {
	got, err := json.MarshalIndent(message(frozen), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "schema": "dualgram/notification/v1",
  "id": "x-1",
  "host": "web1",
  "version": "v1.2.3",
  "sent_at": "2026-03-01T12:00:00Z",
  "status": "firing",
  "severity": "critical",
  "drill": false,
  "title": "orders: Failback is frozen",
  "warnings": [
    {
      "state": "raised",
      "bot": "orders",
      "code": "frozen",
      "severity": "critical",
      "title": "Failback is frozen",
      "text": "4 failovers. Repair the webhook, then: dualgram ack --bot orders",
      "runbook": "frozen",
      "since": "2026-03-01T12:00:00Z",
      "drill": false
    }
  ]
}`
	if string(got) != want {
		t.Errorf("%s", got)
	}
}

// A token that got into a warning's evidence by mistake goes no further.
func TestNoToken(t *testing.T) {
	const token = "123456789:AAHfakefakefakefakefakefakefakefake0"
	d := newDesk(Rules{})
	d.book.See(Snapshot{Conditions: []warning.Condition{{Code: warning.StoreFailing, Evidence: "wrote " + token}}}, t0)
	d.book.See(Snapshot{Conditions: []warning.Condition{{Code: warning.StoreFailing, Evidence: "wrote " + token}}}, t0.Add(time.Minute))
	m, ok := d.book.Next(t0.Add(time.Minute))
	raw, _ := json.Marshal(m)
	if !ok || strings.Contains(string(raw), "AAHfake") || !strings.Contains(string(raw), "[token]") {
		t.Errorf("%s", raw)
	}
}
