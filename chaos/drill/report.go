package drill

import (
	"errors"
	"io"
)

// Report is all that a report of one run is made of.
type Report struct {
	Journal Journal
	// Head is the hash of the run's record.
	Head string
	// Past are earlier runs of the same experiment, oldest first, for the trend.
	Past []Journal
}

// Format is a form of a report.
type Format string

// The formats.
const (
	JSON     Format = "json"
	Markdown Format = "markdown"
	HTML     Format = "html"
	JUnit    Format = "junit"
)

// Write writes the report.
func (r *Report) Write(w io.Writer, f Format) error { return errors.ErrUnsupported }
