package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// file is one of an archive.
type file struct {
	name string // in the archive
	path string // on disk
	mode int64
}

// under puts files below a directory.
func under(dir string, files []file) []file {
	out := slices.Clone(files)
	for i := range out {
		out[i].name = dir + "/" + out[i].name
	}
	return out
}

// pack writes an archive that depends on nothing but the names, the contents and the
// date, and returns its SHA-256.
func pack(to string, files []file, date time.Time) (sum string, err error) {
	f, err := os.Create(to)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	hash := sha256.New()
	// The header of gzip stays empty: no name and no time.
	zipped, err := gzip.NewWriterLevel(io.MultiWriter(f, hash), gzip.BestCompression)
	if err != nil {
		return "", err
	}
	archive := tar.NewWriter(zipped)
	sorted := slices.Clone(files)
	slices.SortFunc(sorted, func(a, b file) int { return strings.Compare(a.name, b.name) })
	for _, x := range sorted {
		if err := add(archive, x, date); err != nil {
			return "", err
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func add(archive *tar.Writer, x file, date time.Time) error {
	data, err := os.ReadFile(x.path)
	if err != nil {
		return err
	}
	// Owned by root, with the commit's time.
	h := &tar.Header{Typeflag: tar.TypeReg, Name: x.name, Mode: x.mode, Size: int64(len(data)), ModTime: date, Format: tar.FormatUSTAR}
	if err := archive.WriteHeader(h); err != nil {
		return err
	}
	_, err = archive.Write(data)
	return err
}
