package store

import (
	"encoding/binary"
	"math"
	"time"

	"dualgram/transport"
)

// Ref names a record: the number of its id series and its update_id. Records
// are ordered by series, then by id.
type Ref struct {
	Series uint32
	ID     int64
}

// Compare returns -1, 0 or 1 as r comes before, is, or comes after o.
func (r Ref) Compare(o Ref) int {
	switch {
	case r.Series < o.Series:
		return -1
	case r.Series > o.Series:
		return 1
	case r.ID < o.ID:
		return -1
	case r.ID > o.ID:
		return 1
	}
	return 0
}

const refLen = 12

// key is the ref as a key that sorts like Compare, negative ids included.
func (r Ref) key() []byte {
	k := make([]byte, refLen)
	r.put(k)
	return k
}

func (r Ref) put(k []byte) {
	binary.BigEndian.PutUint32(k, r.Series)
	binary.BigEndian.PutUint64(k[4:], uint64(r.ID)^(1<<63))
}

func parseRef(k []byte) (Ref, bool) {
	if len(k) != refLen {
		return Ref{}, false
	}
	return Ref{binary.BigEndian.Uint32(k), int64(binary.BigEndian.Uint64(k[4:]) ^ (1 << 63))}, true
}

func seqKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func parseSeq(k []byte) uint64 {
	if len(k) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(k)
}

// nanos is t for the disk. The zero time is 0, and so is one that nanoseconds
// can't express.
func nanos(t time.Time) int64 {
	if t.IsZero() || t.Year() < 1678 || t.Year() > 2261 {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

func encodeTime(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func decodeTime(v []byte) int64 {
	if len(v) < 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(v))
}

// recordFormat is the first byte of a stored record.
const recordFormat = 1

// header is a stored record without its bytes.
type header struct {
	received int64
	source   []byte
	lane     []byte // empty: a lane of its own
	queue    []byte // empty: none besides the lane
	kind     []byte
}

// encodeRecord makes the stored form, copying u.Raw.
func encodeRecord(source transport.Source, received int64, u *transport.Update) []byte {
	v := make([]byte, 0, 1+8+4*binary.MaxVarintLen32+len(source)+len(u.Lane)+len(u.Queue)+len(u.Kind)+len(u.Raw))
	v = append(v, recordFormat)
	v = binary.BigEndian.AppendUint64(v, uint64(received))
	for _, s := range [...]string{string(source), u.Lane, u.Queue, u.Kind} {
		v = binary.AppendUvarint(v, uint64(len(s)))
		v = append(v, s...)
	}
	return append(v, u.Raw...)
}

// decodeRecord splits a stored record; the results point into v.
func decodeRecord(v []byte) (h header, raw []byte, ok bool) {
	if len(v) < 9 || v[0] != recordFormat {
		return h, nil, false
	}
	h.received = int64(binary.BigEndian.Uint64(v[1:]))
	v = v[9:]
	for _, f := range [...]*[]byte{&h.source, &h.lane, &h.queue, &h.kind} {
		n, w := binary.Uvarint(v)
		if w <= 0 || n > math.MaxInt32 || int(n) > len(v)-w {
			return h, nil, false
		}
		*f = v[w : w+int(n)]
		v = v[w+int(n):]
	}
	return h, v, true
}
