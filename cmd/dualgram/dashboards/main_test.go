//go:build dashboards

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestUpToDate: what is committed is what the code makes.
func TestUpToDate(t *testing.T) {
	const dir = "../../../runbooks/dashboards"
	files, err := all()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("runbooks/dashboards/%s is not what the code makes (make dashboards writes it): %v", name, err)
		}
	}
	kept, err := filepath.Glob(dir + "/*.json")
	if err != nil || len(kept) != len(files) {
		t.Errorf("%d are kept, %d made: %v", len(kept), len(files), err)
	}
}
