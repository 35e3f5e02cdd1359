//go:build dashboards

// Command dashboards writes the Grafana dashboards of dualgram as JSON, into the
// directory that it is given.
//
// They are kept in runbooks/dashboards, and dualgram dashboard prints those, so that
// no builder of dashboards is linked into it. It takes its time to compile, and is
// built with the tag dashboards only: make dashboards. They work with Grafana 10 and
// later.
//
// Each panel says in its description what is normal and what it means if it isn't;
// each query reads metrics of the catalogue in package metrics, or recorded ones of
// package rules. A test of the command holds both.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dashboards DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir string) error {
	files, err := all()
	if err != nil {
		return err
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// all is every dashboard, by the name of its file.
func all() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, p := range []page{overview(), oneBot(), drills()} {
		d, err := p.build()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(d); err != nil {
			return nil, err
		}
		files[p.name+".json"] = b.Bytes()
	}
	return files, nil
}
