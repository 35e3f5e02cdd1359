package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The print-outs hold no secret: a token from a variable is shown as ${NAME},
// the password of a URL and whatever is shaped like a token are left out. Apart
// from that the YAML is a configuration that [Load] reads back.

// PrintYAML writes every key with its value, and where it came from as a
// comment.
func PrintYAML(cfg *Config) []byte {
	var p yamlPrinter
	p.cfg = cfg
	p.section(reflect.ValueOf(cfg).Elem(), "", "", "")
	width := 0
	for _, ln := range p.lines {
		if ln.origin != "" {
			width = max(width, len([]rune(ln.text)))
		}
	}
	// One long URL must not push every comment out of sight.
	width = min(width, 60)
	var b bytes.Buffer
	for _, ln := range p.lines {
		b.WriteString(ln.text)
		if ln.origin != "" {
			b.WriteString(strings.Repeat(" ", max(0, width-len([]rune(ln.text)))))
			b.WriteString("  # ")
			b.WriteString(ln.origin)
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

type yamlLine struct{ text, origin string }

type yamlPrinter struct {
	cfg   *Config
	lines []yamlLine
}

func (p *yamlPrinter) add(text, origin string) {
	p.lines = append(p.lines, yamlLine{text, origin})
}

// origin of a key, or of the nearest section around it that was written as a
// whole, such as tls: off.
func (p *yamlPrinter) origin(key string) string { return p.cfg.Origin(key).String() }

// section prints the keys of a struct. first is what stands in front of the
// first key instead of the indentation: the dash of a list item.
func (p *yamlPrinter) section(v reflect.Value, key, indent, first string) {
	fields := fieldsOf(v.Type())
	for _, name := range fieldNames(v.Type()) {
		f := fields[name]
		lead := indent
		if first != "" {
			lead, first = first, ""
		}
		fv, k := v.Field(f.index), join(key, name)
		p.key(fv, f, name, k, lead, indent)
	}
}

func (p *yamlPrinter) key(v reflect.Value, f field, name, key, lead, indent string) {
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		// Written as off, unset and switched off look the same and mean the same.
		p.add(lead+name+": off", p.origin(key))
	case isSection(v.Type()):
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if off := v.FieldByName("Off"); off.IsValid() && off.Bool() {
			p.add(lead+name+": off", p.origin(key))
			return
		}
		p.add(lead+name+":", "")
		p.section(v, key, indent+"  ", "")
	case v.Type() == reflect.TypeFor[[]Bot]():
		if v.Len() == 0 {
			p.add(lead+name+": []", p.origin(key))
			return
		}
		p.add(lead+name+":", "")
		for i := range v.Len() {
			p.section(v.Index(i), fmt.Sprintf("%s[%d]", key, i), indent+"    ", indent+"  - ")
		}
	default:
		text := yamlValue(v)
		if f.off && v.Kind() == reflect.String && v.Len() == 0 {
			text = "off"
		}
		if v.Type() == secretType && v.Interface().(Secret).IsZero() {
			return // an empty secret would be refused as a literal one
		}
		p.add(lead+name+": "+text, p.origin(key))
	}
}

// plain is text that YAML reads as text without quotes.
var plain = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9/._:@+-]*[A-Za-z0-9/]$`)

func yamlValue(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return FormatDuration(x)
	case Secret:
		return x.String()
	case Networks:
		if x.preset != "" {
			return x.preset
		}
		return yamlList(reflect.ValueOf(x.Prefixes))
	case netip.Prefix:
		return strconv.Quote(x.String())
	case Hook:
		return yamlList(reflect.ValueOf([]string(x)))
	case ChatID:
		return strconv.Quote(string(x))
	case bool, int:
		return fmt.Sprint(x)
	case string:
		x = redactURL(x)
		_, word := parseBool(x)
		if plain.MatchString(x) && !word && x != "null" && !strings.Contains(x, ": ") {
			return x
		}
		q, _ := json.Marshal(x)
		return string(q)
	}
	return yamlList(v)
}

func yamlList(v reflect.Value) string {
	items := make([]string, v.Len())
	for i := range items {
		items[i] = yamlValue(v.Index(i))
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// Printed is the JSON form of a configuration.
type Printed struct {
	Schema string `json:"schema"` // dualgram/config/v1
	File   string `json:"file,omitempty"`
	Hash   string `json:"hash"`
	// Config has the keys of the file; durations are texts such as "30s".
	Config any `json:"config"`
	// Origins says where each value came from that is not a default, by key.
	Origins  map[string]string `json:"origins"`
	Warnings []PrintedWarning  `json:"warnings"`
}

// PrintedWarning is a [Warning] in JSON.
type PrintedWarning struct {
	Code  string `json:"code"`
	Where string `json:"where"`
	Key   string `json:"key,omitempty"`
	What  string `json:"what"`
	Fix   string `json:"fix,omitempty"`
}

// PrintWarnings returns the warnings in their JSON form; never nil.
func PrintWarnings(ws []Warning) []PrintedWarning {
	out := make([]PrintedWarning, 0, len(ws))
	for _, w := range ws {
		out = append(out, PrintedWarning{w.Code, w.Where.String(), w.Key, w.What, w.Fix})
	}
	return out
}

// Print returns the JSON form of the configuration.
func Print(cfg *Config) Printed {
	p := Printed{
		Schema: "dualgram/config/v1", File: cfg.File, Hash: Hash(cfg),
		Config: tree(reflect.ValueOf(cfg).Elem()), Origins: map[string]string{}, Warnings: PrintWarnings(cfg.Warnings),
	}
	for k, o := range cfg.origins {
		if o.Source != SourceDefault {
			p.Origins[k] = o.String()
		}
	}
	return p
}

// tree turns a section into maps; encoding/json sorts their keys.
func tree(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case time.Duration:
		return FormatDuration(x)
	case Secret:
		return x.String()
	case Networks:
		if x.preset != "" {
			return x.preset
		}
		return tree(reflect.ValueOf(x.Prefixes))
	case netip.Prefix:
		return x.String()
	case string:
		return redactURL(x)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "off"
		}
		return tree(v.Elem())
	case reflect.Slice:
		out := make([]any, 0, v.Len())
		for i := range v.Len() {
			out = append(out, tree(v.Index(i)))
		}
		return out
	case reflect.Struct:
		if off := v.FieldByName("Off"); off.IsValid() && off.Bool() {
			return "off"
		}
		out := map[string]any{}
		for name, f := range fieldsOf(v.Type()) {
			out[name] = tree(v.Field(f.index))
		}
		return out
	}
	return v.Interface()
}

// Hash identifies the content of the configuration in logs: 12 hex digits over
// the redacted values. It changes with any value that is not a secret, not with
// comments, the order of keys or where a value comes from.
func Hash(cfg *Config) string {
	data, err := json.Marshal(tree(reflect.ValueOf(cfg).Elem()))
	if err != nil {
		return "" // maps of texts and numbers always marshal
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:6])
}
