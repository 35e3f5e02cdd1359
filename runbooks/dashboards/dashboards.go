// Package dashboards holds the Grafana dashboards, as JSON for an import or for a
// provisioning directory.
//
// The guarantee: they are those of this binary, and read no metric that it doesn't
// export; a test of the command holds that. They are made by Go code, so change that.
package dashboards

import (
	"embed"
	"encoding/json"
	"slices"
	"strings"
)

//go:embed *.json
var files embed.FS

// Dashboard is one of them.
type Dashboard struct {
	// Name is its file's without the extension.
	Name, Title, Description string
	JSON                     []byte
}

// names are in the order in which they are looked at.
var names = []string{"overview", "bot", "drills"}

// List returns all of them.
func List() []Dashboard {
	var out []Dashboard
	for _, name := range names {
		raw, err := files.ReadFile(name + ".json")
		if err != nil {
			panic("dashboards: " + err.Error())
		}
		d := Dashboard{Name: name, JSON: raw}
		if err := json.Unmarshal(raw, &d); err != nil {
			panic("dashboards: " + name + ": " + err.Error())
		}
		d.Name, d.JSON = name, raw
		out = append(out, d)
	}
	return out
}

// Lookup finds one by its name.
func Lookup(name string) (Dashboard, bool) {
	all := List()
	i := slices.IndexFunc(all, func(d Dashboard) bool { return strings.EqualFold(d.Name, name) })
	if i < 0 {
		return Dashboard{}, false
	}
	return all[i], true
}
