package drill

import (
	"encoding/json"
	"reflect"
	"strings"

	"dualgram/chaos"
)

// SchemaID names the JSON Schema of an experiment's file.
const SchemaID = "urn:dualgram:drill-experiment:v1"

// Schema returns the JSON Schema (draft 2020-12) of an experiment's file, for
// editors. It is made from the types that the file is read into, so that the two
// can't differ; [Parse] checks more than a schema can say.
func Schema() []byte {
	s := schemaOf(reflect.TypeFor[Experiment](), "", "")
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["$id"] = SchemaID
	s["title"] = "dualgram drill experiment"
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(err) // maps, lists and strings only
	}
	return append(b, '\n')
}

// required lists the keys that must be written, by the section's type.
var required = map[reflect.Type][]string{
	reflect.TypeFor[Experiment](): {"version", "name", "title", "steady-state-hypothesis", "method"},
	reflect.TypeFor[Hypothesis](): {"probes"},
	reflect.TypeFor[Probe]():      {"expr"},
	reflect.TypeFor[Rollback]():   {"action"},
	reflect.TypeFor[Traffic]():    {"rate"},
}

type schema = map[string]any

func schemaOf(t reflect.Type, doc, enum string) schema {
	s := schema{}
	if doc != "" {
		s["description"] = doc
	}
	values := func(of []string) {
		s["type"], s["enum"] = "string", of
	}
	switch {
	case t == reflect.TypeFor[Duration]():
		s["type"] = "string"
		s["pattern"] = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	case t == reflect.TypeFor[Expr]():
		s["type"], s["minLength"] = "string", 1
		var b strings.Builder
		b.WriteString("Names: ")
		for i, n := range Names() {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(n.Name + " (" + string(n.Type) + ")")
		}
		if doc != "" {
			s["description"] = doc + " " + b.String() + "."
		}
	case t == reflect.TypeFor[chaos.Kind]():
		var all []string
		for _, k := range chaos.Kinds() {
			all = append(all, string(k.Kind))
		}
		values(all)
	case t.Kind() == reflect.Pointer:
		return schemaOf(t.Elem(), doc, enum)
	case t.Kind() == reflect.Struct:
		props := schema{}
		for f := range fields(t) {
			if key := f.Tag.Get("yaml"); key != "" {
				props[key] = schemaOf(f.Type, f.Tag.Get("doc"), f.Tag.Get("enum"))
			}
		}
		s["type"], s["properties"], s["additionalProperties"] = "object", props, false
		if r := required[t]; r != nil {
			s["required"] = r
		}
	case t.Kind() == reflect.Slice:
		s["type"], s["items"] = "array", schemaOf(t.Elem(), "", enum)
	case t.Kind() == reflect.Map:
		s["type"], s["additionalProperties"] = "object", schema{"type": []string{"string", "number", "boolean"}}
	case t.Kind() == reflect.Int:
		s["type"] = "integer"
	case t.Kind() == reflect.Float64:
		s["type"] = "number"
	case t.Kind() == reflect.Bool:
		s["type"] = "boolean"
	case enum != "":
		values(strings.Split(enum, ","))
	default:
		s["type"] = "string"
	}
	return s
}
