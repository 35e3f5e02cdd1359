package transport

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxName bounds what a scan takes for a name: a payload's field name or a poll
// id, in bytes after unescaping. Telegram's longest is 25. A longer one is
// skipped, so that nothing unbounded ends up in a label or a key.
const maxName = 64

// Scan finds in raw, the JSON object of one update, what the intake needs to
// know: the update_id, the kind and the lane. It never fails and never panics:
// from bytes that don't parse it returns what it found up to the damage, and
// Raw is always the whole of raw, not copied. It doesn't decode, and allocates
// only the lane and the queue for an update of a known kind.
//
//   - ID is the value of the top-level key "update_id", wherever it stands, if it
//     is an integer that fits 64 bits and something follows it: a number that the
//     end of the input cuts off might be another update's id. A float, an
//     exponent or a string is not an id.
//   - Kind is the first other top-level key whose value is an object; that object
//     is the payload.
//   - Lane is "c" and the id of the payload's chat (of callback_query: of its
//     message's chat), else "u" and the id of its from, user or user_chat_id in
//     this order, else "". A poll's lane is "p" and its id, a poll_answer's "p" and
//     its poll_id: both stand in the poll's own queue at Telegram.
//   - Queue is "b" and the id of the user who pressed a button, "m" and the id of
//     the user whom a chat_member or chat_join_request is about: Telegram orders
//     these by user, whatever the chat (Client.cpp:17155, 17268-17341).
//
// Only keys of the right object count: a chat inside a reply or a quoted string
// doesn't. Where a key is repeated, the first usable value wins.
func Scan(raw []byte) Update {
	u := Update{Raw: raw}
	s := scanner{b: raw}
	if !s.open() {
		return u
	}
	payload := false
	for !(u.HasID && payload) {
		key, ok := s.next()
		if !ok {
			break
		}
		switch {
		case string(key) == "update_id":
			if !u.HasID {
				u.ID, u.HasID = s.integer()
			}
		case !payload && key != nil && s.peek() == '{':
			payload = true
			u.Kind = kindName(key)
			in := scanner{b: raw, i: s.i}
			in.open()
			u.Lane, u.Queue = in.order(u.Kind)
			if u.HasID {
				return u
			}
		}
		s.skip()
	}
	return u
}

// kindName returns key as a string without allocating for the update types of
// the Bot API (https://core.telegram.org/bots/api#update).
func kindName(key []byte) string {
	switch string(key) {
	case "message":
		return "message"
	case "edited_message":
		return "edited_message"
	case "channel_post":
		return "channel_post"
	case "edited_channel_post":
		return "edited_channel_post"
	case "business_connection":
		return "business_connection"
	case "business_message":
		return "business_message"
	case "edited_business_message":
		return "edited_business_message"
	case "deleted_business_messages":
		return "deleted_business_messages"
	case "guest_message":
		return "guest_message"
	case "message_reaction":
		return "message_reaction"
	case "message_reaction_count":
		return "message_reaction_count"
	case "inline_query":
		return "inline_query"
	case "chosen_inline_result":
		return "chosen_inline_result"
	case "callback_query":
		return "callback_query"
	case "shipping_query":
		return "shipping_query"
	case "pre_checkout_query":
		return "pre_checkout_query"
	case "purchased_paid_media":
		return "purchased_paid_media"
	case "poll":
		return "poll"
	case "poll_answer":
		return "poll_answer"
	case "my_chat_member":
		return "my_chat_member"
	case "chat_member":
		return "chat_member"
	case "chat_join_request":
		return "chat_join_request"
	case "chat_boost":
		return "chat_boost"
	case "removed_chat_boost":
		return "removed_chat_boost"
	case "managed_bot":
		return "managed_bot"
	}
	// By way of runes: bytes that are no UTF-8 must not get into a label.
	return string([]rune(string(key)))
}

// scanner walks over JSON text. Every method leaves i within [0, len(b)] and
// moves it only forward.
type scanner struct {
	b    []byte
	i    int
	name [maxName + utf8.UTFMax]byte // where an escaped name is unescaped
}

// order reads lane and queue from the fields of a payload of the given kind,
// whose brace has just been opened.
func (s *scanner) order(kind string) (lane, queue string) {
	var chat, from, user, userChat, member int64
	var hasChat, hasFrom, hasUser, hasUserChat, hasMember bool
	wantFrom := kind == "callback_query" || kind == "chat_join_request"
	wantMember := kind == "chat_member"
	for !hasChat || wantFrom && !hasFrom || wantMember && !hasMember {
		key, ok := s.next()
		if !ok {
			break
		}
		switch string(key) {
		case "chat":
			if kind != "callback_query" && !hasChat {
				chat, hasChat = s.fieldID()
			}
		case "message":
			if kind == "callback_query" && !hasChat {
				chat, hasChat = s.innerID("chat")
			}
		case "new_chat_member":
			if wantMember && !hasMember {
				member, hasMember = s.innerID("user")
			}
		case "id":
			if kind == "poll" {
				if l := s.pollLane(); l != "" {
					return l, ""
				}
			}
		case "poll_id":
			if kind == "poll_answer" {
				if l := s.pollLane(); l != "" {
					return l, ""
				}
			}
		case "from":
			if !hasFrom {
				from, hasFrom = s.fieldID()
			}
		case "user":
			if !hasUser {
				user, hasUser = s.fieldID()
			}
		case "user_chat_id":
			if !hasUserChat {
				userChat, hasUserChat = s.integer()
			}
		}
		s.skip()
	}
	switch {
	case hasChat:
		lane = laneOf('c', chat)
	case hasFrom:
		lane = laneOf('u', from)
	case hasUser:
		lane = laneOf('u', user)
	case hasUserChat:
		lane = laneOf('u', userChat)
	}
	switch {
	case kind == "callback_query" && hasFrom:
		queue = laneOf('b', from)
	case kind == "chat_join_request" && hasFrom:
		queue = laneOf('m', from)
	case hasMember:
		queue = laneOf('m', member)
	}
	return lane, queue
}

func laneOf(prefix byte, id int64) string {
	var buf [24]byte
	return string(strconv.AppendInt(append(buf[:0], prefix), id, 10))
}

// fieldID returns the integer under "id" of the object at i, and leaves i there.
func (s *scanner) fieldID() (int64, bool) {
	in := scanner{b: s.b, i: s.i}
	if !in.open() {
		return 0, false
	}
	for {
		key, ok := in.next()
		if !ok {
			return 0, false
		}
		if string(key) == "id" {
			if id, ok := in.integer(); ok {
				return id, true
			}
		}
		in.skip()
	}
}

// innerID returns the integer under "id" of the object that the object at i has
// under the name, and leaves i there.
func (s *scanner) innerID(name string) (int64, bool) {
	in := scanner{b: s.b, i: s.i}
	if !in.open() {
		return 0, false
	}
	for {
		key, ok := in.next()
		if !ok {
			return 0, false
		}
		if string(key) == name {
			if id, ok := in.fieldID(); ok {
				return id, true
			}
		}
		in.skip()
	}
}

// pollLane returns the lane of the poll whose id is the string at i, and leaves
// i there; "" if it isn't a usable string.
func (s *scanner) pollLane() string {
	in := scanner{b: s.b, i: s.i}
	id := in.text()
	if len(id) == 0 {
		return ""
	}
	var buf [1 + maxName]byte
	lane := append(append(buf[:0], 'p'), id...)
	if !utf8.Valid(lane) {
		return ""
	}
	return string(lane)
}

// open steps over white space and an opening brace; false if there is none. A
// byte order mark before it is forgiven.
func (s *scanner) open() bool {
	if s.i == 0 && bytes.HasPrefix(s.b, []byte("\xef\xbb\xbf")) {
		s.i = 3
	}
	s.space()
	if s.peek() != '{' {
		return false
	}
	s.i++
	return true
}

// next steps to the next value of the object that i is in and returns its name;
// false at the object's end or where no name follows. The name is nil if it is
// longer than maxName or broken, and is valid until the next call.
func (s *scanner) next() ([]byte, bool) {
	for s.space(); s.peek() == ','; s.space() {
		s.i++
	}
	if s.peek() != '"' {
		return nil, false
	}
	name := s.text()
	s.space()
	if s.peek() != ':' {
		return nil, false
	}
	s.i++
	s.space()
	return name, s.i < len(s.b)
}

// peek returns the byte at i; 0 at the end.
func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) space() {
	for s.i < len(s.b) && isSpace(s.b[s.i]) {
		s.i++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// integer reads the number at i, which it leaves there.
func (s *scanner) integer() (int64, bool) {
	i, neg := s.i, false
	if i < len(s.b) && s.b[i] == '-' {
		neg = true
		i++
	}
	start := i
	var n uint64
	for ; i < len(s.b) && '0' <= s.b[i] && s.b[i] <= '9'; i++ {
		if n > math.MaxInt64/10 {
			return 0, false
		}
		n = n*10 + uint64(s.b[i]-'0')
	}
	switch {
	case i == start, i-start > 1 && s.b[start] == '0':
		return 0, false
	case i == len(s.b):
		return 0, false // cut off: the number might go on
	case !isSpace(s.b[i]) && s.b[i] != ',' && s.b[i] != '}':
		return 0, false
	case neg && n <= -math.MinInt64:
		return -int64(n), true
	case !neg && n <= math.MaxInt64:
		return int64(n), true
	}
	return 0, false
}

// skip steps over the value at i. In broken text it stops where the value can't
// go on; it always gets past an opening brace, bracket or quote.
func (s *scanner) skip() {
	switch s.peek() {
	case '"':
		s.str()
	case '{', '[':
		s.nested()
	default:
		for s.i < len(s.b) {
			switch s.b[s.i] {
			case ',', '}', ']', '{', '[', '"':
				return
			}
			s.i++
		}
	}
}

func (s *scanner) nested() {
	for depth := 0; s.i < len(s.b); {
		switch s.b[s.i] {
		case '"':
			s.str()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				s.i++
				return
			}
		}
		s.i++
	}
}

// str steps over the string at i and returns what stands between its quotes,
// and whether there are escapes in it; ok is false if it has no end.
func (s *scanner) str() (body []byte, escaped, ok bool) {
	start := s.i + 1
	for i := start; ; i++ {
		n := bytes.IndexByte(s.b[i:], '"')
		if n < 0 {
			s.i = len(s.b)
			return nil, false, false
		}
		i += n
		slashes := 0
		for k := i - 1; k >= start && s.b[k] == '\\'; k-- {
			slashes++
		}
		if slashes%2 == 0 {
			s.i = i + 1
			body = s.b[start:i]
			return body, bytes.IndexByte(body, '\\') >= 0, true
		}
	}
}

// text reads the string at i, unescaped, and steps over it; nil if it is no
// string, is longer than maxName or is broken.
func (s *scanner) text() []byte {
	if s.peek() != '"' {
		return nil
	}
	body, escaped, ok := s.str()
	switch {
	case !ok:
		return nil
	case !escaped && len(body) <= maxName:
		return body
	case !escaped:
		return nil
	}
	out := s.name[:0]
	for i := 0; i < len(body); {
		if body[i] != '\\' {
			out = append(out, body[i])
			i++
		} else {
			r, n := escape(body[i:])
			if n == 0 {
				return nil
			}
			out = utf8.AppendRune(out, r)
			i += n
		}
		if len(out) > maxName {
			return nil
		}
	}
	return out
}

// escape decodes the escape sequence that b starts with and returns how many
// bytes it is long; 0 if it is none.
func escape(b []byte) (rune, int) {
	if len(b) < 2 {
		return 0, 0
	}
	switch b[1] {
	case '"', '\\', '/':
		return rune(b[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r := hex4(b[2:])
		if r < 0 {
			return 0, 0
		}
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
			if pair := utf16.DecodeRune(r, hex4(b[8:])); pair != utf8.RuneError {
				return pair, 12
			}
		}
		return utf8.RuneError, 6
	}
	return 0, 0
}

// hex4 decodes four hexadecimal digits; -1 if b doesn't start with them.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}
