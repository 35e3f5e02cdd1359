package rules

import (
	"fmt"
	"regexp"
	"strings"
)

// DefaultJob is the job that dualgram is taken to be scraped as, and
// DefaultRunbookURL where its pages are: on the observe listener of each instance.
const (
	DefaultJob        = "dualgram"
	DefaultRunbookURL = "http://{{ $labels.instance }}/runbooks/%s"
)

// Options is what an operator may choose.
type Options struct {
	// Job is the job's name in Prometheus; default [DefaultJob].
	Job string
	// RunbookURL has %s where the page's name goes; default [DefaultRunbookURL].
	RunbookURL string
	Values     Values
}

var jobShape = regexp.MustCompile(`^[A-Za-z0-9_.:/-]+$`)

func (o *Options) defaults() error {
	if o.Job == "" {
		o.Job = DefaultJob
	}
	if o.RunbookURL == "" {
		o.RunbookURL = DefaultRunbookURL
	}
	switch {
	case !jobShape.MatchString(o.Job):
		return fmt.Errorf("%q is not the name of a job: letters, digits and _.:/- are", o.Job)
	case strings.Count(o.RunbookURL, "%s") != 1:
		return fmt.Errorf("the URL of the runbooks needs one %%s, where the page's name goes: %q", o.RunbookURL)
	}
	return nil
}

// File is a file of rules, as Prometheus reads it.
type File struct {
	Groups []Group `json:"groups" yaml:"groups"`
}

// Group is a group of rules that are evaluated in order.
type Group struct {
	Name  string `json:"name" yaml:"name"`
	Rules []Rule `json:"rules" yaml:"rules"`
}

// Rule is a recording or an alerting rule.
type Rule struct {
	Record      string            `json:"record,omitempty" yaml:"record,omitempty"`
	Alert       string            `json:"alert,omitempty" yaml:"alert,omitempty"`
	Expr        string            `json:"expr" yaml:"expr"`
	For         string            `json:"for,omitempty" yaml:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty" yaml:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty" yaml:"annotations,omitempty"`
}

// Make makes the rules.
func Make(o Options) (File, error) {
	if err := o.defaults(); err != nil {
		return File{}, err
	}
	expand := o.Values.expander(o.Job)
	record := Group{Name: "dualgram.recording"}
	for _, r := range Recordings() {
		record.Rules = append(record.Rules, Rule{Record: r.Record, Expr: r.Expr})
	}
	alerts := Group{Name: "dualgram.alerts"}
	for _, a := range Alerts() {
		alerts.Rules = append(alerts.Rules, a.rule(expand, o.RunbookURL))
	}
	return File{Groups: []Group{record, alerts}}, nil
}

func (a Alert) rule(expand func(string) string, url string) Rule {
	r := Rule{Alert: AlertName(a.Name), Expr: expand(a.Expr), For: expand(a.For),
		Labels: map[string]string{"runbook": a.Name},
		Annotations: map[string]string{"summary": expand(a.Summary), "description": expand(a.Description),
			"runbook_url": strings.ReplaceAll(url, "%s", a.Name)}}
	if a.Severity != SeverityNone {
		// The URL need not be reachable from where the alert is read.
		r.Annotations["description"] += "\nOn the host: dualgram runbook " + a.Name
	}
	if a.Severity != "" {
		r.Labels["severity"] = a.Severity
	}
	for k, v := range a.Labels {
		r.Labels[k] = v
	}
	switch {
	case a.Real:
	case a.Scope == OfBot:
		r.Labels["drill"] = drilled(`instance=%q,bot=%q`, `$labels.instance $labels.bot`)
	case a.Scope == OfInstance:
		r.Labels["drill"] = drilled(`instance=%q`, `$labels.instance`)
	}
	return r
}

// drilled is true for an alert that may be a fault's doing, and else empty, which
// leaves the label out.
func drilled(matchers, args string) string {
	return "{{ with query (printf `max(max_over_time(dualgram_fault_acting{" + matchers + "}[5m])) > 0` " + args + ") }}true{{ end }}"
}

// YAML writes the rules as a file for Prometheus.
func (f File) YAML() ([]byte, error) { return toYAML(f) }

// JSON writes the same as JSON, which Prometheus reads as well.
func (f File) JSON() ([]byte, error) { return toJSON(f) }
