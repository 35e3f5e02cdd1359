package drill

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// reported is a report whose every byte is known: of a run of the fake host.
func reported(t *testing.T, h *fakeHost, want Outcome, more string, books *Books) *Report {
	t.Helper()
	s := &memStore{}
	d := office(t, &witness{fakeHost: h, books: books}, s, func(o *Options) {
		if books != nil {
			o.Simulator = &Simulator{Rate: 5, Chats: 10, Shortened: []string{"failover.hold_down is 20s instead of 1m0s"}}
		}
	})
	// Not in whole seconds, or it were open whether the last sample or the end comes first.
	e := plan(t, more)
	e.Method[0].For = Duration(60500 * time.Millisecond)
	j := do(t, d, Request{Experiment: e, Who: Who{User: "ann", Reason: "before <release> | 7"}, Seed: 42}, want)
	id := j.ID
	r, err := d.Report(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if r.Head != s.records[len(s.records)-1].Hash || r.Journal.Outcome != want {
		t.Errorf("%+v", r)
	}
	j = &r.Journal
	j.ID, j.Node, j.Platform, r.Head = "20000101T000000Z-test-abcdef", "host1", "linux/amd64", strings.Repeat("0123456789abcdef", 4)
	j.Experiment.Description = "Why & <what>."
	for i := range 5 {
		past := *j
		past.Start = j.Start.AddDate(0, -3*(5-i), 0)
		took := 2.5 + float64(i*i)/2
		past.Timings.Switch = &took
		past.Outcome = Held
		if took > 10 {
			past.Outcome = Deviated
		}
		r.Past = append(r.Past, past)
	}
	return r
}

func TestReports(t *testing.T) {
	soon := 3.05
	for name, c := range map[string]struct {
		want   Outcome
		more   string
		change func(h *fakeHost)
		books  *Books
	}{
		"held":     {Held, expectPolling, func(*fakeHost) {}, nil},
		"deviated": {Deviated, expectPolling, func(h *fakeHost) { h.switchAfter = 12 * time.Second; h.pending = rising }, nil},
		"refused":  {NotStarted, "", func(h *fakeHost) { h.change = func(f *Facts) { f.StandbyReady = false } }, nil},
		"simulated": {Deviated, expectPolling, func(*fakeHost) {}, &Books{Sent: 700, Delivered: 699, ByWebhook: 400, ByPolling: 299, Lost: 1, Doubled: 2, Switch: &soon,
			Details: []string{"lost: update 7 (message, at Telegram expired)"}}},
	} {
		bubble(t, name, func(t *testing.T, h *fakeHost) {
			c.change(h)
			r := reported(t, h, c.want, c.more, c.books)
			for _, f := range Formats() {
				var b bytes.Buffer
				if err := r.Write(&b, f); err != nil {
					t.Fatal(err)
				}
				switch f {
				case JSON:
					var back struct{ Run Journal }
					if err := json.Unmarshal(b.Bytes(), &back); err != nil || back.Run.ID != r.Journal.ID {
						t.Errorf("%v", err)
					}
					continue // thousands of lines that nobody would review
				case JUnit:
					wellFormed(t, b.String())
				case HTML:
					for _, never := range []string{"<script", "<release>", "<what>", "http://www.w3.org/1999", "src=", "ZgotmplZ"} {
						if strings.Contains(b.String(), never) {
							t.Errorf("%s in the page", never)
						}
					}
					for _, svg := range []string{r.Plot(), r.Trend()} {
						wellFormed(t, svg)
					}
				}
				golden(t, "report-"+name+"."+map[Format]string{Markdown: "md", HTML: "html", JUnit: "xml"}[f], b.Bytes())
			}
			if err := r.Write(io.Discard, "pdf"); err == nil {
				t.Error("pdf?")
			}
		})
	}
}

// rising is a backlog until the switch.
func rising(d time.Duration) *int {
	n := 0
	if d > time.Second && d < 13*time.Second {
		n = int(d.Seconds()) * 5
	}
	return &n
}

func wellFormed(t *testing.T, s string) {
	t.Helper()
	for dec := xml.NewDecoder(strings.NewReader(s)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, s)
		}
	}
}

func TestReportNotFound(t *testing.T) {
	bubble(t, "none", func(t *testing.T, h *fakeHost) {
		d := office(t, h, &memStore{}, nil)
		if _, err := d.Report(t.Context(), "x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
		_ = d.Halt(t.Context(), Who{})
		rs, _ := d.o.Store.List(t.Context())
		if _, err := d.Report(t.Context(), rs[0].ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
}
