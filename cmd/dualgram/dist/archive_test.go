package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var date = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// An archive depends on names, contents and date alone.
func TestPack(t *testing.T) {
	dir := t.TempDir()
	var files []file
	for i, name := range []string{"x/b", "x/a", "x/c/d"} {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file{name, path, 0o644})
	}
	first := filepath.Join(dir, "first.tar.gz")
	one, err := pack(first, files, date)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	if s := sha256.Sum256(raw); hex.EncodeToString(s[:]) != one {
		t.Error("the sum is of something else")
	}
	// Another order, other times, another directory.
	slices.Reverse(files)
	for i := range files {
		moved := filepath.Join(t.TempDir(), "moved")
		data, err := os.ReadFile(files[i].path)
		if err = errors.Join(err, os.WriteFile(moved, data, 0o644), os.Chtimes(moved, date, date)); err != nil {
			t.Fatal(err)
		}
		files[i].path = moved
	}
	two, err := pack(filepath.Join(dir, "second.tar.gz"), files, date)
	if err != nil || one != two {
		t.Errorf("%v: %s, %s", err, one, two)
	}
	three, err := pack(filepath.Join(dir, "third.tar.gz"), files, date.Add(time.Second))
	if err != nil || one == three {
		t.Errorf("%v: the date is not in it", err)
	}

	f, err := os.Open(first)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if !z.ModTime.IsZero() || z.Name != "" {
		t.Errorf("%v %q", z.ModTime, z.Name)
	}
	var names []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(r)
		if string(data) != h.Name || h.Uid != 0 || h.Uname != "" || h.Mode != 0o644 || !h.ModTime.Equal(date) {
			t.Errorf("%+v %q", h, data)
		}
		names = append(names, h.Name)
	}
	if !slices.Equal(names, []string{"x/a", "x/b", "x/c/d"}) {
		t.Errorf("%q", names)
	}
}
