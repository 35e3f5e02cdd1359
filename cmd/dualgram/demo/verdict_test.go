package demo

import (
	"strings"
	"testing"
	"time"

	"dualgram/chaos/telegramsim"
	"dualgram/supervisor"
)

// run is a run in which all went well: three updates by webhook, a fault, three
// by polling.
func goodRun() (sent []telegramsim.Record, taken []delivered, marks []mark) {
	t0 := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 6 {
		at := t0.Add(time.Duration(i) * time.Second)
		u := telegramsim.Record{ID: int64(100 + i), Queue: int64(1 + i%2), PushedAt: at, State: telegramsim.StateAcknowledged, By: telegramsim.Webhook, EndedAt: at.Add(100 * time.Millisecond)}
		source := "webhook"
		if i >= 3 {
			source, u.By = "polling", telegramsim.Polling
			u.Returned, u.EndedAt = []time.Time{t0.Add(8 * time.Second)}, t0.Add(9*time.Second)
		}
		sent = append(sent, u)
		taken = append(taken, delivered{ID: u.ID, Source: source, At: at})
	}
	return sent, taken, []mark{{Act: "fault", Onset: t0.Add(2500 * time.Millisecond)}}
}

// TestJudge plants what must not happen, one at a time.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name  string
		plant func(sent []telegramsim.Record, taken []delivered) ([]telegramsim.Record, []delivered)
		want  string // in the problems; "" means OK
	}{
		{"all well", func(s []telegramsim.Record, b []delivered) ([]telegramsim.Record, []delivered) { return s, b }, ""},
		{"a loss", func(s []telegramsim.Record, b []delivered) ([]telegramsim.Record, []delivered) { return s, b[:5] }, "1 updates lost"},
		{"a double", func(s []telegramsim.Record, b []delivered) ([]telegramsim.Record, []delivered) {
			return s, append(b, b[2])
		}, "1 updates doubled"},
		{"a reorder", func(s []telegramsim.Record, b []delivered) ([]telegramsim.Record, []delivered) {
			b[0], b[2] = b[2], b[0]
			return s, b
		}, "1 updates out of order"},
		{"a reorder between queues is none", func(s []telegramsim.Record, b []delivered) ([]telegramsim.Record, []delivered) {
			b[0], b[1] = b[1], b[0]
			return s, b
		}, ""},
		{"a late switch", func(s []telegramsim.Record, b []delivered) ([]telegramsim.Record, []delivered) {
			for i := 3; i < 6; i++ {
				s[i].Returned[0] = s[i].Returned[0].Add(10 * time.Second)
			}
			return s, b
		}, "took 15.0 s"},
		{"no switch", func(s []telegramsim.Record, b []delivered) ([]telegramsim.Record, []delivered) {
			for i := 3; i < 6; i++ {
				s[i].Returned, s[i].By = nil, telegramsim.Webhook
			}
			return s, b
		}, "never handed out"},
		{"an invention", func(s []telegramsim.Record, b []delivered) ([]telegramsim.Record, []delivered) {
			return s, append(b, delivered{ID: 7})
		}, "never sent"},
		{"nothing at all", func([]telegramsim.Record, []delivered) ([]telegramsim.Record, []delivered) { return nil, nil }, "no update was sent"},
	} {
		sent, taken, marks := goodRun()
		sent, taken = c.plant(sent, taken)
		r := judge(sent, taken, marks)
		problems := strings.Join(r.Problems, "; ")
		if r.OK != (c.want == "") || !strings.Contains(problems, c.want) {
			t.Errorf("%s: ok %v, problems %q, want %q", c.name, r.OK, problems, c.want)
		}
		if c.name == "all well" {
			// Stranded at 3 s, handed out at 8 s.
			if f := r.Parts[1].Failover; f != 5 || r.Slowest != 5 {
				t.Errorf("failover %v, slowest %v", f, r.Slowest)
			}
			if r.Total.Sent != 6 || r.Total.Committed != 6 || r.Total.ByWebhook != 3 || r.Total.ByPolling != 3 || r.Parts[0].Sent != 3 {
				t.Errorf("%+v", r)
			}
		}
	}
}

// TestTimeline: lines come in the order of time, though events don't.
func TestTimeline(t *testing.T) {
	t0 := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }
	d := &demo{act: "a", onset: t0}
	for _, e := range []supervisor.Event{
		{At: at(10), Kind: supervisor.EventSignal, Name: "tls", Level: "tripped", Evidence: "expired"},
		{At: at(20), Kind: supervisor.EventPhase, From: "webhook", To: "to_polling", Cause: "tls"},
		{At: at(90), Kind: supervisor.EventStep, Name: supervisor.StepDeleteAcked, Seconds: 0.07},
		{At: at(95), Kind: supervisor.EventSignal, Name: "tls", Level: "ok"},
		{At: at(300), Kind: supervisor.EventStep, Name: supervisor.StepSetAcked, Seconds: 0.1},
		{At: at(250), Kind: supervisor.EventFirstUpdate, Source: "webhook"},
	} {
		d.follow(e)
	}
	d.tell(at(260))
	if len(d.lines) != 4 || d.lines[3].Kind != "first_webhook" || d.lines[3].Since != 0.25 {
		t.Fatalf("%+v", d.lines)
	}
	d.tell(at(1000))
	var got []string
	for _, l := range d.lines {
		got = append(got, l.Kind)
	}
	if want := "signal decided deleted first_webhook set"; strings.Join(got, " ") != want {
		t.Errorf("%s, want %s", strings.Join(got, " "), want)
	}
}
