package config

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// SchemaID names the JSON Schema of the configuration.
const SchemaID = "dualgram-config-v1"

// Schema is the configuration as a JSON Schema (draft 7, which editors know). It
// refuses what [Load] refuses as far as that can be told from one key alone.
func Schema() []byte {
	root := object(describeAll())
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["$id"] = SchemaID
	root["title"] = "The configuration of dualgram"
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("config: " + err.Error()) // maps of texts and numbers always marshal
	}
	return append(out, '\n')
}

type schema = map[string]any

func object(keys []described) schema {
	properties := schema{}
	for _, d := range keys {
		properties[d.name] = d.schema()
	}
	// A section with all its lines commented out is nothing to YAML.
	return schema{"type": []string{"object", "null"}, "additionalProperties": false, "properties": properties}
}

func (d described) schema() schema {
	s := d.shape()
	if d.off {
		s = schema{"anyOf": []any{schema{"enum": []any{false, "off", "no", "false"}}, s}}
	}
	if m := meanings[d.path]; m != "" {
		s["description"] = strings.ReplaceAll(m, "`", "")
	}
	if v := d.initialJSON(); v != nil {
		s["default"] = v
	}
	return s
}

func (d described) shape() schema {
	if w := words[d.path]; w != nil {
		return schema{"enum": w}
	}
	t := d.typ
	list := func(of schema) schema { return schema{"type": []string{"array", "null"}, "items": of} }
	network := schema{"type": "string"}
	switch {
	case d.list:
		return list(object(d.keys))
	case d.section:
		return object(d.keys)
	case t == secretType:
		return schema{"type": "string", "pattern": `^\$\{[A-Za-z_][A-Za-z0-9_]*\}$`}
	case t == networksType:
		return schema{"anyOf": []any{network, schema{"type": "array", "items": network, "minItems": 1}}}
	case t == durationType:
		// 0 alone has no unit.
		return schema{"anyOf": []any{schema{"const": 0}, schema{"type": "string", "pattern": `^(0|([0-9]+(\.[0-9]+)?d)?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))*)$`, "minLength": 1}}}
	case t == chatType:
		return schema{"type": []string{"integer", "string"}}
	case t.Kind() == reflect.Bool:
		return schema{"enum": []any{true, false, "yes", "no", "on", "off", "true", "false"}}
	case t.Kind() == reflect.Int:
		return schema{"type": "integer"}
	case t.Kind() == reflect.Slice && t.Elem() == hookType:
		program := schema{"type": "string"}
		return list(schema{"anyOf": []any{program, schema{"type": "array", "items": schema{"type": []string{"string", "number", "boolean"}}, "minItems": 1}}})
	case t.Kind() == reflect.Slice:
		return list(schema{"type": "string"})
	}
	return schema{"type": "string"}
}

// initialJSON is the default as JSON; nil if there is none to tell.
func (d described) initialJSON() any {
	if d.section || d.typ == secretType {
		return nil
	}
	switch x := d.value.Interface().(type) {
	case time.Duration:
		return FormatDuration(x)
	case bool, int:
		return x
	case Networks:
		return x.String()
	case string:
		if x == "" {
			return nil
		}
		return x
	}
	return nil
}
