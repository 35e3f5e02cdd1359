package page

import (
	"fmt"
	"math"
	"strings"
	"time"

	"dualgram/supervisor"
	"dualgram/supervisor/console"
)

const (
	// plotted is what the plot of the intake reaches back; plotStep is one step of it.
	plotted  = 10 * time.Minute
	plotStep = 5 * time.Second
	plotN    = int(plotted / plotStep)
)

// plot is the intake by transport, as steps in a field of plotN by 100. The areas
// lie upon each other: All is that of both transports together, and Webhook covers
// its part of it.
type plot struct {
	Webhook, All string    // SVG paths; empty if there is nothing
	Top, Half    string    // what 100 and 50 mean, in updates per second
	Marks        []mark    // handovers; X is in percent
	ByWebhook    string    // updates per second of late
	ByPolling    string    // the same
	Table        []plotRow // the same by the minute, the latest first
	Label        string
}

type plotRow struct {
	From             time.Time
	Webhook, Polling uint32
}

// newPlot draws the counts of the last seconds. The present one, which is not over,
// is left out.
func newPlot(c console.Counts, events []supervisor.Event, now time.Time) plot {
	n := len(c.Webhook) - 1
	if n < 1 {
		return plot{Top: "1", Half: "0.5", ByWebhook: "0", ByPolling: "0"}
	}
	from := now.Add(-plotted).Truncate(plotStep).Add(plotStep)
	var webhook, all [plotN]float64
	var over [plotN]int // seconds of each step that are over
	var rows []plotRow
	for i := range n {
		at := c.Begin.Add(time.Duration(i) * c.Step)
		if m := at.Truncate(time.Minute); len(rows) == 0 || !rows[len(rows)-1].From.Equal(m) {
			rows = append(rows, plotRow{From: m})
		}
		r := &rows[len(rows)-1]
		r.Webhook += c.Webhook[i]
		r.Polling += c.Polling[i]
		if k := int(at.Sub(from) / plotStep); !at.Before(from) && k < plotN {
			webhook[k] += float64(c.Webhook[i])
			all[k] += float64(c.Webhook[i] + c.Polling[i])
			over[k]++
		}
	}
	highest := 0.0
	for k := range plotN {
		if over[k] > 0 {
			webhook[k] /= float64(over[k])
			all[k] /= float64(over[k])
		}
		highest = max(highest, all[k])
	}
	top := nice(highest)
	p := plot{Webhook: steps(webhook[:], top), All: steps(all[:], top), Top: number(top), Half: number(top / 2)}
	last := func(counts []uint32) string {
		sum, over := 0.0, min(10, n)
		for _, v := range counts[n-over : n] {
			sum += float64(v)
		}
		return number(sum / float64(over))
	}
	p.ByWebhook, p.ByPolling = last(c.Webhook), last(c.Polling)
	for i := len(rows) - 1; i >= 0; i-- {
		p.Table = append(p.Table, rows[i])
	}
	for _, e := range events {
		if e.Kind == supervisor.EventHandover && e.From != e.To && e.From != "none" && e.At.After(from) {
			p.Marks = append(p.Marks, mark{X: percent(e.At, from, plotted), Class: "to-" + e.To, Words: clock(e.At) + " to " + e.To})
		}
	}
	p.Label = fmt.Sprintf("Updates taken in per second over the last ten minutes. Now %s by webhook and %s by polling.", p.ByWebhook, p.ByPolling)
	return p
}

// steps is the outline of an area under steps.
func steps(values []float64, top float64) string {
	var b strings.Builder
	at := 100.0 // the height that the pen is at; 100 is the ground
	for i, v := range values {
		y := math.Round((1-v/top)*1000) / 10
		if y == at {
			continue
		}
		if b.Len() == 0 {
			fmt.Fprintf(&b, "M%d 100", i)
		} else {
			fmt.Fprintf(&b, "H%d", i)
		}
		fmt.Fprintf(&b, "V%g", y)
		at = y
	}
	if b.Len() > 0 {
		fmt.Fprintf(&b, "H%dV100Z", len(values))
	}
	return b.String()
}

// nice is the next of 1, 2, 5, 10, 20, 50 and so on.
func nice(v float64) float64 {
	top := 1.0
	for _, f := range []float64{2, 2.5, 2, 2, 2.5, 2, 2, 2.5, 2, 2, 2.5, 2, 2, 2.5, 2} {
		if v <= top {
			break
		}
		top *= f
	}
	return max(top, v)
}

// number is a rate with as many digits as matter.
func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 10:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	}
	return fmt.Sprintf("%.0f", v)
}

// percent is how far a time is in a span.
func percent(t, from time.Time, length time.Duration) string {
	x := float64(t.Sub(from)) / float64(length) * 100
	return fmt.Sprintf("%.2f", min(100, max(0, x)))
}

// clock is the time of the day.
func clock(t time.Time) string { return t.Format("15:04:05") }
