package telegramsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
)

// maxRequest is how much of a request is read.
const maxRequest = 64 << 20

var errTooBig = errors.New("request entity too large")

// parseParams reads the parameters of a call from the query and from a form,
// JSON or multipart body. What does not parse is ignored.
func parseParams(r *http.Request) (args map[string]string, files map[string][]byte, err error) {
	args = flatten(r.URL.Query())
	if args == nil {
		args = map[string]string{}
	}
	if r.Body == nil {
		return args, nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err != nil {
		return nil, nil, err
	}
	if len(body) > maxRequest {
		return nil, nil, errTooBig
	}
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		for k, v := range jsonArgs(body) {
			args[k] = v
		}
	case "multipart/form-data":
		files = multipartArgs(body, params["boundary"], args)
	case "application/x-www-form-urlencoded":
		v, _ := url.ParseQuery(string(body))
		for k, v := range flatten(v) {
			args[k] = v
		}
	}
	return args, files, nil
}

func multipartArgs(body []byte, boundary string, args map[string]string) map[string][]byte {
	files := map[string][]byte{}
	mr := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		p, err := mr.NextPart()
		if err != nil {
			return files
		}
		data, err := io.ReadAll(p)
		if err != nil {
			return files
		}
		if p.FileName() != "" {
			files[p.FormName()] = data
		} else {
			args[p.FormName()] = string(data)
		}
	}
}

func flatten(v url.Values) map[string]string {
	if len(v) == 0 {
		return nil
	}
	out := make(map[string]string, len(v))
	for k, vs := range v {
		out[k] = vs[0]
	}
	return out
}

// jsonArgs takes a JSON object apart: strings as they are, everything else as
// its JSON text, null as missing.
func jsonArgs(body []byte) map[string]string {
	var m map[string]json.RawMessage
	if json.Unmarshal(body, &m) != nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		var s string
		switch {
		case string(v) == "null":
		case json.Unmarshal(v, &s) == nil:
			out[k] = s
		default:
			out[k] = string(v)
		}
	}
	return out
}

// leadingInt reads the integer that a text starts with; 0 if there is none.
func leadingInt(s string) int {
	return int(integer(map[string]string{"": s}, "", 0))
}

// integer reads an int32 parameter: as many digits as there are, wrapping
// around as the server does; def if the parameter is missing or empty.
func integer(args map[string]string, name string, def int64) int64 {
	s := args[name]
	if s == "" {
		return def
	}
	digits, negative := strings.CutPrefix(s, "-")
	v := uint32(0)
	for i := range len(digits) {
		c := digits[i]
		if c < '0' || c > '9' {
			break
		}
		v = v*10 + uint32(c-'0')
	}
	if negative {
		v = -v
	}
	return int64(int32(v))
}

// clamp bounds a parameter.
func clamp(v, lo, hi int64) int64 { return min(max(v, lo), hi) }

// truthy reads a boolean parameter.
func truthy(s string) bool {
	switch strings.ToLower(s) {
	case "true", "yes", "1":
		return true
	}
	return false
}
