package matrix

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
)

// Schema names the form of [Results].
const Schema = "dualgram.matrix/1"

// Results is what one program measured.
type Results struct {
	Schema  string `json:"schema"`
	Command string `json:"command"`
	Go      string `json:"go"`
	// Modules are the versions of the libraries that matter here.
	Modules []string `json:"modules,omitempty"`
	Seeds   int      `json:"seeds"`
	Seed    uint64   `json:"first_seed"`
	Rows    []Row    `json:"rows"`
}

// modules are those whose version can change what a run comes to.
var modules = []string{"go.etcd.io/bbolt", "github.com/sony/gobreaker/v2", "github.com/hashicorp/go-retryablehttp"}

// NewResults returns results of this program, without rows.
func NewResults(command string, seed uint64, seeds int) *Results {
	r := &Results{Command: command, Go: runtime.Version(), Seed: seed, Seeds: seeds}
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, d := range b.Deps {
			if slices.Contains(modules, d.Path) {
				r.Modules = append(r.Modules, d.Path+" "+d.Version)
			}
		}
	}
	return r
}

// Write puts the results into a file.
func (r *Results) Write(path string) error {
	r.Schema = Schema
	b, err := json.MarshalIndent(r, "", " ")
	if err == nil {
		err = os.WriteFile(path, append(b, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("matrix: write %s: %w", path, err)
	}
	return nil
}

// Read takes results from a file.
func Read(path string) (*Results, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("matrix: %w", err)
	}
	r := &Results{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("matrix: read %s: %w", path, err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("matrix: %s has the schema %q, want %q: measure again", path, r.Schema, Schema)
	}
	return r, nil
}
