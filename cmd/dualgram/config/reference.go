package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// described is one key.
type described struct {
	path    string // such as bots[].webhook.listen
	name    string // the last part
	typ     reflect.Type
	value   reflect.Value // the default
	off     bool          // off and false are understood
	section bool
	list    bool // of sections
	keys    []described
}

// describeKeys lists the keys of a section, with their defaults.
func describeKeys(v reflect.Value, prefix string) []described {
	var out []described
	fields := fieldsOf(v.Type())
	for _, name := range fieldNames(v.Type()) {
		f := fields[name]
		fv := v.Field(f.index)
		d := described{path: join(prefix, name), name: name, typ: fv.Type(), value: fv, off: f.off}
		switch elem := sectionOf(fv.Type()); {
		case elem == nil:
		case fv.Kind() == reflect.Slice:
			d.section, d.list = true, true
			item := reflect.New(elem).Elem()
			if elem == reflect.TypeFor[Bot]() {
				item.Set(reflect.ValueOf(DefaultBot()))
			}
			d.keys = describeKeys(item, d.path+"[]")
		case fv.Kind() == reflect.Pointer:
			d.section = true
			d.keys = describeKeys(newDefault(elem).Elem(), d.path)
		default:
			d.section = true
			d.keys = describeKeys(fv, d.path)
		}
		out = append(out, d)
	}
	return out
}

// sectionOf is the type of the keys below a key; nil if it has none.
func sectionOf(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if isSection(t) {
		return t
	}
	return nil
}

// describeAll lists all keys of the configuration.
func describeAll() []described { return describeKeys(reflect.ValueOf(Defaults()).Elem(), "") }

// env is the variable of a key; empty if it has none.
func (d described) env() string {
	path, ofBot := strings.CutPrefix(d.path, "bots[].")
	switch {
	case d.list, d.section && !d.off, !ofBot && strings.Contains(path, "[]"):
		return ""
	}
	return EnvName(path)
}

// kind is what is to be written, in a word or two.
func (d described) kind() string {
	if w := words[d.path]; w != nil {
		return strings.Join(slices.DeleteFunc(slices.Clone(w), func(s string) bool { return s == "" }), ", ")
	}
	t := d.typ
	kind := "text"
	switch {
	case d.list:
		return "list"
	case d.section:
		kind = "keys"
	case t == secretType:
		kind = "`${NAME}`"
	case t == networksType:
		kind = "telegram, any or list of networks"
	case t == durationType:
		kind = "duration"
	case t == chatType:
		kind = "number or @name"
	case t.Kind() == reflect.Bool:
		kind = "true or false"
	case t.Kind() == reflect.Int:
		kind = "number"
	case t.Kind() == reflect.Slice && t.Elem() == prefixType:
		kind = "list of networks"
	case t.Kind() == reflect.Slice && t.Elem() == hookType:
		kind = "list of programs"
	case t.Kind() == reflect.Slice:
		kind = "list of texts"
	}
	if d.off {
		kind += ", or off"
	}
	return kind
}

// initial is the default, as it would be written; empty if there is none to tell.
func (d described) initial() string {
	switch {
	case d.list:
		return "[]"
	case d.section && d.typ.Kind() == reflect.Pointer:
		return "off"
	case d.section, d.typ == secretType:
		return ""
	case d.off && d.value.Kind() == reflect.String && d.value.Len() == 0:
		return "off"
	case d.value.Kind() == reflect.String && d.value.Len() == 0:
		return ""
	}
	return yamlValue(d.value)
}

const referenceHead = `# Configuration reference

<!-- Made by dualgram config reference. Do not edit. -->

The configuration is one YAML file: ` + "`--config`" + `, else ` + "`$DUALGRAM_CONFIG`" + `, else
` + "`" + DefaultFile + "`" + `. What is written and not understood is an error, with its
line, its column and what was probably meant: ` + "`dualgram config validate`" + ` tells, and
` + "`dualgram config print`" + ` shows every value and where it comes from.

Each key with a variable can be overridden by it. The keys of a bot have the variables
that are shown if there is one bot; with several, or always if you like,
` + "`DUALGRAM_BOTS_NAME_…`" + `, with the bot's name in capitals and _ for -. A list is
written with commas there. A single bot needs no file at all.

A duration is a number with a unit: 500ms, 30s, 10m, 12h, 7d. Where it says off,
` + "`off`" + ` and ` + "`false`" + ` are understood. Secrets never stand in the file: they have a file of
their own, or a variable that ` + "`${NAME}`" + ` names, or come from systemd as credentials.
An editor that knows JSON Schema checks the file while you type:
` + "`dualgram config schema > dualgram.schema.json`" + `, and as its first line
` + "`# yaml-language-server: $schema=./dualgram.schema.json`" + `.
`

// Reference is a page in Markdown with every key: what it is for, what may be
// written, its default, and its variable.
func Reference() []byte {
	var b strings.Builder
	b.WriteString(referenceHead)
	keys := describeAll()
	var top []described
	for _, d := range keys {
		if !d.section {
			top = append(top, d)
			continue
		}
		b.WriteString("\n## " + d.name + "\n")
		if m := meanings[d.path]; m != "" {
			b.WriteString("\n" + m + "\n")
		}
		table(&b, flatten(d.keys), d.path)
	}
	b.WriteString("\n## At the top level\n")
	table(&b, top, "")
	return []byte(b.String())
}

// flatten lists sections and what is below them in the order of the file. A section
// that there is nothing to say about only groups.
func flatten(keys []described) []described {
	var out []described
	for _, d := range keys {
		if !d.section || meanings[d.path] != "" {
			out = append(out, d)
		}
		out = append(out, flatten(d.keys)...)
	}
	return out
}

func table(b *strings.Builder, keys []described, section string) {
	b.WriteString("\n| key | what | write | default | variable |\n|---|---|---|---|---|\n")
	for _, d := range keys {
		path := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(d.path, section), "[]"), ".")
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", path, meanings[d.path], d.kind(), code(d.initial()), code(d.env()))
	}
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}
