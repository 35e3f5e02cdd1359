package telegramsim

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strconv"
	"strings"
)

// Limits of what a webhook may answer (HttpReader.cpp, HttpReader.h:109).
const (
	maxResponseHeader = 256 << 10
	maxParameters     = 1 << 20
)

// response is what the server reads from a webhook.
type response struct {
	code       int
	reason     string
	keepAlive  bool
	retryAfter int
	args       map[string]string
	request    bool // the peer sent a request instead
	dump       string
}

// protocolError is an answer that the server's HTTP reader refuses; its text is
// what getWebhookInfo shows.
type protocolError string

func (e protocolError) Error() string { return string(e) }

// readResponse reads one answer by the rules of the server's own reader: HTTP/1.0
// or 1.1, a body only by Content-Length or chunked, gzip and deflate.
func readResponse(br *bufio.Reader) (*response, error) {
	left := maxResponseHeader
	line, err := headerLine(br, &left)
	if err != nil {
		return nil, err
	}
	r := &response{}
	proto, rest, _ := strings.Cut(line, " ")
	upper := strings.ToUpper(proto)
	switch {
	case upper == "HTTP/1.1":
		r.keepAlive = true
	case upper == "HTTP/1.0":
	case strings.HasPrefix(upper, "HTTP/"):
		return nil, protocolError("HTTP Version Not Supported")
	case upper == "GET", upper == "POST", upper == "HEAD":
		r.request = true
		r.dump = line
	default:
		return nil, protocolError("Not Implemented")
	}
	if !r.request {
		code, reason, _ := strings.Cut(rest, " ")
		if r.code, err = strconv.Atoi(code); err != nil {
			return nil, protocolError("Bad Request")
		}
		r.reason = reason
	}
	h := map[string]string{}
	for {
		line, err := headerLine(br, &left)
		if err != nil {
			return nil, err
		}
		if line == "" {
			break
		}
		if r.request {
			r.dump += "\n" + line
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, protocolError("Bad Request: invalid header")
		}
		h[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	switch c := strings.ToLower(h["connection"]); {
	case strings.Contains(c, "close"):
		r.keepAlive = false
	case strings.Contains(c, "keep-alive"):
		r.keepAlive = true
	}
	r.retryAfter = leadingInt(h["retry-after"])
	body, err := readBody(br, h)
	if err != nil {
		return nil, err
	}
	r.args = responseArgs(h["content-type"], body)
	return r, nil
}

// headerLine reads one line within the space that is left for headers.
func headerLine(br *bufio.Reader, left *int) (string, error) {
	var b []byte
	for {
		part, err := br.ReadSlice('\n')
		b = append(b, part...)
		if *left -= len(part); *left < 0 {
			return "", protocolError("Request Header Fields Too Large: too big headers")
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return "", err
		}
		return strings.TrimRight(string(b), "\r\n"), nil
	}
}

// parsed reports whether the server looks into a body of this type.
func parsed(contentType string) bool {
	t := strings.ToLower(contentType)
	return strings.Contains(t, "application/json") || strings.Contains(t, "application/x-www-form-urlencoded") ||
		strings.Contains(t, "multipart/form-data")
}

// readBody returns the decoded body if it is of a type that is looked into.
func readBody(br *bufio.Reader, h map[string]string) ([]byte, error) {
	keep := parsed(h["content-type"])
	var in io.Reader
	switch te := strings.ToLower(h["transfer-encoding"]); te {
	case "", "identity":
		var n int64
		if v, ok := h["content-length"]; ok {
			var err error
			if n, err = strconv.ParseInt(v, 10, 64); err != nil || n < 0 {
				return nil, protocolError("Bad Request: wrong Content-Length")
			}
		}
		if keep && n > maxParameters {
			return nil, protocolError("Request Entity Too Large: too many parameters")
		}
		in = &exactReader{br, n}
	case "chunked":
		in = &chunkReader{br: br}
	default:
		return nil, protocolError("Unimplemented: unsupported transfer-encoding")
	}
	out := in
	switch ce := strings.ToLower(h["content-encoding"]); ce {
	case "", "identity":
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, encodingError(err)
		}
		out = z
	case "deflate":
		z, err := zlib.NewReader(in)
		if err != nil {
			return nil, encodingError(err)
		}
		out = z
	default:
		return nil, protocolError("Unsupported Media Type: unsupported content-encoding")
	}
	var body []byte
	if keep {
		var err error
		if body, err = io.ReadAll(io.LimitReader(out, maxParameters+1)); err != nil {
			return nil, encodingError(err)
		}
		if len(body) > maxParameters {
			return nil, protocolError("Request Entity Too Large: too many parameters")
		}
	} else if _, err := io.Copy(io.Discard, out); err != nil {
		return nil, encodingError(err)
	}
	_, err := io.Copy(io.Discard, in) // what a decoder left over
	return body, err
}

// encodingError keeps errors of the connection and renames those of the coding.
func encodingError(err error) error {
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, zlib.ErrHeader) || errors.Is(err, zlib.ErrChecksum) {
		return protocolError("Bad Request: can't decode content")
	}
	return err
}

// exactReader reads n bytes; an earlier end is an end of the connection.
type exactReader struct {
	br *bufio.Reader
	n  int64
}

func (r *exactReader) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.n {
		p = p[:r.n]
	}
	k, err := r.br.Read(p)
	r.n -= int64(k)
	if err == io.EOF && r.n > 0 {
		err = io.ErrUnexpectedEOF
	}
	return k, err
}

// chunkReader reads a chunked body with its trailers.
type chunkReader struct {
	br   *bufio.Reader
	left int64
	open bool
	done bool
}

func (r *chunkReader) Read(p []byte) (int, error) {
	if r.done {
		return 0, io.EOF
	}
	room := maxResponseHeader
	if r.left == 0 {
		if r.open {
			if _, err := headerLine(r.br, &room); err != nil {
				return 0, err
			}
		}
		line, err := headerLine(r.br, &room)
		if err != nil {
			return 0, err
		}
		size, _, _ := strings.Cut(line, ";")
		if r.left, err = strconv.ParseInt(strings.TrimSpace(size), 16, 64); err != nil || r.left < 0 {
			return 0, protocolError("Bad Request: invalid chunk size")
		}
		r.open = true
		if r.left == 0 {
			for line != "" {
				if line, err = headerLine(r.br, &room); err != nil {
					return 0, err
				}
			}
			r.done = true
			return 0, io.EOF
		}
	}
	e := exactReader{r.br, r.left}
	k, err := e.Read(p)
	r.left = e.n
	return k, err
}

// responseArgs reads parameters from an answer; what does not parse is ignored.
func responseArgs(contentType string, body []byte) map[string]string {
	kind, params, _ := mime.ParseMediaType(contentType)
	switch {
	case len(body) == 0:
		return nil
	case strings.Contains(strings.ToLower(contentType), "application/json"):
		return jsonArgs(body)
	case kind == "application/x-www-form-urlencoded":
		v, _ := url.ParseQuery(string(body))
		return flatten(v)
	case kind == "multipart/form-data":
		f, err := multipart.NewReader(bytes.NewReader(body), params["boundary"]).ReadForm(maxParameters)
		if err == nil {
			defer f.RemoveAll()
			return flatten(f.Value)
		}
	}
	return nil
}
