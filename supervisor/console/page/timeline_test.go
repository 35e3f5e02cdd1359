package page

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dualgram/supervisor"
	"dualgram/supervisor/console"
)

func bars(bs []bar) string {
	var out []string
	for _, b := range bs {
		out = append(out, fmt.Sprintf("%s %s+%s", b.Class, b.X, b.Width))
	}
	return strings.Join(out, ", ")
}

// The modes of the day, from whatever the journal still holds.
func TestTimelineModes(t *testing.T) {
	end := noon.Truncate(time.Minute).Add(time.Minute)
	phase := func(ago time.Duration, from, to string) supervisor.Event {
		return supervisor.Event{At: end.Add(-ago), Kind: supervisor.EventPhase, From: from, To: to}
	}
	for name, x := range map[string]struct {
		phase string
		since time.Duration
		story story
		want  string
	}{
		"nothing happened":     {"webhook", 72 * time.Hour, story{}, "webhook 0.00+100.00"},
		"young":                {"webhook", 6 * time.Hour, story{}, "webhook 75.00+25.00"},
		"held":                 {"held", 6 * time.Hour, story{}, ""},
		"an outage":            {"webhook", 6 * time.Hour, story{events: []supervisor.Event{phase(12*time.Hour, "webhook", "to_polling"), phase(12*time.Hour-time.Second, "to_polling", "polling"), phase(6*time.Hour, "polling", "to_webhook"), phase(6*time.Hour, "to_webhook", "webhook")}}, "webhook 0.00+50.00, polling 50.00+25.00, webhook 75.00+25.00"},
		"a start":              {"webhook", 6 * time.Hour, story{events: []supervisor.Event{phase(6*time.Hour, "starting", "webhook")}}, "webhook 75.00+25.00"},
		"a hold between":       {"polling", 6 * time.Hour, story{events: []supervisor.Event{phase(12*time.Hour, "webhook", "held"), phase(6*time.Hour, "held", "polling")}}, "webhook 0.00+50.00, polling 75.00+25.00"},
		"the journal is short": {"polling", 6 * time.Hour, story{from: end.Add(-12 * time.Hour), events: []supervisor.Event{phase(6*time.Hour, "webhook", "polling")}}, "webhook 50.00+25.00, polling 75.00+25.00"},
	} {
		got := newTimeline(console.Bot{Phase: x.phase, Since: end.Add(-x.since)}, &x.story, nil, console.Counts{}, noon)
		if s := bars(got.Modes); s != x.want {
			t.Errorf("%s: %s, want %s", name, s, x.want)
		}
	}
}

// The day of the fixture, row by row.
func TestTimelineRows(t *testing.T) {
	f := newFixture(noon)
	p := f.page()
	v, err := p.looked(t.Context(), noon)
	if err != nil {
		t.Fatal(err)
	}
	tl := v.Bots[0].Timeline
	var row []string
	for _, ms := range [][]mark{tl.Switches, tl.Trouble, tl.Orders} {
		var s []string
		for _, m := range ms {
			s = append(s, m.Class)
		}
		row = append(row, strings.Join(s, " "))
	}
	if row[0] != "to-polling to-webhook to-polling to-webhook to-polling to-webhook to-polling" || row[1] != "trouble trouble trouble trouble loss trouble" || row[2] != "order" {
		t.Errorf("%q", row)
	}
	if len(tl.Tests) != 3 || len(tl.Items) != shownItems || len(tl.More) == 0 || !strings.Contains(tl.Label, "4 switches to polling, 3 switches to the webhook, 6 failures, 3 drills or faults, 1 operator's command") {
		t.Errorf("%d tests, %d items, %s", len(tl.Tests), len(tl.Items), tl.Label)
	}
}

// A journal that is written full of events costs bounded memory and a bounded page.
func TestStoryIsBounded(t *testing.T) {
	f := newFixture(noon)
	f.events = nil
	for i := range 9000 {
		data := fmt.Sprintf(`{"kind":"handover","from":"webhook","to":"polling","at":%q}`, noon.Add(time.Duration(i-9000)*time.Second).Format(time.RFC3339))
		f.events = append(f.events, console.Event{Seq: uint64(i + 1), At: noon.Add(time.Duration(i-9000) * time.Second), Bot: "orders", Kind: supervisor.EventHandover, Data: []byte(data)})
	}
	p := f.page()
	v, err := p.looked(t.Context(), noon)
	if err != nil {
		t.Fatal(err)
	}
	tl := v.Bots[0].Timeline
	if s := p.stories["orders"]; len(s.events) != maxStory || !s.from.Equal(noon.Add(-maxStory*time.Second)) {
		t.Errorf("%d kept, from %v", len(s.events), s.from)
	}
	if len(tl.Switches) != maxMarks || len(tl.Items)+len(tl.More) != maxItems || tl.Left != maxStory-maxItems {
		t.Errorf("%d marks, %d items, %d left", len(tl.Switches), len(tl.Items)+len(tl.More), tl.Left)
	}
	if tl.Items[0].At != noon.Add(-time.Second) {
		t.Errorf("the latest is %v", tl.Items[0].At)
	}
	// A day later nothing of it is left.
	if v, err = p.looked(t.Context(), noon.Add(25*time.Hour)); err != nil || len(v.Bots[0].Timeline.Items) != 0 {
		t.Errorf("%v, %d items", err, len(v.Bots[0].Timeline.Items))
	}
}

// The plot is of the seconds that are over, in steps that keep their place.
func TestPlot(t *testing.T) {
	c := console.Counts{Step: time.Second, Begin: noon.Add(-599 * time.Second), Webhook: make([]uint32, 600), Polling: make([]uint32, 600)}
	for i := range 300 {
		c.Webhook[i] = 4
	}
	for i := 300; i < 600; i++ {
		c.Polling[i] = 2
	}
	c.Polling[599] = 1000 // the present second
	p := newPlot(c, []supervisor.Event{{Kind: supervisor.EventHandover, At: noon.Add(-5 * time.Minute), From: "webhook", To: "polling"}, {Kind: supervisor.EventHandover, At: noon.Add(-time.Hour), From: "webhook", To: "polling"}}, noon)
	if p.Top != "5" || p.Half != "2.5" || p.ByWebhook != "0" || p.ByPolling != "2" {
		t.Errorf("%+v", p)
	}
	if p.Webhook != "M0 100V20H59V36H60V100H120V100Z" && !strings.HasPrefix(p.Webhook, "M0 100V20H59V") {
		t.Errorf("webhook %s", p.Webhook)
	}
	if !strings.HasPrefix(p.All, "M0 100V20H59V") || !strings.Contains(p.All, "V60H") {
		t.Errorf("all %s", p.All)
	}
	if len(p.Marks) != 1 || p.Marks[0].Class != "to-polling" {
		t.Errorf("%v", p.Marks)
	}
	if n := len(p.Table); n < 10 || n > 11 || p.Table[1].Polling != 120 {
		t.Errorf("%v", p.Table)
	}
	if e := newPlot(console.Counts{}, nil, noon); e.All != "" || e.Top != "1" {
		t.Errorf("nothing: %+v", e)
	}
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Second: "0s", 900 * time.Millisecond: "0s", 59 * time.Second: "59s", time.Minute: "1m", 61 * time.Second: "1m 1s",
		time.Hour: "1h", 90 * time.Minute: "1h 30m", 47 * time.Hour: "47h", 76 * time.Hour: "3d 4h", 72 * time.Hour: "3d"} {
		if got := short(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	for v, want := range map[float64]float64{0: 1, 1: 1, 1.1: 2, 2.1: 5, 5.1: 10, 10.4: 20, 21: 50, 999: 1000, 1001: 2000} {
		if got := nice(v); got != want {
			t.Errorf("nice(%v) = %v, want %v", v, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0", 0.04: "0", 0.3: "0.3", 4: "4", 9.96: "10", 12.4: "12"} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %s, want %s", v, got, want)
		}
	}
}
