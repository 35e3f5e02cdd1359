package drill

import (
	"fmt"
	"html"
	"math"
	"strings"
	"time"
)

// Measures of the drawings, in their own units.
const (
	plotWidth  = 960.0
	plotLeft   = 60.0
	plotRight  = 922.0
	plotTop    = 68.0
	plotBottom = 230.0
	plotHeight = 290.0
)

// plotStyle has a variant for dark pages. The drawings are written by hand as
// SVG: what plotting libraries make has no such variant, no description for
// those who can't see it, and a font of its own.
const plotStyle = `<style>
 text{font:12px system-ui,sans-serif;fill:#1f2933}
 .dim{fill:#52606d}
 .b{font-weight:600;font-size:14px}
 .m{text-anchor:middle}.r{text-anchor:end}
 .bg{fill:#ffffff}.grid{stroke:#e4e7eb;stroke-width:1}
 .band{fill:#d64545;fill-opacity:.12}.bandt{fill:#b03030}
 .web{stroke:#0a8f5b;fill:none;stroke-width:2}.webt{fill:#0a8f5b}
 .poll{stroke:#2680c2;fill:none;stroke-width:2}.pollt{fill:#2680c2}
 .pend{stroke:#b7791f;fill:none;stroke-width:1.5;stroke-dasharray:4 3}.pendt{fill:#b7791f}
 .mark{stroke:#52606d;stroke-width:1;stroke-dasharray:2 3}
 .bound{stroke:#d64545;stroke-width:1.5}
 .held{fill:#0a8f5b}.bad{fill:#d64545}
 @media (prefers-color-scheme:dark){text{fill:#e4e7eb}.dim{fill:#9aa5b1}.bg{fill:#12181f}.grid{stroke:#323f4b}.bandt{fill:#f29b9b}
 .web{stroke:#35c98f}.webt,.held{fill:#35c98f}.poll{stroke:#6cb6ee}.pollt{fill:#6cb6ee}.pend{stroke:#e0b04f}.pendt{fill:#e0b04f}.mark{stroke:#9aa5b1}}
</style>`

// Plot draws the intake around the fault: updates a second by webhook and by
// polling, those that wait at Telegram, and the fault as a band. It is empty if
// nothing was injected.
func (r *Report) Plot() string {
	j := &r.Journal
	ss := j.Samples
	if !j.Injected() || len(ss) < 2 {
		return ""
	}
	from, to := ss[0].At, ss[len(ss)-1].At
	x := func(t time.Time) float64 {
		f := t.Sub(from).Seconds() / to.Sub(from).Seconds()
		return plotLeft + (plotRight-plotLeft)*min(max(f, 0), 1)
	}
	web := rates(ss, func(c Counts) int64 { return c.ReceivedWebhook })
	poll := rates(ss, func(c Counts) int64 { return c.ReceivedPolling })
	top, most := 1.0, 1.0
	for i := range web {
		top = max(top, web[i], poll[i])
	}
	for _, s := range ss {
		if s.Facts.Pending != nil {
			most = max(most, float64(*s.Facts.Pending))
		}
	}
	top, most = roundUp(top), roundUp(most)
	y := func(v, top float64) float64 { return plotBottom - (plotBottom-plotTop)*v/top }

	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" role="img" aria-label="%s">`, plotWidth, plotHeight, html.EscapeString(r.plotSays()))
	p("%s", plotStyle)
	p(`<rect class="bg" width="%g" height="%g" rx="8"/>`, plotWidth, plotHeight)
	p(`<text x="20" y="26" class="b">Intake around the fault</text>`)
	p(`<text x="20" y="46" class="webt">— by webhook, a second</text><text x="180" y="46" class="pollt">— by polling, a second</text><text x="330" y="46" class="pendt">- - waiting at Telegram (right scale)</text>`)
	for _, s := range j.Run {
		x0, x1 := x(s.Start), x(s.End)
		p(`<rect class="band" x="%.1f" y="%g" width="%.1f" height="%g"/>`, x0, plotTop, max(x1-x0, 1), plotBottom-plotTop)
	}
	for i := range 5 {
		f := float64(i) / 4
		p(`<line class="grid" x1="%g" y1="%.1f" x2="%g" y2="%.1f"/>`, plotLeft, y(f, 1), plotRight, y(f, 1))
		p(`<text class="dim r" x="%g" y="%.1f">%g</text><text class="pendt" x="%g" y="%.1f">%g</text>`, plotLeft-6, y(f, 1)+4, f*top, plotRight+4, y(f, 1)+4, f*most)
	}
	length := to.Sub(from).Seconds()
	step := tickStep(length)
	zero := j.Timeline.Inject
	for s := math.Ceil(from.Sub(zero).Seconds()/step) * step; s <= to.Sub(zero).Seconds(); s += step {
		p(`<text class="dim m" x="%.1f" y="%g">%+g s</text>`, x(zero.Add(time.Duration(s*float64(time.Second)))), plotBottom+18, s+0) // +0: no "-0"
	}
	line := func(class string, v func(i int) (float64, bool)) {
		var pts []string
		flush := func() {
			if len(pts) > 1 {
				p(`<polyline class="%s" points="%s"/>`, class, strings.Join(pts, " "))
			}
			pts = nil
		}
		for i := range ss {
			if f, ok := v(i); ok {
				pts = append(pts, fmt.Sprintf("%.1f,%.1f", x(ss[i].At), f))
			} else {
				flush()
			}
		}
		flush()
	}
	line("pend", func(i int) (float64, bool) {
		if n := ss[i].Facts.Pending; n != nil && ss[i].Error == "" {
			return y(float64(*n), most), true
		}
		return 0, false
	})
	line("web", func(i int) (float64, bool) { return y(web[i], top), ss[i].Error == "" })
	line("poll", func(i int) (float64, bool) { return y(poll[i], top), ss[i].Error == "" })
	// Marks close to each other are told one below the other.
	row, last := 0, -1000.0
	for _, m := range []struct {
		name string
		at   time.Time
	}{{"detected", j.Timeline.Detect}, {"polling", j.Timeline.FirstPoll}, {"webhook proven", j.Timeline.WebhookOK}, {"steady", j.Timeline.Recovered}} {
		if m.at.IsZero() {
			continue
		}
		at := x(m.at)
		if row++; at-last > 90 {
			row = 0
		}
		last = at
		p(`<line class="mark" x1="%.1f" y1="%g" x2="%.1f" y2="%g"/>`, at, plotTop, at, plotBottom)
		anchor, dx := "", 4.0
		if at > plotRight-100 {
			anchor, dx = " r", -4
		}
		p(`<text class="dim%s" x="%.1f" y="%.1f">%s</text>`, anchor, at+dx, plotTop+14+14*float64(row), m.name)
	}
	if t := j.Run; len(t) > 0 {
		p(`<text class="bandt" x="%.1f" y="%g">fault</text>`, x(t[0].Start), plotTop-4)
	}
	p(`<text class="dim" x="20" y="%g">time from the first injection; %s</text>`, plotHeight-16, html.EscapeString(j.ID))
	p(`</svg>`)
	return b.String()
}

// plotSays is the plot in words.
func (r *Report) plotSays() string {
	j := &r.Journal
	s := fmt.Sprintf("Intake during the drill: %d updates by webhook, %d by polling", j.Counts.ReceivedWebhook, j.Counts.ReceivedPolling)
	if t := j.Timings.Switch; t != nil {
		s += "; polling took over after " + secs(*t)
	}
	if t := j.Timings.Failback; t != nil {
		s += "; the webhook was proven again " + secs(*t) + " after the fault"
	}
	return s + "."
}

// rates is the growth of a count, a second, from sample to sample. Samples on
// both sides of a change of the stage are too close for a rate: the one before
// stands.
func rates(ss []Sample, of func(Counts) int64) []float64 {
	out := make([]float64, len(ss))
	last := -1
	for i, s := range ss {
		if s.Error != "" {
			continue
		}
		if last >= 0 {
			d := s.At.Sub(ss[last].At)
			if d < sampleEvery/2 {
				out[i] = out[last]
				continue
			}
			out[i] = max(0, float64(of(s.Facts.Counts)-of(ss[last].Facts.Counts))/d.Seconds())
		}
		last = i
	}
	if len(out) > 1 {
		out[0] = out[1] // nothing to compare with
	}
	return out
}

// roundUp is the next 1, 2, 4 or 8 of a power of ten.
func roundUp(v float64) float64 {
	m := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 4, 8} {
		if v <= f*m {
			return f * m
		}
	}
	return 10 * m
}

// tickStep is the distance of the marks on an axis of so many seconds.
func tickStep(length float64) float64 {
	for _, s := range []float64{5, 10, 30, 60, 120, 300, 600} {
		if length/s <= 12 {
			return s
		}
	}
	return 1800
}

// Trend draws the time to switch over the past runs and this one; empty with
// fewer than two that switched.
func (r *Report) Trend() string {
	var pts []point
	top := 10.0
	for _, t := range r.trend() {
		if t.took != nil {
			pts = append(pts, t)
			top = max(top, *t.took)
		}
	}
	if len(pts) < 2 {
		return ""
	}
	top = roundUp(top * 1.1)
	x := func(i int) float64 { return plotLeft + (plotRight-plotLeft)*(float64(i)+0.5)/float64(len(pts)) }
	y := func(v float64) float64 { return plotBottom - (plotBottom-plotTop)*v/top }
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" role="img" aria-label="%s">`, plotWidth, plotHeight,
		html.EscapeString(fmt.Sprintf("Time to switch in %d runs, from %s to %s; %s in the last.", len(pts), pts[0].at.Format(time.DateOnly), pts[len(pts)-1].at.Format(time.DateOnly), secs(*pts[len(pts)-1].took))))
	p("%s", plotStyle)
	p(`<rect class="bg" width="%g" height="%g" rx="8"/>`, plotWidth, plotHeight)
	p(`<text x="20" y="26" class="b">Time to switch, run by run</text>`)
	p(`<text x="20" y="46" class="dim">green: the drill held; red: it did not; the line: what is allowed</text>`)
	for i := range 5 {
		v := top * float64(i) / 4
		p(`<line class="grid" x1="%g" y1="%.1f" x2="%g" y2="%.1f"/><text class="dim r" x="%g" y="%.1f">%g s</text>`, plotLeft, y(v), plotRight, y(v), plotLeft-6, y(v)+4, v)
	}
	if w := r.Journal.Experiment.Expect.Within.D().Seconds(); w > 0 && w <= top {
		p(`<line class="bound" x1="%g" y1="%.1f" x2="%g" y2="%.1f"/>`, plotLeft, y(w), plotRight, y(w))
	}
	every := max(1, len(pts)/8)
	for i, t := range pts {
		class := "bad"
		if t.outcome == Held {
			class = "held"
		}
		p(`<circle class="%s" cx="%.1f" cy="%.1f" r="5"><title>%s: %s after %s</title></circle>`, class, x(i), y(*t.took), stamp(t.at), t.outcome, secs(*t.took))
		if i%every == 0 {
			p(`<text class="dim m" x="%.1f" y="%g">%s</text>`, x(i), plotBottom+18, t.at.UTC().Format(time.DateOnly))
		}
	}
	p(`</svg>`)
	return b.String()
}
