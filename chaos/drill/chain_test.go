package drill

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"
)

func chain(t *testing.T, n int) []Record {
	t.Helper()
	var out []Record
	var last Record
	for i := range n {
		r, err := link(last, runID(time.Unix(int64(i), 0), "x"), RecordHalt, time.Unix(int64(i), 5), Halt{Reason: "<because> & so"})
		if err != nil {
			t.Fatal(err)
		}
		out, last = append(out, r), r
	}
	return out
}

func TestVerify(t *testing.T) {
	good := chain(t, 5)
	if head, err := Verify(good, ""); err != nil || head != good[4].Hash {
		t.Fatalf("%s %v", head, err)
	}
	if _, err := Verify(nil, ""); err != nil {
		t.Error(err)
	}
	if _, err := Verify(good, good[1].Hash); err != nil {
		t.Errorf("a reported hash: %v", err)
	}
	if _, err := Verify(good[2:], ""); err != nil {
		t.Errorf("the oldest were dropped by age: %v", err)
	}
	// A store keeps records as JSON.
	raw, _ := json.Marshal(good)
	var back []Record
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(back, good[4].Hash); err != nil {
		t.Errorf("after a round trip: %v", err)
	}
	rehash := func(r *Record) { r.Hash = r.hash() }
	for name, spoil := range map[string]func(rs []Record) []Record{
		"data":          func(rs []Record) []Record { rs[2].Data = json.RawMessage(`{}`); return rs },
		"time":          func(rs []Record) []Record { rs[2].At = rs[2].At.Add(1); return rs },
		"kind":          func(rs []Record) []Record { rs[2].Kind = RecordResume; return rs },
		"id":            func(rs []Record) []Record { rs[2].ID += "x"; return rs },
		"moved border":  func(rs []Record) []Record { rs[2].ID, rs[2].Kind = rs[2].ID+"h", "alt"; return rs },
		"hash":          func(rs []Record) []Record { rs[4].Hash = "00"; return rs },
		"one made anew": func(rs []Record) []Record { rs[2].Data = json.RawMessage(`{}`); rehash(&rs[2]); return rs },
		"last made anew": func(rs []Record) []Record {
			rs[4].Data = json.RawMessage(`{}`)
			rehash(&rs[4])
			return rs
		},
		"one left out":     func(rs []Record) []Record { return slices.Delete(rs, 2, 3) },
		"swapped":          func(rs []Record) []Record { rs[1], rs[2] = rs[2], rs[1]; return rs },
		"cut at the end":   func(rs []Record) []Record { return rs[:4] },
		"first without it": func(rs []Record) []Record { rs[1].Prev = ""; rehash(&rs[1]); return rs[1:2] },
	} {
		_, err := Verify(spoil(slices.Clone(good)), good[4].Hash)
		var ce *ChainError
		if !errors.As(err, &ce) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNewRefusesBroken: nothing is added to a history that does not verify.
func TestNewRefusesBroken(t *testing.T) {
	bubble(t, "broken", func(t *testing.T, h *fakeHost) {
		rs := chain(t, 3)
		rs[1].Data = json.RawMessage(`{}`)
		_, err := New(t.Context(), Options{Host: h, Store: &memStore{records: rs}})
		var ce *ChainError
		if !errors.As(err, &ce) || ce.Seq != 2 {
			t.Errorf("%v", err)
		}
	})
}
