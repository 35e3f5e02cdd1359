package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"time"
)

// shape is what verify found.
type shape struct {
	size  int64
	pages uint64 // up to the high-water mark
	used  uint64
}

// The format of a bbolt file (internal/common of bbolt 1.5), in the host's byte
// order.
const (
	pageHeader  = 16
	elementSize = 16
	metaSize    = 64
	metaMagic   = 0xED0CDAED
	metaVersion = 2

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10
	leafBucket   = 0x01
	bucketSize   = 16
	noFreelist   = ^uint64(0)
)

var order = binary.NativeEndian

type meta struct {
	pageSize             uint32
	root, freelist, high uint64
	txid                 uint64
}

func parseMeta(page []byte) (m meta, ok bool) {
	if len(page) < pageHeader+metaSize {
		return m, false
	}
	b := page[pageHeader : pageHeader+metaSize]
	sum := fnv.New64a()
	sum.Write(b[:metaSize-8])
	if order.Uint32(b) != metaMagic || order.Uint32(b[4:]) != metaVersion || order.Uint64(b[56:]) != sum.Sum64() {
		return m, false
	}
	m = meta{order.Uint32(b[8:]), order.Uint64(b[16:]), order.Uint64(b[32:]), order.Uint64(b[40:]), order.Uint64(b[48:])}
	return m, m.pageSize >= 512 && m.pageSize <= 1<<24 && m.pageSize&(m.pageSize-1) == 0
}

// verify walks every page that the file's newest valid meta page can reach,
// without bbolt, and checks that none would make bbolt fall over.
func verify(f *os.File) (shape, error) { return verifyUntil(f, time.Time{}) }

// verifyUntil is verify that gives up with ErrTooLarge at the time until, if that isn't
// zero.
func verifyUntil(f *os.File, until time.Time) (shape, error) {
	info, err := f.Stat()
	if err != nil {
		return shape{}, err
	}
	v := &verifier{f: f, size: info.Size(), until: until}
	if err := v.run(); err != nil {
		return shape{}, err
	}
	return shape{v.size, v.meta.high, v.used}, nil
}

type verifier struct {
	f    io.ReaderAt
	size int64
	meta meta
	seen []uint64 // bit set of pages
	used uint64
	buf  []byte

	until time.Time // zero: no bound
}

func damaged(format string, args ...any) error {
	return because(ErrCorrupt, fmt.Sprintf(format, args...), nil)
}

func (v *verifier) run() error {
	if !v.readMeta() {
		return damaged("neither of its meta pages is valid")
	}
	if v.meta.high < 2 || v.meta.high > uint64(v.size)/uint64(v.meta.pageSize) {
		return damaged("it is truncated: %d bytes, but it says %d pages of %d bytes", v.size, v.meta.high, v.meta.pageSize)
	}
	v.seen = make([]uint64, v.meta.high/64+1)
	v.used = 2
	if v.meta.freelist != noFreelist {
		h, err := v.header(v.meta.freelist)
		if err != nil {
			return err
		}
		if h.flags != flagFreelist || uint64(h.count) > (uint64(h.overflow)+1)*uint64(v.meta.pageSize)/8 {
			return damaged("page %d is not a free list", v.meta.freelist)
		}
		v.used += uint64(h.overflow) + 1
	}
	return v.tree(v.meta.root)
}

// readMeta finds the newest valid meta page. The second one's place depends on
// the page size, which only the first one tells; bbolt searches it so as well.
func (v *verifier) readMeta() bool {
	buf := make([]byte, pageHeader+metaSize)
	at := func(off int64) (meta, bool) {
		if _, err := v.f.ReadAt(buf, off); err != nil {
			return meta{}, false
		}
		return parseMeta(buf)
	}
	first, ok := at(0)
	if ok {
		v.meta = first
		if second, ok := at(int64(first.pageSize)); ok && second.txid > first.txid {
			v.meta = second
		}
		return true
	}
	for size := int64(1024); size <= 1<<24; size <<= 1 {
		if m, ok := at(size); ok && int64(m.pageSize) == size {
			v.meta = m
			return true
		}
	}
	return false
}

type pageHead struct {
	flags    uint16
	count    int
	overflow uint32
}

func (v *verifier) header(id uint64) (h pageHead, err error) {
	if id < 2 || id >= v.meta.high {
		return h, damaged("page %d is outside the file's %d pages", id, v.meta.high)
	}
	b := make([]byte, pageHeader)
	if err := v.read(b, id); err != nil {
		return h, err
	}
	if got := order.Uint64(b); got != id {
		return h, damaged("page %d calls itself %d", id, got)
	}
	h = pageHead{order.Uint16(b[8:]), int(order.Uint16(b[10:])), order.Uint32(b[12:])}
	if uint64(h.overflow) >= v.meta.high-id {
		return h, damaged("page %d is too long", id)
	}
	return h, nil
}

func (v *verifier) read(b []byte, id uint64) error {
	_, err := v.f.ReadAt(b, int64(id)*int64(v.meta.pageSize))
	if errors.Is(err, io.EOF) {
		return damaged("it ends within page %d", id)
	}
	return err
}

// tree checks a bucket's pages.
func (v *verifier) tree(root uint64) error {
	todo := []uint64{root}
	for len(todo) > 0 {
		if !v.until.IsZero() && time.Now().After(v.until) {
			return ErrTooLarge
		}
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		h, err := v.header(id)
		if err != nil {
			return err
		}
		for p := id; p <= id+uint64(h.overflow); p++ {
			if v.seen[p/64]&(1<<(p%64)) != 0 {
				return damaged("page %d is in use twice", p)
			}
			v.seen[p/64] |= 1 << (p % 64)
		}
		v.used += uint64(h.overflow) + 1
		n := (int(h.overflow) + 1) * int(v.meta.pageSize)
		if cap(v.buf) < n {
			v.buf = make([]byte, n)
		}
		page := v.buf[:n]
		if err := v.read(page, id); err != nil {
			return err
		}
		if todo, err = v.page(id, h, page, todo); err != nil {
			return err
		}
	}
	return nil
}

// page checks one page's elements and appends the pages that it refers to.
func (v *verifier) page(id uint64, h pageHead, page []byte, todo []uint64) ([]uint64, error) {
	if h.flags != flagBranch && h.flags != flagLeaf {
		return todo, damaged("page %d has the unknown type %#x", id, h.flags)
	}
	if h.flags == flagBranch && h.count == 0 {
		return todo, damaged("page %d is a branch without children", id)
	}
	if pageHeader+h.count*elementSize > len(page) {
		return todo, damaged("page %d has too many elements", id)
	}
	var last []byte
	for i := range h.count {
		off := pageHeader + i*elementSize
		e := page[off : off+elementSize]
		var pos, ksize, vsize uint64
		if h.flags == flagBranch {
			pos, ksize = uint64(order.Uint32(e)), uint64(order.Uint32(e[4:]))
			todo = append(todo, order.Uint64(e[8:]))
		} else {
			pos, ksize, vsize = uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[8:])), uint64(order.Uint32(e[12:]))
		}
		start := uint64(off) + pos
		if start+ksize+vsize > uint64(len(page)) {
			return todo, damaged("element %d of page %d lies outside it", i, id)
		}
		key := page[start : start+ksize]
		if i > 0 && bytes.Compare(last, key) >= 0 {
			return todo, damaged("the keys of page %d are not in order", id)
		}
		last = key
		if h.flags == flagLeaf && order.Uint32(e)&leafBucket != 0 {
			value := page[start+ksize : start+ksize+vsize]
			if len(value) < bucketSize {
				return todo, damaged("a bucket in page %d is too short", id)
			}
			root := order.Uint64(value)
			if root != 0 {
				todo = append(todo, root)
				continue
			}
			in := value[bucketSize:]
			if len(in) < pageHeader {
				return todo, damaged("a bucket within page %d is too short", id)
			}
			ih := pageHead{flags: order.Uint16(in[8:]), count: int(order.Uint16(in[10:]))}
			if ih.flags != flagLeaf {
				return todo, damaged("a bucket within page %d is not a leaf", id)
			}
			var err error
			if todo, err = v.page(id, ih, in, todo); err != nil {
				return todo, err
			}
		}
	}
	return todo, nil
}
