package demo

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"dualgram/supervisor"
)

var update = flag.Bool("update", false, "write the golden file")

// TestTimeline: an act's events become lines, in the order of time though the
// events don't come so, and what says nothing new is left out.
func TestTimeline(t *testing.T) {
	t0 := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }
	d := &demo{act: "black hole", title: "the network swallows connections", onset: t0}
	d.line(t0, "fault_on", "nothing comes through")
	for _, e := range []supervisor.Event{
		{At: at(2000), Kind: supervisor.EventSignal, Name: "stall", Level: "suspect", Evidence: "95 pending"},
		{At: at(2100), Kind: supervisor.EventSignal, Name: "poll_stall", Level: "suspect", Evidence: "not worth a line"},
		{At: at(5500), Kind: supervisor.EventSignal, Name: "stall", Level: "tripped", Evidence: "269 pending"},
		{At: at(5500), Kind: supervisor.EventPhase, From: "webhook", To: "to_polling", Cause: "stall"},
		{At: at(5510), Kind: supervisor.EventStep, Name: supervisor.StepIntentPersisted},
		{At: at(6510), Kind: supervisor.EventStep, Name: supervisor.StepDeleteAcked, Seconds: 1, Error: "time-out"},
		{At: at(6590), Kind: supervisor.EventStep, Name: supervisor.StepDeleteAcked, Seconds: 0.074},
		{At: at(6600), Kind: supervisor.EventSignal, Name: "stall", Level: "ok"},
		{At: at(6700), Kind: supervisor.EventPhase, From: "to_polling", To: "polling", Cause: "stall"},
		{At: at(6700), Kind: supervisor.EventHandover, From: "webhook", To: "polling"},
		{At: at(6650), Kind: supervisor.EventFirstUpdate, Source: "polling"}, // told at the tick after it
		{At: at(9000), Kind: supervisor.EventWould, Name: "to_webhook", Level: "held"},
		{At: at(9500), Kind: supervisor.EventPhase, From: "polling", To: "to_webhook", Cause: "hold_down_over"},
		{At: at(9750), Kind: supervisor.EventStep, Name: supervisor.StepSetAcked, Seconds: 0.1},
		{At: at(9700), Kind: supervisor.EventFirstUpdate, Source: "webhook"},
		{At: at(12000), Kind: supervisor.EventLoss, Evidence: "1 update is gone"},
		{At: at(30000), Kind: supervisor.EventTrial, Count: 1001, Seconds: 20.3},
	} {
		d.follow(e)
	}
	d.tell(at(9710))
	if last := d.lines[len(d.lines)-1]; last.Kind != "first_webhook" || last.Since != 9.7 || last.Title != d.title {
		t.Errorf("told until 9.71 s: %+v", last)
	}
	d.catchUp()
	var got strings.Builder
	for _, l := range d.lines {
		if !slices.Contains(Kinds(), l.Kind) {
			t.Errorf("%q is not one of Kinds", l.Kind)
		}
		fmt.Fprintf(&got, "%6.2f %-13s %s\n", l.Since, l.Kind, l.Text)
	}
	const path = "testdata/timeline.golden"
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("%s differs (go test -update writes it)\n--- got\n%s\n--- want\n%s", path, got.String(), want)
	}
}

// TestActBegins: what is left of an act is told before the next one begins.
func TestActBegins(t *testing.T) {
	t0 := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var told []string
	d := &demo{o: Options{Line: func(l Line) { told = append(told, l.Act+" "+l.Text) }}}
	d.begin("first", "", t0)
	d.line(t0.Add(time.Second), "proven", "old")
	d.begin("second", "", t0.Add(2*time.Second))
	d.line(t0.Add(2*time.Second), "fault_on", "new")
	d.catchUp()
	if want := []string{"first old", "second new"}; !slices.Equal(told, want) {
		t.Errorf("%q, want %q", told, want)
	}
}
