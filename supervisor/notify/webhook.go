package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// The headers of a notification.
const (
	// HeaderID holds the message's ID.
	HeaderID = "Dualgram-Notification-Id"
	// HeaderSignature holds t=SECONDS,v1=HEX if a secret is configured; see [Sign].
	HeaderSignature = "Dualgram-Signature"
)

// WebhookOptions is what a [Webhook] is made of.
type WebhookOptions struct {
	// URL returns the address, which may change. It is a secret.
	URL func() string
	// Secret returns what the messages are signed with; nil or empty: they are not.
	Secret func() string
	// Transport is nil for one of its own.
	Transport http.RoundTripper
}

// Webhook posts messages as JSON.
type Webhook struct {
	opt  WebhookOptions
	call *caller
}

// NewWebhook makes a webhook; it opens no connection.
func NewWebhook(o WebhookOptions) *Webhook {
	return &Webhook{opt: o, call: newCaller("webhook", o.Transport)}
}

// Send implements [Sender]. Any 2xx means that the message has arrived.
func (w *Webhook) Send(ctx context.Context, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return &Error{Op: "webhook", Err: err}
	}
	h := http.Header{"Content-Type": {"application/json"}, HeaderID: {m.ID}}
	if w.opt.Secret != nil {
		if s := w.opt.Secret(); s != "" {
			h.Set(HeaderSignature, Sign(s, time.Now(), body))
		}
	}
	return w.call.call(ctx, http.MethodPost, w.opt.URL(), body, h)
}

// Sign is the signature of a body: t=SECONDS,v1=HEX, where HEX is the HMAC-SHA-256,
// under the secret, of SECONDS (since 1970), a full stop, and the body. A receiver
// that refuses old ones can't be fooled by a message that was sent before.
func Sign(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(t + "."))
	_, _ = mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
