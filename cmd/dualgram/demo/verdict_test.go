package demo

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dualgram/chaos/telegramsim"
	"dualgram/cmd/dualgram/stage"
)

// run is a run in which all went well: three updates by webhook, a fault, three
// by polling.
func goodRun() (sent []telegramsim.Record, taken []stage.Delivery, marks []mark) {
	t0 := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 6 {
		at := t0.Add(time.Duration(i) * time.Second)
		u := telegramsim.Record{ID: int64(100 + i), Kind: "message", Body: fmt.Appendf(nil, `{"update_id":%d}`, 100+i), Queue: int64(1 + i%2), PushedAt: at, State: telegramsim.StateAcknowledged, By: telegramsim.Webhook, EndedAt: at.Add(100 * time.Millisecond)}
		source := "webhook"
		if i >= 3 {
			source, u.By = "polling", telegramsim.Polling
			u.Returned, u.EndedAt = []time.Time{t0.Add(8 * time.Second)}, t0.Add(9*time.Second)
		}
		sent = append(sent, u)
		taken = append(taken, stage.Delivery{ID: u.ID, Source: source, At: at, Body: u.Body})
	}
	return sent, taken, []mark{{Act: "fault", Onset: t0.Add(2500 * time.Millisecond)}}
}

// TestJudge plants what must not happen, one at a time.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name  string
		plant func(sent []telegramsim.Record, taken []stage.Delivery) ([]telegramsim.Record, []stage.Delivery)
		want  string // in the problems; "" means OK
	}{
		{"all well", func(s []telegramsim.Record, b []stage.Delivery) ([]telegramsim.Record, []stage.Delivery) { return s, b }, ""},
		{"a loss", func(s []telegramsim.Record, b []stage.Delivery) ([]telegramsim.Record, []stage.Delivery) {
			return s, b[:5]
		}, "1 of 6 updates lost"},
		{"a loss that Telegram does not know of", func(s []telegramsim.Record, b []stage.Delivery) ([]telegramsim.Record, []stage.Delivery) {
			return s, slices.Delete(b, 1, 2)
		}, `lost: update 101 (message, sent during "before", at Telegram acknowledged)`},
		{"an expiry", func(s []telegramsim.Record, b []stage.Delivery) ([]telegramsim.Record, []stage.Delivery) {
			s[4].State, s[4].By = telegramsim.StateExpired, ""
			return s, slices.Delete(b, 4, 5)
		}, `lost: update 104 (message, sent during "fault", at Telegram expired)`},
		{"delivered, and taken away at Telegram before it was handed out", func(s []telegramsim.Record, b []stage.Delivery) ([]telegramsim.Record, []stage.Delivery) {
			s[4].Unseen = true
			return s, b
		}, ""},
		{"a double", func(s []telegramsim.Record, b []stage.Delivery) ([]telegramsim.Record, []stage.Delivery) {
			return s, append(b, b[2])
		}, "1 of 6 updates doubled"},
		{"a reorder", func(s []telegramsim.Record, b []stage.Delivery) ([]telegramsim.Record, []stage.Delivery) {
			b[0], b[2] = b[2], b[0]
			return s, b
		}, "1 of 6 updates out of order"},
		{"one overtakes two", func(s []telegramsim.Record, b []stage.Delivery) ([]telegramsim.Record, []stage.Delivery) {
			b[0], b[2], b[4] = b[4], b[0], b[2]
			return s, b
		}, "1 of 6 updates out of order"},
		{"a repeat out of order is a double only", func(s []telegramsim.Record, b []stage.Delivery) ([]telegramsim.Record, []stage.Delivery) {
			return s, append(b, b[0])
		}, "doubled: update 100 (message, sent during \"before\") came 2 times"},
		{"a reorder between queues is none", func(s []telegramsim.Record, b []stage.Delivery) ([]telegramsim.Record, []stage.Delivery) {
			b[0], b[1] = b[1], b[0]
			return s, b
		}, ""},
		{"a late switch", func(s []telegramsim.Record, b []stage.Delivery) ([]telegramsim.Record, []stage.Delivery) {
			for i := 3; i < 6; i++ {
				s[i].Returned[0] = s[i].Returned[0].Add(10 * time.Second)
			}
			return s, b
		}, "took 15.0 s"},
		{"a switch too late for an update that the webhook took in the end", func(s []telegramsim.Record, b []stage.Delivery) ([]telegramsim.Record, []stage.Delivery) {
			s[3].By, s[3].Returned = telegramsim.Webhook, nil
			s[3].EndedAt = s[3].PushedAt.Add(time.Minute)
			for i := 4; i < 6; i++ {
				s[i].PushedAt, s[i].Returned[0] = s[i].PushedAt.Add(9*time.Second), s[i].Returned[0].Add(7*time.Second)
				s[i].EndedAt = s[i].Returned[0]
			}
			return s, b
		}, "took 12.0 s"},
		{"altered on the way", func(s []telegramsim.Record, b []stage.Delivery) ([]telegramsim.Record, []stage.Delivery) {
			b[2].Body = append([]byte(nil), b[2].Body...)
			b[2].Body[0] = ' '
			return s, b
		}, "1 of 6 updates did not reach the bot byte for byte"},
		{"no switch", func(s []telegramsim.Record, b []stage.Delivery) ([]telegramsim.Record, []stage.Delivery) {
			for i := 3; i < 6; i++ {
				s[i].Returned, s[i].By = nil, telegramsim.Webhook
			}
			return s, b
		}, "never handed out"},
		{"an invention", func(s []telegramsim.Record, b []stage.Delivery) ([]telegramsim.Record, []stage.Delivery) {
			return s, append(b, stage.Delivery{ID: 7})
		}, "never sent"},
		{"nothing at all", func([]telegramsim.Record, []stage.Delivery) ([]telegramsim.Record, []stage.Delivery) { return nil, nil }, "no update was sent"},
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

// TestCommitted: what an offset swept away unseen was acknowledged by mistake.
func TestCommitted(t *testing.T) {
	sent, taken, marks := goodRun()
	sent[0].Unseen, sent[1].State = true, telegramsim.StatePending
	if r := judge(sent, taken, marks); r.Total.Committed != 4 || r.Total.Sent != 6 || r.Total.Delivered != 6 {
		t.Errorf("%+v", r.Total)
	}
}

// TestFailover: from the onset, or from the first update stranded after it, to
// the first that polling handed out within the act.
func TestFailover(t *testing.T) {
	at := func(s float64) time.Time {
		if s == 0 {
			return time.Time{}
		}
		return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(s * float64(time.Second)))
	}
	type update struct {
		pushed, ended float64
		by            telegramsim.Transport
		returned      []float64
	}
	const onset, end = 100, 200
	webhook, polling := telegramsim.Webhook, telegramsim.Polling
	before := update{90, 90.1, webhook, nil}
	for _, c := range []struct {
		name    string
		updates []update
		want    float64 // <0: none
	}{
		{"stranded after the onset", []update{before, {101, 104, polling, []float64{103}}}, 2},
		{"waiting at the onset", []update{before, {99, 104, polling, []float64{103}}}, 3},
		{"polled in the act before", []update{{50, 60, polling, []float64{55}}, {99.5, 100.5, webhook, nil}, {101, 104, polling, []float64{103}}}, 2},
		{"nothing handed out in this act", []update{{50, 60, polling, []float64{55}}, {201, 205, polling, []float64{204}}}, -1},
		{"the first one handed out is not the first stranded", []update{{101, 0, "", nil}, {102, 104, polling, []float64{103}}}, 2},
		{"sent after polling began", []update{{101, 104, polling, []float64{103}}, {105, 107, polling, []float64{106}}}, 2},
		{"the webhook took the first ones of the act", []update{{100.5, 100.6, webhook, nil}, {101.5, 104, polling, []float64{103}}}, 1.5},
		{"the webhook took it after polling had begun", []update{{100.5, 110, webhook, nil}, {101.5, 104, polling, []float64{103}}}, 2.5},
		{"a quiet fault", []update{before, {150, 151, polling, []float64{150.01}}}, 0.01},
	} {
		var sent []telegramsim.Record
		for i, u := range c.updates {
			r := telegramsim.Record{ID: int64(i), PushedAt: at(u.pushed), EndedAt: at(u.ended), By: u.by}
			for _, x := range u.returned {
				r.Returned = append(r.Returned, at(x))
			}
			sent = append(sent, r)
		}
		got, ok := stage.Failover(sent, at(onset), at(end))
		if ok != (c.want >= 0) || ok && got.Round(time.Millisecond) != time.Duration(c.want*float64(time.Second)) {
			t.Errorf("%s: %v (%v), want %v s", c.name, got, ok, c.want)
		}
	}
}
