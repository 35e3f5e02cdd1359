package rules

import (
	"bytes"
	"encoding/json"

	"github.com/goccy/go-yaml"
)

// PrometheusRule is the object in which the Prometheus operator takes rules.
type PrometheusRule struct {
	APIVersion string   `json:"apiVersion" yaml:"apiVersion"`
	Kind       string   `json:"kind" yaml:"kind"`
	Metadata   metadata `json:"metadata" yaml:"metadata"`
	Spec       File     `json:"spec" yaml:"spec"`
}

type metadata struct {
	Name   string            `json:"name" yaml:"name"`
	Labels map[string]string `json:"labels" yaml:"labels"`
}

// Operator wraps the rules for the Prometheus operator. A Prometheus may choose the
// rules that it takes by labels; those of the metadata are a proposal.
func (f File) Operator() PrometheusRule {
	return PrometheusRule{"monitoring.coreos.com/v1", "PrometheusRule",
		metadata{"dualgram", map[string]string{"app.kubernetes.io/name": "dualgram", "role": "alert-rules"}}, f}
}

// YAML writes the object.
func (p PrometheusRule) YAML() ([]byte, error) { return toYAML(p) }

// JSON writes the object.
func (p PrometheusRule) JSON() ([]byte, error) { return toJSON(p) }

const madeBy = "# Made by dualgram rules; to change a figure: dualgram rules --threshold KEY=VALUE\n"

func toYAML(v any) ([]byte, error) {
	b, err := yaml.MarshalWithOptions(v, yaml.UseLiteralStyleIfMultiline(true), yaml.Indent(2), yaml.IndentSequence(true))
	if err != nil {
		return nil, err
	}
	return append([]byte(madeBy), b...), nil
}

func toJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return b.Bytes(), err
}
