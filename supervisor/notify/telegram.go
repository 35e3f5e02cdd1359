package notify

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"dualgram/supervisor/warning"
	"dualgram/transport/botapi"
)

// maxMessage is what Telegram takes (https://core.telegram.org/bots/api#sendmessage).
const maxMessage = 4096

// Bot is what a [Telegram] needs of the Bot API; *botapi.Client is one.
type Bot interface {
	SendMessage(ctx context.Context, p botapi.SendMessage) error
}

// Telegram sends messages to a chat by the bot itself. It works only while the Bot
// API can be reached and the token is good, and so can't tell that they are not.
type Telegram struct {
	bot Bot

	mu   sync.Mutex
	chat string
}

// NewTelegram makes a sender to a chat: its number, or @name for a public one.
func NewTelegram(bot Bot, chat string) *Telegram { return &Telegram{bot: bot, chat: chat} }

// Send implements [Sender]. A message of which nothing lasts makes no sound.
func (t *Telegram) Send(ctx context.Context, m Message) error {
	t.mu.Lock()
	chat := t.chat
	t.mu.Unlock()
	p := botapi.SendMessage{ChatID: chat, Text: m.Text(maxMessage), Silent: m.Status == StatusResolved || m.Severity == warning.Info && m.Status != StatusTest}
	err := t.bot.SendMessage(ctx, p)
	var e *botapi.Error
	if errors.As(err, &e) && e.MigratedTo != 0 {
		// A group that became a supergroup has another number from then on.
		p.ChatID = strconv.FormatInt(e.MigratedTo, 10)
		if err = t.bot.SendMessage(ctx, p); err == nil {
			t.mu.Lock()
			t.chat = p.ChatID
			t.mu.Unlock()
		}
	}
	if err == nil {
		return nil
	}
	out := &Error{Op: "telegram", Target: "chat " + chat, Err: err}
	if errors.As(err, &e) {
		out.RetryAfter, out.Hint = e.RetryAfter, hint(e)
	}
	return out
}

func hint(e *botapi.Error) string {
	switch {
	case e.MigratedTo != 0:
		return fmt.Sprintf("the group has become a supergroup: write chat_id: %d", e.MigratedTo)
	case e.Kind == botapi.KindUnauthorized:
		return "the bot's token is refused: see dualgram status"
	case e.Code == 403:
		return "let somebody of that chat start the bot (/start), or add it to the group again"
	case e.Kind == botapi.KindBadRequest:
		return "check notify.telegram.chat_id: the bot must be in that chat, and in a channel be an administrator"
	}
	return ""
}
