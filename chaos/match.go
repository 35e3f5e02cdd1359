package chaos

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
)

var (
	pathParam = Param{Name: "path", Doc: "only requests whose path begins so, such as one bot's of several on a listener"}
	chatParam = Param{Name: "chat", Doc: "only updates of the chat with this id"}
	nthParam  = Param{Name: "nth", Doc: "only updates whose update_id is divisible by this number, 1 to 1000; it is the same ones on each retry, which a share is not", Default: "1"}
)

// requestParams are those of every kind that acts on requests.
func requestParams(own ...Param) []Param { return append(own, pathParam, chatParam, nthParam) }

// requestMatch reads requestParams; nil means every request.
func requestMatch(p *params) func(*http.Request) bool {
	path, nth, chat := p.str("path"), p.number("nth", 1, 1000), int64(0)
	if p.str("chat") != "" {
		chat = p.number("chat", -1<<62, 1<<62)
	}
	if path == "" && nth == 1 && chat == 0 {
		return nil
	}
	return func(r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, path) {
			return false
		}
		if nth == 1 && chat == 0 {
			return true
		}
		id, in, ok := updateOf(holdBody(r))
		return ok && id%nth == 0 && (chat == 0 || in == chat)
	}
}

// updateOf finds the update_id of a body and the first chat in it, wherever that
// is; 0 if there is none. ok is false for what is no update.
func updateOf(body []byte) (id, chat int64, ok bool) {
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil {
		return 0, 0, false
	}
	id, err := strconv.ParseInt(string(bytes.TrimSpace(top["update_id"])), 10, 64)
	if err != nil {
		return 0, 0, false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	for {
		t, err := d.Token()
		if err != nil {
			return id, 0, true
		}
		if t != "chat" {
			continue
		}
		var c struct {
			ID int64 `json:"id"`
		}
		if d.Decode(&c) == nil && c.ID != 0 {
			return id, c.ID, true
		}
	}
}

// maxHeldBody is what a waiting request is read up to: the most that Telegram
// sends is far below.
const maxHeldBody = 1 << 20

// holdBody reads the request's body, puts it back and returns what there is of
// it. net/http notices that a client hung up only when the body has been read;
// without this a hung request would stay until the end of the fault.
func holdBody(r *http.Request) []byte {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, maxHeldBody))
	rest := io.Reader(r.Body)
	if err != nil {
		rest = errReader{err}
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(b), rest), r.Body}
	return b
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }
