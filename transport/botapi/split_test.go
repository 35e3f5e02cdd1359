package botapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func texts(bs [][]byte) []string {
	out := []string{}
	for _, b := range bs {
		out = append(out, string(b))
	}
	return out
}

func TestSplit(t *testing.T) {
	const cut = "cannot be split"
	for _, tc := range []struct {
		name, body string
		complete   bool
		want       []string // nil: cannot be split
	}{
		{"empty", `{"ok":true,"result":[]}`, false, []string{}},
		{"space", " {\n\"ok\" : true , \"result\" : [ ] } \r\n", false, []string{}},
		{"one", `{"ok":true,"result":[{"update_id":1,` + "\n" + `"message":{"text":"a"}}]}`, false, []string{`{"update_id":1,` + "\n" + `"message":{"text":"a"}}`}},
		{"as Telegram joins them", "{\"ok\":true,\"result\":[{\"update_id\":1},\n{\"update_id\":2}]}", false, []string{`{"update_id":1}`, `{"update_id":2}`}},
		{"brackets and quotes in strings", `{"ok":true,"result":[{"t":"],[\"}{\\"},{"t":"\\\""}]}`, false, []string{`{"t":"],[\"}{\\"}`, `{"t":"\\\""}`}},
		{"result first needs ok before", `{"result":[{}],"ok":true}`, true, nil},
		{"something between", `{"ok":true,"description":"x, ]","parameters":{"a":[1]},"result":[{},{}]}`, false, []string{"{}", "{}"}},
		{"something after", `{"ok":true,"result":[{},{}],"description":"x","parameters":{"a":[1]}}`, false, []string{"{}", "{}"}},
		{"not ok", `{"ok":false,"result":[{}]}`, true, nil},
		{"result is an object", `{"ok":true,"result":{}}`, true, nil},
		{"elements that aren't objects", `{"ok":true,"result":[null, 5 ,"x",[1,2],{}]}`, false, []string{"null", "5", `"x"`, "[1,2]", "{}"}},
		{"trailing comma", `{"ok":true,"result":[{},]}`, false, []string{"{}"}},
		{"broken inside: literal", `{"ok":true,"result":[{"update_id":1,"m":nul},{"update_id":2}]}`, false, []string{`{"update_id":1,"m":nul}`, `{"update_id":2}`}},
		{"broken inside: escape", `{"ok":true,"result":[{"update_id":1,"m":"\q\u12"},{"update_id":2}]}`, false, []string{`{"update_id":1,"m":"\q\u12"}`, `{"update_id":2}`}},
		{"broken inside: UTF-8 and control", "{\"ok\":true,\"result\":[{\"update_id\":1,\"m\":\"\xff\x00\"},{\"update_id\":2}]}", false, []string{"{\"update_id\":1,\"m\":\"\xff\x00\"}", `{"update_id":2}`}},
		{"bracket missing", `{"ok":true,"result":[{"update_id":1,"m":{"a":1},{"update_id":2}]}`, true, []string{`{"update_id":1,"m":{"a":1}`, `{"update_id":2}`}},
		{"bracket too many", `{"ok":true,"result":[{"update_id":1}},{"update_id":2}]}`, true, []string{`{"update_id":1}}`, `{"update_id":2}`}},
		{"quote missing", `{"ok":true,"result":[{"update_id":1,"m":"a},` + "\n" + `{ "update_id" : 2,"m":"b"}]}`, true, []string{`{"update_id":1,"m":"a}`, `{ "update_id" : 2,"m":"b"}`}},
		{"two quotes missing would merge two into one", `{"ok":true,"result":[{"update_id":1,"m":"a},{"update_id":2,"m":b"}]}`, true, []string{`{"update_id":1,"m":"a}`, `{"update_id":2,"m":b"}`}},
		{"last one broken", `{"ok":true,"result":[{"update_id":1},{"update_id":2,"m":{]}`, true, []string{`{"update_id":1}`, `{"update_id":2,"m":{`}},
		{"first one broken and nameless", `{"ok":true,"result":[{"m":",{"update_id":2}]}`, true, []string{`{"m":"`, `{"update_id":2}`}},
		{"nested update in a valid one", `{"ok":true,"result":[{"update_id":1,"x":{"update_id":9}}]}`, true, []string{`{"update_id":1,"x":{"update_id":9}}`}},
		{"broken but perhaps cut off", `{"ok":true,"result":[{"update_id":1,"m":{"a":1},{"update_id":2}]}`, false, nil},
		{"cut off where it looks like an end", `{"ok":true,"result":[{"update_id":1,"message":{"entities":[{}]}`, false, nil},
		{"cut off", `{"ok":true,"result":[{"update_id":1}`, true, nil},
		{"cut off after the list", `{"ok":true,"result":[{"update_id":1}]`, true, nil},
		{"more after the end", `{"ok":true,"result":[]}{"ok":true}`, true, nil},
		{"HTML", `<html>`, true, nil},
		{"nothing", ``, true, nil},
		{"null", `null`, true, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok := splitUpdates([]byte(tc.body), tc.complete)
			if tc.want == nil {
				if ok {
					t.Errorf("%s, got %q", cut, got)
				}
				return
			}
			if !ok || !slices.Equal(texts(got), tc.want) {
				t.Errorf("got %q, %v; want %q", got, ok, tc.want)
			}
		})
	}
}

// FuzzSplit: it never panics; valid answers are split as encoding/json splits
// them; and a list of valid elements comes back exactly as it was joined, from
// beside a broken one too.
func FuzzSplit(f *testing.F) {
	f.Add(`{"ok":true,"result":[{"update_id":1},{"update_id":2}]}`, `{"a":"]"}`, "\"}{")
	f.Add(`{"ok":true,"result":[],"x":"\u005d"}`, ` [1, "\\"] `, `{"m":"`)
	f.Add(`{"ok":true,"result":[{"update_id":1,"m":{"update_id":1,"t":"}]}`, `5`, ``)
	f.Fuzz(func(t *testing.T, body, elem, junk string) {
		for _, complete := range []bool{false, true} {
			got, ok := splitUpdates([]byte(body), complete)
			var e struct {
				OK     *bool             `json:"ok"`
				Result []json.RawMessage `json:"result"`
			}
			// Only the exact spelling counts, and each key once.
			if !ok || json.Unmarshal([]byte(body), &e) != nil || strings.Count(strings.ToLower(body), `result"`) != 1 || strings.Contains(body, `\u`) {
				continue
			}
			if len(got) != len(e.Result) {
				t.Fatalf("%q: %d elements, want %d", body, len(got), len(e.Result))
			}
			for i := range got {
				if string(got[i]) != string(e.Result[i]) {
					t.Fatalf("%q: element %d is %q", body, i, got[i])
				}
			}
		}
		if !json.Valid([]byte(elem)) {
			return
		}
		want := []string{`{"update_id":1}`, strings.Trim(elem, space), `{"update_id":2,"m":{}}`}
		for _, sep := range []string{",", ",\n", " , "} {
			got, ok := splitUpdates([]byte(`{"ok":true,"result":[`+strings.Join(want, sep)+`]}`), false)
			if !ok || !slices.Equal(texts(got), want) {
				t.Fatalf("joined by %q: %q, %v", sep, got, ok)
			}
		}
		if strings.Contains(junk, "update_id") {
			return
		}
		// The updates beside a broken one are not hidden by it.
		broken := `{"update_id":7,"m":` + junk
		got, ok := splitUpdates([]byte(`{"ok":true,"result":[{"update_id":1},`+broken+`,{"update_id":2}]}`), true)
		if !ok || len(got) < 3 || string(got[0]) != `{"update_id":1}` || string(got[len(got)-1]) != `{"update_id":2}` {
			t.Fatalf("beside %q: %q, %v", broken, got, ok)
		}
	})
}

func BenchmarkSplit(b *testing.B) {
	var sb strings.Builder
	sb.WriteString(`{"ok":true,"result":[`)
	for i := range 100 {
		if i > 0 {
			sb.WriteString(",\n")
		}
		fmt.Fprintf(&sb, `{"update_id":%d,"message":{"message_id":1,"from":{"id":1},"text":"%s"}}`, i+1, strings.Repeat("word ", 120))
	}
	sb.WriteString(`]}`)
	body := []byte(sb.String())
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if got, ok := splitUpdates(body, true); !ok || len(got) != 100 {
			b.Fatal("split")
		}
	}
}
