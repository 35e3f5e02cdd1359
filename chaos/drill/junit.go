package drill

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"
)

// junitSuite is the part of JUnit's XML that CI systems read.
type junitSuite struct {
	XMLName    xml.Name        `xml:"testsuite"`
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr"`
	Hostname   string          `xml:"hostname,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string      `xml:"classname,attr"`
	Name    string      `xml:"name,attr"`
	Time    string      `xml:"time,attr"`
	Failure *junitFault `xml:"failure,omitempty"`
	Error   *junitFault `xml:"error,omitempty"`
	Skipped *junitFault `xml:"skipped,omitempty"`
}

type junitFault struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// junit is the report for a CI system: a case for each probe in each phase, one
// for the simulator's books, and one for the outcome.
func (r *Report) junit() (string, error) {
	j := &r.Journal
	class := "drill." + j.Experiment.Name
	s := junitSuite{Name: class, Time: fmt.Sprintf("%.3f", j.Duration), Timestamp: j.Start.UTC().Format(time.RFC3339), Hostname: j.Node}
	for _, f := range append(r.summary(), fact{"Outcome", string(j.Outcome)}) {
		s.Properties = append(s.Properties, junitProperty(f))
	}
	for _, h := range r.hypothesis() {
		c := junitCase{Class: class, Name: h.Phase + ": " + h.Name, Time: "0"}
		if !h.Met {
			c.Failure = &junitFault{h.Detail, h.Expr}
		}
		s.Cases = append(s.Cases, c)
	}
	if sim := j.Simulator; sim != nil && sim.Books != nil {
		c := junitCase{Class: class, Name: "the simulator's books", Time: "0"}
		if bad := sim.Books.problems(j.Experiment.Expect, j.thrown()); len(bad) > 0 {
			c.Failure = &junitFault{bad[0], strings.Join(bad, "\n")}
		}
		s.Cases = append(s.Cases, c)
	}
	c := junitCase{Class: class, Name: "outcome", Time: fmt.Sprintf("%.3f", j.Duration)}
	f := &junitFault{string(j.Outcome), strings.Join(j.Reasons, "\n")}
	switch j.Outcome {
	case Held:
	case Deviated:
		c.Failure = f
	case NotStarted:
		c.Skipped = f
	default:
		c.Error = f
	}
	s.Cases = append(s.Cases, c)
	for _, c := range s.Cases {
		s.Tests++
		s.Failures += count(c.Failure)
		s.Errors += count(c.Error)
		s.Skipped += count(c.Skipped)
	}
	b, err := xml.MarshalIndent(s, "", "  ")
	return xml.Header + string(b) + "\n", err
}

func count(f *junitFault) int {
	if f == nil {
		return 0
	}
	return 1
}
