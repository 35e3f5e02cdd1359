package telegramsim

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// kinds are the update types in the order in which the server lists them.
var kinds = [...]string{
	"message", "edited_message", "channel_post", "edited_channel_post",
	"inline_query", "chosen_inline_result", "callback_query",
	"shipping_query", "pre_checkout_query", "poll", "poll_answer",
	"my_chat_member", "chat_member", "chat_join_request",
	"chat_boost", "removed_chat_boost", "message_reaction", "message_reaction_count",
	"business_connection", "business_message", "edited_business_message", "deleted_business_messages",
	"purchased_paid_media", "managed_bot", "guest_message",
}

// Kinds returns the update types that the server knows.
func Kinds() []string { return append([]string(nil), kinds[:]...) }

// mask is a set of update types, by index in kinds.
type mask uint32

func kindBit(kind string) mask {
	for i, k := range kinds {
		if k == kind {
			return 1 << i
		}
	}
	return 0
}

// defaultMask is every type but the three that must be asked for
// (Client.h:1455-1459).
func defaultMask() mask {
	return (1<<len(kinds) - 1) &^ (kindBit("chat_member") | kindBit("message_reaction") | kindBit("message_reaction_count"))
}

func (m mask) names() []string {
	var out []string
	for i, k := range kinds {
		if m&(1<<i) != 0 {
			out = append(out, k)
		}
	}
	return out
}

// parseMask reads an allowed_updates parameter. ok is false if it changes
// nothing: missing, or not a JSON array of strings.
func parseMask(arg string) (m mask, ok bool) {
	if arg == "" {
		return 0, false
	}
	var names []string
	if err := json.Unmarshal([]byte(arg), &names); err != nil || names == nil {
		return 0, false
	}
	for _, n := range names {
		m |= kindBit(strings.ToLower(n))
	}
	if m == 0 {
		m = defaultMask()
	}
	return m, true
}

// facts are what retention and order depend on.
type facts struct {
	Chat    *idOnly `json:"chat"`
	From    *idOnly `json:"from"`
	User    *idOnly `json:"user"`
	Message *struct {
		Chat *idOnly `json:"chat"`
	} `json:"message"`
	ID       json.RawMessage `json:"id"`
	PollID   string          `json:"poll_id"`
	Date     int64           `json:"date"`
	EditDate int64           `json:"edit_date"`
}

type idOnly struct {
	ID int64 `json:"id"`
}

func (i *idOnly) id() int64 {
	if i == nil {
		return 0
	}
	return i.ID
}

// lifetime is how long the server keeps an update (Client.cpp:17053-17354).
// keep is false for messages that were too old when they came.
func lifetime(kind string, f facts, now time.Time) (expires int64, keep bool) {
	unix := now.Unix()
	switch kind {
	case "inline_query":
		return unix + 30, true
	case "callback_query", "shipping_query", "pre_checkout_query":
		return unix + 150, true
	case "chosen_inline_result":
		return unix + 600, true
	case "message", "edited_message", "channel_post", "edited_channel_post",
		"business_message", "edited_business_message", "guest_message",
		"chat_member", "my_chat_member", "chat_join_request",
		"chat_boost", "removed_chat_boost", "message_reaction", "message_reaction_count":
		date := f.Date
		if f.EditDate != 0 {
			date = f.EditDate
		}
		if date == 0 {
			date = unix
		}
		return date + 86400, date+86400 > unix
	default:
		return unix + 86400, true
	}
}

// ordering is the server's webhook_queue_id: updates of one value are delivered
// one after another (Client.cpp:17959).
func ordering(kind string, f facts) int64 {
	k := func(id, n int64) int64 {
		if id == 0 {
			return 0
		}
		return id + n<<33
	}
	user := f.From.id()
	if user == 0 {
		user = f.User.id()
	}
	switch kind {
	case "message", "edited_message", "channel_post", "edited_channel_post":
		return f.Chat.id()
	case "inline_query":
		return k(user, 1)
	case "chosen_inline_result":
		return k(user, 2)
	case "callback_query":
		return k(user, 3)
	case "shipping_query", "pre_checkout_query":
		return k(user, 4)
	case "my_chat_member":
		return k(f.Chat.id(), 5)
	case "chat_member", "chat_join_request":
		return k(user, 6)
	case "chat_boost", "removed_chat_boost":
		return k(f.Chat.id(), 7)
	case "message_reaction":
		return k(f.Chat.id(), 8)
	case "message_reaction_count":
		return k(f.Chat.id(), 9)
	case "business_connection":
		return k(user, 10)
	case "business_message", "edited_business_message", "deleted_business_messages":
		return k(f.Chat.id(), 11)
	case "purchased_paid_media":
		return k(user, 12)
	case "guest_message":
		return k(f.Chat.id(), 12)
	case "managed_bot":
		return k(user, 13)
	case "poll":
		v, _ := strconv.ParseInt(strings.Trim(string(f.ID), `"`), 10, 64)
		return v
	case "poll_answer":
		v, _ := strconv.ParseInt(f.PollID, 10, 64)
		return v
	}
	return 0
}
