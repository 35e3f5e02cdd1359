package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"dualgram/store"
)

// TestLook holds that a look refuses what opening would refuse, and changes nothing.
func TestLook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	if got, err := store.Look(path); err != nil || got.Exists {
		t.Errorf("no file: %+v %v", got, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the look has made a file: %v", err)
	}
	s, err := store.Open(store.Options{Path: path, Holder: "the test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Look(path); !errors.Is(err, store.ErrLocked) {
		t.Errorf("while it is held: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := store.Look(path)
	if err != nil || !got.Exists || got.Schema != 1 || !got.Clean || got.Size != int64(len(before)) {
		t.Errorf("a store: %+v %v", got, err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the look has changed the file: %v", err)
	}
	for name, content := range map[string][]byte{
		"empty": {}, "not a store": []byte("hello, I am no store of anything\n"), "truncated": before[:len(before)/2],
		"damaged": append(bytes.Repeat([]byte{7}, 1<<14), before[1<<14:]...),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Look(path); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := store.Open(store.Options{Path: path}); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s, opened: %v", name, err)
		}
	}
	if _, err := store.Look(t.TempDir()); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a directory: %v", err)
	}
}
