package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
)

// made returns a closed store with something in it.
func made(t *testing.T, n int) (path string, content []byte) {
	t.Helper()
	path = newPath(t)
	s, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	l := ledger(t, s)
	for i := range n {
		accept(t, l, hook(int64(1000+2*i), int64(1001+2*i)))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, content
}

func TestDamagedFiles(t *testing.T) {
	path, good := made(t, 100)
	garbage := bytes.Repeat([]byte("no store"), 4096)
	noMeta := bytes.Clone(good)
	copy(noMeta, garbage[:8192])
	for name, content := range map[string][]byte{
		"empty":       {},
		"one byte":    {1},
		"one page":    good[:4096],
		"two pages":   good[:8192],
		"half":        good[:len(good)/2],
		"last page":   good[:16*4096],
		"garbage":     garbage,
		"meta pages":  noMeta,
		"zeroes":      make([]byte, len(good)),
		"text":        []byte("{}"),
		"page header": flip(good, 0),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(Options{Path: path})
			var e *Error
			if !errors.Is(err, ErrCorrupt) || !errors.As(err, &e) || e.Hint == "" {
				t.Fatalf("open: %v", err)
			}
			if now, _ := os.ReadFile(path); !bytes.Equal(now, content) {
				t.Fatal("the file was changed")
			}
			if err := Compact(path); len(content) > 0 && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("compact: %v", err)
			}
		})
	}
}

// A file that lacks only pages which are not in use at present.
func TestTruncatedFreePages(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	if s.db.NoSync || s.db.NoGrowSync {
		t.Fatal("commits are not synced")
	}
	l := ledger(t, s)
	b := hook(1000)
	b.Updates[0].Raw = make([]byte, 300_000)
	accept(t, l, b)
	r, _ := next(t, l)
	if err := l.Done(ctx, r.Ref); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, _ := f.Stat()
	v := verifier{f: f, size: info.Size()}
	if err := v.run(); err != nil {
		t.Fatal(err)
	}
	size := int64(v.meta.high) * int64(v.meta.pageSize)
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if _, err := verify(f); err != nil {
		t.Fatalf("complete: %v", err)
	}
	if err := f.Truncate(size - 1); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Path: path}); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "truncated") {
		t.Fatalf("open: %v", err)
	}
	_ = f.Truncate(info.Size()) // for the check at the end
}

// flip damages the header of every page above the meta pages.
func flip(b []byte, _ int) []byte {
	b = bytes.Clone(b)
	for off := 2 * 4096; off+16 < len(b); off += 4096 {
		b[off+8] ^= 0xff
	}
	return b
}

// TestRandomDamage: whatever is damaged, Open and the use of what it opened end
// in an error or not at all, never in a panic.
func TestRandomDamage(t *testing.T) {
	path, good := made(t, 100)
	rnd := rand.New(rand.NewPCG(3, 4))
	refused := 0
	for range 60 {
		b := bytes.Clone(good)
		for range 1 + rnd.IntN(3) {
			off := rnd.IntN(len(b) / 4096)
			at := off*4096 + rnd.IntN(64)
			if rnd.IntN(2) == 0 {
				at = rnd.IntN(len(b))
			}
			binary.LittleEndian.PutUint16(b[min(at, len(b)-2):], uint16(rnd.Uint32()))
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(Options{Path: path})
		if err != nil {
			refused++
			continue
		}
		if l, err := s.Ledger(testBot); err == nil {
			for i := range 5 {
				_, _ = l.Accept(ctx, hook(int64(1500+i)))
				if r, ok, _, err := l.Next(time.Now()); ok && err == nil {
					_ = l.Done(ctx, r.Ref)
				}
			}
		}
		_ = s.Close()
	}
	if refused < 5 {
		t.Fatalf("only %d of 60 damaged files were refused", refused)
	}
}

// A page that is damaged behind the store's back, while it is open.
func TestDamageInUse(t *testing.T) {
	path, _ := made(t, 100)
	s, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Abandon()
	l := ledger(t, s)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := f.Stat()
	for off := int64(2 * 4096); off+4096 <= info.Size(); off += 4096 {
		f.WriteAt(bytes.Repeat([]byte{0xff}, 16), off)
	}
	f.Close()
	_, err = l.Accept(ctx, hook(1001))
	t.Log(err)
	if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnhealthy) {
		t.Fatalf("accept: %v", err)
	}
	_, _, _, err = l.Next(time.Now())
	t.Log(err)
	if err == nil {
		t.Fatal("next")
	}
	if s.Health().OK {
		t.Fatal("healthy")
	}
}

func TestForeignAndNewer(t *testing.T) {
	path := newPath(t)
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("x")); return err })
	db.Close()
	if _, err := Open(Options{Path: path}); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("another program's file: %v", err)
	}

	path, _ = made(t, 1)
	db, _ = bolt.Open(path, 0o600, nil)
	db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(rootBucket).Put(schemaKey, binary.BigEndian.AppendUint32(nil, schema+1))
	})
	db.Close()
	_, err = Open(Options{Path: path})
	var e *Error
	if !errors.Is(err, ErrNewer) || !errors.As(err, &e) || !strings.Contains(e.Hint, "newer") {
		t.Fatalf("newer: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(Options{Path: filepath.Join(dir, "no", "x.db")}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "create the directory") {
		t.Fatalf("no directory: %v", err)
	}
	if _, err := Open(Options{Path: dir}); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("a directory: %v", err)
	}
	if _, err := Open(Options{}); !errors.Is(err, ErrArgument) {
		t.Fatalf("no path: %v", err)
	}
	path, _ := made(t, 1)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v %v", info.Mode(), err)
	}
	left, _ := filepath.Glob(path + ".*")
	if len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
}

func TestLock(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(Options{Path: path, Holder: "dualgram run"})
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path + ".holder"); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("holder: %v %v", info, err)
		}
		start := time.Now()
		_, err = Open(Options{Path: path, LockTimeout: 5 * time.Second})
		if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("dualgram run, process %d", os.Getpid())) {
			t.Fatalf("open: %v", err)
		}
		if d := time.Since(start); d < 4*time.Second || d > 6*time.Second {
			t.Fatalf("waited %v", d)
		}
		if err := Compact(path); !errors.Is(err, ErrLocked) {
			t.Fatalf("compact: %v", err)
		}
		go func() { time.Sleep(time.Second); s.Close() }()
		s2, err := Open(Options{Path: path})
		if err != nil {
			t.Fatalf("it was let go of: %v", err)
		}
		s2.Close()
		if _, err := os.Stat(path + ".holder"); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("holder left: %v", err)
		}
	})
}

func TestCompact(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	l := ledger(t, s)
	for i := range 20 {
		b := hook(int64(1000 + i))
		b.Updates[0].Raw = append(raw(int64(1000+i)), bytes.Repeat([]byte{' '}, 200_000)...)
		accept(t, l, b)
	}
	for range 19 {
		r, _ := next(t, l)
		if err := l.Done(ctx, r.Ref); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(path)
	if err := Compact(path); err != nil {
		t.Fatal(err)
	}
	after, _ := os.Stat(path)
	if after.Size() > before.Size()/4 || after.Mode().Perm() != 0o600 {
		t.Fatalf("%d bytes, before %d; mode %v", after.Size(), before.Size(), after.Mode())
	}
	s = open(t, path)
	if !s.Clean() {
		t.Fatal("the clean-end mark is lost")
	}
	l = ledger(t, s)
	if st := l.Stats(); st.Waiting != 1 || st.Seen != 20 {
		t.Fatalf("%+v", st)
	}
	if sh := (shape{size: compactAbove + 1, pages: 1000, used: 249}); !sh.wasteful() {
		t.Fatal("249 pages of 1000 in use are not worth it")
	}
	if sh := (shape{size: compactAbove + 1, pages: 1000, used: 251}); sh.wasteful() {
		t.Fatal("251 pages of 1000 in use are")
	}
}

// Compaction at Open.
func TestCompactAtOpen(t *testing.T) {
	path, _ := made(t, 10)
	if err := os.Truncate(path, compactAbove+4096); err != nil { // sparse
		t.Fatal(err)
	}
	// bbolt's high-water mark is low, so nothing is free: not compacted.
	s, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if info, _ := os.Stat(path); info.Size() < compactAbove {
		t.Fatalf("%d bytes", info.Size())
	}
}

// Whoever waited for the lock while the file was compacted has the lock of a
// file that is no longer there.
func TestExchangedFile(t *testing.T) {
	path, content := made(t, 1)
	synctest.Test(t, func(t *testing.T) {
		db, err := bolt.Open(path, 0o600, boltOptions(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		res := make(chan error, 1)
		go func() {
			h, err := openBolt(&Options{Path: path}, time.Now().Add(10*time.Second))
			if err == nil {
				closeHandle(h.db, h.file)
			}
			res <- err
		}()
		synctest.Wait() // it waits for the lock
		if err := os.WriteFile(path+".compact", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".compact", path); err != nil {
			t.Fatal(err)
		}
		db.Close()
		if err := <-res; !errors.Is(err, errExchanged) {
			t.Fatalf("opened what was exchanged: %v", err)
		}
	})
}
