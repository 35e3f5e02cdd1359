package telegramsim

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// closeFloor is how long after its start a bot may not be closed.
const closeFloor = 10 * time.Minute

// do carries out a call. The lock is held.
func (b *bot) do(c *call) {
	b.counters.Methods[c.method]++
	if b.loggedOut {
		b.answer(c, failure(400, "Logged out"))
		return
	}
	if b.unloaded {
		b.unloaded = false
		b.started = time.Now()
		if b.hook != nil && b.actor == nil {
			b.start(true, func() {}, func(string) {})
		}
	}
	switch c.method {
	case "getme":
		b.answer(c, okay(b.me(), ""))
	case "getupdates":
		b.getUpdates(c)
	case "setwebhook", "deletewebhook":
		b.setWebhook(c)
	case "getwebhookinfo":
		b.answer(c, okay(b.info(), ""))
	case "logout":
		b.note(c)
		b.logOut(c)
	case "close":
		b.note(c)
		b.closeInstance(c)
	default:
		b.other(c)
	}
}

// note puts a call on the list of those that change something.
func (b *bot) note(c *call) {
	b.calls = append(b.calls, Call{
		Method: c.method, At: time.Now(), URL: c.args["url"],
		Drop: truthy(c.args["drop_pending_updates"]), Foreign: c.foreign,
	})
	c.entry = len(b.calls)
}

func (b *bot) username() string { return "sim" + strconv.FormatInt(b.id, 10) + "_bot" }

func (b *bot) me() any {
	return struct {
		ID         int64  `json:"id"`
		IsBot      bool   `json:"is_bot"`
		FirstName  string `json:"first_name"`
		Username   string `json:"username"`
		Join       bool   `json:"can_join_groups"`
		ReadAll    bool   `json:"can_read_all_group_messages"`
		Inline     bool   `json:"supports_inline_queries"`
		Business   bool   `json:"can_connect_to_business"`
		MainWebApp bool   `json:"has_main_web_app"`
	}{b.id, true, "Simulated bot", b.username(), true, false, true, false, false}
}

// WebhookInfo is the answer to getWebhookInfo (Client.cpp:5945-5980).
type WebhookInfo struct {
	URL                  string   `json:"url"`
	HasCustomCertificate bool     `json:"has_custom_certificate"`
	PendingUpdateCount   int      `json:"pending_update_count"`
	IPAddress            string   `json:"ip_address,omitempty"`
	LastErrorDate        int64    `json:"last_error_date,omitempty"`
	LastErrorMessage     string   `json:"last_error_message,omitempty"`
	LastSyncErrorDate    int64    `json:"last_synchronization_error_date,omitempty"`
	MaxConnections       int      `json:"max_connections,omitempty"`
	AllowedUpdates       []string `json:"allowed_updates,omitempty"`
}

func (b *bot) mask() mask {
	if b.allowed == 0 {
		return defaultMask()
	}
	return b.allowed
}

func (b *bot) info() WebhookInfo {
	i := WebhookInfo{PendingUpdateCount: b.queue.len()}
	if b.hook != nil {
		i.URL = b.hook.raw
		i.HasCustomCertificate = b.hook.cert != nil
		i.MaxConnections = b.hook.maxc
		i.IPAddress = "<unknown>"
		if b.actor != nil && b.actor.ip.IsValid() {
			i.IPAddress = b.actor.ip.String()
		}
	}
	if b.err.text != "" {
		i.LastErrorDate, i.LastErrorMessage = b.err.at.Unix(), b.err.text
	}
	if !b.syncErr.IsZero() {
		i.LastSyncErrorDate = b.syncErr.Unix()
	}
	if m := b.mask(); m != defaultMask() {
		i.AllowedUpdates = m.names()
	}
	return i
}

func (b *bot) logOut(c *call) {
	b.removeHook("logOut")
	b.clear(0, time.Now())
	b.drop(failure(400, "Logged out"))
	b.loggedOut = true
	b.answer(c, okay(true, ""))
}

func (b *bot) closeInstance(c *call) {
	if up := time.Since(b.started); up < closeFloor {
		b.answer(c, tooMany(int((closeFloor-up)/time.Second)+1))
		return
	}
	if b.actor != nil {
		b.actor.close()
	}
	b.drop(failure(500, "Internal Server Error: restart"))
	b.err = lastError{}
	b.unloaded = true
	b.answer(c, okay(true, ""))
}

// other answers the methods that a sample bot needs, with just enough.
func (b *bot) other(c *call) {
	switch {
	case c.method == "sendmessage":
		chat, err := strconv.ParseInt(c.args["chat_id"], 10, 64)
		if err != nil || c.args["text"] == "" {
			b.answer(c, failure(400, "Bad Request: message text is empty"))
			return
		}
		b.message++
		b.answer(c, okay(map[string]any{
			"message_id": b.message, "date": time.Now().Unix(), "text": c.args["text"],
			"from": map[string]any{"id": b.id, "is_bot": true, "first_name": "Simulated bot", "username": b.username()},
			"chat": map[string]any{"id": chat, "type": chatType(chat)},
		}, ""))
	case strings.HasPrefix(c.method, "answer"), slices.Contains([]string{"sendchataction", "setmycommands"}, c.method):
		b.answer(c, okay(true, ""))
	default:
		b.answer(c, failure(404, "Not Found: method not found"))
	}
}
