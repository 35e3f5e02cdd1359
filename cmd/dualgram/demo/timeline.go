package demo

import (
	"fmt"
	"slices"
	"time"

	"dualgram/supervisor"
)

// Line is one line of the timeline.
type Line struct {
	Act   string `json:"act"`
	Title string `json:"title,omitempty"`
	// Since is the time in seconds since the act's fault began.
	Since float64   `json:"since_s"`
	At    time.Time `json:"at"`
	// Kind is one of Kinds.
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// Kinds are the kinds of lines, in the order in which an act has them.
func Kinds() []string {
	return []string{"start", "fault_on", "signal", "decided", "deleted", "first_polling", "fault_off", "failback", "set",
		"first_webhook", "proven", "withheld", "problem", "end"}
}

func (d *demo) say(kind, text string) { d.line(time.Now(), kind, text) }

// line queues a line in the order of time.
func (d *demo) line(at time.Time, kind, text string) {
	l := Line{Act: d.act, Title: d.title, Since: d.since(at), At: at, Kind: kind, Text: text}
	i := len(d.waiting)
	for i > 0 && d.waiting[i-1].At.After(at) {
		i--
	}
	d.waiting = slices.Insert(d.waiting, i, l)
}

// tell shows the lines of what happened before the given time.
func (d *demo) tell(before time.Time) {
	for len(d.waiting) > 0 && d.waiting[0].At.Before(before) {
		l := d.waiting[0]
		d.waiting = d.waiting[1:]
		d.lines = append(d.lines, l)
		if d.o.Line != nil {
			d.o.Line(l)
		}
	}
}

// follow turns an event into a line, if it is worth one.
func (d *demo) follow(e supervisor.Event) {
	if kind, text := describe(e); kind != "" {
		d.line(e.At, kind, text)
	}
}

// catchUp follows what has come and was not waited for.
func (d *demo) catchUp() {
	for {
		select {
		case e := <-d.events:
			d.follow(e)
		default:
			d.tell(time.Now().Add(time.Hour))
			return
		}
	}
}

// describe says in a line what an event is; kind is empty for what the timeline
// leaves out.
func describe(e supervisor.Event) (kind, text string) {
	switch e.Kind {
	case supervisor.EventSignal:
		switch {
		case e.Name == supervisor.SignalPollStall || e.Name == supervisor.SignalStore:
			if e.Level != supervisor.Tripped.String() {
				return "", ""
			}
		case e.Level == supervisor.Clear.String():
			return "", ""
		}
		return "signal", fmt.Sprintf("%s %s: %s", e.Name, e.Level, e.Evidence)
	case supervisor.EventPhase:
		switch e.To {
		case "to_polling":
			return "decided", fmt.Sprintf("change to polling, because of %s", e.Cause)
		case "to_webhook":
			if e.From == "starting" {
				return "", ""
			}
			return "failback", "certificate and listener are in order: back to the webhook"
		}
	case supervisor.EventStep:
		if e.Error != "" {
			return "problem", fmt.Sprintf("%s: %s", e.Name, e.Error)
		}
		switch e.Name {
		case supervisor.StepDeleteAcked:
			return "deleted", fmt.Sprintf("acknowledged after %.0f ms; what is pending stays", e.Seconds*1000)
		case supervisor.StepSetAcked:
			return "set", fmt.Sprintf("acknowledged after %.0f ms; the trial begins", e.Seconds*1000)
		}
	case supervisor.EventFirstUpdate:
		if e.Source == "polling" {
			return "first_polling", "first update by getUpdates"
		}
		return "first_webhook", "first update by webhook"
	case supervisor.EventTrial:
		return "proven", fmt.Sprintf("%d updates in %.0f s, and no doubt", e.Count, e.Seconds)
	case supervisor.EventWould:
		return "withheld", fmt.Sprintf("%s was decided and not done: %s", e.Name, e.Level)
	case supervisor.EventLoss, supervisor.EventForeign:
		return "problem", e.Evidence
	}
	return "", ""
}
