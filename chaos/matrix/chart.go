package matrix

import (
	"fmt"
	"html"
	"io"
	"strings"
	"time"
)

// Measures of the chart, in its own units.
const (
	chartLeft  = 330.0 // where the axis begins
	chartRight = 930.0
	chartTop   = 92.0
	chartRow   = 20.0
	chartMax   = 12 * time.Second // the end of the axis; what is later is drawn there
)

func chartX(d time.Duration) float64 {
	return chartLeft + (chartRight-chartLeft)*min(d.Seconds()/chartMax.Seconds(), 1)
}

// Chart writes a drawing: for each outage, when the standby brought the first
// update in each run, with the median and the bound. It is written by hand as
// SVG, since what plotting libraries make has no dark variant, no description
// for those who can't see it, and a font of its own.
func (r *Report) Chart(w io.Writer) error {
	rows := r.rows(Outage)
	height := chartTop + chartRow*float64(len(rows)) + 50
	bottom := height - 42
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	every := Row{}
	for _, row := range rows {
		every.Samples = append(every.Samples, row.Samples...)
	}
	s := every.Spread(first)
	p(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 %g" role="img" aria-label="%s">`, height,
		html.EscapeString(fmt.Sprintf("For each of %d outages, a dot for each run at the time when the standby brought the first update: %s seconds in the median, %s at most, with the bound at %g.",
			len(rows), seconds(s.P50), seconds(s.Max), Budget.Seconds())))
	p(`<style>
 text{font:12px system-ui,sans-serif;fill:#1f2933}
 .dim{fill:#52606d}
 .b{font-weight:600;font-size:14px}
 .r{text-anchor:end}.m{text-anchor:middle}
 .dot{fill:#2680c2;fill-opacity:.45}.local .dot{fill:#0a8f5b}
 .mid{stroke:#1f2933;stroke-width:2}
 .bound{stroke:#d64545;stroke-width:1.5}
 .line{stroke:#e4e7eb;stroke-width:1}
 .bg{fill:#ffffff}
 @media (prefers-color-scheme:dark){text{fill:#e4e7eb}.dim{fill:#9aa5b1}.bg{fill:#12181f}.line{stroke:#323f4b}.mid{stroke:#e4e7eb}}
</style>`)
	p(`<rect class="bg" width="960" height="%g" rx="8"/>`, height)
	p(`<text x="20" y="30" class="b">When the standby brought the first update</text>`)
	p(`<text x="20" y="50" class="dim">a dot for each run, a bar at the median; green: the host itself sees the fault; red: the bound, which no dot may pass</text>`)
	for sec := 0; sec <= int(chartMax.Seconds()); sec += 2 {
		x := chartX(time.Duration(sec) * time.Second)
		p(`<line class="line" x1="%.1f" y1="%g" x2="%.1f" y2="%g"/>`, x, chartTop-10, x, bottom)
		p(`<text class="dim m" x="%.1f" y="%g">%d s</text>`, x, chartTop-16, sec)
	}
	for i, row := range rows {
		y := chartTop + chartRow*float64(i) + chartRow/2
		class := ""
		if row.Local {
			class = ` class="local"`
		}
		p(`<g%s><text class="r" x="%g" y="%.1f">%s</text>`, class, chartLeft-12, y+4, html.EscapeString(row.title()))
		for k, s := range row.Samples {
			if s.First == None {
				continue
			}
			// The height tells nothing: it keeps equal times apart.
			p(`<circle class="dot" cx="%.1f" cy="%.1f" r="3"/>`, chartX(s.First), y+float64(k%5-2)*1.8)
		}
		if s := row.Spread(first); s.Count > 0 {
			x := chartX(s.P50)
			p(`<line class="mid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, x, y-7, x, y+7)
		} else {
			p(`<text class="dim" x="%.1f" y="%.1f">the mode stayed: nothing had to wait</text>`, chartLeft+6, y+4)
		}
		p(`</g>`)
	}
	x := chartX(Budget)
	p(`<line class="bound" x1="%.1f" y1="%g" x2="%.1f" y2="%g"/>`, x, chartTop-10, x, bottom)
	p(`<text class="dim" x="20" y="%g">%s</text>`, height-16, html.EscapeString(fmt.Sprintf("%d runs; made by %s", total(rows, runs), r.Command)))
	p(`</svg>`)
	_, err := io.WriteString(w, b.String())
	return err
}
