package config

import (
	"reflect"
	"strings"
)

// field is one key of a section.
type field struct {
	index int
	// off says that the key may be switched off by off or false.
	off bool
}

// fieldsOf maps the keys of a section to its fields.
func fieldsOf(t reflect.Type) map[string]field {
	out := make(map[string]field, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("key")
		if name == "" || name == "-" {
			continue
		}
		off := f.Tag.Get("off") != "" || f.Type.Kind() == reflect.Pointer
		if f.Type.Kind() == reflect.Struct {
			_, has := f.Type.FieldByName("Off")
			off = off || has
		}
		out[name] = field{index: i, off: off}
	}
	return out
}

// fieldNames lists the keys of a section in the order of the type.
func fieldNames(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("key"); name != "" && name != "-" {
			out = append(out, name)
		}
	}
	return out
}

// setOff switches a section or an address off.
func setOff(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		v.FieldByName("Off").SetBool(true)
	default:
		v.SetZero()
	}
}

// newDefault allocates a section that exists only if it is written.
func newDefault(t reflect.Type) reflect.Value {
	p := reflect.New(t)
	switch t {
	case reflect.TypeFor[ACME]():
		p.Elem().Set(reflect.ValueOf(defaultACME()))
	case reflect.TypeFor[Heartbeat]():
		p.Elem().Set(reflect.ValueOf(defaultHeartbeat()))
	case reflect.TypeFor[Forward]():
		p.Elem().Set(reflect.ValueOf(defaultForward()))
	case reflect.TypeFor[NDJSON]():
		p.Elem().Set(reflect.ValueOf(defaultNDJSON()))
	}
	return p
}

// leaf is a key with a value of its own, or a section that may be off.
type leaf struct {
	path  string // such as webhook.tls.cert_file
	index []int  // as for reflect.Value.FieldByIndex, pointers counted as structs
	off   bool
	// section: only off may be written to it.
	section bool
}

func isSection(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct && t != secretType && t != networksType && t != prefixType
}

// leavesOf lists the leaves below a section; the bots of a Config are left out.
func leavesOf(t reflect.Type) []leaf {
	var out []leaf
	fields := fieldsOf(t)
	for _, name := range fieldNames(t) {
		f := fields[name]
		ft := t.Field(f.index).Type
		if ft == reflect.TypeFor[[]Bot]() {
			continue
		}
		if !isSection(ft) {
			out = append(out, leaf{path: name, index: []int{f.index}, off: f.off})
			continue
		}
		if f.off {
			out = append(out, leaf{path: name, index: []int{f.index}, off: true, section: true})
		}
		if ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		for _, sub := range leavesOf(ft) {
			sub.path = name + "." + sub.path
			sub.index = append([]int{f.index}, sub.index...)
			out = append(out, sub)
		}
	}
	return out
}

// resolve returns the field of a leaf, and allocates the sections on the way.
func (lf leaf) resolve(v reflect.Value) reflect.Value {
	for _, i := range lf.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(newDefault(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v
}

// elsewhere finds a key of that name in another section.
func elsewhere(name string) (path string, ok bool) {
	all := leavesOf(reflect.TypeFor[Config]())
	for _, lf := range leavesOf(reflect.TypeFor[Bot]()) {
		lf.path = "bots[]." + lf.path
		all = append(all, lf)
	}
	for _, lf := range all {
		if lastName(lf.path) == name && !lf.section {
			return lf.path, true
		}
	}
	return "", false
}

func lastName(path string) string {
	return path[strings.LastIndexByte(path, '.')+1:]
}
