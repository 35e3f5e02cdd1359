package store

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestLook holds that a look refuses what opening would refuse, and changes nothing.
func TestLook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	if got, err := Look(path); err != nil || got.Exists {
		t.Errorf("no file: %+v %v", got, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the look has made a file: %v", err)
	}
	s, err := Open(Options{Path: path, Holder: "the test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Look(path); !errors.Is(err, ErrLocked) {
		t.Errorf("while it is held: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Look(path)
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
		if _, err := Look(path); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Open(Options{Path: path}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s, opened: %v", name, err)
		}
	}
	if _, err := Look(t.TempDir()); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a directory: %v", err)
	}
}

// TestLookInPassing holds that a look gives the store up to whoever wants to open it.
func TestLookInPassing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = Look(path)
			}
		}
	}()
	for range 20 {
		s, err := Open(Options{Path: path})
		if err != nil {
			t.Errorf("a look kept the store from being opened: %v", err)
			break
		}
		_ = s.Close()
	}
	close(stop)
	<-done
}

// TestLookIsBounded holds that a look at a store that takes long ends, and says so.
func TestLookIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o := Options{Path: path}
	if _, err := inspectFor(time.Nanosecond, &o, time.Now().Add(time.Second)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
}
