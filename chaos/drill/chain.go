package drill

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// chainDomain keeps the hashes of this format apart from all others.
const chainDomain = "dualgram.drill.record/v1"

// hash is what a record's Hash must be. Each part is preceded by its length, so
// that nothing can be moved from one to the next.
func (r *Record) hash() string {
	h := sha256.New()
	part := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	part([]byte(chainDomain))
	part(binary.BigEndian.AppendUint64(nil, r.Seq))
	part([]byte(r.ID))
	part([]byte(r.Kind))
	part([]byte(r.At.UTC().Format(time.RFC3339Nano)))
	part(r.Data)
	part([]byte(r.Prev))
	return hex.EncodeToString(h.Sum(nil))
}

// link makes the record that follows last, which is zero for the first.
func link(last Record, id string, kind RecordKind, at time.Time, data any) (Record, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return Record{}, fmt.Errorf("drill: encoding a record: %w", err)
	}
	r := Record{Seq: last.Seq + 1, ID: id, Kind: kind, At: at.UTC().Round(0), Data: raw, Prev: last.Hash}
	r.Hash = r.hash()
	return r, nil
}

// ChainError says where a chain of records is broken.
type ChainError struct {
	Seq  uint64
	ID   string
	What string
}

// Error implements error.
func (e *ChainError) Error() string {
	if e.ID == "" {
		return "drill: the history was tampered with: " + e.What
	}
	return fmt.Sprintf("drill: the history was tampered with: record %d (%s) %s", e.Seq, e.ID, e.What)
}

// Verify checks that each record is as it was written and follows the one
// before, and returns the hash of the last. The oldest record that is kept may
// follow one that is not. A chain that was cut at its end, or made anew as a
// whole, is found by comparing it with a hash that an earlier report printed: if
// known is not empty it must be that of one of the records. The error is a
// [*ChainError].
func Verify(records []Record, known string) (head string, err error) {
	found := known == ""
	for i := range records {
		r := &records[i]
		switch {
		case r.hash() != r.Hash:
			return "", &ChainError{r.Seq, r.ID, "is not as it was written"}
		case i == 0 && (r.Seq == 1) != (r.Prev == ""):
			return "", &ChainError{r.Seq, r.ID, "is not where it was"}
		case i > 0 && (r.Prev != records[i-1].Hash || r.Seq != records[i-1].Seq+1):
			return "", &ChainError{r.Seq, r.ID, "does not follow the one before"}
		}
		found = found || r.Hash == known
		head = r.Hash
	}
	if !found {
		return "", &ChainError{What: "no record has the hash " + known}
	}
	return head, nil
}
