package botapi

import (
	"bytes"
	"encoding/json"
	"regexp"
)

// updateStart is how an update begins. Inside a JSON string its quotes would be
// escaped, and Telegram never nests one update in another, so in a page that
// doesn't parse it is where the next element begins.
var updateStart = regexp.MustCompile(`\{[ \t\r\n]*"update_id"[ \t\r\n]*:`)

var updateKey = []byte(`"update_id"`)

// splitUpdates returns the exact bytes of each element of the result array in
// an answer {"ok":true,"result":[…]}, without decoding them.
//
// It counts brackets outside strings, so an element that is broken inside (a
// bad escape, a bad literal, invalid UTF-8) is one element all the same. If an
// element's brackets or quotes don't match, the page is cut where updates begin
// instead. That is done only if complete says that the end of the body was
// marked by HTTP: a body that was cut off must fail, since whatever comes back
// from here is stored and then confirmed.
func splitUpdates(body []byte, complete bool) (elements [][]byte, ok bool) {
	start, ok := findResult(body)
	if !ok {
		return nil, false
	}
	if elements, ok = splitByBrackets(body, start); ok && !merged(elements) {
		return elements, true
	}
	if !complete {
		return nil, false
	}
	return splitByStarts(body, start)
}

// findResult returns the index of the first byte after the bracket that opens
// the result array, if the answer says ok before it.
func findResult(b []byte) (int, bool) {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return 0, false
	}
	i++
	said := false
	for {
		i = skipSpace(b, i)
		if i >= len(b) || b[i] != '"' {
			return 0, false
		}
		end := skipString(b, i)
		if end < 0 {
			return 0, false
		}
		key := b[i+1 : end-1]
		i = skipSpace(b, end)
		if i >= len(b) || b[i] != ':' {
			return 0, false
		}
		i = skipSpace(b, i+1)
		if string(key) == "result" {
			return i + 1, said && i < len(b) && b[i] == '['
		}
		end, _ = skipValue(b, i)
		if end < 0 {
			return 0, false
		}
		if string(key) == "ok" {
			if said = string(bytes.TrimSpace(b[i:end])) == "true"; !said {
				return 0, false
			}
		}
		if i = end; i >= len(b) || b[i] != ',' {
			return 0, false
		}
		i++
	}
}

// splitByBrackets needs every bracket and quote in its place, up to the end of
// the answer.
func splitByBrackets(b []byte, i int) ([][]byte, bool) {
	var elements [][]byte
	for {
		i = skipSpace(b, i)
		end, closer := skipValue(b, i)
		if end < 0 {
			return nil, false
		}
		if e := bytes.TrimRight(b[i:end], space); len(e) > 0 {
			elements = append(elements, e)
		}
		i = end + 1
		if closer == ',' {
			continue
		}
		return elements, closer == ']' && endsWell(b, i)
	}
}

// endsWell checks the rest of the answer after the result array.
func endsWell(b []byte, i int) bool {
	i = skipSpace(b, i)
	for i < len(b) && b[i] == ',' {
		end, closer := skipValue(b, i+1)
		if end < 0 || closer == ']' {
			return false
		}
		i = end
	}
	return i < len(b) && b[i] == '}' && skipSpace(b, i+1) == len(b)
}

// skipValue skips to the comma or the closing bracket that ends the value at i,
// and returns its index and the byte there, or -1.
func skipValue(b []byte, i int) (end int, closer byte) {
	depth := 0
	for i < len(b) {
		switch c := b[i]; c {
		case '"':
			if i = skipString(b, i); i < 0 {
				return -1, 0
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i, c
			}
			depth--
		case ',':
			if depth == 0 {
				return i, c
			}
		}
		i++
	}
	return -1, 0
}

// skipString returns the index after the string that begins at i, or -1.
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// merged reports whether some element swallowed the beginning of another, as
// happens when quotes are missing.
func merged(elements [][]byte) bool {
	for _, e := range elements {
		// The first test is the fast one, and nearly always enough.
		if bytes.Count(e, updateKey) > 1 && len(updateStart.FindAllIndex(e, 2)) > 1 && !json.Valid(e) {
			return true
		}
	}
	return false
}

// splitByStarts cuts where updates begin.
func splitByStarts(b []byte, i int) ([][]byte, bool) {
	tail := bytes.TrimRight(b, space)
	if len(tail) == 0 || tail[len(tail)-1] != '}' {
		return nil, false
	}
	tail = bytes.TrimRight(tail[:len(tail)-1], space)
	if len(tail) <= i || tail[len(tail)-1] != ']' {
		return nil, false
	}
	list := tail[i : len(tail)-1]
	var elements [][]byte
	add := func(e []byte) {
		e = bytes.Trim(e, space)
		e = bytes.TrimRight(bytes.TrimSuffix(e, []byte(",")), space)
		if len(e) > 0 {
			elements = append(elements, e)
		}
	}
	from := 0
	for _, m := range updateStart.FindAllIndex(list, -1) {
		add(list[from:m[0]])
		from = m[0]
	}
	add(list[from:])
	return elements, len(elements) > 0
}

const space = " \t\r\n"

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}
