package botapi

import "context"

// SendMessage are the parameters of sendMessage that a notice needs.
type SendMessage struct {
	// ChatID is the number of a chat, or @name of a public one.
	ChatID string
	// Text is plain, of at most 4096 UTF-16 code units.
	Text string
	// Silent lets it arrive without a sound.
	Silent bool
}

// SendMessage writes to a chat. It is never repeated, so that nobody reads it twice
// by our doing; after a 429 the caller has to wait as long as the error says. It
// has connections of its own and holds up no other call.
func (c *Client) SendMessage(ctx context.Context, p SendMessage) error {
	const op = "sendMessage"
	if p.ChatID == "" || p.Text == "" {
		return refused(op, "it needs a chat and a text")
	}
	type preview struct {
		Off bool `json:"is_disabled"`
	}
	_, err := c.call(ctx, request{method: op, pool: PoolNotify, contentType: "application/json", body: mustJSON(struct {
		ChatID  string  `json:"chat_id"`
		Text    string  `json:"text"`
		Silent  bool    `json:"disable_notification,omitempty"`
		Preview preview `json:"link_preview_options"`
	}{p.ChatID, p.Text, p.Silent, preview{true}})})
	return err
}
