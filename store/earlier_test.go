package store

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"dualgram/transport"
)

// writeStore makes a file for testdata, with what this version of the package writes.
// Before a release, and whenever the schema changes:
//
//	go test ./store -run '^TestEarlierStores$' -store.write testdata/VERSION.db.gz
//
// A file that is there already is never written again: it is what an earlier version
// left behind.
var writeStore = flag.String("store.write", "", "write a store to this `file`, as testdata for later versions")

// keptAt is when everything in such a file happened.
var keptAt = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// keep fills a store with one of everything.
func keep(t *testing.T, l *Ledger) {
	t.Helper()
	accept := func(b transport.Batch) {
		b.ReceivedAt = keptAt
		accept(t, l, b)
	}
	accept(hook(1000, 1001)) // 1000 is buried, 1001 has failed twice
	r, _ := next(t, l)
	must(t, l.Bury(ctx, r.Ref, Burial{"refused", keptAt}))
	r, _ = next(t, l)
	must(t, l.Retry(ctx, r.Ref, Attempt{Count: 2, First: keptAt, Cause: "status"}))
	accept(page(1000, 1000, 1001, 1002))
	accept(hook(1005)) // 1003 and 1004 are missing
	accept(transport.Batch{Source: transport.SourceWebhook, Updates: []transport.Update{{Raw: []byte("no id")}}})
	accept(transport.Batch{Source: transport.SourceWebhook, Updates: []transport.Update{{ID: 1006, HasID: true, Kind: "callback_query", Lane: "c9", Queue: "u5", Raw: raw(1006)}}})
	must(t, l.Save(ctx, map[string][]byte{"state": []byte(`{"phase":2}`)}, Entry{At: keptAt, Kind: "phase", Data: []byte(`{"to":"webhook"}`)}, Entry{At: keptAt, Kind: "operator"}))
	must(t, l.AppendEvidence(ctx, Evidence{Seq: 1, At: keptAt, Data: []byte("evidence")}, time.Hour))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// kept checks that all of it is there.
func kept(t *testing.T, l *Ledger) {
	t.Helper()
	st := l.Stats()
	if st.Waiting != 4 || st.Dead != 1 || st.Quarantined != 1 || st.Journal != 2 || st.OpenHoles != 2 || st.Accepted != 5 || st.LastID != 1006 || st.Seen != 5 {
		t.Errorf("%+v", st)
	}
	if at, ok := l.PollOffset(); at != 1003 || !ok {
		t.Errorf("offset %d %v", at, ok)
	}
	if v, err := l.Load("state"); string(v) != `{"phase":2}` || err != nil {
		t.Errorf("state: %s %v", v, err)
	}
	tail, err := l.JournalTail(10)
	if err != nil || len(tail) != 2 || tail[0].Kind != "phase" || string(tail[0].Data) != `{"to":"webhook"}` || !tail[0].At.Equal(keptAt) {
		t.Errorf("journal: %+v %v", tail, err)
	}
	f, err := l.Find(1001)
	if err != nil || len(f) != 1 || f[0].Attempts != 2 || f[0].LastCause != "status" {
		t.Errorf("1001: %+v %v", f, err)
	}
	if f, err = l.Find(1000); err != nil || len(f) != 1 || !f[0].Dead || f[0].Reason != "refused" || string(f[0].Raw) != string(raw(1000)) {
		t.Errorf("1000: %+v %v", f, err)
	}
	q, err := l.Quarantined(0, 10)
	if err != nil || len(q) != 1 || string(q[0].Raw) != "no id" {
		t.Errorf("quarantine: %+v %v", q, err)
	}
	e, err := l.Evidence()
	if err != nil || len(e) != 1 || string(e[0].Data) != "evidence" {
		t.Errorf("evidence: %+v %v", e, err)
	}
	if r := accept(t, l, hook(1002)); r.Count(transport.StatusDuplicate) != 1 {
		t.Error("what was accepted is new again")
	}
	must(t, l.Revive(ctx, []Ref{f[0].Ref}))
	if got := drain(t, l); !slices.Equal(got, []int64{1000, 1001, 1002, 1005, 1006}) {
		t.Errorf("%v", got)
	}
}

// Every store that an earlier version left behind opens, and nothing in it is lost.
func TestEarlierStores(t *testing.T) {
	if *writeStore != "" {
		writeEarlier(t, *writeStore)
	}
	files, err := filepath.Glob("testdata/*.db.gz")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			must(t, err)
			z, err := gzip.NewReader(bytes.NewReader(raw))
			must(t, err)
			data, err := io.ReadAll(z)
			must(t, err)
			path := newPath(t)
			must(t, os.WriteFile(path, data, 0o600))
			s := open(t, path)
			if !s.Clean() {
				t.Error("the clean end is forgotten")
			}
			kept(t, ledger(t, s))
			must(t, s.Close())
		})
	}
}

func writeEarlier(t *testing.T, file string) {
	t.Helper()
	path := newPath(t)
	s, err := Open(Options{Path: path})
	must(t, err)
	keep(t, ledger(t, s))
	must(t, s.Close())
	data, err := os.ReadFile(path)
	must(t, err)
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	must(t, err)
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	must(t, err)
	_, err = z.Write(data)
	must(t, errors.Join(err, z.Close(), f.Close()))
}
