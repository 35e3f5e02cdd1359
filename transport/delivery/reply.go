package delivery

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"
)

// Telegram looks for a call in an answer of one of these types
// (HttpReader.cpp:208-227 and WebhookActor.cpp:620-633).
var replyTypes = [...]struct{ typ, format string }{
	{"application/json", "json"},
	{"application/x-www-form-urlencoded", "form"},
	{"multipart/form-data", "multipart"},
}

func replyFormat(contentType string) string {
	ct := strings.ToLower(contentType)
	for _, t := range replyTypes {
		if strings.Contains(ct, t.typ) {
			return t.format
		}
	}
	return ""
}

// isReply reports whether the answer names a method to call. An answer that
// does not parse asks for nothing.
func isReply(format, contentType string, body []byte) bool {
	switch format {
	case "json":
		// A map, not a struct: encoding/json would accept "Method" for a field.
		var m map[string]json.RawMessage
		if json.Unmarshal(body, &m) != nil {
			return false
		}
		var name string
		return json.Unmarshal(m["method"], &name) == nil && name != ""
	case "form":
		v, err := url.ParseQuery(string(body))
		return err == nil && v.Get("method") != ""
	case "multipart":
		_, params, err := mime.ParseMediaType(contentType)
		if err != nil || params["boundary"] == "" {
			return false
		}
		r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
		for {
			p, err := r.NextRawPart()
			if err != nil {
				return false
			}
			if p.FormName() == "method" {
				b, err := io.ReadAll(io.LimitReader(p, 1))
				return err == nil && len(b) > 0
			}
		}
	}
	return false
}
