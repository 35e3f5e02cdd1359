package telegramsim

import (
	"strconv"
	"time"
)

type object = map[string]any

func chatType(id int64) string {
	switch {
	case id > 0:
		return "private"
	case id < -1_000_000_000_000:
		return "supergroup"
	default:
		return "group"
	}
}

var firstNames = [...]string{"Anna", "Борис", "Chloé", "李雷", "مريم", "Dmitri", "Ξένια", "さくら", "José", "Zoë 🌸"}

func person(id int64) object {
	name := firstNames[uint64(id)%uint64(len(firstNames))]
	return object{"id": id, "is_bot": false, "first_name": name, "username": "user" + strconv.FormatInt(id, 10), "language_code": "en"}
}

func place(id int64, channel bool) object {
	switch {
	case channel:
		return object{"id": id, "title": "Channel " + strconv.FormatInt(-id%1000, 10), "type": "channel"}
	case id > 0:
		p := person(id)
		return object{"id": id, "first_name": p["first_name"], "username": p["username"], "type": "private"}
	}
	return object{"id": id, "title": "Group " + strconv.FormatInt(-id%1000, 10), "type": chatType(id)}
}

// compose makes up the payload of an update as the Bot API words it.
func (b *bot) compose(u Update) object {
	if u.User == 0 {
		u.User = 1000001
	}
	if u.Chat == 0 {
		u.Chat = u.User
		if u.Kind == "channel_post" || u.Kind == "edited_channel_post" {
			u.Chat = -1001000000001
		}
	}
	if u.Date.IsZero() {
		u.Date = time.Now()
	}
	b.nextID++
	id := strconv.FormatInt(b.id%1000*1_000_000_000+b.nextID, 10)
	date := u.Date.Unix()
	from := person(u.User)
	switch u.Kind {
	case "message", "guest_message", "business_message":
		m := b.composeMessage(u, false)
		if u.Kind == "business_message" {
			m["business_connection_id"] = "bc" + id
		}
		return m
	case "edited_message", "edited_business_message":
		m := b.composeMessage(u, false)
		m["edit_date"] = date
		return m
	case "channel_post":
		return b.composeMessage(u, true)
	case "edited_channel_post":
		m := b.composeMessage(u, true)
		m["edit_date"] = date
		return m
	case "callback_query":
		q := object{"id": id, "from": from, "chat_instance": "-" + id, "data": orElse(u.Text, "button")}
		if u.Inline {
			q["inline_message_id"] = "inline" + id
		} else {
			m := b.composeMessage(Update{Chat: u.Chat, User: b.id, Text: "Choose", Date: u.Date, MessageID: u.MessageID}, false)
			m["from"] = object{"id": b.id, "is_bot": true, "first_name": "Simulated bot", "username": b.username()}
			q["message"] = m
		}
		return q
	case "inline_query":
		return object{"id": id, "from": from, "chat_type": "sender", "query": u.Text, "offset": ""}
	case "chosen_inline_result":
		return object{"from": from, "result_id": "1", "query": u.Text, "inline_message_id": "inline" + id}
	case "shipping_query":
		return object{"id": id, "from": from, "invoice_payload": orElse(u.Text, "order"), "shipping_address": object{
			"country_code": "DE", "state": "", "city": "Köln", "street_line1": "Domkloster 4", "street_line2": "", "post_code": "50667"}}
	case "pre_checkout_query":
		return object{"id": id, "from": from, "currency": "EUR", "total_amount": 1999, "invoice_payload": orElse(u.Text, "order")}
	case "poll":
		return object{"id": b.pollID(u), "question": orElse(u.Text, "Tea or coffee?"), "options": []object{
			{"text": "Tea", "voter_count": 1}, {"text": "Coffee ☕", "voter_count": 2}},
			"total_voter_count": 3, "is_closed": false, "is_anonymous": true, "type": "regular", "allows_multiple_answers": false}
	case "poll_answer":
		return object{"poll_id": b.pollID(u), "user": from, "option_ids": []int{1}}
	case "my_chat_member", "chat_member":
		member := object{"user": from, "status": "member"}
		if u.Kind == "my_chat_member" {
			member["user"] = object{"id": b.id, "is_bot": true, "first_name": "Simulated bot", "username": b.username()}
		}
		return object{"chat": place(u.Chat, false), "from": from, "date": date,
			"old_chat_member": object{"user": member["user"], "status": "left"}, "new_chat_member": member}
	case "chat_join_request":
		return object{"chat": place(u.Chat, false), "from": from, "user_chat_id": u.User, "date": date}
	case "chat_boost", "removed_chat_boost":
		return object{"chat": place(u.Chat, false), "date": date, "boost": object{"boost_id": id, "add_date": date,
			"expiration_date": date + 86400, "source": object{"source": "premium", "user": from}}}
	case "message_reaction":
		return object{"chat": place(u.Chat, false), "message_id": b.messageID(u), "user": from, "date": date,
			"old_reaction": []object{}, "new_reaction": []object{{"type": "emoji", "emoji": "👍"}}}
	case "message_reaction_count":
		return object{"chat": place(u.Chat, false), "message_id": b.messageID(u), "date": date,
			"reactions": []object{{"type": object{"type": "emoji", "emoji": "🔥"}, "total_count": 3}}}
	case "business_connection":
		return object{"id": "bc" + id, "user": from, "user_chat_id": u.User, "date": date, "can_reply": true, "is_enabled": true}
	case "deleted_business_messages":
		return object{"business_connection_id": "bc" + id, "chat": place(u.Chat, false), "message_ids": []int64{b.messageID(u)}}
	case "purchased_paid_media":
		return object{"from": from, "paid_media_payload": orElse(u.Text, "media")}
	default:
		return object{"from": from, "date": date, "text": u.Text}
	}
}

func (b *bot) composeMessage(u Update, channel bool) object {
	m := object{"message_id": b.messageID(u), "chat": place(u.Chat, channel), "date": u.Date.Unix(), "text": orElse(u.Text, "hello")}
	if channel {
		m["sender_chat"] = place(u.Chat, true)
	} else {
		m["from"] = person(u.User)
	}
	return m
}

func (b *bot) messageID(u Update) int64 {
	if u.MessageID != 0 {
		return u.MessageID
	}
	b.message++
	return b.message
}

func (b *bot) pollID(u Update) string {
	if u.Poll != 0 {
		return strconv.FormatInt(u.Poll, 10)
	}
	return strconv.FormatInt(5_000_000_000_000_000_000+b.nextID, 10)
}

func orElse(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
