package console

import (
	"context"
	"net/http"
)

// SchemaReport names the answer of GET /v1/report.
const SchemaReport = "dualgram/report/v1"

// Report is the answer of GET /v1/report: what a bug report is made of.
type Report struct {
	Schema string       `json:"schema"`
	Parts  []ReportPart `json:"parts"`
}

// ReportPart is one file of it.
type ReportPart struct {
	// Name is that of the file; Doc what is in it.
	Name string `json:"name"`
	Doc  string `json:"doc"`
}

// Reporter makes the parts of a bug report. They hold no token, no secret, no message
// text, and neither the numbers of chats nor the paths of URLs.
type Reporter interface {
	Parts() []ReportPart
	// Part returns nil if there is no such part.
	Part(ctx context.Context, name string) ([]byte, error)
}

// ReportRoutes are the resources of the bug report.
func ReportRoutes(p Reporter) []Route {
	return []Route{
		{"GET /v1/report", "What a bug report is made of", "", SchemaReport, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			WriteJSON(w, http.StatusOK, Report{Schema: SchemaReport, Parts: p.Parts()})
		})},
		{"GET /v1/report/{part}", "One part of it", "", "text/plain", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name := r.PathValue("part")
			data, err := p.Part(r.Context(), name)
			switch {
			case err != nil:
				WriteFailure(w, name, err)
				return
			case data == nil:
				fail(w, CodeNotFound, "a report has no part "+name, "see GET /v1/report")
				return
			}
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			_, _ = w.Write(data)
		})},
	}
}
