package matrix

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// good is a sample that breaks nothing.
func good(seed uint64) Sample {
	return Sample{Seed: seed, Rate: 1, Detect: time.Second, Decide: 1100 * time.Millisecond, Switch: 2 * time.Second, First: 2500 * time.Millisecond,
		Longest: 4 * time.Second, Failback: 70 * time.Second, Sent: 100, Failovers: 1, Changes: 2, Signals: []string{"stall"}, Fired: 1, Working: true}
}

func row(k Kind, change func(*Row, *Sample)) Row {
	r := Row{Name: "a row", Kind: k, Did: "something was done", Wait: 15 * time.Second}
	s := good(7)
	if k == FalseAlarm {
		s.First, s.Failovers, s.Changes, s.Signals = None, 0, 0, nil
	}
	if change != nil {
		change(&r, &s)
	}
	r.Samples = append(r.Samples, s)
	return r
}

// Each bound is broken by what lies just beyond it, and by nothing before.
func TestViolations(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   Kind
		change func(*Row, *Sample)
		want   string // "" if nothing is broken
	}{
		{"fine", Outage, nil, ""},
		{"as late as may be", Outage, func(_ *Row, s *Sample) { s.First = Budget }, ""},
		{"late", Outage, func(_ *Row, s *Sample) { s.First = Budget + 1 }, "came after"},
		{"nothing waited", Outage, func(_ *Row, s *Sample) { s.First = None }, ""},
		{"local, as slow as may be", Outage, func(r *Row, s *Sample) { r.Local, s.First = true, LocalMedian }, ""},
		{"local and slow", Outage, func(r *Row, s *Sample) { r.Local, s.First = true, LocalMedian+1 }, "median"},
		{"the mode stayed", Outage, func(_ *Row, s *Sample) { s.Failovers, s.Changes = 0, 0 }, "stayed"},
		{"it moved for another reason", Outage, func(_ *Row, s *Sample) { s.Failovers = 0 }, "not taken for an outage"},
		{"and may", Outage, func(r *Row, s *Sample) { r.Stays, s.Failovers = true, 0 }, ""},
		{"back late", Outage, func(_ *Row, s *Sample) { s.Failback = FailbackMost + 1 }, "came back"},
		{"lost", Outage, func(_ *Row, s *Sample) { s.Lost = 1 }, "1 lost"},
		{"doubled", FalseAlarm, func(_ *Row, s *Sample) { s.Doubled = 1 }, "1 doubled"},
		{"reordered", Flapping, func(_ *Row, s *Sample) { s.Reordered = 1 }, "1 reordered"},
		{"eaten before", Outage, func(_ *Row, s *Sample) { s.Eaten = 9 }, ""},
		{"eaten for long", Outage, func(_ *Row, s *Sample) { s.Eaten, s.Switch = 9, Budget+1 }, "eaten for"},
		{"eaten after", Outage, func(_ *Row, s *Sample) { s.Late = 1 }, "after the switch"},
		{"waited", Outage, func(r *Row, s *Sample) { s.Longest = r.Wait + 1 }, "waited"},
		{"waited with a backlog", Outage, func(r *Row, s *Sample) { s.Longest, s.Rate = r.Wait+1, 500 }, ""},
		{"the fault never acted", FalseAlarm, func(_ *Row, s *Sample) { s.Fired = 0 }, "never acted"},
		{"it doesn't work at the end", Flapping, func(_ *Row, s *Sample) { s.Working = false }, "did not end"},
		{"a problem", FalseAlarm, func(_ *Row, s *Sample) { s.Problems = []string{"odd"} }, "odd"},
		{"a false alarm", FalseAlarm, nil, ""},
		{"a false alarm that moves", FalseAlarm, func(_ *Row, s *Sample) { s.Failovers = 1 }, "1 failovers"},
		{"flapping", Flapping, func(_ *Row, s *Sample) { s.Failovers = 4 }, ""},
		{"flapping too much", Flapping, func(_ *Row, s *Sample) { s.Failovers = 5 }, "5 failovers"},
	} {
		r := row(c.kind, c.change)
		got := strings.Join(r.Violations(), "; ")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if v := (&Row{Kind: Outage}).Violations(); len(v) == 0 {
		t.Error("a row without runs holds")
	}
}

func TestSpread(t *testing.T) {
	r := Row{}
	for i := 1; i <= 200; i++ {
		r.Samples = append(r.Samples, Sample{First: time.Duration(201 - i)}, Sample{First: None})
	}
	if s := r.Spread(first); s != (Spread{200, 100, 198, 200}) {
		t.Errorf("%+v", s)
	}
	r.Samples = r.Samples[:1]
	if s := r.Spread(first); s != (Spread{1, 200, 200, 200}) {
		t.Errorf("%+v", s)
	}
	r.Samples = nil
	if s := r.Spread(first); s != (Spread{}) {
		t.Errorf("%+v", s)
	}
}

// The pages don't depend on the order in which runs ended, name every row, and
// are what their readers can read.
func TestPages(t *testing.T) {
	make := func(backwards bool) Report {
		a := row(Outage, func(r *Row, _ *Sample) { r.Name, r.Did = "a <b> & c", "one | two" })
		for _, seed := range []uint64{9, 8} {
			a.Samples = append(a.Samples, good(seed))
		}
		slow := good(1)
		slow.Rate, slow.Signals = 0.05, []string{"tls"}
		a.Samples = append(a.Samples, slow)
		if backwards {
			a.Samples[0], a.Samples[3] = a.Samples[3], a.Samples[0]
			a.Samples[1], a.Samples[2] = a.Samples[2], a.Samples[1]
		}
		a.Sort()
		real := row(Outage, func(r *Row, _ *Sample) { r.Name, r.Real = "on a wire", true })
		return Report{Command: "make matrix", Revision: "abc1234", Results: []Results{
			{Command: "go test real", Go: "go1.26", Rows: []Row{real}},
			{Command: "go test", Go: "go1.26", Rows: []Row{a, row(FalseAlarm, nil), row(Flapping, nil)}},
		}}
	}
	one, two := make(false), make(true)
	for name, page := range map[string]func(*Report, io.Writer) error{"md": (*Report).Page, "json": (*Report).JSON, "svg": (*Report).Chart} {
		var x, y bytes.Buffer
		if page(&one, &x) != nil || page(&two, &y) != nil || x.String() != y.String() {
			t.Errorf("%s: the order of the runs shows", name)
		}
		switch name {
		case "md":
			for _, want := range []string{"**a <b> & c**: one \\| two | stall, tls | 0.05, 1 | 4 | 1.0 / 1.0 / 1.0 |", "**on a wire (real)**", "revision abc1234", "0 lost, 0 doubled, 0 out of order"} {
				if !strings.Contains(x.String(), want) {
					t.Errorf("the page lacks %q:\n%s", want, x.String())
				}
			}
			if strings.Index(x.String(), "a <b>") > strings.Index(x.String(), "on a wire") {
				t.Error("real rows come first")
			}
		case "json":
			var v struct {
				Schema string
				Rows   []struct{ Rates []struct{ Runs int } }
			}
			if err := json.Unmarshal(x.Bytes(), &v); err != nil || v.Schema != SummarySchema || len(v.Rows) != 4 || v.Rows[0].Rates[1].Runs != 3 {
				t.Errorf("%v: %+v", err, v)
			}
		case "svg":
			d := xml.NewDecoder(&x)
			dots := 0
			for {
				tok, err := d.Token()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "circle" {
					dots++
				}
			}
			if dots != 5 {
				t.Errorf("%d dots for 5 runs", dots)
			}
		}
	}
	broken := make(false)
	broken.Results[1].Rows[0].Samples[0].Lost = 3
	var b bytes.Buffer
	if err := broken.Page(&b); err != nil || !strings.Contains(b.String(), "1 bounds are broken") || len(broken.Violations()) != 1 {
		t.Error("a broken bound does not head the page")
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	r := NewResults("a command", 1, 2)
	r.Rows = []Row{row(Outage, nil)}
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil || got.Rows[0].Samples[0].First != r.Rows[0].Samples[0].First || got.Go == "" {
		t.Errorf("%v: %+v", err, got)
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing file is fine")
	}
}
