package warning

import (
	"testing"
	"time"
)

// A warning that flaps each second for an hour makes two entries in five minutes,
// none is miscounted, and the last word is true.
func TestDamper(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := []Active{{Condition: Condition{Bot: "a", Code: Blind}}}
	b := []Active{{Condition: Condition{Bot: "b", Code: Blind}}}
	var d Damper
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	// One that comes and goes is told at once, both times.
	if c := d.Update(b, nil, at(0)); len(c) != 1 || !c[0].Raised || c[0].Bot != "b" {
		t.Fatalf("%+v", c)
	}
	if c := d.Update(nil, b, at(7)); len(c) != 1 || c[0].Raised || c[0].Lasted != 7*time.Second || c[0].Missed != 0 {
		t.Fatalf("%+v", c)
	}
	changes, told, missed := 0, 0, 0
	var last Change
	for s := 10; s < 3610; s++ {
		var got []Change
		if s%2 == 0 {
			got = d.Update(a, nil, at(s))
		} else {
			got = d.Update(nil, a, at(s))
		}
		changes++
		for _, c := range got {
			told++
			missed += c.Missed
			last = c
		}
	}
	if most := 2 * 3600 / int(DampWindow.Seconds()); told < 3 || told > most+2 {
		t.Errorf("%d entries in an hour, want at most %d", told, most+2)
	}
	for s := 3610; s < 3610+int(DampWindow.Seconds())+1; s++ {
		for _, c := range d.Update(nil, nil, at(s)) {
			told++
			missed += c.Missed
			last = c
		}
	}
	if last.Raised || !last.At.Equal(at(3609)) {
		t.Errorf("the last word is %+v", last)
	}
	if told+missed != changes {
		t.Errorf("%d told and %d missed of %d", told, missed, changes)
	}
	d.Update(nil, nil, at(10_000))
	if len(d.of) != 0 {
		t.Errorf("%d are remembered for ever", len(d.of))
	}
}
