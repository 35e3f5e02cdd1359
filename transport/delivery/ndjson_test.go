package delivery

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"dualgram/transport"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.FixedZone("", 3600))

func up(id int64, raw string) Update {
	return Update{ID: id, Source: transport.SourcePolling, ReceivedAt: at, Attempt: 1, Raw: []byte(raw)}
}

func TestLine(t *testing.T) {
	const head = `{"update_id":7,"source":"polling","received_at":"2026-01-02T02:04:05.678Z",`
	for name, c := range map[string]struct{ raw, want string }{
		"as Telegram sends it": {"{\"update_id\":7,\n\"message\":{\"text\":\"a\\nb \u00e9\u2028<&>\"}}",
			head + "\"update\":{\"update_id\":7, \"message\":{\"text\":\"a\\nb \u00e9\u2028<&>\"}}}\n"},
		"carriage returns and tabs": {"{\r\n\t\"a\": 1.0e2 }\r\n", head + "\"update\":{  \t\"a\": 1.0e2 }  }\n"},
		"broken":                    {"{\"update_id\":7,\n", head + `"raw":"eyJ1cGRhdGVfaWQiOjcsCg=="}` + "\n"},
		"line break in a string":    {"{\"a\":\"x\ny\"}", head + `"raw":"` + base64.StdEncoding.EncodeToString([]byte("{\"a\":\"x\ny\"}")) + "\"}\n"},
		"not UTF-8":                 {"{\"a\":\"\xff\"}", head + `"raw":"eyJhIjoi/yJ9"}` + "\n"},
		"empty":                     {"", head + `"raw":""}` + "\n"},
		"two values":                {"{}\n{}", head + `"raw":"e30Ke30="}` + "\n"},
	} {
		if got := string(appendLine(nil, up(7, c.raw))); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
	}
}

// Whatever the body, it gives one line of valid JSON from which every byte of
// it can be had back, but for line breaks between tokens.
func FuzzLine(f *testing.F) {
	for _, s := range []string{"{\"a\":\n1}", "", "{", "\"\\u0000\"", "{\"a\":\"\xc3\"}", "[[[", "1\r"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		line := appendLine(nil, Update{ID: 7, Source: "webhook", ReceivedAt: at, Raw: raw})
		if bytes.IndexByte(line, '\n') != len(line)-1 || bytes.IndexByte(line, '\r') >= 0 || !json.Valid(line) || !utf8.Valid(line) {
			t.Fatalf("not one line of JSON: %q", line)
		}
		var got struct {
			ID     int64           `json:"update_id"`
			Update json.RawMessage `json:"update"`
			Raw    *[]byte         `json:"raw"`
		}
		if err := json.Unmarshal(line, &got); err != nil || got.ID != 7 {
			t.Fatalf("%v: %q", err, line)
		}
		if got.Raw != nil {
			if !bytes.Equal(*got.Raw, raw) {
				t.Fatalf("raw %q, want %q", *got.Raw, raw)
			}
			return
		}
		want := bytes.TrimSpace([]byte(strings.NewReplacer("\n", " ", "\r", " ").Replace(string(raw))))
		if !bytes.Equal(bytes.TrimSpace(got.Update), want) {
			t.Fatalf("update %q, want %q", got.Update, want)
		}
	})
}

func contents(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func open(t *testing.T, o NDJSONOptions) *NDJSON {
	t.Helper()
	n, err := NewNDJSON(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

func deliver(t *testing.T, h Handler, id int64) {
	t.Helper()
	if err := h.Deliver(context.Background(), up(id, "{}")); err != nil {
		t.Fatal(err)
	}
}

// ids reads a file as a careful reader does: lines that don't parse are skipped.
func ids(t *testing.T, text string) (ids []int64, torn int) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		var v struct {
			ID     int64           `json:"update_id"`
			Update json.RawMessage `json:"update"`
		}
		if json.Unmarshal([]byte(line), &v) != nil || v.Update == nil {
			torn++
			continue
		}
		ids = append(ids, v.ID)
	}
	return ids, torn
}

func TestNDJSONFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "updates.ndjson")
	n := open(t, NDJSONOptions{Path: path, Sync: true})
	deliver(t, n, 1)
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", st.Mode(), err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n.Deliver(context.Background(), up(2, "{}")); KindOf(err) != KindIO || !errors.Is(err, os.ErrClosed) {
		t.Fatalf("after Close: %v", err)
	}
	n = open(t, NDJSONOptions{Path: path})
	deliver(t, n, 2)
	if got := contents(t, path); strings.Count(got, "\n") != 2 || strings.HasPrefix(got, "\n") || strings.Contains(got, "\n\n") {
		t.Fatalf("%q", got)
	}
}

func TestNDJSONTornFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "updates.ndjson")
	if err := os.WriteFile(path, []byte("{\"update_id\":1,\"update\":{}}\n{\"update_id\":2,\"upd"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := open(t, NDJSONOptions{Path: path})
	deliver(t, n, 2)
	deliver(t, n, 3)
	if got, torn := ids(t, contents(t, path)); torn != 1 || len(got) != 3 || got[1] != 2 || got[2] != 3 {
		t.Fatalf("ids %v, torn %d", got, torn)
	}
}

func TestNDJSONRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "updates.ndjson")
	n := open(t, NDJSONOptions{Path: path})
	deliver(t, n, 1)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	deliver(t, n, 2)
	if err := n.Reopen(); err != nil {
		t.Fatal(err)
	}
	deliver(t, n, 3)
	if got, _ := ids(t, contents(t, path+".1")); len(got) != 2 {
		t.Errorf("old file: %v", got)
	}
	// Deleted without a word: what is written must have a name.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	deliver(t, n, 4)
	if got, _ := ids(t, contents(t, path)); len(got) != 1 || got[0] != 4 {
		t.Errorf("new file: %v", got)
	}
	// A path that can't be opened any more: the old file goes on.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := n.Reopen(); KindOf(err) != KindIO {
		t.Errorf("Reopen on a directory: %v", err)
	}
	if err := n.Deliver(context.Background(), up(5, "{}")); err == nil {
		t.Error("taken although the line is in no file")
	}
}

func TestNDJSONRefusals(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(dir+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"":                   "path is missing",
		dir:                  "not a regular file",
		dir + "/fifo":        "redirect standard output",
		dir + "/none/x.json": "no such file or directory",
	} {
		if _, err := NewNDJSON(NDJSONOptions{Path: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", path, err, want)
		}
	}
}

func TestNDJSONFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	n := open(t, NDJSONOptions{Path: "/dev/full"})
	err := n.Deliver(context.Background(), up(1, `{"text":"`+secretText+`"}`))
	if KindOf(err) != KindDiskFull || !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), secretText) {
		t.Fatalf("%v", err)
	}
}

// short takes a limited number of bytes of each write that fails.
type short struct {
	bytes.Buffer
	cut     []int // for each call; -1 takes all
	flushes int
	err     error
}

func (s *short) Write(p []byte) (int, error) {
	cut := -1
	if len(s.cut) > 0 {
		cut, s.cut = s.cut[0], s.cut[1:]
	}
	if cut < 0 || cut > len(p) {
		return s.Buffer.Write(p)
	}
	_, _ = s.Buffer.Write(p[:cut])
	return cut, s.err
}

func (s *short) Flush() error { s.flushes++; return nil }

func TestNDJSONPartialWrite(t *testing.T) {
	line := len(appendLine(nil, up(1, "{}")))
	for name, c := range map[string]struct {
		cut  []int
		err  error
		kind Kind
		torn int
		ids  int
	}{
		"nothing written":       {cut: []int{0}, err: syscall.ENOSPC, kind: KindDiskFull, ids: 1},
		"half a line":           {cut: []int{9}, err: syscall.ENOSPC, kind: KindDiskFull, torn: 1, ids: 1},
		"half, no error":        {cut: []int{9}, kind: KindIO, torn: 1, ids: 1},
		"all but the break":     {cut: []int{line - 1}, err: syscall.EIO, kind: KindIO, ids: 2},
		"all, and an error":     {cut: []int{line}, err: syscall.EIO, kind: KindIO, ids: 2},
		"twice":                 {cut: []int{9, 5}, err: syscall.ENOSPC, kind: KindDiskFull, torn: 2, ids: 1},
		"only the break before": {cut: []int{9, 1}, err: syscall.ENOSPC, kind: KindDiskFull, torn: 1, ids: 1},
	} {
		w := &short{cut: c.cut, err: c.err}
		n := open(t, NDJSONOptions{Path: "-", Stdout: w})
		for range c.cut {
			if err := n.Deliver(context.Background(), up(1, "{}")); KindOf(err) != c.kind {
				t.Errorf("%s: %v", name, err)
			}
		}
		deliver(t, n, 1)
		got, torn := ids(t, w.String())
		if len(got) != c.ids || torn != c.torn || strings.Contains(w.String(), "\n\n") {
			t.Errorf("%s: %d ids, %d torn in %q", name, len(got), torn, w.String())
		}
		if w.flushes != 1 {
			t.Errorf("%s: %d flushes", name, w.flushes)
		}
	}
}

func TestNDJSONConcurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "updates.ndjson")
	n := open(t, NDJSONOptions{Path: path})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				if err := n.Deliver(context.Background(), up(int64(w*50+i), "{\"a\":\n1}")); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			if err := n.Reopen(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, torn := ids(t, contents(t, path)); len(got) != 400 || torn != 0 {
		t.Fatalf("%d lines, %d torn", len(got), torn)
	}
}

type stuck struct{ release chan struct{} }

func (s stuck) Write(p []byte) (int, error) { <-s.release; return len(p), nil }

// A reader of our output that stands still must not hold those in the queue
// longer than their context.
func TestNDJSONWaitEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := stuck{make(chan struct{})}
		n, err := NewNDJSON(NDJSONOptions{Path: "-", Stdout: w})
		if err != nil {
			t.Fatal(err)
		}
		first := make(chan error)
		go func() { first <- n.Deliver(context.Background(), up(1, "{}")) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := n.Deliver(ctx, up(2, "{}")); KindOf(err) != KindTimeout {
			t.Errorf("waiting: %v", err)
		}
		close(w.release)
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkNDJSON(b *testing.B) {
	n, err := NewNDJSON(NDJSONOptions{Path: "-", Stdout: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	u := up(7, "{\"update_id\":7,\n\"message\":{\"text\":\""+strings.Repeat("x", 600)+"\"}}")
	b.SetBytes(int64(len(u.Raw)))
	b.ReportAllocs()
	for b.Loop() {
		if err := n.Deliver(context.Background(), u); err != nil {
			b.Fatal(err)
		}
	}
}
