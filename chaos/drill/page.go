package drill

import (
	"html/template"
	"strings"
)

// page is a report that needs nothing but itself: no script, no font, no other
// file. What others wrote is escaped by html/template; the drawings are ours.
var page = template.Must(template.New("report").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>Drill {{.ID}}: {{.Outcome}}</title>
<style>
:root{--bg:#f5f7fa;--card:#fff;--fg:#1f2933;--dim:#52606d;--line:#e4e7eb;--ok:#0a6b45;--bad:#b03030;--warn:#8a5a00}
@media (prefers-color-scheme:dark){:root{--bg:#0b1015;--card:#12181f;--fg:#e4e7eb;--dim:#9aa5b1;--line:#323f4b;--ok:#35c98f;--bad:#f29b9b;--warn:#e0b04f}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}
main{max-width:1000px;margin:0 auto;padding:24px 16px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:17px;margin:28px 0 8px}
.badge{display:inline-block;border:2px solid;border-radius:6px;padding:0 10px;font-weight:700}
.held{color:var(--ok)}.deviated,.not_recovered,.aborted{color:var(--bad)}.invalid,.interrupted,.not_started{color:var(--warn)}
.dim{color:var(--dim)}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:8px}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:6px 12px;border-top:1px solid var(--line);vertical-align:top;overflow-wrap:break-word}
tr:first-child>*{border-top:0}
.facts table{table-layout:fixed}.facts td:first-child{width:40%}.facts td{overflow-wrap:anywhere}
code{font:13px ui-monospace,monospace}
svg{width:100%;height:auto;display:block}
@media (max-width:700px){.wide table,.plot svg{width:680px}.facts td:first-child{width:55%}h1{font-size:21px}}
@media print{body{background:#fff}}
</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
<p><span class="badge {{.Outcome}}">{{.Outcome}}</span> {{.Headline}}</p>
{{- if .Reasons}}
<ul>{{range .Reasons}}<li>{{.}}</li>{{end}}</ul>
{{- end}}
<p class="dim">{{.Description}}</p>
{{- if .Plot}}
<div class="scroll plot">{{.Plot}}</div>
{{- end}}
{{- define "facts"}}<div class="scroll facts"><table>{{range .}}<tr><td>{{.Name}}</td><td>{{.Value}}</td></tr>{{end}}</table></div>{{end}}
<h2>Times</h2>
{{template "facts" .Timings}}
{{- if .Timeline}}
<h2>Timeline, from the injection</h2>
{{template "facts" .Timeline}}
{{- end}}
<h2>Updates</h2>
{{template "facts" .Counts}}
{{- if .Books}}
<h2>By the simulator's own books</h2>
{{template "facts" .Books}}
{{- end}}
{{- if .Hypothesis}}
<h2>Hypothesis</h2>
<div class="scroll wide"><table><tr><th>Phase</th><th>Probe</th><th>Expression</th><th>Verdict</th><th>Seen</th></tr>
{{- range .Hypothesis}}<tr><td>{{.Phase}}</td><td>{{.Name}}</td><td><code>{{.Expr}}</code></td><td>{{if .Met}}<span class="held">held</span>{{else}}<b class="deviated">did not hold</b>{{end}}</td><td>{{.Detail}}</td></tr>{{end}}</table></div>
{{- end}}
{{- if .Steps}}
<h2>Method</h2>
<div class="scroll wide"><table><tr><th>Step</th><th>What</th><th>Lasted</th><th>Fired</th><th>Status</th></tr>
{{- range .Steps}}<tr><td>{{.Name}}</td><td><code>{{.Fault}}</code></td><td>{{.Lasted}}</td><td>{{.Fired}}</td><td>{{.Status}}</td></tr>{{end}}</table></div>
{{- end}}
{{- if .Warnings}}
<h2>Warnings shown</h2>
<div class="scroll wide"><table><tr><th>Code</th><th>From</th><th>To</th><th>Expected</th></tr>
{{- range .Warnings}}<tr><td><code>{{.Code}}</code></td><td>{{.From}}</td><td>{{.To}}</td><td>{{.Expected}}</td></tr>{{end}}</table></div>
{{- end}}
{{- if .Trend}}
<h2>Trend</h2>
<div class="scroll plot">{{.Trend}}</div>
{{- end}}
<h2>Run</h2>
{{template "facts" .Summary}}
</main>
</body>
</html>
`))

// html is the report for a browser.
func (r *Report) html() (string, error) {
	j := &r.Journal
	var b strings.Builder
	err := page.Execute(&b, map[string]any{
		"ID": j.ID, "Title": j.Experiment.Title, "Description": j.Experiment.Description,
		"Outcome": j.Outcome, "Headline": r.headline(), "Reasons": j.Reasons,
		"Plot": template.HTML(r.Plot()), "Trend": template.HTML(r.Trend()), //nolint:gosec // made here, texts escaped
		"Summary": r.summary(), "Timings": r.timings(), "Timeline": r.timeline(), "Counts": r.counts(), "Books": r.books(),
		"Hypothesis": r.hypothesis(), "Steps": r.steps(), "Warnings": r.warnings(),
	})
	return b.String(), err
}
